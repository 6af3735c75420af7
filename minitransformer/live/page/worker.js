// Runs the graphs beside the page, so that the page never waits. It owns the base's weights.

import * as ort from "./runtime/ort.wasm.min.mjs";
import { Adam, clip } from "./learning.js";
import { read } from "./safetensors.js";

const here = (path) => new URL(path, import.meta.url).href;
ort.env.wasm.wasmPaths = here("runtime/");
ort.env.wasm.numThreads = 1; // more would need headers that not every server sends
const sessions = new Map();
let facts, base, shapes, untouched, optimizer;

// All at once: the numbers, what is said of them, and the graphs that the first answer and the first step need.
async function load() {
  const fetched = async (path) => (await fetch(here(path))).arrayBuffer();
  const first = ["none-forward", "prompt-forward", "prompt-step"].map(session);
  const [about, numbers] = await Promise.all([fetched("facts.json"), fetched("model.safetensors"), ...first]);
  facts = JSON.parse(new TextDecoder().decode(about));
  const tensors = read(numbers);
  base = Object.fromEntries(Object.entries(tensors).map(([name, [data]]) => [name, data]));
  shapes = Object.fromEntries(Object.entries(tensors).map(([name, [, shape]]) => [name, shape]));
  restore();
  return { facts, embedding: base["model.embedding.weight"] };
}

function restore() {
  untouched ??= Object.fromEntries(Object.entries(base).map(([name, data]) => [name, data.slice()]));
  for (const name in base) base[name].set(untouched[name]);
  optimizer = new Adam(0.003);
}

function session(graph) {
  if (!sessions.has(graph)) sessions.set(graph, ort.InferenceSession.create(here(`graphs/${graph}.onnx`)));
  return sessions.get(graph);
}

// Inputs are {name: [numbers, shape]} beside the base's own; `wanted` are the outputs to hand back, all if not given.
async function run({ graph, inputs, wanted, learnBase }) {
  const running = await session(graph);
  const feeds = {};
  for (const name of facts.graphs[graph].inputs) {
    const [data, shape] = inputs[name] ?? [base[name], shapes[name]];
    feeds[name] = new ort.Tensor(data instanceof BigInt64Array ? "int64" : "float32", data, shape);
  }
  const outputs = facts.graphs[graph].outputs;
  const of_base = learnBase ? outputs.filter((name) => name.startsWith("gradient.model.")) : [];
  const results = await running.run(feeds, [...new Set([...(wanted ?? outputs), ...of_base])]);
  if (learnBase) {
    const gradients = of_base.map((name) => [name.slice("gradient.".length), results[name].data]);
    optimizer.step(base, clip(Object.fromEntries(gradients)));
  }
  return Object.fromEntries((wanted ?? outputs).map((name) => [name, [results[name].data, results[name].dims]]));
}

// The tokens that follow, the likeliest each time.
async function answer({ graph, inputs, tokens, most = 16 }) {
  const said = [];
  while (said.length < most) {
    const text = BigInt64Array.from([...tokens, ...said], BigInt);
    const { choices } = await run({ graph, inputs: { ...inputs, tokens: [text, [1, text.length]] }, wanted: ["choices"] });
    const token = Number(choices[0][text.length - 1]);
    if (token === facts.end) break;
    said.push(token);
  }
  return said;
}

const calls = { load, run, answer, restore };
self.onmessage = async ({ data: { id, call, given } }) => {
  try {
    self.postMessage({ id, result: await calls[call](given) });
  } catch (error) {
    self.postMessage({ id, error: String(error?.message ?? error) });
  }
};
