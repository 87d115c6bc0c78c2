// A section of the page that follows the address by itself, and changes only while it is seen.
import { onChange } from "./address.js";
import { ask, parse, show } from "./partial.js";

export function start(element) {
  let near = false, stale = false, asking;

  async function refresh() {
    if (!near) {
      stale = true;
      return;
    }
    const asked = element.dataset.section + location.search;
    if (asking === asked) {
      stale = true; // once more when the answer is there: it may be missing in this one
      return;
    }
    asking = asked;
    stale = false;
    try {
      const text = await ask(asked);
      if (asking === asked) show(element, parse(text), element);
    } catch { /* the live mark says that the server is gone, and a refresh asks again */ }
    if (asking !== asked) return; // overtaken
    asking = undefined;
    if (stale) refresh();
  }

  new IntersectionObserver((seen) => {
    near = seen.at(-1).isIntersecting;
    if (near && stale) refresh();
  }, { rootMargin: "300px" }).observe(element);
  onChange(() => refresh());
  document.addEventListener("segtune:refreshed", (event) => event.detail || refresh());
}
