// The list of studies narrows while one types; what is shown is in the address.
import { onChange, read, write } from "./address.js";
import { morphChildren } from "./morph.js";

const PAUSE = 200;

export function start(form) {
  const box = form.querySelector("[type=search]");
  const root = document.getElementById("live");
  const [partial] = root.dataset.live.split("?");
  let timer, asked = 0;
  form.classList.add("scripted");

  // Only the answer to the last question is shown.
  async function load() {
    const turn = ++asked;
    root.dataset.live = partial + location.search;
    if (document.activeElement !== box) box.value = read("search") ?? "";
    try {
      const answer = await fetch(root.dataset.live, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected || turn !== asked) return;
      const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html").body.firstChild;
      if (turn !== asked) return;
      morphChildren(root, fresh);
      document.dispatchEvent(new Event("segtune:refreshed"));
    } catch { /* the live mark says that the server is gone */ }
  }

  function narrow() {
    clearTimeout(timer);
    write({ search: box.value.trim(), cursor: null, skipped: null });
  }

  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(narrow, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    narrow();
  });
  onChange(load);
  if (box.value.trim() !== (read("search") ?? "")) narrow(); // typed before this script was there
}
