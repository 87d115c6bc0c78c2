// The end of a log: follows what is new unless one has scrolled up; lines are wrapped on demand.
import { onChange, read, write } from "./address.js";
import { askData } from "./partial.js";

const EVERY = 3_000, AT_END = 24; // milliseconds; pixels that still count as the end

export function start(panel) {
  panel.addEventListener("click", (event) => {
    if (event.target.id === "log-wrap") write({ wrap: read("wrap") ? null : "1" }, { push: true });
    if (event.target.id === "log-end") toEnd(panel);
  });
  panel.addEventListener("scroll", () => show(panel), { capture: true });
  document.addEventListener("segtune:refreshed", () => open(panel));
  onChange(() => wrap(panel), ["wrap"]);
  open(panel);
  setInterval(() => follow(panel), EVERY);
}

// A log that came just now, or another attempt's, begins at its end.
function open(panel) {
  const text = panel.querySelector("pre");
  if (!text) return;
  if (!text.dataset.opened) {
    text.dataset.opened = "";
    toEnd(panel);
  }
  panel.querySelector("#log-wrap").hidden = false;
  wrap(panel);
  if (panel.dataset.runs === undefined && panel.dataset.ran !== undefined) follow(panel, true);
  panel.toggleAttribute("data-ran", panel.dataset.runs !== undefined);
}

async function follow(panel, last = false) {
  const text = panel.querySelector("pre");
  if (!text || document.hidden || (panel.dataset.runs === undefined && !last) || selects(text)) return;
  try {
    const log = await askData(panel.dataset.src);
    if (log.text === text.textContent) return;
    const follows = isAtEnd(text);
    text.textContent = log.text;
    if (follows) toEnd(panel);
    show(panel);
  } catch { /* the live mark says that the server is gone */ }
}

function wrap(panel) {
  const on = Boolean(read("wrap"));
  panel.querySelector("pre")?.classList.toggle("wrapped", on);
  panel.querySelector("#log-wrap")?.setAttribute("aria-pressed", String(on));
}

function show(panel) {
  const text = panel.querySelector("pre"), button = panel.querySelector("#log-end");
  if (text && button) button.hidden = isAtEnd(text);
}

function toEnd(panel) {
  const text = panel.querySelector("pre");
  text.scrollTop = text.scrollHeight;
  show(panel);
}

function isAtEnd(text) {
  return text.scrollHeight - text.scrollTop - text.clientHeight < AT_END;
}

function selects(text) {
  const selection = getSelection();
  return !selection.isCollapsed && text.contains(selection.anchorNode);
}
