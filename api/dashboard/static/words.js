// The page's messages in its language; English is the key. Names in braces are filled in.

const messages = JSON.parse(document.getElementById("words")?.textContent || "{}");

// Marks a message that is looked up elsewhere, by a name that holds it.
export const message = (text) => text;

export function t(message, values = {}) {
  return (messages[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
