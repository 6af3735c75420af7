// The page's own logic, by Node's own test runner: what torch and the tokenizer say stands in the file RECORDED.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const page = (name) => import(pathToFileURL(`${process.env.PAGE}/${name}`).href);
const { shares } = await page("attention.js");
const { moved, removed, replaced, scaled, swapped } = await page("hands.js");
const { fromFile, fromLink, toFile, toLink } = await page("keeping.js");
const { Adam, chance, clip, draw, length, normal, sum } = await page("learning.js");
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

const facts = { fingerprint: recorded.fingerprint, config: recorded.config };

test("a soft prompt that Python saved is read, and written again to the same bytes' worth", async () => {
  for (const [method, bytes] of Object.entries(recorded.files)) {
    const read = await fromFile(Uint8Array.from(bytes).buffer, facts);
    assert.equal(read.method, method);
    assert.equal(read.length, 3);
    const written = await toFile(method, read.length, read.hooks, facts.fingerprint);
    writeFileSync(`${process.env.PAGE}/${method}.safetensors`, new Uint8Array(written)); // Python looks at it
    assert.deepEqual(await fromFile(written, facts), read);
  }
});

test("a file that is none of ours, of another model or kind, or damaged is refused with the reason", async () => {
  const bytes = Uint8Array.from(recorded.files.prompt);
  const refused = (numbers, message, about = facts) =>
    assert.rejects(fromFile(Uint8Array.from(numbers).buffer, about), { message });
  await refused(bytes, "otherModel", { ...facts, fingerprint: "0" });
  await refused(bytes, "otherKind", { ...facts, config: { ...facts.config, width: 64 } });
  await refused(recorded.file, "notOurs");
  for (const broken of [[], [1, 2, 3], new TextEncoder().encode("text,answer")]) await refused(broken, "notOurs");
  await refused(recorded.too_long, "otherKind");
  await refused(bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)), "damaged");
  const first = new TextDecoder("latin1").decode(bytes).replace("minitransformer 2", "minitransformer 1");
  const older = Uint8Array.from(first, (letter) => letter.charCodeAt(0)); // that format has no sum to look at
  await fromFile(older.buffer, facts);
  await refused([...older.slice(0, -4), 0, 0, 192, 127], "damaged"); // ends in NaN
  await refused(older.slice(0, -4), "otherKind");
});

test("a state goes into a link and comes out of it, and what is no state is refused", () => {
  const fields = { sentence: "Look out! & 小心=#", method: "prefix", length: "2" };
  const state = { language: "zh", losses: [1.5, 0.25], fields, hooks: start("prefix", 2, recorded.config, 1) };
  assert.deepEqual(fromLink(toLink(state), recorded.config), state);
  const wrong = [
    { ...state, fields: { ...fields, method: "prompt" } }, { ...state, fields: { ...fields, length: "3" } },
    { ...state, fields: { ...fields, method: "other" }, hooks: start("key_value", 2, recorded.config, 1) },
    { ...state, losses: ["<b>"] },
    { ...state, hooks: { "hooks.vectors": [Float32Array.of(1), [4, 2, 128]] } },
    { ...state, hooks: { "hooks.vectors": [new Float32Array(4 * 2 * 128).fill(NaN), [4, 2, 128]] } },
  ].map(toLink);
  for (const text of ["", "%", "{}", "null", toLink(state).slice(0, -40), ...wrong]) {
    assert.throws(() => fromLink(text, recorded.config), { message: "badLink" });
  }
});

test("by hand one vector changes and the others stay", () => {
  const tensor = [Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]];
  assert.deepEqual(scaled(tensor, 1, 0), [Float32Array.of(1, 2, 0, 0, 5, 6), [3, 2]]);
  assert.deepEqual(replaced(tensor, 2, [7, 8]), [Float32Array.of(1, 2, 3, 4, 7, 8), [3, 2]]);
  assert.deepEqual(swapped(tensor, 0, 2), [Float32Array.of(5, 6, 3, 4, 1, 2), [3, 2]]);
  assert.deepEqual(removed(tensor, 0), [Float32Array.of(3, 4, 5, 6), [2, 2]]);
  assert.deepEqual(moved(tensor, 0, [[1, 0], [0, 1]], [10, -20]), [Float32Array.of(11, -18, 3, 4, 5, 6), [3, 2]]);
  assert.deepEqual(tensor[0], Float32Array.of(1, 2, 3, 4, 5, 6));
});

test("shares of attention are one head's or the mean over all, and what is not the vectors' is the text's", () => {
  const numbers = Float32Array.of(0.5, 0.25, 0.25, 0.1, 0.2, 0.7); // one layer, two heads, one place, three keys
  const [[first, second, rest]] = shares([numbers, [1, 1, 2, 1, 3]], 2, 0);
  near([first, second, rest], [0.3, 0.225, 0.475]);
  near(shares([numbers, [1, 1, 2, 1, 3]], 2, 0, 1)[0], [0.1, 0.2, 0.7]);
});

test("gradients that nobody clears add up", () => {
  const one = { p: Float32Array.of(3, 4) };
  assert.equal(length(one), 5);
  assert.deepEqual(sum(one), one);
  assert.deepEqual(sum(one, sum(one)), { p: Float32Array.of(6, 8) });
});
