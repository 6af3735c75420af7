// The page's own logic, by Node's own test runner: what torch and the tokenizer say stands in the file RECORDED.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const page = (name) => import(pathToFileURL(`${process.env.PAGE}/${name}`).href);
const { Adam, chance, clip, draw, normal } = await page("learning.js");
const { Words } = await page("text.js");
const { landed, shapes, start } = await page("soft_prompts.js");
const { read } = await page("safetensors.js");
const { getLanguage, LANGUAGES, say, setLanguage, TEXTS } = await page("texts.js");
const recorded = JSON.parse(readFileSync(process.env.RECORDED, "utf8"));
const words = new Words(recorded.vocabulary, recorded.end);
const near = (got, wanted, by = 1e-6) => [...got].forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < by, `${value} ≠ ${wanted[i]}`));

test("Adam with clipped gradients moves as torch's does", () => {
  const values = { p: Float32Array.from(recorded.adam.start) };
  const adam = new Adam(recorded.adam.rate);
  recorded.adam.gradients.forEach((gradient, step) => {
    adam.step(values, clip({ p: Float32Array.from(gradient) }));
    near(values.p, recorded.adam.values[step]);
  });
});

test("texts become the ids that the tokenizer gives, and texts again", () => {
  for (const [text, ids, again] of recorded.texts) {
    assert.deepEqual(words.encode(text), ids);
    assert.equal(words.decode(ids), again);
  }
});

test("a batch has the tokens and targets that Python's has", () => {
  const { tokens, targets } = words.batch(recorded.batch.pairs);
  assert.deepEqual([...tokens[0]].map(Number), recorded.batch.tokens.flat());
  assert.deepEqual([...targets[0]].map(Number), recorded.batch.targets.flat());
  assert.deepEqual(targets[1], [recorded.batch.tokens.length, recorded.batch.tokens[0].length]);
});

test("a word that the model does not know is named, with words that begin like it", () => {
  assert.throws(() => words.encode("Lookk out!"), (error) => error.words[0] === "Lookk" && error.near[0].includes("Look"));
});

test("the vectors of each method have the names and shapes of Python's", () => {
  for (const [method, wanted] of Object.entries(recorded.shapes)) assert.deepEqual(shapes(method, 3, recorded.config), wanted);
});

test("the same seed starts at the same vectors, another seed at others", () => {
  const [[one], [same], [other]] = [5, 5, 6].map((seed) => Object.values(start("prompt", 4, recorded.config, seed))[0]);
  assert.deepEqual(one, same);
  assert.notDeepEqual(one, other);
});

test("numbers by chance have the spread that is asked for", () => {
  const numbers = normal(20000, 0.05, chance(1));
  const mean = numbers.reduce((a, b) => a + b) / numbers.length;
  assert.ok(Math.abs(mean) < 0.002);
  assert.ok(Math.abs(Math.hypot(...numbers) / Math.sqrt(numbers.length) - 0.05) < 0.002);
  assert.equal(new Set(draw([1, 2, 3], 100, chance(2))).size, 3);
});

test("a key/value prefix's gradient is put together from keys and values", () => {
  const step = { "norm.hooks.keys.0": [[3, 0]], "norm.hooks.values.0": [[4, 1]] };
  assert.deepEqual(landed("key_value", step, 2, 1), [[5, 1]]);
});

test("a safetensors file that Python wrote is read", () => {
  const tensors = read(Uint8Array.from(recorded.file).buffer);
  assert.deepEqual(tensors.own[1], [2, 2]);
  near(tensors.own[0], [1, -2, 0.5, 3]);
});

test("every text is there in every language, with the same places to fill", () => {
  const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const [key, texts] of Object.entries(TEXTS)) {
    assert.equal(texts.length, LANGUAGES.length, key);
    for (const text of texts) assert.deepEqual(places(text), places(texts[0]), key);
  }
  setLanguage("zh");
  assert.equal(getLanguage(), "zh");
  assert.equal(say("loss"), "损失");
});
