// This project's client against the original's server at SWILL_URL.
import assert from "node:assert/strict";

const { Client } = await import(process.env.SWILL_CLIENT);

const client = new Client({ url: process.env.SWILL_URL });
assert.equal(await client.call("add", [1, 2], { timeout: 5000 }), 3);
assert.deepEqual(await client.call("said", 0, { metadata: { mine: 1 } }), { mine: 1 });
const counted = [];
for await (const number of client.rpc("count", 300)) counted.push(number);
assert.deepEqual(counted, [...Array(300).keys()]);
const total = client.rpc("total", 1);
for (const number of [2, 3]) await total.send(number);
total.endStream();
assert.equal(await total.result(), 6);
const doubled = client.rpc("double", 4);
assert.equal((await doubled.receive()).data, 8);
await doubled.send(5);
assert.equal((await doubled.receive()).data, 10);
doubled.endStream();
assert.equal(await doubled.receive(), null);
await assert.rejects(client.call("conflict"), { code: 409, message: "conflict" });
await assert.rejects(client.call("nobody"), { code: 404 });
client.close();
