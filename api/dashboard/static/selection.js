// The one place where what a reader selects becomes the page's address: table, figures and charts
// follow that by themselves (live.js, chart.js, relations.js), and "back" undoes it.
import { read, write } from "./address.js";
import { askData } from "./partial.js";

// A new filter begins its list at the first page.
export function select(filter) {
  write({ filter, cursor: null, skipped: null }, { push: true });
}

// What the filter says of one axis, said anew: `terms` are fields of the server's form `narrow`.
export async function narrow(place, name, terms) {
  const query = new URLSearchParams([["filter", read("filter") ?? ""], ["name", name], ...terms]);
  try {
    select((await askData(`${place}?${query}`)).filter);
    return true;
  } catch {
    return false; // the live mark says so where the server is gone
  }
}
