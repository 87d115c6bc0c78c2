// Links and forms that only turn a live page to another query: `data-here` refetches it in place.
// Without this script they are ordinary links and forms.
import { move, onChange } from "./address.js";

const DELAY = 150;
const CHOICES = ["view", "metric", "axis", "smooth", "matrix", "attempt"];

// The partial of the page is asked with the page's own query.
function follow(search) {
  const root = document.getElementById("live");
  const [partial] = root.dataset.live.split("?");
  root.dataset.live = partial + search;
  document.dispatchEvent(new Event("segtune:refetch"));
}

// What the panel chooses is said anew; the rest of the address (the viewer's image, a folded log)
// stays, but not a stretch of an axis that is another one now.
function go(address, { push }) {
  const now = new URLSearchParams(location.search), wanted = new URLSearchParams(address.search);
  const turned = (now.get("axis") ?? "") !== (wanted.get("axis") ?? "");
  for (const name of [...now.keys()]) {
    if (CHOICES.includes(name) || (turned && name.startsWith("zoom."))) now.delete(name);
  }
  for (const [name, value] of wanted) if (CHOICES.includes(name)) now.append(name, value);
  const text = now.toString();
  move(address.pathname + (text ? `?${text}` : ""), { push });
}

function filled(form) {
  const address = new URL(form.action);
  address.search = new URLSearchParams(new FormData(form));
  return address;
}

export function start(element) {
  let waiting;
  element.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-here]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(new URL(link.href), { push: true });
  });
  element.addEventListener("submit", (event) => {
    if (event.target.dataset.here === undefined) return;
    event.preventDefault();
    go(filled(event.target), { push: true });
  });
  element.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-here]");
    if (!form) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => go(filled(form), { push: event.target.type !== "range" }), DELAY);
  });
}

onChange(() => follow(location.search));
