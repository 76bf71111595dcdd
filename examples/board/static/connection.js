// One WebSocket that stays: it is opened again after a break, later each time, and it measures its round trip.

const PING_EVERY = 2000; // milliseconds
const SILENT_AFTER = 10000; // without an answer to a ping the connection is taken for broken
const FIRST_RETRY = 500;
const LAST_RETRY = 10000;

export class Connection {
  #socket = null;
  #url = "";
  #tries = 0;
  #retry = 0;
  #pinging = 0;
  #token = 0;
  #sent = 0; // when the ping without an answer left, or 0
  #figures = [];

  // onEvents(list of events), onState("connecting" | "open" | "waiting", text), onLatency(milliseconds or null)
  constructor({ onEvents, onState, onLatency }) {
    Object.assign(this, { onEvents, onState, onLatency });
    addEventListener("online", () => this.#socket || this.#connect());
    addEventListener("pagehide", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.#connect());
  }

  open(path) {
    this.#url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
    this.#tries = 0;
    this.#connect();
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    this.#drop();
    this.onState("connecting", "Connecting");
    const socket = (this.#socket = new WebSocket(this.#url));
    // A socket that was dropped may still have events on their way; they are nobody's now.
    const current = (handler) => (event) => socket === this.#socket && handler(event);
    socket.onopen = current(() => this.#opened());
    socket.onmessage = current((event) => this.#received(JSON.parse(event.data)));
    socket.onclose = current((event) => this.#closed(event));
  }

  #opened() {
    this.onState("open", "Connected");
    this.#pinging = setInterval(() => this.#ping(), PING_EVERY);
    this.#ping();
  }

  #received(events) {
    this.#tries = 0;
    for (const event of events) if (event.type === "pong") this.#pong(event.token);
    this.onEvents(events);
  }

  #closed(event) {
    this.#drop();
    const wait = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** this.#tries++) * (0.5 + Math.random() / 2);
    const why = event.reason || "Connection lost";
    this.onState("waiting", `${why} · trying again in ${Math.max(1, Math.round(wait / 1000))} s`);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearInterval(this.#pinging);
    this.#sent = 0;
    this.#figures = [];
    this.onLatency(null);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #ping() {
    if (this.#sent) {
      if (performance.now() - this.#sent > SILENT_AFTER) this.#closed({ reason: "No answer" });
      return;
    }
    this.#sent = performance.now();
    this.send({ type: "ping", token: ++this.#token });
  }

  #pong(token) {
    if (token !== this.#token || !this.#sent) return;
    this.#figures = [...this.#figures, performance.now() - this.#sent].slice(-5);
    this.#sent = 0;
    this.onLatency(this.#figures.toSorted((a, b) => a - b)[this.#figures.length >> 1]);
  }
}
