// The drawing: strokes kept as whole numbers on a board of 1600 by 1000, painted at the resolution of the screen.
//
// A stroke is { id, color, width, points: [x, y, x, y, ...] }; colours are names, and the style sheet says what they
// look like (and again when the colour scheme changes). The canvas knows no network: what the visitor draws goes to
// `onDraw(stroke number, points)` and `onPoint([x, y] or null)`, and what others draw comes in through `extend`.

const WIDTH = 1600;
const HEIGHT = 1000;
const FLUSH_AFTER = 40; // milliseconds in which points gather before they are sent
const MOST_POINTS = 200; // in one message; the application takes 256
const LONGEST = 1000; // points; a longer line goes on as another stroke, so that history can drop it in parts
const NEAR = 2; // a point nearer than this to the one before adds nothing
const MOST_KEPT = 120000; // coordinates; twice what the application keeps, so that the picture is seldom made anew
const SETTLED_AFTER = 1000; // milliseconds without a new point

export class Canvas {
  #strokes = new Map();
  #size = 0; // coordinates in them
  #growing = new Map(); // a stroke that may still get points -> when it got the last
  #settled = document.createElement("canvas").getContext("2d");
  #frame = 0;
  #current = null; // the visitor's own stroke while the pen is down
  #unsent = [];
  #timer = 0;
  #number = 0;
  #key = { x: WIDTH / 2, y: HEIGHT / 2 };
  #palette = {};

  constructor(element, { colors, pen, onDraw, onPoint, onChange, onKeyPoint }) {
    Object.assign(this, { element, colors, pen, onDraw, onPoint, onChange, onKeyPoint });
    this.context = element.getContext("2d");
    this.enabled = false;
    this.owner = 0;
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", () => this.#lift());
    element.addEventListener("pointercancel", () => this.#lift());
    element.addEventListener("pointerleave", () => this.#current || this.onPoint(null));
    element.addEventListener("keydown", (event) => this.#keydown(event));
    element.addEventListener("blur", () => { this.#lift(); this.onKeyPoint(null); });
    new ResizeObserver(() => this.#fit()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
  }

  // Whether the visitor may draw: only while what is drawn reaches the others.
  allow(enabled, owner = 0) {
    this.#lift();
    this.enabled = enabled;
    this.owner = owner;
    this.#number = 0;
  }

  replace(strokes) {
    this.#strokes = new Map(strokes.map((stroke) => [stroke.id, stroke]));
    // The stroke under the pen has points that were not there yet when the snapshot was made.
    if (this.#current) this.#strokes.set(this.#current.id, this.#current);
    this.#repaint();
  }

  extend({ id, color, width, points }) {
    let stroke = this.#strokes.get(id);
    if (!stroke) this.#strokes.set(id, (stroke = { id, color, width, points: [] }));
    stroke.points.push(...points);
    this.#size += points.length;
    if (this.#size > MOST_KEPT) this.#forget();
    this.#growing.set(stroke, performance.now());
    this.#frame ||= requestAnimationFrame(() => this.#paint());
    this.onChange(this.#strokes.size);
  }

  clear() {
    this.#strokes.clear();
    if (this.#current) {
      this.#current.points.splice(0, this.#current.points.length - 2);
      this.#strokes.set(this.#current.id, this.#current);
    }
    this.#repaint();
  }

  #forget() {
    for (const [id, stroke] of this.#strokes) {
      if (this.#size <= MOST_KEPT / 2) break;
      if (stroke === this.#current) continue;
      this.#strokes.delete(id);
      this.#size -= stroke.points.length;
    }
    this.#repaint();
  }

  // Painting: strokes that have come to rest are a picture of their own, so that a frame costs no more than the
  // strokes that grow. Those are painted whole each time; in pieces, the smooth edges would show each joint.

  #fit() {
    const { width, height } = this.element.getBoundingClientRect();
    for (const { canvas } of [this.context, this.#settled]) {
      canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
      canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    }
    const style = getComputedStyle(this.element);
    this.#palette = Object.fromEntries(this.colors.map((name) => [name, style.getPropertyValue(`--pen-${name}`)]));
    this.#repaint();
  }

  #repaint() {
    wipe(this.#settled);
    this.#growing.clear();
    this.#size = 0;
    for (const stroke of this.#strokes.values()) {
      this.#size += stroke.points.length;
      if (stroke === this.#current) this.#growing.set(stroke, performance.now());
      else this.#line(this.#settled, stroke);
    }
    this.#paint();
    this.onChange(this.#strokes.size);
  }

  #paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    for (const [stroke, since] of this.#growing) {
      if (performance.now() - since < SETTLED_AFTER) continue;
      this.#growing.delete(stroke);
      this.#line(this.#settled, stroke);
    }
    wipe(this.context);
    this.context.drawImage(this.#settled.canvas, 0, 0);
    for (const stroke of this.#growing.keys()) this.#line(this.context, stroke);
  }

  // Curves from the middle of one segment to the middle of the next, each bent by the point between them.
  #line(context, { color, width, points }) {
    const last = points.length - 2;
    context.save();
    context.scale(context.canvas.width / WIDTH, context.canvas.height / HEIGHT);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = width;
    context.strokeStyle = this.#palette[color];
    context.beginPath();
    context.moveTo(points[0], points[1]);
    for (let i = 2; i <= last; i += 2) {
      const [x, y] = [points[i - 2], points[i - 1]];
      context.quadraticCurveTo(x, y, (x + points[i]) / 2, (y + points[i + 1]) / 2);
    }
    context.lineTo(points[last], points[last + 1]);
    context.stroke();
    context.restore();
  }

  // The visitor's pen

  #down(event) {
    if (!this.enabled || event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    this.element.focus({ preventScroll: true, focusVisible: false });
    this.element.setPointerCapture(event.pointerId);
    this.#begin(...this.#position(event));
  }

  #move(event) {
    if (!this.enabled || !event.isPrimary) return;
    if (!this.#current) return this.onPoint(this.#position(event));
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.#draw(...this.#position(each));
  }

  #keydown(event) {
    const step = event.shiftKey ? 4 : 16;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = moves[event.key];
    if (!this.enabled || event.ctrlKey || event.metaKey || event.altKey || !(move || event.key === " ")) return;
    event.preventDefault();
    const [dx, dy] = move ?? [0, 0];
    const x = (this.#key.x = clamp(this.#key.x + dx, WIDTH));
    const y = (this.#key.y = clamp(this.#key.y + dy, HEIGHT));
    if (!move) this.#current ? this.#lift() : this.#begin(x, y);
    else if (this.#current) this.#draw(x, y);
    this.onKeyPoint([x, y]);
    this.onPoint([x, y]);
  }

  #position(event) {
    const box = this.element.getBoundingClientRect();
    return [
      clamp(((event.clientX - box.left) / box.width) * WIDTH, WIDTH),
      clamp(((event.clientY - box.top) / box.height) * HEIGHT, HEIGHT),
    ];
  }

  #begin(x, y) {
    this.#lift();
    const { color, width } = this.pen();
    this.#current = { id: `${this.owner}.${++this.#number}`, color, width, points: [] };
    this.#strokes.set(this.#current.id, this.#current);
    this.#draw(x, y);
  }

  #draw(x, y) {
    const { points } = this.#current;
    const near = points.length && Math.hypot(x - points.at(-2), y - points.at(-1)) < NEAR;
    if (near) return;
    this.extend({ id: this.#current.id, points: [x, y] });
    this.#unsent.push(x, y);
    if (points.length >= 2 * LONGEST) this.#begin(x, y);
    else this.#timer ||= setTimeout(() => this.#flush(), FLUSH_AFTER);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const number = this.#number;
    while (this.#unsent.length) this.onDraw(number, this.#current.width, this.#unsent.splice(0, 2 * MOST_POINTS));
  }

  #lift() {
    if (!this.#current) return;
    this.#flush();
    this.#current = null;
  }
}

function wipe(context) {
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
}

function clamp(value, limit) {
  return Math.max(0, Math.min(limit, Math.round(value)));
}

// A place on the board as parts of its size, for what is laid over the canvas.
export function place([x, y]) {
  return { left: `${(100 * x) / WIDTH}%`, top: `${(100 * y) / HEIGHT}%` };
}
