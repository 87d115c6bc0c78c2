// Live pages without a build step: an event (or a slow poll) refetches the page's partial, and
// only what differs in it is changed in place, so that focus, scroll and open folds stay.
"use strict";

const POLL = 30_000, DEBOUNCE = 400, PATIENCE = 4;

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = old.nodeName === "TR" && says(old);
  morphChildren(old, fresh);
  if (before && before !== says(old)) flash(old);
}

// A node that is moved loses the focus: what went is taken out first, so that what stays stays put.
function morphChildren(old, fresh) {
  const staying = new Set([...fresh.children].map((child) => child.id));
  const named = [...old.children].filter((child) => child.id);
  for (const child of named) if (!staying.has(child.id)) child.remove();
  const known = new Map(named.filter((child) => staying.has(child.id)).map((child) => [child.id, child]));
  let here = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const match = node.id && known.get(node.id);
    if (match) {
      while (here && !here.id) here = removed(here);
      if (match === here) here = here.nextSibling;
      else old.insertBefore(match, here);
      morph(match, node);
    } else if (here && !here.id && !node.id) {
      const next = here.nextSibling;
      morph(here, node);
      here = next;
    } else {
      const added = old.insertBefore(node, here);
      if (added.nodeName === "TR") flash(added);
    }
  }
  while (here) here = removed(here);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// What a row says, leaving out how long ago: that changes by itself.
function says(row) {
  return [...row.cells].filter((cell) => !cell.querySelector("time")).map((cell) => cell.textContent).join("|");
}

function flash(row) {
  row.classList.remove("fresh");
  void row.offsetWidth; // starts the animation anew
  row.classList.add("fresh");
  row.addEventListener("animationend", () => row.classList.remove("fresh"), { once: true });
}

class Live {
  constructor(root) {
    this.root = root;
    this.pulse = document.getElementById("pulse");
    this.poll = root.dataset.every ? root.dataset.every * 1000 : POLL;
    this.cost = 0;
    document.addEventListener("visibilitychange", () => this.follow(true));
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (event) => event.persisted && this.follow(true));
    this.follow(false);
  }

  follow(refetch) {
    this.stop();
    if (document.hidden) return;
    if (refetch) this.soon(0);
    this.timer = setInterval(() => this.soon(0), this.poll);
    const { events, kinds, ended } = this.root.dataset;
    if (!events || ended !== undefined) return this.say(ended === undefined ? "polling" : "");
    this.stream = new EventSource(this.last ? events.replace(/after=\d+/, `after=${this.last}`) : events);
    this.stream.onopen = () => this.say("live");
    this.stream.onerror = () => this.say("polling");
    const heard = (event) => {
      this.last = event.lastEventId || this.last;
      this.soon(Math.max(DEBOUNCE, this.cost * PATIENCE));
    };
    for (const kind of kinds.split(" ")) this.stream.addEventListener(kind, heard);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.stream?.close();
  }

  // The first event of a burst sets the time; those after it are part of the same refetch.
  soon(delay) {
    this.waiting ??= setTimeout(() => this.refetch(), delay);
  }

  async refetch() {
    const began = performance.now();
    try {
      const answer = await fetch(this.root.dataset.live, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html").body.firstChild;
      if (!selectsInside(this.root)) morphChildren(this.root, fresh);
      if (!this.stream) this.say("polling");
    } catch {
      this.say("lost");
    } finally {
      this.cost = performance.now() - began;
      this.waiting = undefined;
    }
  }

  say(mode) {
    const words = { live: "Live", polling: "Auto-refresh", lost: "Server does not answer" };
    this.pulse.hidden = !mode;
    if (this.pulse.dataset.mode === mode) return;
    this.pulse.dataset.mode = mode;
    this.pulse.textContent = words[mode] ?? "";
  }
}

function selectsInside(root) {
  const selection = getSelection();
  return selection.rangeCount > 0 && !selection.isCollapsed && root.contains(selection.anchorNode);
}

async function copy(button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
  } catch {
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    button.textContent = "press Ctrl+C";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

// What takes longer than the page itself; without it the page is whole.
async function later(place) {
  try {
    const answer = await fetch(place.dataset.later, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    place.replaceChildren(...fresh.childNodes);
    if (place.querySelector("[data-again]")) setTimeout(later, 2000, place);
  } catch { /* the next visit asks again */ }
}

function switchTheme() {
  const dark = document.documentElement.dataset.theme === "auto"
    ? matchMedia("(prefers-color-scheme: dark)").matches
    : document.documentElement.dataset.theme === "dark";
  const theme = dark ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  document.cookie = `segtune_theme=${theme}; path=${document.documentElement.dataset.prefix || "/"}; max-age=31536000; samesite=strict`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  const turn = event.target.closest("[data-turn]");
  if (turn) {
    event.preventDefault();
    const place = turn.closest("[data-later]");
    place.dataset.later = turn.dataset.turn;
    later(place);
  }
  const mark = event.target.closest(".chart [data-trial]");
  const base = mark?.closest("[data-trials]")?.dataset.trials;
  if (base) location.href = base + mark.dataset.trial;
});
document.getElementById("theme").addEventListener("click", switchTheme);
const root = document.querySelector("[data-live]");
if (root) new Live(root);
for (const place of document.querySelectorAll("[data-later]")) later(place);
