// Live pages: an event (or a slow poll) refetches the page's partial and changes what differs.
import { ask, comeBack, leave, parse, show } from "./partial.js";
import { t } from "./words.js";

const POLL = 30_000, AGAIN = 3_000, DEBOUNCE = 200, PATIENCE = 4;

export class Live {
  constructor(root) {
    this.root = root;
    this.pulse = document.getElementById("pulse");
    this.poll = root.dataset.every ? root.dataset.every * 1000 : POLL;
    this.cost = 0;
    this.refused = 0;
    this.shown = root.dataset.live;
    this.seen = new Date();
    document.addEventListener("visibilitychange", () => this.follow(true));
    document.addEventListener("segtune:refetch", () => this.refetch());
    document.addEventListener("segtune:lost", () => this.lose());
    addEventListener("pagehide", () => this.go());
    addEventListener("pageshow", (event) => event.persisted && this.comeBack());
    document.addEventListener("submit", (event) => setTimeout(() => this.leave(event)));
    this.follow(false);
  }

  follow(refetch) {
    this.stop();
    if (document.hidden || this.isLeaving) return;
    if (refetch) this.soon(0);
    this.timer = setInterval(() => this.soon(0), this.poll);
    const { events, kinds, ended } = this.root.dataset;
    if (!events || ended !== undefined) return this.say(ended === undefined ? "polling" : "");
    this.stream = new EventSource(this.last ? events.replace(/after=\d+/, `after=${this.last}`) : events);
    this.stream.onopen = () => {
      this.refused = 0;
      if (this.isLost) this.soon(0);
      else this.say("live");
    };
    this.stream.onerror = () => this.soon(DEBOUNCE); // asks whether the server is there
    const heard = (event) => {
      this.last = event.lastEventId || this.last;
      this.soon(this.rest);
    };
    for (const kind of kinds.split(" ")) this.stream.addEventListener(kind, heard);
  }

  // A form that the page's scripts leave to the browser leads to another page: what this one was
  // about may be deleted by then, and to ask for it once more would be an error.
  leave(event) {
    if (event.defaultPrevented || event.target.method !== "post") return;
    this.go();
  }

  go() {
    this.isLeaving = true;
    this.stop();
    leave();
  }

  // Another part of the page had no answer: this one asks until there is one, and tells the others.
  lose() {
    if (this.isLeaving || this.asking) return; // its own answer is awaited
    this.say("lost");
    this.soon(AGAIN);
  }

  comeBack() {
    this.isLeaving = false;
    comeBack();
    this.follow(true);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.reopening);
    this.reopening = undefined;
    this.forget();
    this.stream?.close();
  }

  // A proxy that answered for a server that was away has ended the stream for good: another is
  // asked for at once, and where none comes through, less and less often.
  reopen() {
    const delay = this.refused && Math.min(this.poll, AGAIN * 2 ** this.refused);
    this.reopening ??= setTimeout(() => {
      this.refused += 1;
      this.follow(false);
    }, delay);
  }

  // The first event of a burst sets the time; those after it are part of the same refetch. What is
  // heard while an answer is on its way may be missing in it: so once more after it.
  soon(delay) {
    if (this.isLeaving) return;
    if (this.asking) this.again = true;
    else this.waiting ??= setTimeout(() => this.refetch(), delay);
  }

  // The answer to a question that has been overtaken by another, or that a hidden page has given
  // up, is dropped.
  async refetch() {
    if (this.isLeaving) return;
    this.forget();
    const asking = { address: this.root.dataset.live };
    this.asking = asking;
    let text;
    try {
      text = await ask(asking.address);
    } catch { /* said below */ }
    if (this.asking !== asking) return;
    if (asking.address !== this.root.dataset.live) return this.refetch();
    if (text !== undefined) this.arrive(text, asking.address);
    const next = text === undefined ? AGAIN : this.again && this.rest;
    this.forget();
    if (text === undefined) this.say("lost");
    else if (this.stream?.readyState === EventSource.CLOSED) this.reopen();
    if (next) this.soon(next);
  }

  // Under a reader who selects text nothing changes, unless it is to show something else.
  arrive(text, address) {
    const began = performance.now(); // what it costs here: the server sees to its own part
    const fresh = parse(text);
    this.seen = new Date();
    if (address !== this.shown || !selectsInside(this.root)) show(this.root, fresh);
    this.shown = address;
    if (this.stream?.readyState === EventSource.OPEN) this.say("live");
    else this.say(this.root.dataset.ended === undefined ? "polling" : "");
    this.cost = performance.now() - began;
  }

  // Nothing is asked for any longer, and nothing waits to be.
  forget() {
    clearTimeout(this.waiting);
    this.waiting = this.asking = undefined;
    this.again = false;
  }

  get rest() {
    return Math.max(DEBOUNCE, this.cost * PATIENCE);
  }

  get isLost() {
    return this.pulse.dataset.mode === "lost";
  }

  // What the page shows is old once the server is gone: it says from when, and looks like it.
  say(mode) {
    this.pulse.hidden = !mode;
    this.root.classList.toggle("stale", mode === "lost");
    if (this.pulse.dataset.mode === mode) return;
    this.pulse.dataset.mode = mode;
    this.pulse.textContent = this.words(mode);
  }

  words(mode) {
    const time = this.seen.toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" });
    const words = {
      live: t("Live"),
      polling: t("Auto-refresh"),
      lost: t("Server does not answer; as of {time}", { time }),
    };
    return words[mode] ?? "";
  }
}

function selectsInside(root) {
  const selection = getSelection();
  return selection.rangeCount > 0 && !selection.isCollapsed && root.contains(selection.anchorNode);
}
