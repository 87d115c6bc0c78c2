// What takes longer than the page itself comes after it; without it the page is whole.
import { ask, Away, parse } from "./partial.js";

const PATIENCE = 120_000; // milliseconds: that is why it comes later

export async function later(place) {
  try {
    const fresh = parse(await ask(place.dataset.later, { patience: PATIENCE }));
    place.replaceChildren(...fresh.childNodes);
    document.dispatchEvent(new CustomEvent("segtune:refreshed", { detail: place }));
    if (place.querySelector("[data-again]")) setTimeout(later, 2000, place);
  } catch (error) { // the live mark says that the server is gone; then once more
    if (error instanceof Away) document.addEventListener("segtune:refreshed", () => later(place), { once: true });
  }
}
