// How params and results relate: the panel follows the page's address without a reload.
import { onChange, write } from "./address.js";
import { ask, Away, parse, show } from "./partial.js";
import { narrow } from "./selection.js";

const PATIENCE = 5000; // between looks at whether there is something to draw by now
const STATE = ["relation", "axes", "x", "y", "among", "against", "filter", "by", "state"];

function asked(search = location.search) {
  const query = new URLSearchParams(search);
  return new URLSearchParams(STATE.filter((name) => query.has(name)).map((name) => [name, query.get(name)])).toString();
}

// An answer that has been overtaken by another question is dropped.
async function refresh(panel) {
  const question = asked();
  panel.dataset.asked = question;
  try {
    const text = await ask(panel.dataset.panel + location.search);
    if (panel.dataset.asked === question) show(panel, parse(text), panel);
  } catch (error) { // the live mark says that the server is gone; then once more
    if (error instanceof Away && panel.dataset.asked === question) delete panel.dataset.asked;
  }
}

// Forms of the panel change the address as their own page would, without leaving this one.
function submitted(panel, event) {
  const form = event.target;
  const data = new FormData(form);
  if (form.dataset.narrow !== undefined) {
    event.preventDefault();
    const boxes = Number(data.get("of") ?? 0);
    const values = data.getAll("value").map((value) => ["value", value]);
    const missing = data.has("missing") ? [["missing", "true"]] : [];
    const [low, high] = [data.get("low")?.trim() ?? "", data.get("high")?.trim() ?? ""];
    if ([low, high].some((end) => end !== "" && !Number.isFinite(Number(end)))) return form.submit(); // the server says why
    const terms = boxes && values.length + missing.length === boxes ? [] : [...values, ...missing];
    if (low || high) terms.push(["span", `${low}~${high}`]);
    narrow(`${panel.dataset.panel.replace(/relations$/, "narrow")}`, data.get("name"), terms);
  } else if (form.dataset.stay !== undefined) {
    event.preventDefault();
    for (const name of ["x", "y", "against"]) if (data.has(name)) write({ [name]: data.get(name) }, { push: true });
  }
}

export function start(panel) {
  panel.classList.add("scripted");
  panel.dataset.asked = asked(panel.querySelector("[data-src]")?.dataset.src.split("?")[1] ?? "");
  const follow = () => { if (asked() !== panel.dataset.asked) refresh(panel); };
  onChange(follow);
  let looked = performance.now();
  document.addEventListener("segtune:refreshed", (event) => {
    if (event.detail) return;
    follow();
    if (panel.querySelector("[data-module=chart]") || performance.now() - looked < PATIENCE) return;
    looked = performance.now();
    refresh(panel);
  });
  follow(); // the address may have changed before this script was there
  panel.addEventListener("submit", (event) => submitted(panel, event));
  panel.addEventListener("change", (event) => {
    if (event.target.matches(".choose select")) event.target.form.requestSubmit();
  });
}
