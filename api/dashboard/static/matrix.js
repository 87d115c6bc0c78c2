// A confusion matrix of many classes as an image: pointing at a cell says what it holds.
import { askData } from "./partial.js";
import { t } from "./words.js";

async function counts(element) {
  if (element.counted !== element.dataset.step) {
    element.counted = element.dataset.step;
    element.counts = askData(element.dataset.src).catch(() => { element.counted = undefined; });
  }
  return element.counts;
}

async function say(element, event) {
  const image = element.querySelector("svg");
  const classes = JSON.parse(element.dataset.classes);
  const box = image.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left) / box.width * classes.length);
  const row = Math.floor((event.clientY - box.top) / box.height * classes.length);
  const found = await counts(element);
  const count = found?.[row]?.[column];
  if (count === undefined) return;
  const whole = found[row].reduce((sum, one) => sum + one, 0);
  element.querySelector("[role=status]").textContent = t("{label} predicted as {predicted}: {count} pixels, {share} % of the label’s", {
    label: classes[row], predicted: classes[column],
    count: count.toLocaleString(document.documentElement.lang),
    share: whole ? (count / whole * 100).toPrecision(2) : 0,
  });
}

export function start(element) {
  for (const kind of ["pointermove", "pointerdown"]) {
    element.addEventListener(kind, (event) => {
      if (event.target.closest("svg")) say(element, event);
    });
  }
}
