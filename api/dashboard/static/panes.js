// Panes that zoom and move together: canvases that each show one image of the same size.
import { t } from "./words.js";

const RATIO = Math.min(2, window.devicePixelRatio || 1);
const MOST = 40;
const STEP = 1.35;

export class Panes {
  // `moved` hears of every new view, `pointed` of the pixel under the pointer, or null.
  constructor(place, { moved, pointed }) {
    this.place = place;
    this.moved = moved;
    this.pointed = pointed;
    this.view = { scale: 1, x: 0.5, y: 0.5 };
    this.pointers = new Map();
    this.panes = new Map();
    new ResizeObserver(() => this.draw()).observe(place);
  }

  // One figure for each name, in order; those that stay keep the focus.
  arrange(names) {
    for (const [name, pane] of this.panes) if (!names.includes(name)) { pane.figure.remove(); this.panes.delete(name); }
    for (const name of names) {
      if (!this.panes.has(name)) this.panes.set(name, this.made());
      this.place.append(this.panes.get(name).figure);
    }
  }

  show(name, { title, note, fault, layers, width, height }) {
    const pane = this.panes.get(name);
    if (!pane) return;
    Object.assign(pane, { layers, width, height });
    pane.caption.replaceChildren(title, " ", Object.assign(document.createElement("span"), { className: "muted", textContent: note }));
    if (fault) pane.caption.append(" ", Object.assign(document.createElement("span"), { className: "fault", textContent: fault }));
    pane.canvas.setAttribute("aria-label", t("{title}; + and − zoom, arrows move, 0 shows all", { title: `${title} ${fault ?? note}` }));
  }

  made() {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const canvas = Object.assign(document.createElement("canvas"), { tabIndex: 0 });
    canvas.setAttribute("role", "img");
    figure.append(caption, canvas);
    this.listen(canvas);
    return { figure, caption, canvas, layers: [], width: 1, height: 1 };
  }

  draw() {
    for (const pane of this.panes.values()) this.drawPane(pane);
  }

  drawPane({ canvas, layers, width, height }) {
    canvas.style.aspectRatio = `${width} / ${height}`;
    canvas.style.touchAction = this.view.scale > 1 ? "none" : "pan-y";
    const size = [Math.round(canvas.clientWidth * RATIO), Math.round(canvas.clientHeight * RATIO)];
    if (!size[0] || !size[1]) return;
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    const { scale, x, y } = this.view;
    const [wide, high] = [canvas.width * scale, canvas.height * scale];
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const { source, exact, filter } of layers) {
      if (!source) continue;
      // A class has no shades: its pixels stay squares, unless there are more than fit.
      context.imageSmoothingEnabled = !exact || wide < width;
      context.filter = filter ?? "none";
      context.drawImage(source, canvas.width / 2 - x * wide, canvas.height / 2 - y * high, wide, high);
    }
    context.filter = "none";
  }

  look(view, { quietly = false } = {}) {
    const scale = Math.min(MOST, Math.max(1, view.scale));
    const half = 0.5 / scale;
    const within = (value) => Math.min(1 - half, Math.max(half, value));
    this.view = { scale, x: within(view.x), y: within(view.y) };
    this.draw();
    if (!quietly) this.moved(this.view);
  }

  // What lies at a point of the pane stays there.
  zoom(factor, [u, v] = [0.5, 0.5]) {
    const { scale, x, y } = this.view;
    const next = Math.min(MOST, Math.max(1, scale * factor));
    const shift = 1 / scale - 1 / next;
    this.look({ scale: next, x: x + (u - 0.5) * shift, y: y + (v - 0.5) * shift });
  }

  move(u, v) {
    this.look({ ...this.view, x: this.view.x + u / this.view.scale, y: this.view.y + v / this.view.scale });
  }

  listen(canvas) {
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => this.zoom(event.shiftKey ? 0.5 : 2, at(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.classList.add("held");
      this.pointers.set(event.pointerId, at(event));
    });
    canvas.addEventListener("pointermove", (event) => this.pointer(event));
    canvas.addEventListener("pointerleave", () => this.pointed(null));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        canvas.classList.remove("held");
      });
    }
  }

  // Without the focus, or Ctrl, a wheel goes on scrolling the page.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== event.target) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, at(event));
  }

  pointer(event) {
    const now = at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.pointed(this.pixel(now));
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    if (others.length) {
      const middle = [(now[0] + others[0][0]) / 2, (now[1] + others[0][1]) / 2];
      this.zoom(distance(now, others[0]) / Math.max(distance(before, others[0]), 1e-3), middle);
    } else this.move(before[0] - now[0], before[1] - now[1]);
    this.pointers.set(event.pointerId, now);
  }

  pixel([u, v]) {
    const { scale, x, y } = this.view;
    return [x + (u - 0.5) / scale, y + (v - 0.5) / scale];
  }

  key(event) {
    const acts = {
      "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
      0: () => this.look({ scale: 1, x: 0.5, y: 0.5 }),
      ArrowLeft: () => this.move(-0.15, 0), ArrowRight: () => this.move(0.15, 0),
      ArrowUp: () => this.move(0, -0.15), ArrowDown: () => this.move(0, 0.15),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    if (event.key.startsWith("Arrow") && this.view.scale === 1) return; // the page scrolls
    event.preventDefault();
    acts[event.key]();
  }
}

// Where in the pane, from 0 to 1.
function at(event) {
  const box = event.currentTarget?.getBoundingClientRect() ?? event.target.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function distance([a, b], [c, d]) {
  return Math.hypot(a - c, b - d);
}
