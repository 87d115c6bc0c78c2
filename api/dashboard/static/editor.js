// A study's text: line numbers, mistakes at their lines while one types, and the plan beside it.
// The text itself is a plain textarea, as tall as its lines, so that nothing must be scrolled along.
import { morphChildren } from "./morph.js";
import { t } from "./words.js";

const PAUSE = 350, AGAIN = 3_000, INDENT = 2;

class Editor {
  constructor(form) {
    const find = (id) => document.getElementById(id);
    this.form = form;
    this.text = find("text");
    this.rows = find("rows");
    this.verdict = find("verdict");
    this.status = find("status");
    this.leaving = find("leaving");
    this.store = `segtune:text:${location.pathname}${location.search}`;
    this.asked = 0;
    this.count = 0;
    this.mistakes = this.said();
    form.classList.add("scripted");
    find("open").hidden = false;
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => this.pressed(event));
    this.text.addEventListener("blur", () => this.leave(false));
    this.text.addEventListener("scroll", () => {
      this.rows.style.setProperty("--shift", `${-this.text.scrollLeft}px`);
    });
    this.verdict.addEventListener("click", (event) => this.jump(event));
    form.addEventListener("submit", (event) => this.submit(event));
    this.takeFiles(find("file"), find("editor"));
    this.keep(find("kept"), find("discard"));
    this.draw();
  }

  // ── The text is kept ──

  keep(note, discard) {
    const original = this.text.defaultValue;
    const kept = sessionStorage.getItem(this.store);
    if (this.text.value !== original) this.changed(); // typed before this script was there
    else if (kept !== null && kept !== original) {
      this.text.value = kept;
      note.hidden = false;
      this.soon(0);
    }
    discard.addEventListener("click", () => {
      this.replace(original);
      sessionStorage.removeItem(this.store);
      note.hidden = true;
    });
  }

  changed() {
    sessionStorage.setItem(this.store, this.text.value);
    this.shift();
    this.draw();
    this.soon(PAUSE);
  }

  // All of it becomes another text; "undo" brings the old one back.
  replace(text) {
    this.text.focus();
    this.text.select();
    this.insert(text);
  }

  insert(text) {
    const done = text ? document.execCommand("insertText", false, text) : document.execCommand("delete");
    if (done) return;
    this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    this.changed();
  }

  // ── Keys ──

  pressed(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.form.requestSubmit(document.getElementById("submit"));
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.leave(true);
    } else if (event.key === "Tab") {
      if (this.isLeaving) return;
      event.preventDefault();
      this.indent(event.shiftKey);
    } else if (event.key !== "Shift") {
      this.leave(false);
      if (event.key === "Enter" && !event.shiftKey) this.newLine(event);
    }
  }

  leave(is) {
    this.isLeaving = is;
    this.leaving.textContent = is ? t("Tab leaves the text now.") : "";
  }

  indent(outwards) {
    const { value, selectionStart: from, selectionEnd: to } = this.text;
    const start = value.lastIndexOf("\n", from - 1) + 1;
    if (!outwards && !value.slice(from, to).includes("\n")) {
      return this.insert(" ".repeat(INDENT - (from - start) % INDENT));
    }
    const lines = value.slice(start, to).split("\n");
    const moved = lines.map((line) => outwards ? line.replace(/^ {1,2}/, "") : " ".repeat(INDENT) + line);
    const text = moved.join("\n");
    if (text === lines.join("\n")) return;
    this.text.setSelectionRange(start, to);
    this.insert(text);
    const first = Math.max(start, from + moved[0].length - lines[0].length);
    this.text.setSelectionRange(from === to ? first : start, from === to ? first : start + text.length);
  }

  // A new line begins below the one before; further in after a colon.
  newLine(event) {
    const { value, selectionStart: from } = this.text;
    const line = value.slice(value.lastIndexOf("\n", from - 1) + 1, from);
    const [space] = line.match(/^ */);
    const further = /[:{[]\s*$/.test(line) ? " ".repeat(INDENT) : "";
    if (!space && !further) return;
    event.preventDefault();
    this.insert(`\n${space}${further}`);
  }

  // ── Mistakes at their lines ──

  said() {
    return [...this.verdict.querySelectorAll("[data-line]")].map(({ dataset }) => ({
      line: Number(dataset.line), column: Number(dataset.column), message: dataset.message,
    }));
  }

  // Until the next answer comes, marks go with their lines.
  shift() {
    const more = this.text.value.split("\n").length - this.count;
    if (!more) return;
    const here = this.text.value.slice(0, this.text.selectionStart).split("\n").length;
    for (const one of this.mistakes) if (one.line >= here - Math.max(0, more)) one.line += more;
  }

  draw() {
    const lines = this.text.value.split("\n");
    this.count = lines.length;
    this.text.rows = lines.length + 2;
    while (this.rows.children.length > lines.length) this.rows.lastElementChild.remove();
    while (this.rows.children.length < lines.length) {
      const row = document.createElement("li");
      row.id = `line-${this.rows.children.length + 1}`;
      this.rows.append(row);
    }
    for (const row of this.rows.querySelectorAll(".wrong")) {
      row.className = "";
      row.replaceChildren();
    }
    const found = Map.groupBy(this.mistakes, (one) => one.line);
    for (const [number, ones] of found) this.mark(lines[number - 1], this.rows.children[number - 1], ones);
    this.text.toggleAttribute("aria-invalid", this.mistakes.length > 0);
    if (this.mistakes.length) this.text.setAttribute("aria-invalid", "true");
  }

  mark(line, row, ones) {
    if (!row) return;
    row.className = "wrong";
    const said = document.createElement("span");
    said.className = "said";
    said.textContent = ones[0].message + (ones.length > 1 ? ` (+${ones.length - 1})` : "");
    said.style.left = `calc(var(--gutter) + ${line.length + 2}ch)`;
    row.append(said);
    for (const { column } of ones) {
      const [word] = line.slice(column - 1).match(/^("[^"]*"|[^\s,:{}[\]]+|.)?/);
      const squiggle = document.createElement("span");
      squiggle.className = "squiggle";
      squiggle.style.left = `calc(var(--gutter) + ${column - 1}ch)`;
      squiggle.style.width = `${Math.max(1, word.length)}ch`;
      row.append(squiggle);
    }
  }

  jump(event) {
    const link = event.target.closest("[data-line]");
    if (!link) return;
    event.preventDefault();
    const lines = this.text.value.split("\n");
    const line = Math.min(Number(link.dataset.line), lines.length);
    const column = Math.min(Number(link.dataset.column), lines[line - 1].length + 1);
    const offset = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, column - 1);
    this.text.focus({ preventScroll: true });
    this.text.setSelectionRange(offset, offset);
    this.rows.children[line - 1].scrollIntoView({ block: "center" });
  }

  // ── Asking the server ──

  soon(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), delay);
  }

  // Only the answer to the last question counts.
  async check() {
    const turn = ++this.asked;
    this.abort?.abort();
    this.abort = new AbortController();
    this.status.textContent = t("checking…");
    try {
      const answer = await fetch(this.form.dataset.check, {
        method: "POST",
        body: this.text.value,
        headers: { "Content-Type": "text/plain; charset=utf-8", Accept: "text/html" },
        signal: this.abort.signal,
      });
      const html = await answer.text();
      if (turn !== this.asked) return;
      if (answer.redirected) this.status.textContent = t("Log in again in another window; the text is kept.");
      else if (answer.ok) this.show(new DOMParser().parseFromString(html, "text/html").body);
      else this.status.textContent = refusal(html);
    } catch (error) {
      if (error.name === "AbortError" || turn !== this.asked) return;
      this.status.textContent = t("Server does not answer; the text is kept.");
      this.soon(AGAIN);
    }
  }

  show(fresh) {
    morphChildren(this.verdict, fresh);
    this.mistakes = this.said();
    this.draw();
    const title = this.verdict.querySelector("h2, .state");
    const sound = this.verdict.querySelector(".state.completed");
    this.status.textContent = (sound ?? title)?.textContent ?? "";
  }

  async submit(event) {
    event.preventDefault();
    if (this.isSending) return;
    this.isSending = true;
    clearTimeout(this.timer);
    this.asked += 1;
    this.status.textContent = t("submitting…");
    try {
      const body = new URLSearchParams({ text: this.text.value, deed: "submit" });
      const answer = await fetch(this.form.action, { method: "POST", body, headers: { Accept: "text/html" } });
      const html = await answer.text();
      if (answer.redirected) return this.leaveTo(answer.url);
      const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("verdict");
      if (fresh) this.show(fresh);
      else this.status.textContent = refusal(html);
      this.verdict.querySelector("[data-line]")?.focus();
    } catch {
      this.status.textContent = t("Server does not answer; the text is kept.");
    } finally {
      this.isSending = false;
    }
  }

  // Where one must log in first, the text is needed again.
  leaveTo(url) {
    if (!new URL(url).pathname.endsWith("/login")) sessionStorage.removeItem(this.store);
    location.assign(url);
  }

  // ── Files ──

  takeFiles(input, place) {
    const take = async (file) => {
      if (!file) return;
      if (file.size > 2 ** 20) {
        this.status.textContent = t("{name} is too large for a study.", { name: file.name });
        return;
      }
      this.replace((await file.text()).replaceAll("\r\n", "\n"));
      this.text.setSelectionRange(0, 0);
    };
    input.addEventListener("change", async () => {
      await take(input.files[0]);
      input.value = "";
    });
    const isFile = (event) => event.dataTransfer?.types.includes("Files");
    place.addEventListener("dragover", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      place.classList.add("dropping");
    });
    place.addEventListener("dragleave", () => place.classList.remove("dropping"));
    place.addEventListener("drop", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      place.classList.remove("dropping");
      take(event.dataTransfer.files[0]);
    });
  }
}

// What an error of the server says of itself: a page, or a problem as JSON.
function refusal(answer) {
  try {
    return JSON.parse(answer).detail;
  } catch {
    const page = new DOMParser().parseFromString(answer, "text/html");
    return page.querySelector("main p:not(.code)")?.textContent ?? t("The server refused it.");
  }
}

export function start(form) {
  new Editor(form);
}
