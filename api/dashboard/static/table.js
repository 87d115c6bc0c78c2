// The trial table without reloads: another filter, order or page is fetched and put in its place.
// What is selected stays over pages and refreshes; the columns chosen are kept for each study.
import { move, onChange } from "./address.js";
import { complete } from "./complete.js";
import { morph } from "./morph.js";
import { ask, parse } from "./partial.js";
import { t } from "./words.js";

const IN_ADDRESS = 8; // trials that can be compared, and that the address carries

class Table {
  constructor(panel) {
    this.panel = panel;
    this.study = panel.dataset.study;
    this.selected = new Set(numbers(new URLSearchParams(location.search).get("selected")));
    this.shown = location.search;
    this.prepare();
    panel.addEventListener("submit", (event) => this.submit(event));
    panel.addEventListener("click", (event) => this.click(event));
    panel.addEventListener("change", (event) => this.change(event));
    document.addEventListener("segtune:refreshed", (event) => (this.late && !event.detail ? this.arrive() : this.prepare()));
    onChange(() => this.follow());
    this.restoreColumns();
  }

  // What the server does not know: after each refresh of the panel.
  prepare() {
    this.panel = document.getElementById("trials");
    if (!this.panel) return;
    for (const box of this.panel.querySelectorAll("[data-number]")) {
      box.checked = this.selected.has(Number(box.dataset.number));
    }
    const filter = this.panel.querySelector("#filter");
    complete(filter, JSON.parse(filter.dataset.names));
    this.tellSelection();
  }

  // ── Addresses ──

  go(address) {
    const target = new URL(address, location.href);
    move(target.pathname + target.search, { push: true }); // charts follow it too
  }

  follow() {
    if (location.search === this.shown) return;
    this.startAnew();
    this.shown = location.search;
    this.selected = new Set([...this.selected, ...numbers(new URLSearchParams(location.search).get("selected"))]);
    const root = document.getElementById("live");
    root.dataset.live = this.panel.dataset.liveBase + location.search;
    this.fetch();
  }

  // A place in a list of other trials, or in another order, is none in this one.
  startAnew() {
    const before = new URLSearchParams(this.shown), query = new URLSearchParams(location.search);
    const differs = ["filter", "by", "sort", "descending", "state"].some((name) => before.get(name) !== query.get(name));
    if (!differs || !query.has("cursor") || before.get("cursor") !== query.get("cursor")) return;
    query.delete("cursor");
    query.delete("skipped");
    const text = query.toString();
    move(location.pathname + (text ? `?${text}` : "") + location.hash, { quiet: true });
  }

  // Without an answer the table stays as it is, until the live page brings what was asked for.
  async fetch() {
    const asked = location.search;
    this.late = true;
    this.panel.setAttribute("aria-busy", "true");
    try {
      const text = await ask(this.panel.dataset.table + asked);
      if (asked !== location.search) return;
      morph(this.panel, parse(text).querySelector("#trials"));
      this.arrive();
      document.dispatchEvent(new Event("segtune:refetch")); // the charts above it
    } catch {
      if (asked === location.search) document.dispatchEvent(new Event("segtune:lost"));
    }
  }

  // What is asked for is there: the boxes say it too, whatever has been typed meanwhile.
  arrive() {
    this.late = false;
    this.panel.removeAttribute("aria-busy");
    for (const name of ["filter", "by"]) {
      const box = this.panel.querySelector(`#${name}`);
      if (box.value !== box.defaultValue) box.value = box.defaultValue;
    }
    this.prepare();
  }

  submit(event) {
    const form = event.target;
    if (form.method !== "get" || event.submitter?.formMethod === "post" || form.id === "selection") return;
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    if (form.closest("#columns")) this.orderColumns(query);
    form.closest("details")?.removeAttribute("open");
    this.go(`${this.panel.dataset.page}?${query}`);
  }

  click(event) {
    const link = event.target.closest("a[href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const target = new URL(link.href);
    if (target.pathname !== new URL(this.panel.dataset.page, location.href).pathname || link.matches(".row")) return;
    event.preventDefault();
    if (link.id === "columns-usual") this.rememberColumns([]);
    link.closest("details")?.removeAttribute("open");
    this.go(link.href);
  }

  // ── Columns ──

  get key() { return `segtune_columns_${this.study}`; }

  // What is shown already keeps its place; what is new comes after it.
  orderColumns(query) {
    const wanted = query.getAll("columns");
    const shown = [...this.panel.querySelectorAll("thead [data-column]")].map((cell) => cell.dataset.column);
    const names = [...shown.filter((name) => wanted.includes(name)), ...wanted.filter((name) => !shown.includes(name))];
    query.delete("columns");
    for (const name of names) query.append("columns", name);
    this.rememberColumns(names);
  }

  rememberColumns(names) {
    try {
      if (names.length) localStorage.setItem(this.key, JSON.stringify(names));
      else localStorage.removeItem(this.key);
    } catch { /* a browser that keeps nothing */ }
  }

  // An address that names columns is obeyed; one without gets those chosen here before.
  restoreColumns() {
    const query = new URLSearchParams(location.search);
    if (query.has("columns")) return;
    let names = [];
    try { names = JSON.parse(localStorage.getItem(this.key) ?? "[]"); } catch { /* as if none */ }
    if (!Array.isArray(names) || !names.length) return;
    for (const name of names) query.append("columns", name);
    move(`${location.pathname}?${query}${location.hash}`, { quiet: true });
    this.follow();
  }

  // ── Selection ──

  change(event) {
    const box = event.target.closest("[data-number]");
    if (!box) return;
    const number = Number(box.dataset.number);
    if (box.checked) this.selected.add(number);
    else this.selected.delete(number);
    this.writeSelection();
  }

  writeSelection() {
    const query = new URLSearchParams(location.search);
    const few = this.selected.size > 0 && this.selected.size <= IN_ADDRESS;
    if (few) query.set("selected", [...this.selected].join(","));
    else query.delete("selected");
    const text = query.toString();
    this.shown = text ? `?${text}` : "";
    move(location.pathname + this.shown + location.hash, { quiet: true });
    document.getElementById("live").dataset.live = this.panel.dataset.liveBase + this.shown;
    this.tellSelection();
  }

  tellSelection() {
    const chosen = [...this.selected].sort((a, b) => a - b);
    const bar = this.panel.querySelector("#selected");
    bar.querySelector(".count").textContent = chosen.length ? t("{n} selected", { n: chosen.length }) : "";
    this.panel.querySelector("#compare").disabled = chosen.length < 2 || chosen.length > IN_ADDRESS;
    this.panel.querySelector("#cancel-selected").hidden = !chosen.length;
    this.carryOthers(chosen);
    this.actions(bar, chosen);
    this.aimDownloads(chosen);
  }

  // Trials of other pages go with the forms, though no box of theirs is here.
  carryOthers(chosen) {
    const form = this.panel.querySelector("#selection");
    form.dataset.keep = "";
    const here = new Set([...this.panel.querySelectorAll("[data-number]")].map((box) => Number(box.dataset.number)));
    form.replaceChildren(...chosen.filter((number) => !here.has(number)).map((number) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name: "trials", value: `${this.study}:${number}` });
      return input;
    }));
  }

  actions(bar, chosen) {
    const place = bar.querySelector("#selection-more");
    if (!place.firstChild) {
      place.append(button(t("Copy numbers"), "copy-numbers"), button(t("Clear selection"), "clear-selection"), picker());
      place.lastChild.addEventListener("click", () => document.activeElement?.closest("tr")?.querySelector("[data-number]")?.click());
      place.querySelector("#clear-selection").addEventListener("click", () => this.clear());
    }
    place.querySelector("#copy-numbers").dataset.copy = chosen.join(", ");
    for (const one of [...place.children].slice(0, 2)) one.hidden = !chosen.length;
  }

  aimDownloads(chosen) {
    const what = this.panel.querySelector("#downloads-what");
    what.dataset.all ??= what.textContent;
    what.textContent = chosen.length ? t("The {n} selected trials, with every param and metric.", { n: chosen.length }) : what.dataset.all;
    for (const link of this.panel.querySelectorAll("[data-download]")) {
      link.dataset.all ??= link.getAttribute("href");
      const only = new URLSearchParams({ filter: `number in [${chosen.join(", ")}]` });
      link.href = chosen.length ? `${this.panel.dataset.api}/trials.${link.dataset.download}?${only}` : link.dataset.all;
    }
  }

  clear() {
    this.selected.clear();
    for (const box of this.panel.querySelectorAll("[data-number]")) box.checked = false;
    this.writeSelection();
  }
}

function numbers(text) {
  return (text ?? "").split(",").filter((part) => /^\d+$/.test(part)).map(Number);
}

function button(words, id) {
  return Object.assign(document.createElement("button"), { type: "button", id, textContent: words });
}

// Listed among the keys: the row that has the focus is selected, or no longer.
function picker() {
  const found = button("x", "pick-row");
  found.hidden = true;
  Object.assign(found.dataset, { key: "x", keyLabel: t("select the row") });
  return found;
}

export function start(panel) {
  new Table(panel);
}
