// The loss as a curve, and the vectors as they move among the words.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320, HEIGHT = 160, EDGE = 14;

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const path = (points, name = "") =>
  element("path", { class: name, d: points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") });

export function curve(svg, losses, label) {
  svg.setAttribute("aria-label", label);
  const most = Math.max(1e-3, ...losses), last = Math.max(1, losses.length - 1);
  const points = losses.map((loss, i) => [EDGE + (i / last) * (WIDTH - 2 * EDGE), HEIGHT - EDGE - (loss / most) * (HEIGHT - 2 * EDGE)]);
  const marks = losses.length ? [path(points), element("text", { x: EDGE, y: 10 }, most.toFixed(2))] : [];
  svg.replaceChildren(...marks, element("text", { x: EDGE, y: HEIGHT - 3 }, "0"));
}

// `places` are the words' in the plane, `trails` for each vector the places where it was; `describe` names a vector.
// Gives the span of both axes, of which the picture shows all.
export function plane(svg, places, trails, label, describe) {
  svg.setAttribute("aria-label", label);
  const all = [...places, ...trails.flat()];
  const [[left, right], [low, high]] = [0, 1].map((axis) => {
    const values = all.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const at = ([x, y]) => [
    EDGE + ((x - left) / (right - left)) * (WIDTH - 2 * EDGE), HEIGHT - EDGE - ((y - low) / (high - low)) * (HEIGHT - 2 * EDGE),
  ];
  const dot = (point, radius, name, more = {}) => {
    const [x, y] = at(point);
    return element("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: radius, class: name, ...more });
  };
  const handle = (i) => ({ "data-vector": i, tabindex: 0, role: "img", "aria-label": describe(i) });
  svg.replaceChildren(
    ...places.map((point) => dot(point, 1.2, "word")),
    ...trails.map((trail) => path(trail.map(at), "trail")),
    ...trails.map((trail, i) => dot(trail.at(-1), 5, "vector", handle(i))),
    ...trails.map((trail, i) => element("text", { x: at(trail.at(-1))[0] + 5, y: at(trail.at(-1))[1] + 3 }, `p${i}`)),
  );
  return [right - left, high - low];
}

// From pixels of the picture to numbers along the axes, of which the picture shows so much.
export const inPlane = ([x, y], [wide, tall]) => [(x / (WIDTH - 2 * EDGE)) * wide, (-y / (HEIGHT - 2 * EDGE)) * tall];

export function nearest(list, vectors, embedding, vocabulary, width) {
  const rows = Array.from({ length: vectors.length / width }, (_, i) => vectors.subarray(i * width, (i + 1) * width));
  const items = rows.map((vector, i) => {
    const scored = vocabulary.map((word, id) => [cosine(vector, embedding.subarray(id * width, (id + 1) * width)), word]);
    const best = scored.sort((a, b) => b[0] - a[0]).slice(0, 3);
    const item = document.createElement("li");
    item.textContent = `p${i}: ${best.map(([near, word]) => `${word} ${near.toFixed(2)}`).join(", ")}`;
    return item;
  });
  list.replaceChildren(...items);
}

function cosine(one, other) {
  let product = 0, ones = 0, others = 0;
  for (let i = 0; i < one.length; i += 1) {
    product += one[i] * other[i];
    ones += one[i] ** 2;
    others += other[i] ** 2;
  }
  return product / Math.sqrt(ones * others);
}
