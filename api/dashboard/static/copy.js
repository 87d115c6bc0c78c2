// Buttons that copy a text.
import { t } from "./words.js";

export async function copy(button) {
  const label = button.textContent;
  try {
    const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
    await navigator.clipboard.writeText(source ? source.textContent : button.dataset.copy);
    button.textContent = t("copied");
  } catch {
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    button.textContent = t("press Ctrl+C");
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}
