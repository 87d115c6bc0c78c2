// Validation images of a trial, or of several side by side: photo, truth, prediction and errors,
// epoch by epoch. What is shown is in the address.
import { onChange, read, write } from "./address.js";
import { Panes } from "./panes.js";
import { address, colourTable, crop, cut, IGNORED, paintClasses, paintErrors, readIndices, svg } from "./sheets.js";
import { t } from "./words.js";

const OPACITY = 100;
const STATE = ["image", "epoch", "opacity", "show", "hide", "zoom"]; // of the address
const root = document.documentElement.dataset.prefix ?? "";

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

class Viewer {
  // `data-trials="3:12,3:14"`: study and number of each trial.
  constructor(element) {
    this.element = element;
    this.turn = 0;
    this.photos = new Map();
    this.place = element.querySelector("[data-keep]") ?? element.appendChild(make("div"));
    onChange(() => { if (!this.writes) this.refresh(); }, STATE);
    document.addEventListener("segtune:refreshed", () => {
      if (element.isConnected && element.dataset.version !== this.version) this.load();
    });
    this.load();
  }

  async load() {
    this.version = this.element.dataset.version;
    try {
      const asked = await Promise.allSettled(this.element.dataset.trials.split(",").map(fetchTrial));
      const found = asked.filter(({ value }) => value).map(({ value }) => value);
      if (!found.length) throw asked[0].reason;
      this.trials = found.filter((trial) => trial.predictions.length);
      if (!this.trials.length) return;
      this.images = this.trials[0].predictions.at(-1).images;
      this.steps = [...new Set(this.trials.flatMap((trial) => trial.predictions.map(({ step }) => step)))].sort((a, b) => a - b);
      if (!this.panes) this.build();
      await this.refresh();
    } catch (error) {
      this.complain(error); // what the server drew stays where nothing was built
    }
  }

  get isSeveral() {
    return this.element.dataset.trials.includes(",");
  }

  // ── Controls ──

  build() {
    this.thumbs = make("ul", { className: "thumbs" });
    const panes = make("div", { className: "panes" });
    this.opacity = make("input", { type: "range", min: 0, max: 100, step: 5 });
    this.epoch = make("input", { type: "range", min: 0 });
    this.said = make("output");
    this.classes = make("div", { className: "classes" });
    this.classes.setAttribute("role", "group");
    this.classes.setAttribute("aria-label", t("Classes that are shown"));
    this.under = make("p", { className: "under" });
    this.opacity.addEventListener("input", () => this.put({ opacity: Number(this.opacity.value) === OPACITY ? "" : this.opacity.value }));
    this.epoch.addEventListener("input", () => {
      const last = Number(this.epoch.value) === this.steps.length - 1;
      this.put({ epoch: last ? "" : this.steps[this.epoch.value] });
    });
    this.panes = new Panes(panes, {
      moved: ({ scale, x, y }) => this.put({ zoom: scale === 1 ? "" : [scale, x, y].map((one) => one.toFixed(3)).join(",") }, false),
      pointed: (place) => this.point(place),
    });
    const zoom = make("span", { className: "zoom" }, ...[
      ["−", t("Zoom out"), () => this.panes.zoom(0.5)], ["+", t("Zoom in"), () => this.panes.zoom(2)],
      [t("all"), t("Show the whole image"), () => this.panes.look({ scale: 1, x: 0.5, y: 0.5 })],
    ].map(([text, title, act]) => {
      const button = make("button", { type: "button", textContent: text, title, onclick: act });
      button.setAttribute("aria-label", title);
      return button;
    }));
    const controls = make("div", { className: "controls" },
      make("label", { className: "steps" }, t("Epoch"), " ", this.epoch, this.said),
      ...(this.isSeveral ? [this.modes()] : []),
      make("label", {}, t("Opacity"), " ", this.opacity), zoom);
    this.place.replaceChildren(make("div", { className: "viewer" }, this.thumbs, controls, panes, this.under, this.classes));
  }

  modes() {
    this.mode = make("select", {}, ...[["", t("predictions")], ["errors", t("errors")]].map(([value, text]) => make("option", { value, textContent: text })));
    this.mode.addEventListener("change", () => this.put({ show: this.mode.value }));
    return make("label", {}, t("Show"), " ", this.mode);
  }

  put(values, redraw = true) {
    this.writes = true;
    write(values, { push: "image" in values });
    this.writes = false;
    if (redraw) this.refresh();
  }

  // ── What the address asks for ──

  asked() {
    const image = this.images.find(({ index }) => String(index) === read("image")) ?? this.images[0];
    const last = this.steps.length - 1;
    const epoch = Number(read("epoch") || this.steps[last]);
    const at = Math.max(0, this.steps.findLastIndex((step) => step <= epoch));
    const view = (read("zoom") ?? "").split(",").map(Number);
    const opacity = Math.min(100, Math.max(0, Number(read("opacity") ?? OPACITY) || 0));
    return {
      image, at, opacity, errors: read("show") === "errors",
      hidden: new Set((read("hide") ?? "").split(",").filter(Boolean)),
      view: view.length === 3 && view.every(Number.isFinite) ? { scale: view[0], x: view[1], y: view[2] } : { scale: 1, x: 0.5, y: 0.5 },
    };
  }

  async refresh() {
    if (!this.panes || !this.element.isConnected) return;
    const turn = ++this.turn;
    const asked = this.asked();
    this.epoch.max = this.steps.length - 1;
    this.epoch.value = asked.at;
    this.epoch.disabled = this.steps.length < 2;
    this.epoch.setAttribute("aria-valuetext", String(this.steps[asked.at]));
    this.said.value = this.steps[asked.at];
    this.opacity.value = asked.opacity;
    if (this.mode) this.mode.value = asked.errors ? "errors" : "";
    this.choose(asked);
    try {
      const found = await Promise.all(this.trials.map((trial) => this.read(trial, asked)));
      const photo = await settled(this.photo(asked.image));
      if (turn !== this.turn) return; // overtaken
      this.found = found;
      this.legend(found, asked);
      this.draw(found, photo, asked);
      this.fault = false;
      this.point(null);
    } catch (error) {
      if (turn === this.turn) this.complain(error);
    }
  }

  // Classes of the image's pixels: as labelled, and as this trial has them at this epoch.
  async read(trial, { image, at }) {
    const sheet = upTo(trial.predictions, this.steps[at]);
    const own = sheet.images.find(({ name }) => name === image.name);
    if (!own) return { trial, sheet };
    const truth = trial.truth?.images.find(({ name }) => name === image.name) && trial.truth;
    const [labels, is] = await Promise.all([settled(readIndices(sheet)), settled(truth ? readIndices(truth) : null)]);
    return {
      trial, sheet, own, colours: colourTable(trial.classes), fault: labels.fault, truthFault: is.fault,
      labels: labels.value && cut(labels.value, sheet, own.box), truth: is.value && cut(is.value, truth, own.box),
    };
  }

  photo(image) {
    const sheet = this.trials.find((trial) => trial.photos)?.photos;
    const box = sheet?.images.find(({ name }) => name === image.name)?.box;
    if (!box) return null;
    const key = `${sheet.id}/${image.name}`;
    if (!this.photos.has(key)) {
      const loaded = fetch(address(sheet)).then((answer) => answer.blob()).then((blob) => createImageBitmap(blob, ...box));
      loaded.catch(() => this.photos.delete(key));
      this.photos.set(key, loaded);
    }
    return this.photos.get(key);
  }

  // ── Drawing ──

  draw(found, photo, { image, opacity, errors, hidden, view }) {
    const [, , width, height] = image.box;
    const labelled = found.find(({ truth }) => truth);
    const unread = found.find(({ truthFault }) => truthFault);
    const look = (one) => ({ colours: one.colours, opacity: opacity / 100, shows: (label) => label !== IGNORED && !hidden.has(one.trial.classes[label]?.name) });
    const [ground, grey] = [{ source: photo.value }, { source: photo.value, filter: "grayscale(1)" }];
    const classes = (one, labels) => [ground, { source: painted(width, height, (into) => paintClasses(into, labels, look(one))), exact: true }];
    const wrong = (one) => [grey, { source: painted(width, height, (into) => paintErrors(into, one.labels, one.truth, look(one))), exact: true }];
    const shown = new Map();
    shown.set("image", { title: t("Image"), note: image.name, fault: photo.fault, layers: [ground] });
    if (labelled) shown.set("truth", { title: t("Truth"), note: "", layers: classes(labelled, labelled.truth) });
    else if (unread) shown.set("truth", { title: t("Truth"), note: "", fault: unread.truthFault, layers: [ground] });
    for (const one of found.filter(({ own }) => own)) {
      const id = `${one.trial.study_id}:${one.trial.trial}`;
      const score = one.own.miou === undefined || one.own.miou === null ? "" : ` · IoU ${one.own.miou.toFixed(3)}`;
      const note = `${t("epoch {step}", { step: one.sheet.step })}${score}`;
      const title = this.isSeveral ? this.titled(one.trial) : t("Prediction");
      if (one.fault) {
        shown.set(id, { title, note, fault: one.fault, layers: [ground] });
        continue;
      }
      if (!errors || !this.isSeveral || !one.truth) shown.set(id, { title, note, layers: classes(one, one.labels) });
      else shown.set(id, { title, note, layers: wrong(one) });
      if (!this.isSeveral && one.truth) shown.set("errors", { title: t("Errors"), note: shareOfErrors(one), layers: wrong(one) });
    }
    this.panes.arrange([...shown.keys()]);
    for (const [name, what] of shown) this.panes.show(name, { ...what, width, height });
    this.panes.look(view, { quietly: true });
  }

  titled(trial) {
    const studies = new Set(this.trials.map((one) => one.study_id));
    const title = t("Trial {number}", { number: trial.trial });
    return studies.size > 1 ? `${trial.study} · ${title}` : title;
  }

  choose({ image, at }) {
    const trial = this.trials[0];
    const sheet = upTo(trial.predictions, this.steps[at]);
    this.thumbs.replaceChildren(...this.images.map((one) => {
      const own = sheet.images.find(({ name }) => name === one.name);
      const score = own?.miou === undefined || own.miou === null ? "–" : own.miou.toFixed(3);
      const button = make("button", { type: "button", title: one.name }, crop(one.box, [trial.photos, own ? sheet : null], one.name), make("span", { className: "num", textContent: score }));
      button.setAttribute("aria-pressed", String(one === image));
      button.addEventListener("click", () => {
        this.put({ image: one.index, zoom: "" });
        this.thumbs.querySelector("[aria-pressed='true']")?.focus();
      });
      return make("li", {}, button);
    }));
  }

  // Classes that occur in the image; a click hides or shows one, with Shift all others.
  legend(found, { hidden }) {
    const names = new Map();
    for (const { trial, labels, truth } of found) {
      for (const label of new Set([...(labels ?? []), ...(truth ?? [])])) {
        const known = trial.classes[label];
        if (known) names.set(known.name, [label, known.colour]);
      }
    }
    const ordered = [...names].sort(([, a], [, b]) => a[0] - b[0]);
    const held = document.activeElement?.closest?.(".classes button")?.dataset.name;
    this.classes.replaceChildren(...ordered.map(([name, [, colour]]) => {
      const swatch = svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, svg("rect", { x: 0.5, y: 0.5, width: 11, height: 11, rx: 3, fill: colour }));
      const button = make("button", { type: "button", title: t("Shift: only this one") }, swatch, name);
      button.dataset.name = name;
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      button.addEventListener("click", (event) => this.toggle(name, ordered.map(([one]) => one), event.shiftKey));
      return button;
    }));
    if (held) this.classes.querySelector(`[data-name="${CSS.escape(held)}"]`)?.focus();
  }

  toggle(name, all, alone) {
    const hidden = this.asked().hidden;
    if (alone) {
      const others = all.filter((one) => one !== name);
      const isAlone = others.every((one) => hidden.has(one)) && !hidden.has(name);
      return this.put({ hide: isAlone ? "" : others.join(",") });
    }
    if (!hidden.delete(name)) hidden.add(name);
    this.put({ hide: [...hidden].join(",") });
  }

  // What the pixel under the pointer is, and what it is taken for.
  point(place) {
    if (this.fault) return;
    const one = this.found?.find(({ labels }) => labels);
    if (!place || !one) {
      this.under.textContent = t("Drag to move; a double click, the wheel or + and − zoom.");
      return;
    }
    const [, , width, height] = one.own.box;
    const [x, y] = [Math.floor(place[0] * width), Math.floor(place[1] * height)];
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const i = y * width + x;
    const name = (trial, label) => trial.classes[label]?.name ?? t("ignored");
    const parts = one.truth ? [`${t("truth")} `, make("b", { textContent: name(one.trial, one.truth[i]) })] : [];
    for (const each of this.found.filter(({ labels }) => labels)) {
      const words = this.isSeveral ? t("Trial {number}", { number: each.trial.trial }) : t("prediction");
      parts.push(` · ${words} `, make("b", { textContent: name(each.trial, each.labels[i]) }));
    }
    this.under.replaceChildren(`${x}, ${y}: `, ...parts);
  }

  // Whatever was in the way, the page's next refresh asks again.
  complain(error) {
    this.version = undefined;
    if (!(error instanceof TypeError)) console.warn(`images: ${error.message}`); // the live mark says that the server is gone
    if (!this.panes) return;
    this.fault = true;
    this.under.replaceChildren(make("span", { className: "fault", textContent: t("It cannot be shown: {why}", { why: error.message }) }));
  }
}

async function fetchTrial(name) {
  const [study, number] = name.split(":");
  const answer = await fetch(`${root}/partials/studies/${study}/trials/${number}/examples`, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) throw new Error(answer.statusText || String(answer.status));
  return answer.json();
}

// What came, or why it cannot be shown: one sheet that is broken takes no other with it.
function settled(promise) {
  return Promise.resolve(promise).then((value) => ({ value }), (error) => {
    console.warn(`images: ${error.message}`);
    return { fault: t("It cannot be shown: {why}", { why: error.message }) };
  });
}

function upTo(sheets, step) {
  return sheets.findLast((sheet) => sheet.step <= step) ?? sheets[0];
}

function painted(width, height, paint) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  paint(image);
  context.putImageData(image, 0, 0);
  return canvas;
}

function shareOfErrors({ labels, truth }) {
  let wrong = 0, all = 0;
  for (let i = 0; i < labels.length; i++) {
    if (truth[i] === IGNORED) continue;
    all += 1;
    wrong += labels[i] !== truth[i];
  }
  return all ? t("{share} % of pixels", { share: (100 * wrong / all).toFixed(1) }) : "";
}

export function start(element) {
  new Viewer(element);
}
