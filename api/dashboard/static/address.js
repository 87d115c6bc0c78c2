// State of a page in its address: what is there is shared, kept on reload, and undone by "back".

const listeners = new Set();

export function read(name) {
  return new URLSearchParams(location.search).get(name);
}

// An empty value takes its name out. `push` makes an entry that the back button returns from.
export function write(values, { push = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  const address = location.pathname + (text ? `?${text}` : "") + location.hash;
  if (address === location.pathname + location.search + location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
  for (const listener of listeners) listener();
}

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener("popstate", () => { for (const listener of listeners) listener(); });
