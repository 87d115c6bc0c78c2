// State of a page in its address: what is there is shared, kept on reload, and undone by "back".

const listeners = new Set();

export function read(name) {
  return new URLSearchParams(location.search).get(name);
}

// An empty value takes its name out. `push` makes an entry that the back button returns from;
// `quiet` tells no one, where the page shows already what the address is to say.
export function write(values, { push = false, quiet = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  move(location.pathname + (text ? `?${text}` : "") + location.hash, { push, quiet });
}

// What a link of this page would lead to, without leaving it: scripts and the live page follow.
// A stretch of a chart that is enlarged stays so, unless its axis is another one now.
export function go(link) {
  const query = new URLSearchParams(link.search), now = new URLSearchParams(location.search);
  const turned = ["axis", "over"].some((name) => (query.get(name) ?? "") !== (now.get(name) ?? ""));
  for (const [name, value] of now) {
    if (name.startsWith("zoom.") && !turned && !query.has(name)) query.set(name, value);
  }
  const text = query.toString();
  move(link.pathname + (text ? `?${text}` : ""), { push: true });
}

// To another address of this page; those who listen are told.
export function move(address, { push = false, quiet = false }) {
  if (address === location.pathname + location.search + location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
  if (!quiet) tell();
}

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener();
}

addEventListener("popstate", tell);
