// The original's client against the server at SWILL_URL: talk.cjs FOLDER, where it is compiled, and then prints what it
// was answered, as JSON.
const path = require("node:path");

const { Client } = require(path.join(process.argv[2], "client.js"));
const { NodeSocket } = require(process.env.SWILL_SOCKET);

globalThis.WebSocket = class extends NodeSocket {
  static OPEN = 1;
  readyState = 0;

  constructor(...words) {
    super(...words);
    let handled = Promise.resolve();
    queueMicrotask(() => {
      const { onopen, onmessage, onclose } = this;
      this.onopen = (event) => {
        this.readyState = 1;
        onopen(event);
      };
      this.onmessage = ({ data }) => (handled = handled.then(() => onmessage({ data: new Blob([data]) })));
      this.onclose = (event) => onclose({ wasClean: true, ...event });
    });
  }
};

async function all(request) {
  const found = [];
  for (let answer = await request.receive(); answer !== null; answer = await request.receive()) found.push(answer.data);
  return found;
}

async function main() {
  const client = new Client({ autoConnect: false, reconnect: false });
  await client.connect(process.env.SWILL_URL);
  const heard = { sum: await client.call("add", [1, 2]) };
  heard.counted = await all(client.rpc("count", 100));
  const total = client.rpc("total", undefined, { sendMetadataFirst: true });
  for (const number of [1, 2, 3]) total.send(number);
  total.endStream();
  heard.total = (await total.receive()).data;
  total.close();
  const double = client.rpc("double", 4);
  double.send(5);
  double.endStream();
  heard.doubled = await all(double);
  for (const [name, args] of [["conflict"], ["nobody"], ["add", ["x", 2]], ["fail"]]) {
    heard[`${name} ${args ?? ""}`.trim()] = await client.call(name, args).catch(({ code, message, data }) => ({ code, message, data }));
  }
  const both = client.rpc("metas.both", null, { metadata: { mine: true } });
  heard.both = (await both.receive()).data;
  heard.leading = both.leadingMetadata;
  heard.trailing = both.trailingMetadata;
  both.close();
  const ticks = client.rpc("ticks", 0.01);
  await ticks.receive();
  ticks.cancel();
  for (heard.cancelled = false; !heard.cancelled; ) {
    heard.cancelled = (await client.call("outcomes", null)).includes("ticks cancelled 0");
  }
  heard.introspected = (await all(client.rpc("swill.introspect", null))).some(({ name }) => name === "add");
  console.log(JSON.stringify(heard));
  process.exit(0);
}

main();
