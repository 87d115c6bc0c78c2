// State of a page in its address: what is there is shared, kept on reload, and undone by "back".

const listeners = new Map();
let told = location.search;

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

// To another address of this page; those whom it concerns are told.
export function move(address, { push = false, quiet = false }) {
  if (address === location.pathname + location.search + location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
  if (quiet) told = location.search;
  else tell();
}

// Names that a listener gives concern it and those who give them too, and nobody else: a picture's
// opacity asks for no other chart. One that ends in a dot stands for all that begin so.
export function onChange(listener, names = []) {
  listeners.set(listener, names);
  return () => listeners.delete(listener);
}

function tell() {
  const changed = differing(new URLSearchParams(told), new URLSearchParams(location.search));
  told = location.search;
  const owned = [...listeners.values()].flat();
  const common = changed.some((name) => !isAmong(name, owned));
  for (const [listener, names] of [...listeners]) {
    if (names.length ? changed.some((name) => isAmong(name, names)) : common) listener();
  }
}

function differing(before, now) {
  const names = [...new Set([...before.keys(), ...now.keys()])];
  return names.filter((name) => before.getAll(name).join("\n") !== now.getAll(name).join("\n"));
}

function isAmong(name, names) {
  return names.some((one) => name === one || (one.endsWith(".") && name.startsWith(one)));
}

addEventListener("popstate", tell);
