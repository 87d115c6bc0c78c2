// The grid of images across trials: opacity and errors without a round trip.
import { read, write } from "./address.js";
import { address, colourTable, paintErrors, readIndices } from "./sheets.js";

const WHOLE = { colours: [], shows: () => true, opacity: 0.6 };

class Grid {
  constructor(element) {
    this.element = element;
    this.painted = new Map();
    this.settings = { opacity: undefined, show: undefined };
    element.addEventListener("input", (event) => this.changed(event.target));
    element.addEventListener("change", (event) => {
      if (event.target.matches("select:not([name='show'])")) event.target.form.requestSubmit();
    });
    document.addEventListener("segtune:refreshed", () => this.paint());
    this.paint();
  }

  changed(control) {
    if (control.name === "opacity") write({ opacity: control.value === "60" ? "" : control.value }, { quiet: true });
    else if (control.name === "show") write({ show: control.value === "errors" ? "errors" : "" }, { quiet: true });
    else return;
    this.paint();
  }

  paint() {
    if (!this.element.isConnected) return;
    const opacity = Number(read("opacity") ?? 60) / 100;
    const errors = read("show") === "errors";
    this.control("opacity", opacity * 100);
    this.control("show", errors ? "errors" : "predictions");
    for (const link of this.element.querySelectorAll("thead a, .pager a")) keep(link, opacity, errors);
    for (const image of this.element.querySelectorAll("tbody image.mask")) {
      image.setAttribute("opacity", errors ? 1 : opacity);
      if (errors) this.wrong(image);
      else image.setAttribute("href", address({ id: image.dataset.sheet }));
    }
  }

  control(name, value) {
    const found = this.element.querySelector(`[name="${name}"]`);
    if (found && found !== document.activeElement) found.value = value;
  }

  // One image of errors for each sheet, made when a row of it comes near.
  wrong(image) {
    const truth = this.element.dataset.truth;
    const id = image.dataset.sheet;
    if (!truth) return;
    const size = { width: image.width.baseVal.value, height: image.height.baseVal.value };
    if (!this.painted.has(id)) this.painted.set(id, errorsOf({ id, ...size }, { id: truth, ...size }, this.colours()));
    this.painted.get(id).then((url) => {
      if (read("show") === "errors") image.setAttribute("href", url);
    }, (error) => console.warn(`errors of sheet ${id}: ${error.message}`));
  }

  colours() {
    return colourTable([...this.element.querySelectorAll(".swatches rect")].map((one) => ({ colour: one.getAttribute("fill") })));
  }
}

async function errorsOf(sheet, truth, colours) {
  const [said, is] = await Promise.all([readIndices(sheet), readIndices(truth)]);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: sheet.width, height: sheet.height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(sheet.width, sheet.height);
  paintErrors(image, said, is, { ...WHOLE, colours });
  context.putImageData(image, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  return URL.createObjectURL(blob);
}

// Links to other rows keep how the images are painted.
function keep(link, opacity, errors) {
  const target = new URL(link.href);
  const set = (name, value) => (value ? target.searchParams.set(name, value) : target.searchParams.delete(name));
  set("opacity", opacity === 0.6 ? "" : String(Math.round(100 * opacity)));
  set("show", errors ? "errors" : "");
  link.href = target.href;
}

export function start(element) {
  new Grid(element);
}
