// What takes longer than the page itself comes after it; without it the page is whole.

export async function later(place) {
  try {
    const answer = await fetch(place.dataset.later, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    place.replaceChildren(...fresh.childNodes);
    document.dispatchEvent(new CustomEvent("segtune:refreshed", { detail: place }));
    if (place.querySelector("[data-again]")) setTimeout(later, 2000, place);
  } catch { /* the next visit asks again */ }
}
