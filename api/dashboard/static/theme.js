// Light or dark, by hand; without a choice, as the system has it.

export function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
}

export function switchTheme() {
  const theme = isDark() ? "light" : "dark";
  const path = document.documentElement.dataset.prefix || "/";
  document.documentElement.dataset.theme = theme;
  document.cookie = `segtune_theme=${theme}; path=${path}; max-age=31536000; samesite=strict`;
  document.dispatchEvent(new Event("segtune:theme"));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new Event("segtune:theme"));
});
