// Of the controls of a clone only those are shown whose `when` holds for the values before them.

function valueOf(control) {
  const { value } = control;
  try {
    return JSON.stringify(JSON.parse(value));
  } catch {
    return JSON.stringify(value);
  }
}

function show(form) {
  const values = new Map();
  for (const place of form.querySelectorAll("[data-when]")) {
    const when = Object.entries(JSON.parse(place.dataset.when));
    const holds = when.every(([path, allowed]) => allowed.includes(values.get(path)));
    const control = place.querySelector("input, select");
    place.hidden = !holds;
    control.disabled = !holds;
    if (holds) values.set(place.dataset.path, valueOf(control));
  }
}

export function start(element) {
  const form = element.querySelector("form");
  form.addEventListener("input", () => show(form));
  show(form);
  element.querySelector('[aria-invalid="true"]')?.focus();
}
