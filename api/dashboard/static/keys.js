// Keys of all pages: "/" to the search box, j and k along rows, "?" shows what there is.
// A page adds its own with `data-key` on a link or button.
import { t } from "./words.js";

const ROWS = "tbody tr:has(a.row)";

function isTyping(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.nodeName);
}

function currentRow() {
  return document.activeElement?.closest?.(ROWS);
}

function moveRow(by) {
  const rows = [...document.querySelectorAll(ROWS)];
  if (!rows.length) return;
  const here = rows.indexOf(currentRow());
  const next = rows[Math.min(rows.length - 1, Math.max(0, here < 0 ? 0 : here + by))];
  next.querySelector("a.row").focus();
  next.scrollIntoView({ block: "nearest" });
}

function search() {
  const box = document.querySelector("[data-search]");
  if (!box) return false;
  box.focus();
  box.select?.();
  return true;
}

function entries() {
  const found = [["?", t("show these keys")]];
  if (document.querySelector("[data-search]")) found.push(["/", t("search or filter")]);
  if (document.querySelector(ROWS)) found.push(["j k", t("next and previous row")], ["Enter", t("open the row")]);
  for (const element of document.querySelectorAll("[data-key]")) {
    found.push([element.dataset.key, element.dataset.keyLabel ?? element.getAttribute("aria-label") ?? element.textContent.trim()]);
  }
  return [...found, ["Esc", t("leave a box, close what is open")]];
}

function showHelp() {
  document.getElementById("keys")?.remove();
  const dialog = document.createElement("dialog");
  dialog.id = "keys";
  dialog.className = "panel";
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = t("Keys");
  const list = document.createElement("dl");
  for (const [keys, words] of entries()) {
    const key = document.createElement("dt");
    for (const one of keys.split(" ")) key.append(Object.assign(document.createElement("kbd"), { textContent: one }), " ");
    list.append(key, Object.assign(document.createElement("dd"), { textContent: words }));
  }
  const form = Object.assign(document.createElement("form"), { method: "dialog" });
  form.append(Object.assign(document.createElement("button"), { textContent: t("Close") }));
  dialog.append(title, list, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function leave(target) {
  if (isTyping(target)) target.blur();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    if (menu.contains(target)) menu.querySelector("summary").focus();
  }
}

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return leave(event.target);
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const own = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (own) own.click();
    else if (event.key === "j") moveRow(1);
    else if (event.key === "k") moveRow(-1);
    else if (event.key === "?") showHelp();
    else if (event.key !== "/" || !search()) return;
    event.preventDefault();
  });
}
