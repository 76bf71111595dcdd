// What the client sends, byte for byte: the exchanges recorded with the original's client (tests/swill/vectors/ts_*.json).
// SWILL_URL is a server of the procedures they call; `tests/swill/test_typescript.py` starts one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Client, ResponseType, RpcError } from "../dist/esm/index.js";
import { NodeSocket } from "../dist/esm/node.js";

const vector = (name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/swill/vectors/${name}.json`, import.meta.url), "utf8"));

class Recorder extends NodeSocket {
  static sent = [];
  send(data) {
    Recorder.sent.push(Buffer.from(data).toString("hex"));
    super.send(data);
  }
}

const receiveAll = async (request) => {
  const got = [];
  for (let next = await request.receive(); next !== null; next = await request.receive()) got.push(next);
  return got;
};

const values = (responses) => responses.map(({ data }) => data);

const plays = {
  ts_call: async (c) => assert.equal(await c.call("aadd", [1, 2]), 3),
  ts_call_twice: async (c) => {
    assert.equal(await c.call("aadd", [1, 2]), 3);
    assert.equal(await c.call("aadd", [3, 4]), 7);
  },
  ts_calls_at_once: async (c) => {
    const calls = [c.call("aadd", [1, 2]), c.call("aadd", [3, 4]), c.call("aadd", [5, 6])];
    assert.deepEqual(await Promise.all(calls), [3, 7, 11]);
  },
  ts_call_undefined: async (c) => assert.equal(await c.call("echo"), null),
  ts_call_error: (c) => assert.rejects(c.call("deny", {}), { name: "RpcError", code: 403, message: "no entry", rpc: "deny" }),
  ts_call_unknown: (c) => assert.rejects(c.call("nobody", {}), { code: 404 }),
  ts_call_metadata: async (c) => assert.deepEqual(await c.call("meta", null, { metadata: { k: 1 } }), { k: 1 }),
  ts_call_metadata_first_from_server: async (c) => {
    assert.equal(await c.call("meta_now", {}), 5);
    const request = c.rpc("meta_now", {});
    assert.equal(await request.result(), 5);
    assert.deepEqual([request.leadingMetadata, request.trailingMetadata], [{ lead: 1 }, { trail: 2 }]);
  },
  ts_bytes: async (c) => assert.deepEqual(await c.call("echo", new Uint8Array([0, 255])), new Uint8Array([0, 255])),
  ts_date: async (c) => assert.deepEqual(await c.call("echo", new Date(0)), new Date(0)),
  ts_big_number: async (c) => assert.equal(await c.call("echo", 2 ** 53), 2 ** 53),
  ts_stream_response: async (c) => {
    const request = c.rpc("count", 3);
    assert.deepEqual(values(await receiveAll(request)), [0, 1, 2]);
    assert.equal(request.ended, true);
  },
  ts_stream_request: async (c) => {
    const request = c.rpc("total", 1);
    request.send(2);
    request.send(3);
    request.endStream();
    assert.equal((await request.receive()).data, 6);
  },
  ts_stream_both: async (c) => {
    const request = c.rpc("double", 1);
    request.send(2);
    request.endStream();
    assert.deepEqual(values(await receiveAll(request)), [2, 4]);
  },
  ts_stream_error: async (c) => {
    const request = c.rpc("stream_error", 1);
    assert.equal((await request.receive()).data, 0);
    const error = await request.receive();
    assert.deepEqual([error.type, error.data.code], [ResponseType.ERROR, 409]);
    assert.equal(await request.receive(), null);
    await assert.rejects(async () => {
      for await (const item of c.rpc("stream_error", 1)) assert.equal(item, 0);
    }, new RpcError(409, "enough", undefined, "stream_error"));
  },
  ts_metadata_first: async (c) => {
    const request = c.rpc("stream_metadata", undefined, { metadata: { k: "v" }, sendMetadataFirst: true });
    request.send(1);
    request.endStream();
    assert.deepEqual((await request.receive()).data, { metadata: { k: "v" }, numbers: [1] });
  },
  ts_metadata_stream: async (c) => {
    const request = c.rpc("meta_stream", 2);
    assert.deepEqual(values(await receiveAll(request)), [0, 1]);
    assert.deepEqual([request.leadingMetadata, request.trailingMetadata], [{ lead: 1 }, { trail: 2 }]);
  },
  ts_introspect: async (c) => {
    const names = values(await receiveAll(c.rpc("swill.introspect"))).map(({ name }) => name);
    assert.ok(names.includes("add") && names.includes("types.group"), names.join());
  },
  ts_close_early: async (c) => {
    const request = c.rpc("count", 3);
    assert.equal((await request.receive()).data, 0);
    request.close();
    assert.equal(await request.receive(), null);
    assert.equal(await c.call("aadd", [1, 1]), 2);
  },
};

for (const [name, play] of Object.entries(plays)) {
  test(name, async () => {
    Recorder.sent = [];
    const client = new Client({ url: process.env.SWILL_URL, WebSocket: Recorder, hello: false, window: 0 });
    await play(client);
    client.close();
    const right = vector(name)
      .frames.filter(({ dir }) => dir === "c>s")
      .map(({ hex }) => hex);
    assert.deepEqual(Recorder.sent.slice(0, right.length), right);
  });
}

test("0, false and the empty text are items, sendMetadataFirst or not", async () => {
  const client = new Client({ url: process.env.SWILL_URL });
  for (const item of [0, false, "", null]) {
    assert.equal(await client.call("echo", item, { metadata: {}, sendMetadataFirst: true }), item);
  }
  client.close();
});

test("close of what is not over sends CANCEL", async () => {
  Recorder.sent = [];
  const client = new Client({ url: process.env.SWILL_URL, WebSocket: Recorder, hello: false, window: 0 });
  const request = client.rpc("ticks", 0.01);
  assert.equal((await request.receive()).data, 0);
  request.close();
  assert.equal(Recorder.sent[1], "9401c0a57469636b7303");
  client.close();
});

test("cancel lets receive go on", async () => {
  const client = new Client({ url: process.env.SWILL_URL });
  const request = client.rpc("patient", 1);
  const received = request.receive();
  request.cancel();
  assert.equal(await received, null);
  client.close();
});

test("a bigint is an integer of 64 bits", async () => {
  Recorder.sent = [];
  const client = new Client({ url: process.env.SWILL_URL, WebSocket: Recorder, hello: false });
  assert.equal(await client.call("echo", 5n), 5);
  assert.equal(Recorder.sent[0], "9301cf0000000000000005a46563686f");
  client.close();
});
