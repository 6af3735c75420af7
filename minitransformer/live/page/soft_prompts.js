// The learned vectors of each method: their names and shapes, as soft_prompts.py has them, and the start of each.

import { chance, normal } from "./learning.js";

export const METHODS = ["prompt", "prefix", "key_value"];
const SCALE = { prompt: 0.05, prefix: 0.05, key_value: 0.3 };

export function shapes(method, length, { width, layers, heads, kv_heads }) {
  if (method === "prompt") return { "hooks.vectors": [length, width] };
  if (method === "prefix") return { "hooks.vectors": [layers, length, width] };
  const numbers = [...Array(layers).keys()];
  const own = [kv_heads, length, width / heads];
  return Object.fromEntries(["keys", "values"].flatMap((part) => numbers.map((layer) => [`hooks.${part}.${layer}`, own])));
}

export function start(method, length, config, seed) {
  const random = chance(seed);
  const size = (shape) => shape.reduce((product, each) => product * each, 1);
  const entries = Object.entries(shapes(method, length, config));
  return Object.fromEntries(entries.map(([name, shape]) => [name, [normal(size(shape), SCALE[method], random), shape]]));
}

// Gradient norms of a step -> rows (layer) of columns (virtual token): one row for a prompt, L for the others.
export function landed(method, step, length, layers) {
  if (method !== "key_value") {
    const [norms] = step["norm.hooks.vectors"];
    return Array.from({ length: norms.length / length }, (_, row) => [...norms.slice(row * length, (row + 1) * length)]);
  }
  return Array.from({ length: layers }, (_, layer) => {
    const [keys, values] = ["keys", "values"].map((part) => step[`norm.hooks.${part}.${layer}`][0]);
    return [...keys].map((norm, place) => Math.hypot(norm, values[place]));
  });
}
