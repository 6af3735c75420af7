// What the reader does, and what is shown of it.

import * as attention from "./attention.js";
import { CHALLENGES, challenges } from "./challenges.js";
import { Engine } from "./engine.js";
import { handsOn } from "./hands.js";
import { fromFile, fromLink, toFile, toLink, WrongFile } from "./keeping.js";
import { Adam, chance, clip, draw, length as lengthOf, sum } from "./learning.js";
import { curve, inPlane, nearest, plane } from "./pictures.js";
import { METHODS, start } from "./soft_prompts.js";
import { rowsOf, Stack } from "./stack.js";
import { Words } from "./text.js";
import { getLanguage, LANGUAGES, say, setLanguage } from "./texts.js";

const ROWS = 8, RATE = 0.03, WARMUP = 10;
const PROGRAMS = ["frozen", "thawed", "trained", "no_grad", "detach", "stale"];
const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const engine = new Engine();
const stack = new Stack($("cells"), $("detail"));
let facts, embedding, words, learner, span, running = false, busy = Promise.resolve(), phase = ["still"], step = null;

// ---------------------------------------------------------------------------------------------- what is asked for

const program = () => document.querySelector("#program input:checked")?.value ?? "frozen";
const flows = () => !["no_grad", "detach"].includes(program());
const unfrozen = () => ["thawed", "trained"].includes(program());
const asked = () => `${$("sentence").value.trim()} →`;
const shown = () => [asked(), $("wanted").value.trim()];

function pairs() {
  if ($("skill").value !== "own") return facts.examples.train[$("skill").value].filter(([text]) => text !== asked());
  const lines = $("pairs").value.split("\n").map((line) => line.split("=").map((part) => part.trim()));
  const whole = lines.filter((parts) => parts.length === 2 && parts.every(Boolean));
  if (whole.length < 4) throw new Mistake(say("tooFew"));
  return whole.map(([text, answer]) => [`${text} →`, answer]);
}

class Mistake extends Error {}

function explained(error) {
  if (error instanceof WrongFile) return say(error.message);
  if (!error.words) return error.message;
  const near = [...new Set(error.near.flat())].join(", ");
  return say("unknown", { words: error.words.join(", ") }) + (near ? ` ${say("near", { words: near })}` : "");
}

// ------------------------------------------------------------------------------------------------------- learning

function begin() {
  const method = $("method").value, seed = Number($("seed").value) || 0;
  const length = Math.min(10, Math.max(1, Math.round(Number($("length").value)) || 4));
  const hooks = start(method, length, facts.config, seed);
  learner = { method, length, hooks, adam: new Adam(RATE), random: chance(seed + 1), losses: [], trail: [], norm: null };
  hands.forget();
  keepPlaces();
}

function keepPlaces() {
  if (learner.method !== "prompt") return;
  const [vectors] = learner.hooks["hooks.vectors"], { width } = facts.config;
  const { axes, mean } = facts.plane;
  const on = (i, axis) => axis.reduce((sum, part, j) => sum + part * (vectors[i * width + j] - mean[j]), 0);
  learner.trail.push(Array.from({ length: learner.length }, (_, i) => axes.map((axis) => on(i, axis))));
}

const forwardAnswer = (text, hooks = learner.hooks, method = learner.method) =>
  engine.call("answer", { graph: `${method}-forward`, inputs: hooks, tokens: words.encode(text) });

function graphStep(batch, wanted, learnBase = false) {
  const graph = `${learner.method}-${unfrozen() ? "unfrozen" : "step"}`;
  return engine.call("run", { graph, inputs: { ...learner.hooks, ...batch }, wanted, learnBase });
}

async function learn() {
  const batch = words.batch(draw(pairs(), ROWS, learner.random));
  const names = Object.keys(learner.hooks);
  const began = performance.now();
  const result = await graphStep(batch, ["loss", ...names.map((name) => `gradient.${name}`)], program() === "trained");
  learner.milliseconds = performance.now() - began;
  learner.losses.push(result.loss[0][0]);
  if (!flows()) return;
  let gradients = Object.fromEntries(names.map((name) => [name, result[`gradient.${name}`][0]]));
  if (program() === "stale") gradients = learner.stale = sum(gradients, learner.stale);
  learner.norm = lengthOf(gradients);
  const values = Object.fromEntries(names.map((name) => [name, learner.hooks[name][0]]));
  learner.adam.step(values, clip(gradients), RATE * Math.min(1, learner.losses.length / WARMUP));
  keepPlaces();
}

async function train() {
  running = true;
  label();
  while (running && (await attempt(learn))) {
    if (learner.losses.length % 5 === 0) await attempt(answers);
    draw_training();
    if (!flows()) break;
    await new Promise(requestAnimationFrame);
  }
  running = false;
  label();
  await attempt(answers);
  await look();
}

// One thing at a time; what the reader got wrong is said, and nothing else is done.
async function attempt(act) {
  busy = busy.then(async () => {
    try {
      await act();
      $("mistake").textContent = "";
      return true;
    } catch (error) {
      $("mistake").textContent = explained(error);
      return false;
    }
  });
  return busy;
}

async function answers() {
  const said = words.decode(await forwardAnswer(asked()));
  $("asked").textContent = asked();
  $("answer").textContent = said;
  $("answer").className = said === $("wanted").value.trim() ? "right" : "";
  const text = `${facts.wordings[otherSkill()][0]}: ${asked()}`;
  $("other").textContent = say("other");
  $("others-asked").textContent = text;
  $("others").textContent = words.decode(await forwardAnswer(text, {}, "none"));
}

// ------------------------------------------------------------------------------------------ other vectors by hand

// The vectors become these, which may be fewer, or of another method.
async function become(method, hooks) {
  const [, shape] = Object.values(hooks)[0];
  const { losses, random } = learner;
  learner = { method, length: shape.at(-2), hooks, adam: new Adam(RATE), random, losses, trail: [], norm: null };
  $("method").value = method;
  $("length").value = learner.length;
  keepPlaces();
  await answers();
  draw_training();
  step = await graphStep(words.batch([shown()]));
  draw_stack();
}

function embeddingOf(word) {
  const [id, ...more] = words.encode(word);
  if (id === undefined || more.length) throw new Mistake(say("oneWord"));
  return embedding.subarray(id * facts.config.width, (id + 1) * facts.config.width);
}

async function lossWith(tensor) {
  const inputs = { "hooks.vectors": tensor, ...words.batch([shown()]) };
  return (await engine.call("run", { graph: "prompt-step", inputs, wanted: ["loss"] })).loss[0][0];
}

const logitsOf = async (method, hooks, tokens) => {
  const text = [BigInt64Array.from(tokens, BigInt), [1, tokens.length]];
  const { logits } = await engine.call("run", { graph: `${method}-forward`, inputs: { ...hooks, tokens: text }, wanted: ["logits"] });
  return logits[0];
};

// The keys and values that the base makes of the vectors: those of the places in front of any text.
async function compiled() {
  const text = [BigInt64Array.of(0n), [1, 1]];
  const inputs = { ...learner.hooks, tokens: text };
  const made = await engine.call("run", { graph: "prompt-forward", inputs, wanted: ["keys", "values"] });
  const { length } = learner, hooks = {};
  for (const part of ["keys", "values"]) {
    const [numbers, [layers, , heads, places, width]] = made[part];
    for (let layer = 0; layer < layers; layer += 1) {
      const rows = Array.from({ length: heads }, (_, head) => {
        const from = (layer * heads + head) * places * width;
        return [...numbers.subarray(from, from + length * width)];
      });
      hooks[`hooks.${part}.${layer}`] = [Float32Array.from(rows.flat()), [heads, length, width]];
    }
  }
  return hooks;
}

// How far the logits of a prompt and of a key/value prefix lie apart on the sentence, and what the latter answers.
async function compare(prefix) {
  const tokens = words.encode(shown().join(" "));
  const [one, other] = [await logitsOf("prompt", learner.hooks, tokens), await logitsOf("key_value", prefix, tokens)];
  const apart = one.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i])), 0);
  return { apart, answer: words.decode(await forwardAnswer(asked(), prefix, "key_value")) };
}

async function compile() {
  const prefix = await compiled();
  const { apart, answer } = await compare(prefix);
  await become("key_value", prefix);
  $("compiled").textContent = say("compiledTo", { apart: apart.toExponential(0), answer });
}

const otherSkill = () => ($("skill").value === "shout" ? "chinese" : "shout");

// The base trained for some steps behind vectors as they begin, and put back: how much it knows of another skill.
async function trainTheBase(steps, count) {
  const skill = otherSkill(), hooks = start("prompt", learner.length, facts.config, 0), random = chance(1);
  const examples = facts.examples.test[skill].slice(0, count), names = Object.keys(hooks);
  const right = async () => {
    let found = 0;
    for (const [text, answer] of examples) {
      const said = await forwardAnswer(`${facts.wordings[skill][0]}: ${text}`, {}, "none");
      found += words.decode(said) === answer;
    }
    return found;
  };
  const before = await right();
  for (let i = 0; i < steps; i += 1) {
    const inputs = { ...hooks, ...words.batch(draw(pairs(), ROWS, random)) };
    await engine.call("run", { graph: "prompt-unfrozen", inputs, wanted: names.map((name) => `gradient.${name}`), learnBase: true });
  }
  const after = await right();
  await engine.call("restore");
  return { skill: facts.wordings[skill][0], count, before, after };
}

const stage = {
  get learner() { return learner; },
  get facts() { return facts; },
  get running() { return running; },
  span: () => span,
  inPlane: (by) => inPlane(by, span),
  say, attempt, become, embeddingOf, lossWith, compiled, compare, trainTheBase,
};
const hands = handsOn(stage), predict = challenges(stage);

// ------------------------------------------------------------------------------------------------- what is kept

const FIELDS = ["skill", "sentence", "wanted", "pairs", "seed", "method", "length"];

function link() {
  const fields = Object.fromEntries(FIELDS.map((name) => [name, $(name).value]));
  const { hooks, losses } = learner;
  const state = { language: getLanguage(), program: program(), fields, losses, hooks };
  history.replaceState(null, "", `#state=${toLink(state)}`);
  $("kept").textContent = say("linked");
}

async function save() {
  if (!globalThis.crypto?.subtle) throw new Mistake(say("noSum"));
  const bytes = await toFile(learner.method, learner.length, learner.hooks, facts.fingerprint);
  const made = Object.assign(document.createElement("a"), { download: "soft_prompt.safetensors" });
  made.href = URL.createObjectURL(new Blob([bytes]));
  made.click();
  URL.revokeObjectURL(made.href);
}

async function load(bytes) {
  const { method, length, hooks } = await fromFile(bytes, facts);
  hands.forget();
  await become(method, hooks);
  $("kept").textContent = say("loaded", { method: say(method), length });
}

// What the address asks for: a whole state, a soft prompt (in a file beside the page, or in the address itself), or a question.
async function fromAddress() {
  const [name, value] = location.hash.slice(1).split(/=(.*)/s);
  if (name === "prompt") {
    await attempt(async () => {
      const file = new URL(decodeURIComponent(value), location.href);
      if (file.protocol !== "data:" && file.origin !== location.origin) throw new Mistake(say("notBeside"));
      const got = await fetch(file);
      if (!got.ok) throw new Mistake(say("noFile", { file: file.pathname }));
      await load(await got.arrayBuffer());
    });
  }
  if (name === "state") {
    await attempt(async () => {
      const state = fromLink(value, facts.config);
      setLanguage(state.language);
      for (const field of FIELDS) $(field).value = state.fields[field] ?? "";
      const chosen = document.querySelector(`#program input[value="${state.program}"]`);
      if (chosen) chosen.checked = true;
      offer();
      texts();
      begin();
      learner.losses = state.losses;
      await become(state.fields.method, state.hooks);
    });
  }
  if (name === "challenge" && Object.hasOwn(CHALLENGES, value)) {
    $("challenge").value = value;
    predict.show();
    $("predict").scrollIntoView();
  }
}

// --------------------------------------------------------------------------------------------------- the one step

// Forward and backward on the one sentence that is shown, with everything on the way.
async function look() {
  await attempt(async () => {
    if (!shown().every(Boolean) || asked() === " →") throw new Mistake(say("empty"));
    step = await graphStep(words.batch([shown()]));
  });
  draw_stack();
}

function draw_stack() {
  if (!step) return;
  const [text, answer] = shown().map((part) => words.encode(part));
  const labels = [...text, ...answer].map((id) => words.vocabulary[id]);
  const rows = rowsOf({
    step, method: learner.method, length: learner.length, layers: facts.config.layers, labels,
    parameters: Object.keys(facts.parameters), withGradient: flows() ? "learned" : "",
  });
  const columns = [...Array.from({ length: learner.length }, (_, i) => `p${i}`), ...labels];
  const targets = { [learner.length + text.length - 1 + answer.length]: "<end>" };
  answer.forEach((id, i) => (targets[learner.length + text.length - 1 + i] = words.vocabulary[id]));
  stack.show(rows, columns, targets);
  draw_attention(text.length);
  say_phase();
}

// At the place where the answer begins.
function draw_attention(textLength) {
  const { method, length } = learner;
  const place = textLength - 1 + (method === "prompt" ? length : 0);
  const heads = Array.from({ length: facts.config.heads }, (_, head) => say("oneHead", { number: head + 1 }));
  options($("head"), [["", say("allHeads")], ...heads.map((name, head) => [String(head), name])]);
  const only = $("head").value === "" ? null : Number($("head").value);
  const rows = attention.shares(step.attention, length, place, only);
  const layers = rows.map((_, layer) => say("block", { number: layer + 1 }));
  attention.table($("shares"), rows, layers, [...Array.from({ length }, (_, i) => `p${i}`), say("wholeText")], say("layer"));
}

function say_phase() {
  const [name] = phase;
  const loss = step ? step.loss[0][0].toFixed(3) : "";
  const count = Object.keys(facts?.parameters ?? {}).length;
  $("phase").textContent = say(name, { loss, count, bytes: bytes() });
}

function bytes() {
  const numbers = Object.values(facts.parameters).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b), 0);
  return `${((4 * numbers) / 2 ** 20).toFixed(1)} MiB`;
}

const height = () => facts.config.layers + 1;
const ended = () => (!flows() ? "nowhere" : unfrozen() ? "everywhere" : "landed");

function reveal(up, down) {
  phase = [up < height() ? "up" : !down ? "top" : !flows() || down === height() ? ended() : "down"];
  stack.reveal(up, flows() ? down : 0);
  say_phase();
}

const wait = () => new Promise((resolve) => setTimeout(resolve, still.matches ? 0 : 450));

async function forward() {
  await look();
  for (let up = 1; up <= height(); up += 1) {
    reveal(up, 0);
    await wait();
  }
}

async function backward() {
  if (stack.up < height()) await forward();
  for (let down = 1; down <= (flows() ? height() : 1); down += 1) {
    reveal(height(), down);
    await wait();
  }
}

async function further() {
  if (!step || stack.down === height() || phase[0] === "nowhere") {
    await look();
    reveal(1, 0);
  } else if (stack.up < height()) reveal(stack.up + 1, 0);
  else reveal(height(), stack.down + 1);
}

// -------------------------------------------------------------------------------------------------------- drawing

function draw_training() {
  const { losses, milliseconds, trail, method } = learner;
  $("steps").textContent = losses.length;
  $("loss").textContent = losses.length ? losses.at(-1).toFixed(3) : "–";
  $("norm").textContent = learner.norm === null ? "–" : learner.norm.toPrecision(2);
  $("time").textContent = milliseconds ? `${milliseconds.toFixed(0)} ms` : "–";
  curve($("curve"), losses, `${say("curve")}: ${losses.length ? losses.at(-1).toFixed(3) : "–"}`);
  $("among").hidden = $("nearest-words").hidden = method !== "prompt";
  hands.show();
  predict.show();
  if (method !== "prompt") return;
  const trails = trail[0].map((_, i) => trail.map((moment) => moment[i]));
  span = plane($("plane"), facts.plane.words, trails, say("plane"), (place) => say("virtual", { place }));
  nearest($("nearest"), learner.hooks["hooks.vectors"][0], embedding, facts.vocabulary, facts.config.width);
}

function label() {
  $("go").textContent = say(running ? "pause" : "go");
  for (const id of ["go", "once", "again", "forward", "backward", "row"]) $(id).disabled = !facts;
  if (running) for (const id of ["once", "forward", "backward", "row"]) $(id).disabled = true;
}

function options(select, entries) {
  const chosen = select.value;
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
  if (entries.some(([value]) => value === chosen)) select.value = chosen;
}

function texts() {
  document.documentElement.lang = getLanguage();
  document.title = say("title");
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = say(each.dataset.text);
  const other = LANGUAGES.find((name) => name !== getLanguage());
  $("language").textContent = { en: "English", zh: "中文" }[other];
  $("language").lang = other;
  const chosen = program();
  $("program").replaceChildren(...PROGRAMS.map((name) => {
    const box = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "program", value: name, checked: name === chosen });
    box.append(input, say(name));
    return box;
  }));
  consequence();
  label();
  options($("method"), METHODS.map((name) => [name, say(name)]));
  if (!facts) return;
  options($("skill"), [...Object.keys(facts.wordings).map((name) => [name, name.replaceAll("_", " ")]), ["own", say("own")]]);
  $("about").textContent = say("about", { fingerprint: facts.fingerprint, commit: facts.commit || "–" });
  draw_training();
  draw_stack();
  say_phase();
}

function consequence() {
  const name = program();
  $("consequence").textContent = facts ? say(`because${name[0].toUpperCase()}${name.slice(1)}`, { bytes: bytes() }) : "";
}

// ------------------------------------------------------------------------------------------------- from the start

async function restart() {
  running = false;
  await attempt(async () => {
    await engine.call("restore");
    begin();
    step = null;
    await answers();
  });
  draw_training();
  await look();
  phase = ["still"];
  stack.reveal(0, 0);
  say_phase();
}

// Sentences to pick from, and the answer where it is known; asked in words, the model itself gives one to the others.
function offer() {
  $("own").hidden = $("skill").value !== "own";
  const known = facts.examples.test[$("skill").value] ?? [];
  $("sentences").replaceChildren(...known.map(([text]) => new Option(text.replace(/ →$/, ""))));
}

async function propose() {
  const skill = $("skill").value;
  const all = [...(facts.examples.test[skill] ?? []), ...(facts.examples.train[skill] ?? [])];
  const known = all.find(([text]) => text === asked());
  if (known) $("wanted").value = known[1];
  else if (skill !== "own" && !facts.held_out.includes(skill)) {
    await attempt(async () => {
      const said = await forwardAnswer(`${facts.wordings[skill][0]}: ${asked()}`, {}, "none");
      $("wanted").value = words.decode(said);
    });
  }
}

async function main() {
  setLanguage(navigator.language.startsWith("zh") ? "zh" : "en");
  texts();
  $("status").textContent = say("loading");
  if (typeof WebAssembly !== "object") return void ($("status").textContent = say("noWasm"));
  try {
    ({ facts, embedding } = await engine.call("load"));
  } catch (error) {
    return void ($("status").textContent = `${say("failed")}: ${error.message}`);
  }
  words = new Words(facts.vocabulary, facts.end);
  $("status").textContent = "";
  $("known").replaceChildren(...facts.vocabulary.map((word) => new Option(word)));
  begin();
  texts();
  $("skill").value = "chinese";
  $("sentence").value = facts.look_out.replace(/ →$/, "");
  offer();
  await propose();
  await restart();
  await fromAddress();
  document.documentElement.dataset.ready = "yes";
}

$("language").addEventListener("click", () => {
  setLanguage(LANGUAGES.find((name) => name !== getLanguage()));
  texts();
  attempt(answers);
});
$("go").addEventListener("click", () => (running ? (running = false) : train()));
$("once").addEventListener("click", async () => {
  if (!(await attempt(learn))) return;
  await attempt(answers);
  draw_training();
  await look();
});
$("again").addEventListener("click", restart);
$("compile").addEventListener("click", () => attempt(compile));
$("link").addEventListener("click", link);
$("save").addEventListener("click", () => attempt(save));
$("load").addEventListener("change", () => {
  const [file] = $("load").files;
  $("load").value = ""; // so that the same file may be chosen again
  if (file) attempt(async () => load(await file.arrayBuffer()));
});
addEventListener("hashchange", fromAddress);
$("forward").addEventListener("click", forward);
$("backward").addEventListener("click", backward);
$("row").addEventListener("click", further);
$("skill").addEventListener("change", async () => {
  offer();
  if ($("skill").value === "own") return void (running = false);
  await propose();
  await restart();
});
$("sentence").addEventListener("change", async () => {
  await propose();
  await attempt(answers);
  await look();
});
$("wanted").addEventListener("change", look);
$("head").addEventListener("change", draw_stack);
for (const id of ["method", "length", "seed"]) $(id).addEventListener("change", restart);
$("pairs").addEventListener("change", restart);
$("program").addEventListener("change", async () => {
  running = false;
  consequence();
  await restart();
});
main();
