// The page's messages in its language; English is the key. Names in braces are filled in.

const messages = JSON.parse(document.getElementById("words")?.textContent || "{}");

export function t(message, values = {}) {
  return (messages[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
