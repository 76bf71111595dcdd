// The clock, which listens to server-sent events, and the table of what the application saw.

import { label } from "./upload.js";

const AGAIN_AFTER = 5000; // milliseconds; a browser itself tries again only after a break, not after a refusal

export class Clock {
  #source = null;
  #retry = 0;

  constructor(root) {
    this.part = (name) => root.querySelector(`#clock-${name}`);
  }

  listen(url) {
    clearTimeout(this.#retry);
    this.#source?.close();
    const source = (this.#source = new EventSource(url));
    source.addEventListener("tick", (event) => this.#tick(JSON.parse(event.data)));
    source.onerror = () => {
      this.part("note").textContent = "No events; trying again";
      if (source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => this.listen(url), AGAIN_AFTER);
    };
  }

  #tick({ time, tick, protocol }) {
    const now = new Date(1000 * time);
    this.part("time").textContent = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.part("time").dateTime = now.toISOString();
    this.part("hand").style.strokeDasharray = `${now.getSeconds() || 60} 60`;
    this.part("note").textContent = tick === 1 ? "1 event in this stream" : `${tick} events in this stream`;
    this.part("badge").hidden = false;
    this.part("badge").textContent = label(protocol);
  }
}

const FACTS = [
  ["Carried by", "protocol"],
  ["Scheme", "scheme"],
  ["HTTP version", "http_version"],
  ["Method", "method"],
  ["Path", "path"],
  ["Raw path", "raw_path"],
  ["Root path", "root_path"],
  ["Query string", "query_string"],
  ["Server address", "server_address"],
  ["Client address", "remote_address"],
];

export class Seen {
  #request = {};
  #socket = {};

  constructor(root, url) {
    this.part = (id) => root.querySelector(`#${id}`);
    this.url = url;
    this.part("seen-again").addEventListener("click", () => this.ask());
    this.#show();
  }

  async ask() {
    const url = this.url();
    let seen;
    try {
      const response = await fetch(`${url}?asked=by%20the%20page`);
      seen = response.ok ? await response.json() : { protocol: `refused with ${response.status}` };
    } catch {
      seen = { protocol: "no answer" };
    }
    if (url !== this.url()) return; // another route was chosen meanwhile
    this.#request = seen;
    this.#show();
  }

  websocket(seen) {
    this.#socket = seen;
    this.#show();
  }

  #show() {
    const rows = FACTS.map(([title, name]) => {
      const cells = [this.#request, this.#socket].map((seen) => {
        const value = name === "protocol" && seen[name] ? label(seen[name]) : seen[name];
        const cell = element("td", value || "–");
        cell.classList.toggle("empty", !value);
        return cell;
      });
      const row = element("tr");
      row.append(Object.assign(element("th", title), { scope: "row" }), ...cells);
      return row;
    });
    this.part("facts").replaceChildren(...rows);
    this.#pairs("headers", this.#request.headers ?? {});
    this.#pairs("environ", this.#request.environ ?? {});
  }

  #pairs(id, values) {
    const pairs = Object.entries(values);
    this.part(id).replaceChildren(...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
    this.part(`${id}-count`).textContent = pairs.length || "";
  }
}

// Text only: nothing that came over the network is ever taken for markup.
export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
