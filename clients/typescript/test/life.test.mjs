// When a client comes back and when it does not, how it finds out that nobody is there, and what an address means.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import test, { mock } from "node:test";

import { Client, DisconnectedError } from "../dist/esm/index.js";
import { toUrl } from "../dist/esm/socket.js";

const eventually = async (ask) => {
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 5)))
    if (ask()) return;
  assert.fail("waited 30 s");
};

/** A server that answers the handshake, and closes with a code or refuses with a status. */
const serve = async ({ code, status }) => {
  const server = createServer();
  const seen = { attempts: 0, url: "", end: () => server.close() };
  server.on("upgrade", (request, socket) => {
    seen.attempts += 1;
    socket.on("error", () => {});
    if (status !== undefined) return socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Protocol: swill.1\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.end(Buffer.from([0x88, 2, code >> 8, code & 255]));
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  seen.url = `ws://127.0.0.1:${server.address().port}/ws`;
  return seen;
};

for (const [code, again] of [
  [1000, false], [1001, true], [1002, false], [1003, false], [1007, false], [1008, false], [1009, false],
  [1010, false], [1011, true], [1012, true], [1013, true], [4000, false],
])
  test(`closed with ${code} it ${again ? "comes back" : "stays away"}`, async () => {
    const server = await serve({ code });
    const client = new Client({ url: server.url, reconnect: { delay: 1 } });
    await client.connect();
    await eventually(() => (again ? server.attempts > 1 : client.state === "closed"));
    assert.equal(server.attempts > 1, again);
    if (!again) await assert.rejects(client.call("add", [1, 2]), { name: "DisconnectedError", code });
    client.close();
    server.end();
  });

for (const [status, again] of [[401, false], [403, false], [404, false], [406, false], [429, true], [502, true], [503, true]])
  test(`refused with ${status} it ${again ? "tries again" : "gives up"}`, async () => {
    const server = await serve({ status });
    const client = new Client({ url: server.url, reconnect: { delay: 1 } });
    const waiting = client.connect();
    waiting.catch(() => {});
    await eventually(() => (again ? server.attempts > 3 : client.state === "closed"));
    client.close();
    await assert.rejects(waiting, again ? DisconnectedError : { code: status });
    if (!again) assert.ok(server.attempts <= 2, "an original server is asked by its own name, once");
    server.end();
  });

test("it does not come back where that is not wanted", async () => {
  const server = await serve({ code: 1012 });
  const client = new Client({ url: server.url, reconnect: false });
  await client.connect();
  await eventually(() => client.state === "closed");
  assert.equal(server.attempts, 1);
  server.end();
});

test("a server that says nothing is asked after 25 s, and left 10 s later", () => {
  let now = 1_000_000;
  const ticking = [];
  mock.method(Date, "now", () => now);
  mock.method(globalThis, "setInterval", (tick) => (ticking.push(tick), { unref() {} }));
  const pass = (seconds) => {
    for (; seconds > 0; seconds -= 1) {
      now += 1000;
      for (const tick of ticking) tick();
    }
  };
  const sockets = [];
  class Mute {
    protocol = "swill.1";
    readyState = 1;
    bufferedAmount = 0;
    sent = [];
    constructor() { sockets.push(this); }
    send(data) { this.sent.push(Buffer.from(data).toString("latin1")); }
    close(code) { this.closed = code ?? 1000; }
  }
  try {
    const client = new Client({ url: "ws://nowhere/ws", WebSocket: Mute });
    client.connect().catch(() => {});
    sockets[0].onopen({});
    pass(24);
    assert.ok(!sockets[0].sent.some((frame) => frame.includes("swill.ping")));
    pass(2);
    assert.ok(sockets[0].sent.at(-1).includes("swill.ping"));
    assert.equal(sockets[0].closed, undefined);
    pass(8);
    assert.equal(sockets[0].closed, undefined);
    pass(3);
    assert.notEqual(sockets[0].closed, undefined);
    client.close();
  } finally {
    mock.restoreAll();
  }
});

test("what an address means", () => {
  assert.equal(toUrl("localhost"), "ws://localhost/ws");
  assert.equal(toUrl("localhost:8000"), "ws://localhost:8000/ws");
  assert.equal(toUrl("example.org/a"), "ws://example.org/a");
  assert.equal(toUrl("http://example.org/a"), "ws://example.org/a");
  assert.equal(toUrl("wss://example.org/a"), "wss://example.org/a");
  globalThis.location = { protocol: "https:", host: "example.org:8443" };
  try {
    assert.equal(toUrl("/ws"), "wss://example.org:8443/ws");
    assert.equal(toUrl("other.org"), "wss://other.org/ws");
    assert.equal(toUrl("ws://other.org/ws"), "ws://other.org/ws");
  } finally {
    delete globalThis.location;
  }
});
