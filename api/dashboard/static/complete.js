// Completion of names and values in a filter, word by word: a combobox as ARIA describes it.
import { t } from "./words.js";

const MOST = 12;
const WORD = /[\w.\-:/@%+[\]]*$/;
const known = new WeakMap();

export function complete(input, names) {
  if (!known.has(input)) known.set(input, new Completion(input));
  known.get(input).refresh(names);
}

class Completion {
  constructor(input) {
    this.input = input;
    this.list = Object.assign(document.createElement("ul"), { id: `${input.id}-offers`, className: "offers", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", t("Names and values"));
    this.list.dataset.keep = "";
    input.addEventListener("input", () => this.open());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the box keeps the focus
      const item = event.target.closest("li");
      if (item) this.take(item.dataset.text);
    });
  }

  // A refresh of the page has taken out what the server does not know of.
  refresh(names) {
    this.names = names;
    this.input.setAttribute("role", "combobox");
    this.input.setAttribute("aria-autocomplete", "list");
    this.input.setAttribute("aria-controls", this.list.id);
    if (!this.list.isConnected) this.input.after(this.list);
    if (this.list.hidden) this.close();
    else this.open();
  }

  // The word before the caret, and what may stand in its place.
  offers() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const word = WORD.exec(before)[0];
    const earlier = before.slice(0, before.length - word.length);
    const asked = /([\w.\-[\]]+)\s*(?:=|==|!=|~|in\s*\[[^\]]*)\s*$/.exec(earlier);
    const pool = asked ? this.names[asked[1]] ?? [] : /(^|[(\s])$/.test(earlier) ? Object.keys(this.names) : [];
    if (!asked && !word) return { word, found: [] };
    const wanted = word.toLowerCase();
    const found = pool.filter((name) => name.toLowerCase().includes(wanted) && name !== word);
    found.sort((a, b) => rank(a, wanted) - rank(b, wanted));
    return { word, found: found.slice(0, MOST) };
  }

  open() {
    const { found } = this.offers();
    if (!found.length) return this.close();
    this.list.replaceChildren(...found.map((text, index) => {
      const item = Object.assign(document.createElement("li"), { id: `${this.list.id}-${index}`, textContent: text });
      item.setAttribute("role", "option");
      item.dataset.text = text;
      return item;
    }));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.choose(-1);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  choose(index) {
    this.index = index;
    for (const [place, item] of [...this.list.children].entries()) item.setAttribute("aria-selected", String(place === index));
    const item = this.list.children[index];
    if (!item) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const count = this.list.hidden ? 0 : this.list.children.length;
    if (event.key === "ArrowDown" && !count) this.open();
    else if (event.key === "ArrowDown") this.choose((this.index + 1) % count);
    else if (event.key === "ArrowUp" && count) this.choose((this.index - 1 + count) % count);
    else if (event.key === "Escape" && count) this.close();
    else if ((event.key === "Enter" || event.key === "Tab") && count && this.index >= 0) this.take(this.list.children[this.index].dataset.text);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  take(text) {
    const { word } = this.offers();
    const at = this.input.selectionStart;
    this.input.setRangeText(`${text} `, at - word.length, at, "end");
    this.close();
    this.input.focus();
  }
}

function rank(name, wanted) {
  const lowered = name.toLowerCase();
  if (lowered.startsWith(wanted)) return 0;
  return lowered.includes(`.${wanted}`) ? 1 : 2;
}
