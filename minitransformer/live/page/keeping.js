// What is kept: a soft prompt as the project's own file, and the page's whole state in a link.

import { metadata as metadataOf, read, write } from "./safetensors.js";
import { METHODS, shapes } from "./soft_prompts.js";

const CLASSES = { prompt: "PromptTuning", prefix: "PrefixTuning", key_value: "KeyValuePrefix" };
const FORMATS = ["minitransformer 2", "minitransformer 1"];

export class WrongFile extends Error {}

// {hooks.name: [numbers, shape]} -> the bytes of the file that `save` of the package writes.
export async function toFile(method, length, hooks, base) {
  const tensors = Object.fromEntries(Object.entries(hooks).map(([name, tensor]) => [name.slice("hooks.".length), tensor]));
  const parameters = Object.values(tensors).reduce((sum, [numbers]) => sum + numbers.length, 0);
  const called = { positional: [length, { "the model's": "config" }], named: {} };
  const about = { base, history: null, method: { called, name: CLASSES[method] }, parameters, score: null, task: null };
  const metadata = { about: JSON.stringify(about), format: FORMATS[0], kind: "soft prompt" };
  return write(tensors, { ...metadata, sha256: await digest(tensors, metadata) });
}

// As `files/checkpoints.py` sums it up: the metadata and each tensor's outline as Python writes JSON, and the numbers.
async function digest(tensors, metadata) {
  const encode = (text) => new TextEncoder().encode(text);
  const entries = Object.keys(metadata).sort().map((key) => `${ascii(key)}: ${ascii(metadata[key])}`);
  const parts = [encode(`{${entries.join(", ")}}`)];
  for (const [name, [numbers, shape]] of Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(encode(`["${name}", "torch.float32", [${shape.join(", ")}]]`), new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  }
  const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  return [...sum].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const escape = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
const ascii = (text) => JSON.stringify(text).replace(/[\x7f-\uffff]/g, escape);

// Whether tensors are those of this method and length, in this model, each with all its numbers.
function fits(hooks, method, length, config) {
  if (!METHODS.includes(method) || !(length >= 1 && length <= 10)) return false;
  const wanted = Object.entries(shapes(method, length, config));
  const full = ([numbers, shape]) => numbers.length === shape.reduce((product, each) => product * each, 1);
  return wanted.length === Object.keys(hooks).length
    && wanted.every(([name, shape]) => String(hooks[name]?.[1]) === String(shape) && full(hooks[name]));
}

const finite = (tensors) => Object.values(tensors).every(([numbers]) => numbers.every(Number.isFinite));

// The bytes of such a file -> {method, length, hooks}; what does not fit this page's model says why.
export async function fromFile(buffer, facts) {
  let tensors, metadata, about;
  try {
    [tensors, metadata] = [read(buffer), metadataOf(buffer)];
    about = JSON.parse(metadata.about);
  } catch {
    throw new WrongFile("notOurs");
  }
  if (!FORMATS.includes(metadata.format) || metadata.kind !== "soft prompt") throw new WrongFile("notOurs");
  if (about.base && about.base !== facts.fingerprint) throw new WrongFile("otherModel");
  const name = about.method?.name ?? about.method;
  const method = Object.keys(CLASSES).find((key) => CLASSES[key] === name);
  const hooks = Object.fromEntries(Object.entries(tensors).map(([each, tensor]) => [`hooks.${each}`, tensor]));
  const [, own] = Object.values(hooks)[0] ?? [null, []];
  const length = own.at(-2);
  if (!fits(hooks, method, length, facts.config)) throw new WrongFile("otherKind");
  const { sha256, ...summed } = metadata;
  const unsummed = metadata.format !== FORMATS[0] || !globalThis.crypto?.subtle;
  const whole = unsummed || sha256 === await digest(tensors, summed);
  if (!whole || !finite(tensors)) throw new WrongFile("damaged");
  return { method, length, hooks };
}

// A state is plain data; under `hooks` are tensors.
export function toLink(state) {
  const packed = Object.entries(state.hooks).map(([name, [numbers, shape]]) => [name, [base64(numbers), shape]]);
  return encodeURIComponent(JSON.stringify({ ...state, hooks: Object.fromEntries(packed) }));
}

export function fromLink(text, config) {
  try {
    const state = JSON.parse(decodeURIComponent(text));
    const unpacked = Object.entries(state.hooks).map(([name, [numbers, shape]]) => [name, [floats(numbers), shape]]);
    const hooks = Object.fromEntries(unpacked), { method, length } = state.fields;
    if (fits(hooks, method, Number(length), config) && finite(hooks) && state.losses.every(Number.isFinite)) {
      return { ...state, hooks };
    }
  } catch {} // it is refused below
  throw new WrongFile("badLink");
}

function base64(numbers) {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function floats(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
