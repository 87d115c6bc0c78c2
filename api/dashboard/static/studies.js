// The list of studies narrows while one types; what is shown is in the address.
import { onChange, read, write } from "./address.js";

const PAUSE = 200;

export function start(form) {
  const box = form.querySelector("[type=search]");
  const root = document.getElementById("live");
  const [partial] = root.dataset.live.split("?");
  let timer;
  form.classList.add("scripted");

  function load() {
    root.dataset.live = partial + location.search;
    if (document.activeElement !== box) box.value = read("search") ?? "";
    document.dispatchEvent(new Event("segtune:refetch"));
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
