// Links and forms that only turn a live page to another query: `data-here` refetches it in place.
// Without this script they are ordinary links and forms.

const DELAY = 150;

// The partial of the page is asked with the page's own query.
function follow(search) {
  const root = document.getElementById("live");
  const [partial] = root.dataset.live.split("?");
  root.dataset.live = partial + search;
  document.dispatchEvent(new Event("segtune:refetch"));
}

function go(address, { push }) {
  history[push ? "pushState" : "replaceState"](null, "", address.pathname + address.search);
  follow(address.search);
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

addEventListener("popstate", () => follow(location.search));
