// Entry of all pages: no build step, one module for each thing that a page can do.
import { copy } from "./copy.js";
import { listen } from "./keys.js";
import { later } from "./later.js";
import { Live } from "./live.js";
import { switchTheme } from "./theme.js";
import { localTimes } from "./times.js";

// `data-module="name"` on an element: `name.js` has a `start(element)`, called once for each.
const started = new WeakSet();

async function startModules() {
  for (const element of document.querySelectorAll("[data-module]")) {
    if (started.has(element)) continue;
    started.add(element);
    const { start } = await import(`./${element.dataset.module}.js`);
    start(element);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (button) copy(button);
  const turn = event.target.closest("[data-turn]");
  if (turn) {
    event.preventDefault();
    const place = turn.closest("[data-later]");
    place.dataset.later = turn.dataset.turn;
    later(place);
  }
  const mark = event.target.closest(".chart [data-trial]");
  const base = mark?.closest("[data-trials]")?.dataset.trials;
  if (base) location.href = base + mark.dataset.trial;
});
document.getElementById("theme").addEventListener("click", switchTheme);
document.addEventListener("segtune:refreshed", () => { startModules(); localTimes(); });
listen();
localTimes();
const root = document.querySelector("[data-live]");
if (root) new Live(root);
for (const place of document.querySelectorAll("[data-later]")) later(place);
startModules();
