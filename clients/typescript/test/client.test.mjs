// The client against a real server (tests/apps/swill_features.py at SWILL_FEATURES_URL).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import test from "node:test";

import { Client, DisconnectedError } from "../dist/esm/index.js";

const url = process.env.SWILL_FEATURES_URL;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const eventually = async (ask) => {
  for (const end = Date.now() + 30_000; Date.now() < end; await wait(10)) if (await ask()) return;
  assert.fail("waited 30 s");
};

test("calls, streams both ways, and a loop that is left", async () => {
  const client = new Client({ url, window: 4 });
  assert.equal(await client.call("add", [1, 2]), 3);
  const counted = [];
  for await (const number of client.rpc("count", 500)) counted.push(number);
  assert.deepEqual(counted, [...Array(500).keys()]);
  const total = client.rpc("total", 0);
  for (let number = 1; number < 300; number += 1) await total.send(number);
  total.endStream();
  assert.equal(await total.result(), (299 * 300) / 2);
  for await (const tick of client.rpc("ticks", 0.001)) if (tick === 3) break;
  await eventually(async () => (await client.call("outcomes")).includes("ticks cancelled 0"));
  client.close();
  assert.equal(client.state, "closed");
});

test("a slow stream stops no other", async () => {
  const client = new Client({ url, window: 8 });
  await client.call("add", [1, 1]);
  const unread = client.rpc("flood", 100_000);
  await unread.receive();
  for (let number = 0; number < 50; number += 1) assert.equal(await client.call("add", [number, 1]), number + 1);
  unread.cancel();
  client.close();
});

test("deadlines and signals", async () => {
  const client = new Client({ url });
  await assert.rejects(client.call("slow", 60, { timeout: 50 }), { code: 504 });
  const controller = new AbortController();
  const call = client.call("slow", 60, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(call, { name: "AbortError" });
  const left = await client.call("remaining", undefined, { timeout: 20_000 });
  assert.ok(left > 0 && left <= 20);
  await eventually(async () => (await client.call("outcomes")).some((line) => line.startsWith("slow cancelled")));
  assert.throws(() => client.rpc("add", [1, 2], { timeout: 0 }), RangeError);
  client.close();
});

test("it comes back, and what is in vain is not tried again", async () => {
  const states = [];
  const closed = [];
  const client = new Client({
    url,
    reconnect: { delay: 10 },
    onState: (state) => states.push(state),
    onDisconnected: (code, reason) => closed.push([code, reason]),
  });
  await client.connect();
  const open = client.call("slow", 60);
  await assert.rejects(client.call("leave", 1012), DisconnectedError);
  await assert.rejects(open, DisconnectedError);
  assert.equal(await client.call("add", [1, 2]), 3);
  assert.deepEqual(states, ["connecting", "open", "reconnecting", "open"]);
  await assert.rejects(client.call("leave", 4001), { code: 4001, reason: "go away" });
  await assert.rejects(client.call("add", [1, 2]), DisconnectedError);
  assert.deepEqual(closed, [[1012, "go away"], [4001, "go away"]]);
  assert.equal(states.at(-1), "closed");
  const nowhere = new Client({ url: `${url}/nothing` });
  await assert.rejects(nowhere.call("add", [1, 2]), { name: "DisconnectedError", code: 404 });
});

test("an idempotent call is sent again once", async () => {
  const client = new Client({ url, reconnect: { delay: 10 } });
  const before = (await client.call("outcomes")).filter((line) => line === "leave disconnected 0").length;
  await assert.rejects(client.call("leave", 1012, { idempotent: true }), DisconnectedError);
  const after = (await client.call("outcomes")).filter((line) => line === "leave disconnected 0").length;
  assert.equal(after - before, 2);
  client.close();
});

test("a subscription goes on over reconnections and misses nothing", async () => {
  const client = new Client({ url, reconnect: { delay: 10 } });
  const publisher = new Client({ url });
  const room = `news.node${process.pid}`;
  const news = client.subscribe(room);
  const got = [];
  const reading = (async () => {
    for await (const { data } of news) {
      got.push(data.number);
      if (got.length === 20) break;
    }
  })();
  await eventually(async () => news.recovered === true);
  await publisher.call("publish_many", [room, 10]);
  await eventually(async () => got.length === 10);
  await assert.rejects(client.call("leave", 1012));
  await publisher.call("publish_many", [room, 10]);
  await reading;
  assert.deepEqual(got, [...Array(10).keys(), ...Array(10).keys()]);
  assert.equal(news.recovered, true);
  await assert.rejects(async () => {
    for await (const _ of client.subscribe("news.secret")) assert.fail();
  }, { code: 403 });
  client.close();
  publisher.close();
});

test("a tracked stream goes on where it was", async () => {
  const client = new Client({ url, reconnect: { delay: 10 } });
  const got = [];
  for await (const { data } of client.follow("numbered", 10)) {
    got.push(data);
    if (data === 9) break;
  }
  assert.deepEqual(got, [...Array(10).keys()]);
  client.close();
});

test("calls wait for a connection, and not for ever", async () => {
  const client = new Client({ url: "ws://127.0.0.1:1/ws", connectTimeout: 100, reconnect: { delay: 10 } });
  let timeouts = 0;
  client.onTimeout = () => (timeouts += 1);
  await assert.rejects(client.call("add", [1, 2]), { name: "DisconnectedError", message: /in 100 ms/ });
  client.close();
});

test("an original server is asked by its own name, and gets nothing that it does not know", async () => {
  const client = new Client({ url: process.env.SWILL_ORIGINAL_URL });
  assert.equal(await client.call("add", [1, 2]), 3);
  const counted = [];
  for await (const number of client.rpc("count", 200)) counted.push(number);
  assert.equal(counted.length, 200);
  const [offers, metadata] = JSON.parse(await client.call("heard"));
  assert.deepEqual(offers.slice(-2), ["swill.1", "swill/1"]);
  assert.ok(!JSON.stringify(metadata).includes("swill.window"));
  client.close();
});

test("a server that is none", async () => {
  const server = createServer((_, response) => response.writeHead(403).end("no")).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const client = new Client({ url: `ws://127.0.0.1:${server.address().port}/ws` });
  await assert.rejects(client.call("add", [1, 2]), { code: 403 });
  server.close();
});

test("CommonJS has it, too", () => {
  const { Client: Required } = createRequire(import.meta.url)("../dist/cjs/index.js");
  assert.equal(typeof Required, "function");
});

test("the package holds what it needs and no more", () => {
  const listed = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { encoding: "utf8" }));
  const files = listed[0].files.map(({ path }) => path);
  assert.ok(files.includes("dist/esm/index.js") && files.includes("dist/cjs/index.d.ts") && files.includes("README.md"));
  assert.ok(!files.some((path) => path.startsWith("src/") || path.startsWith("test/")), files.join());
});
