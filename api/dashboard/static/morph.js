// Changes only what differs between two trees, so that focus, scroll and open folds stay.

export function morph(old, fresh) {
  if (old.dataset?.keep !== undefined || old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = old.nodeName === "TR" && says(old);
  morphChildren(old, fresh);
  if (before && before !== says(old)) flash(old);
}

// A node that is moved loses the focus: what went is taken out first, so that what stays stays put.
export function morphChildren(old, fresh) {
  const staying = new Set([...fresh.children].map((child) => child.id));
  const named = [...old.children].filter((child) => child.id);
  for (const child of named) if (!staying.has(child.id) && !isKept(child)) child.remove();
  const known = new Map(named.filter((child) => staying.has(child.id)).map((child) => [child.id, child]));
  let here = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const match = node.id && known.get(node.id);
    if (match) {
      while (here && !here.id && !isKept(here)) here = removed(here);
      if (match === here) here = here.nextSibling;
      else old.insertBefore(match, here);
      morph(match, node);
    } else if (here && !here.id && !node.id) {
      const next = here.nextSibling;
      morph(here, node);
      here = next;
    } else {
      const added = old.insertBefore(node, here);
      if (added.nodeName === "TR") flash(added);
    }
  }
  while (here) here = isKept(here) ? here.nextSibling : removed(here);
}

// What a script has drawn, and the server knows nothing of.
function isKept(node) {
  return node.dataset?.keep !== undefined;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// What a row says, leaving out how long ago: that changes by itself.
function says(row) {
  return [...row.cells].filter((cell) => !cell.querySelector("time")).map((cell) => cell.textContent).join("|");
}

// A table that changes all the time says `data-quiet`.
function flash(row) {
  if (row.closest("[data-quiet]")) return;
  row.classList.remove("fresh");
  void row.offsetWidth; // starts the animation anew
  row.classList.add("fresh");
  row.addEventListener("animationend", () => row.classList.remove("fresh"), { once: true });
}
