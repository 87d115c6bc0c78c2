// A section of the page that follows the address by itself, and changes only while it is seen.
import { onChange } from "./address.js";
import { morphChildren } from "./morph.js";

export function start(element) {
  let near = false, stale = false, asking;

  async function refresh() {
    if (!near) {
      stale = true;
      return;
    }
    const asked = element.dataset.section + location.search;
    if (asking === asked) return;
    asking = asked;
    stale = false;
    try {
      const answer = await fetch(asked, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected || asking !== asked) return;
      const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html").body.firstChild;
      if (asking !== asked) return;
      morphChildren(element, fresh);
      document.dispatchEvent(new CustomEvent("segtune:refreshed", { detail: element }));
    } catch { /* the live mark says that the server is gone */ } finally {
      if (asking === asked) asking = undefined;
    }
  }

  new IntersectionObserver((seen) => {
    near = seen.at(-1).isIntersecting;
    if (near && stale) refresh();
  }, { rootMargin: "300px" }).observe(element);
  onChange(() => refresh());
  document.addEventListener("segtune:refreshed", (event) => event.detail !== element && refresh());
}
