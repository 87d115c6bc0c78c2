// Parts of a page, asked of the server: all scripts that fetch one do it here, so that a server
// that is away means the same to each. `segtune:lost` tells the live mark, which asks again.
import { morphChildren } from "./morph.js";

export const PATIENCE = 10_000; // milliseconds until a request that hangs counts as failed
const AWAY = new Set([502, 503, 504]); // what a proxy says for a server that is not there

// Nobody answered, or not in time: to ask later may do.
export class Away extends Error {}

// What the server said no to, though it is there: to ask again would change nothing.
export class Refused extends Error {}

const asked = new Set(); // by their controllers: what is on its way
let isLeft = false;

// The page is being left, perhaps because what it shows is deleted: nothing is asked any more, and
// what is on its way is given up.
export function leave() {
  isLeft = true;
  for (const one of asked) one.abort();
}

export function comeBack() {
  isLeft = false;
}

// The text of an answer. A redirect is the login: the page itself goes there, and nothing follows.
export async function ask(address, { accept = "text/html", patience = PATIENCE } = {}) {
  if (isLeft) throw new Away("the page is being left");
  const limit = new AbortController();
  asked.add(limit);
  const timer = setTimeout(() => limit.abort(), patience);
  try {
    const answer = await fetch(address, { headers: { Accept: accept }, signal: limit.signal });
    if (answer.redirected) {
      location.reload();
      return await new Promise(() => {});
    }
    if (!answer.ok) throw new (AWAY.has(answer.status) ? Away : Refused)(`the server answered ${answer.status}`);
    return await answer.text();
  } catch (error) {
    if (error instanceof Refused) throw error;
    if (!isLeft) document.dispatchEvent(new Event("segtune:lost"));
    throw new Away(error.message, { cause: error });
  } finally {
    clearTimeout(timer);
    asked.delete(limit);
  }
}

export async function askData(address, options) {
  return JSON.parse(await ask(address, { accept: "application/json", ...options }));
}

export function parse(html) {
  return new DOMParser().parseFromString(`<div>${html}</div>`, "text/html").body.firstChild;
}

// Puts a part in its place. A part that is not the whole live page says which it is, as the
// event's detail: those that stand elsewhere need not follow.
export function show(place, fresh, detail) {
  morphChildren(place, fresh);
  document.dispatchEvent(new CustomEvent("segtune:refreshed", { detail }));
}
