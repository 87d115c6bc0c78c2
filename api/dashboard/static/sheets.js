// Sheets of validation images: exact classes from indexed PNGs, and what is painted from them.

const SIGNATURE = "137,80,78,71,13,10,26,10";
const KEPT = 96 * 2 ** 20; // bytes of decoded sheets, one for each pixel
export const IGNORED = 255;
const decoded = new Map();

const root = document.documentElement.dataset.prefix ?? "";

export function address(sheet) {
  return `${root}/api/v1/artifacts/${sheet.id}`;
}

// Read from the file itself: a canvas gives colours, after the browser's colour management, and
// two classes may share one.
export function readIndices(sheet) {
  let kept = decoded.get(sheet.id);
  if (kept) decoded.delete(sheet.id);
  else {
    kept = { found: fetchIndices(sheet), size: sheet.width * sheet.height };
    kept.found.catch(() => decoded.delete(sheet.id));
  }
  decoded.set(sheet.id, kept); // the last asked for is the last to go
  let bytes = [...decoded.values()].reduce((sum, { size }) => sum + size, 0);
  for (const [id, { size }] of decoded) {
    if (bytes <= KEPT || id === sheet.id) break;
    decoded.delete(id);
    bytes -= size;
  }
  return kept.found;
}

async function fetchIndices(sheet) {
  const answer = await fetch(address(sheet));
  if (!answer.ok) throw new Error(answer.statusText || String(answer.status));
  return parse(new Uint8Array(await answer.arrayBuffer()), sheet.width, sheet.height);
}

// Rows of palette indices; refuses whatever is not the sheet that was announced.
export async function parse(file, width, height) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.subarray(0, 8).join() !== SIGNATURE) throw new Error("not a PNG");
  const parts = [];
  let size = "";
  for (let at = 8; at + 12 <= file.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const body = file.subarray(at + 8, at + 8 + length);
    if (body.length < length) throw new Error("the PNG breaks off");
    if (kind === "IHDR") size = `${view.getUint32(at + 8)}×${view.getUint32(at + 12)} ${body.subarray(8).join()}`;
    else if (kind === "IDAT") parts.push(body);
    at += length + 12;
  }
  if (size !== `${width}×${height} 8,3,0,0,0`) throw new Error(`a PNG of another form: ${size}`);
  return unfilter(await inflate(parts, height * (width + 1)), width, height);
}

async function inflate(parts, size) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const found = new Uint8Array(size);
  let at = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    if (at + read.value.length > size) {
      reader.cancel();
      throw new Error("the PNG holds more than it says");
    }
    found.set(read.value, at);
    at += read.value.length;
  }
  if (at < size) throw new Error("the PNG breaks off");
  return found;
}

function unfilter(raw, width, height) {
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const kind = raw[y * (width + 1)];
    const from = y * (width + 1) + 1, row = y * width;
    if (kind === 0) {
      pixels.set(raw.subarray(from, from + width), row);
      continue;
    }
    for (let x = 0; x < width; x++) {
      const left = x ? pixels[row + x - 1] : 0;
      const up = y ? pixels[row + x - width] : 0;
      const corner = x && y ? pixels[row + x - width - 1] : 0;
      pixels[row + x] = raw[from + x] + predicted(kind, left, up, corner);
    }
  }
  return pixels;
}

function predicted(kind, left, up, corner) {
  if (kind === 1) return left;
  if (kind === 2) return up;
  if (kind === 3) return (left + up) >> 1;
  if (kind !== 4) throw new Error("a PNG with an unknown filter");
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

export function cut(pixels, sheet, [left, top, width, height]) {
  const found = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * sheet.width + left;
    found.set(pixels.subarray(from, from + width), y * width);
  }
  return found;
}

export function colourTable(classes) {
  return classes.map(({ colour }) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
}

// As one number a pixel, in the order of bytes that an ImageData has on every machine of today.
function packed([red, green, blue], alpha) {
  return ((Math.round(255 * alpha) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Classes in their colours; what is ignored or not shown is clear.
export function paintClasses(image, labels, { colours, shows, opacity }) {
  const table = new Uint32Array(256);
  colours.forEach((colour, label) => { if (shows(label)) table[label] = packed(colour, opacity); });
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < labels.length; i++) pixels[i] = table[labels[i]];
}

// What is wrong in the colour of what was said instead; what is right lies in the dark.
export function paintErrors(image, labels, truth, { colours, shows, opacity }) {
  const said = new Uint32Array(256).fill(packed([255, 255, 255], 1));
  colours.forEach((colour, label) => { said[label] = packed(colour, 1); });
  const shown = Uint8Array.from({ length: 256 }, (_, label) => label !== IGNORED && shows(label));
  const dark = packed([12, 16, 22], 0.35 + 0.5 * opacity);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < labels.length; i++) {
    const is = truth[i], label = labels[i];
    if (is === IGNORED) pixels[i] = 0;
    else pixels[i] = is !== label && (shown[is] || shown[label]) ? said[label] : dark;
  }
}

export function svg(name, attributes, ...children) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  found.append(...children);
  return found;
}

// An image on some sheets, the first at the bottom, as the server draws it.
export function crop(box, sheets, label) {
  const images = sheets.filter(Boolean).map((sheet, place) => svg("image", {
    href: address(sheet), width: sheet.width, height: sheet.height, ...(place ? { opacity: 0.6 } : {}),
  }));
  return svg("svg", { class: "crop", viewBox: box.join(" "), role: "img", "aria-label": label }, ...images);
}
