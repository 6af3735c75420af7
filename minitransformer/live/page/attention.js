// Who is looked at from one place: for each layer the share of each virtual token, and of the text.

// `attention` is [numbers, [B, L, H, places, S]], of which the first row is read: one head, or the mean of all of them.
export function shares([numbers, [, layers, heads, places, keys]], length, place, only = null) {
  const chosen = only === null ? [...Array(heads).keys()] : [only];
  const share = (layer, head, key) => numbers[((layer * heads + head) * places + place) * keys + key];
  const mean = (layer, key) => chosen.reduce((sum, head) => sum + share(layer, head, key), 0) / chosen.length;
  return Array.from({ length: layers }, (_, layer) => {
    const own = Array.from({ length }, (_, key) => mean(layer, key));
    return [...own, 1 - own.reduce((a, b) => a + b, 0)];
  });
}

// A table with the top layer first; `names` are of the layers and of the columns.
export function table(element, rows, layers, columns, corner) {
  const head = document.createElement("thead"), body = document.createElement("tbody");
  const cell = (row, tag, text, scope) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (scope) made.scope = scope;
    row.append(made);
    return made;
  };
  const first = head.insertRow();
  cell(first, "th", corner, "col");
  columns.forEach((name) => cell(first, "th", name, "col"));
  [...rows].reverse().forEach((shares, fromTop) => {
    const row = body.insertRow();
    cell(row, "th", layers[rows.length - 1 - fromTop], "row");
    for (const share of shares) cell(row, "td", share.toFixed(2)).style.setProperty("--much", share.toFixed(2));
  });
  element.replaceChildren(head, body);
}
