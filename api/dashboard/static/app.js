// Entry of all pages: no build step, one module for each thing that a page can do.
import { go } from "./address.js";
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
  const stay = event.target.closest("a[data-stay]");
  if (stay && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
    event.preventDefault();
    go(stay);
  }
  const mark = event.target.closest(".chart [data-trial]");
  const base = mark?.closest("[data-trials]")?.dataset.trials;
  if (base) location.href = base + mark.dataset.trial;
});
// A form of choices is followed at once; what is chosen by default is not said in the address.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-stay]");
  if (!form) return;
  const address = new URL(form.action);
  address.search = "";
  for (const [name, value] of new FormData(form)) {
    if (form.elements[name]?.dataset?.default !== value) address.searchParams.append(name, value);
  }
  go(address);
});
document.getElementById("theme").addEventListener("click", switchTheme);
// A box that was turned by hand no longer follows what the server says is chosen.
function followChoices() {
  for (const box of document.querySelectorAll("form[data-stay] select")) {
    const chosen = [...box.options].find((option) => option.defaultSelected);
    if (chosen && !chosen.selected) chosen.selected = true;
  }
}
document.addEventListener("segtune:refreshed", () => { startModules(); localTimes(); followChoices(); });
listen();
localTimes();
const root = document.querySelector("[data-live]");
if (root) new Live(root);
for (const place of document.querySelectorAll("[data-later]")) later(place);
await startModules();
document.documentElement.dataset.started = ""; // from here on all that a page can do answers
