// Live pages: an event (or a slow poll) refetches the page's partial and changes what differs.
import { morphChildren } from "./morph.js";
import { t } from "./words.js";

const POLL = 30_000, AGAIN = 3_000, DEBOUNCE = 200, PATIENCE = 4;

export class Live {
  constructor(root) {
    this.root = root;
    this.pulse = document.getElementById("pulse");
    this.poll = root.dataset.every ? root.dataset.every * 1000 : POLL;
    this.cost = 0;
    this.refused = 0;
    this.seen = new Date();
    document.addEventListener("visibilitychange", () => this.follow(true));
    document.addEventListener("segtune:refetch", () => {
      clearTimeout(this.waiting);
      this.refetch();
    });
    addEventListener("pagehide", () => this.stop());
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
      this.say("live");
    };
    this.stream.onerror = () => this.soon(DEBOUNCE); // asks whether the server is there
    const heard = (event) => {
      this.last = event.lastEventId || this.last;
      this.soon(Math.max(DEBOUNCE, this.cost * PATIENCE));
    };
    for (const kind of kinds.split(" ")) this.stream.addEventListener(kind, heard);
  }

  // A form that the page's scripts leave to the browser leads to another page: what this one was
  // about may be deleted by then, and to ask for it once more would be an error.
  leave(event) {
    if (event.defaultPrevented || event.target.method !== "post") return;
    this.isLeaving = true;
    this.stop();
  }

  comeBack() {
    this.isLeaving = false;
    this.follow(true);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    clearTimeout(this.reopening);
    this.waiting = this.reopening = undefined;
    this.stream?.close();
  }

  // A proxy that answered for a server that was away has ended the stream for good: another is
  // asked for at once, and where none comes through, less and less often.
  reopen() {
    if (this.stream?.readyState !== EventSource.CLOSED) return;
    const delay = this.refused && Math.min(this.poll, AGAIN * 2 ** this.refused);
    this.reopening ??= setTimeout(() => {
      this.refused += 1;
      this.follow(false);
    }, delay);
  }

  // The first event of a burst sets the time; those after it are part of the same refetch.
  soon(delay) {
    if (this.isLeaving) return;
    this.waiting ??= setTimeout(() => this.refetch(), delay);
  }

  async refetch() {
    const asked = this.root.dataset.live;
    let began;
    try {
      const answer = await fetch(asked, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      if (asked !== this.root.dataset.live) return; // another one was asked for meanwhile
      const text = await answer.text();
      began = performance.now(); // what it costs here: the server sees to its own part
      const fresh = new DOMParser().parseFromString(`<div>${text}</div>`, "text/html").body.firstChild;
      this.seen = new Date();
      if (!selectsInside(this.root)) {
        morphChildren(this.root, fresh);
        document.dispatchEvent(new Event("segtune:refreshed"));
      }
      if (this.stream?.readyState === EventSource.OPEN) this.say("live");
      else if (this.root.dataset.ended === undefined) this.say("polling");
      this.waiting = undefined;
      this.reopen();
    } catch {
      if (!this.isLeaving) this.say("lost");
      this.waiting = undefined;
      if (!document.hidden) this.soon(AGAIN);
    } finally {
      this.cost = began ? performance.now() - began : 0;
    }
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
