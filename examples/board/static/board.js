// The page: it connects the canvas, the WebSocket and the panels, and chooses the routes.
//
// The web server gives the application several mounts, one for each protocol. A request goes to /scgi/... or
// /fastcgi/..., the WebSocket to /scgi/board (in-band: through the SCGI listener itself) or /direct/board.

import { Canvas, place } from "./canvas.js";
import { Connection } from "./connection.js";
import { Clock, Seen, element } from "./panels.js";
import { Upload, label } from "./upload.js";

const COLORS = ["blue", "red", "green", "violet", "orange", "teal", "pink", "ink"];
const STILL_AFTER = 4000; // milliseconds; then a cursor that does not move fades
const POINT_EVERY = 60;

const $ = (id) => document.getElementById(id);
const routes = $("routes").elements;
const pens = $("pens").elements;
const people = new Map();
const cursors = new Map();
let me = 0;
let seen = {};

const http = (path) => `/${routes.http.value}${path}`;
const saved = (key) => sessionStorage.getItem(key) ?? "";

// The board

const canvas = new Canvas($("canvas"), {
  colors: COLORS,
  pen: () => ({ color: pens.color.value, width: Number(pens.width.value) }),
  onDraw: (stroke, width, points) => connection.send({ type: "draw", stroke, width, points }),
  onPoint: atMostEvery(POINT_EVERY, (point) => connection.send({ type: "cursor", point })),
  onKeyPoint: (point) => showCursor(me, point),
  onChange: (strokes) => { $("invitation").hidden = strokes > 0; },
});

const connection = new Connection({
  onEvents: (events) => events.forEach((event) => HANDLERS[event.type]?.(event)),
  onState: showState,
  onLatency: (ms) => { $("latency").textContent = ms === null ? "–" : `${ms.toFixed(ms < 10 ? 1 : 0)} ms round trip`; },
});

const HANDLERS = {
  welcome(event) {
    me = event.you;
    seen = event.seen;
    pens.color.value = saved("color") || event.color;
    pens.name.value = saved("name") || event.name;
    showState("open");
    introduce();
    canvas.allow(true, me);
    panels.seen.websocket(event.seen);
  },
  people: (event) => showPeople(event.people),
  snapshot: (event) => canvas.replace(event.strokes),
  clear: () => canvas.clear(),
  cursor: (event) => showCursor(event.id, event.point),
  draw(event) {
    canvas.extend(event);
    showCursor(Number.parseInt(event.id), event.points.slice(-2));
  },
};

// What the visitor is called stays, in this tab, whichever route is taken next.
function introduce() {
  for (const name of ["name", "color"]) sessionStorage.setItem(name, pens[name].value);
  connection.send({ type: "hello", name: pens.name.value, color: pens.color.value });
}

function showState(state, text = "") {
  const how = seen.protocol === "websocket" ? "directly, as a WebSocket" : `in-band, over ${label(seen.protocol)}`;
  $("link").dataset.state = state;
  $("link-text").textContent = state === "open" && seen.protocol ? `Connected ${how}` : text;
  $("sheet").toggleAttribute("data-closed", state !== "open");
  if (state === "open") return;
  seen = {};
  canvas.allow(false);
  showPeople([]);
}

function showPeople(list) {
  people.clear();
  for (const person of list) people.set(person.id, person);
  for (const id of cursors.keys()) if (!people.has(id)) showCursor(id, null);
  const items = list.map(({ id, name, color }) => {
    const item = element("li", name);
    item.style.setProperty("--pen", pen(color));
    if (id === me) item.append(element("small", " (you)"));
    return item;
  });
  $("people").replaceChildren(...items);
}

function showCursor(id, point) {
  const person = people.get(id);
  let cursor = cursors.get(id);
  if (!point || !person) {
    cursor?.remove();
    cursors.delete(id);
    return;
  }
  if (!cursor) {
    cursor = element("div");
    cursor.className = "cursor";
    cursor.append(element("span"));
    cursors.set(id, cursor);
    $("cursors").append(cursor);
  }
  cursor.firstChild.textContent = person.name;
  cursor.style.setProperty("--pen", pen(person.color));
  Object.assign(cursor.style, place(point));
  cursor.removeAttribute("data-still");
  clearTimeout(cursor.timer);
  cursor.timer = setTimeout(() => cursor.setAttribute("data-still", ""), STILL_AFTER);
}

// A style made of a name from the list, or of nothing.
function pen(color) {
  return COLORS.includes(color) ? `var(--pen-${color})` : "var(--pen-ink)";
}

function atMostEvery(milliseconds, call) {
  let timer = 0;
  let latest;
  return (value) => {
    latest = value;
    timer ||= setTimeout(() => { timer = 0; call(latest); }, milliseconds);
  };
}

// The pens and the routes

for (const name of COLORS) {
  const input = Object.assign(element("input"), { type: "radio", name: "color", value: name });
  const [swatch, title] = [element("span"), element("span", name)];
  swatch.style.background = pen(name);
  title.className = "hidden";
  const choice = Object.assign(element("label"), { title: name });
  choice.append(input, swatch, title);
  $("colors").append(choice);
}

pens.color.value = COLORS[0];
$("pens").addEventListener("submit", (event) => event.preventDefault());
$("pens").addEventListener("change", ({ target }) => {
  if (target.name !== "width") introduce();
});
$("clear").addEventListener("click", () => connection.send({ type: "clear" }));

const panels = {
  clock: new Clock(document),
  seen: new Seen(document, () => http("/seen")),
  upload: new Upload($("upload"), () => http("/upload")),
};

const CHOOSE = {
  http() {
    panels.clock.listen(http("/clock"));
    panels.seen.ask();
  },
  websocket() {
    connection.open(`/${routes.websocket.value}/board`);
  },
};

$("routes").addEventListener("change", ({ target }) => {
  sessionStorage.setItem(target.name, target.value);
  CHOOSE[target.name]();
});
for (const name of Object.keys(CHOOSE)) {
  if (saved(name)) routes[name].value = saved(name);
  CHOOSE[name]();
}
