// Predict first: a guess, and then the experiment itself says what is so. Nothing is told that was not run just now.

import { removed, scaled } from "./hands.js";

const short = (value) => (value < 1e-3 ? value.toExponential(0) : value.toFixed(3));

// Each: its options as keys of texts, and a run that gives the right one and the numbers that show it.
export const CHALLENGES = {
  matters: {
    lesson: "04_what_did_it_learn",
    options: ({ learner }) => Array.from({ length: learner.length }, (_, i) => `p${i}`),
    async run(stage) {
      const whole = stage.learner.hooks["hooks.vectors"];
      const losses = [];
      for (let i = 0; i < whole[1][0]; i += 1) losses.push(await stage.lossWith(removed(whole, i)));
      const right = losses.indexOf(Math.max(...losses));
      const shown = losses.map((loss, i) => `p${i} ${short(loss)}`).join(", ");
      return { right: `p${right}`, values: { loss: short(await stage.lossWith(whole)), shown } };
    },
    needs: 2,
  },
  nothing: {
    lesson: "05_prefix_tuning",
    options: () => ["same", "different"],
    async run(stage) {
      const whole = stage.learner.hooks["hooks.vectors"];
      const [zero, gone] = [await stage.lossWith(scaled(whole, 0, 0)), await stage.lossWith(removed(whole, 0))];
      return { right: Math.abs(zero - gone) < 1e-4 ? "same" : "different", values: { zero: short(zero), gone: short(gone) } };
    },
    needs: 2,
  },
  compiled: {
    lesson: "07_serving_many_tenants",
    options: () => ["rounding", "little", "much"],
    async run(stage) {
      const { apart, answer } = await stage.compare(await stage.compiled());
      return { right: apart < 1e-3 ? "rounding" : apart < 1 ? "little" : "much", values: { apart: apart.toExponential(0), answer } };
    },
    needs: 1,
  },
  thawed_base: {
    lesson: "03_one_training_step",
    options: () => ["asMany", "fewer"],
    async run(stage) {
      const values = await stage.trainTheBase(30, 12);
      return { right: values.after < values.before ? "fewer" : "asMany", values };
    },
    needs: 1,
  },
};

export function challenges(stage) {
  const $ = (id) => document.getElementById(id);

  function show() {
    const { say, learner, facts } = stage;
    const name = $("challenge").value || Object.keys(CHALLENGES)[0];
    $("challenge").replaceChildren(...Object.keys(CHALLENGES).map((each) => new Option(say(`${each}Short`), each)));
    $("challenge").value = name;
    $("question").textContent = say(`${name}Question`);
    $("guesses").replaceChildren(...CHALLENGES[name].options(stage).map((option) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "guess", value: option });
      label.append(input, option.startsWith("p") ? option : say(option));
      return label;
    }));
    $("revealed").textContent = "";
    $("try").disabled = learner.method !== "prompt" || learner.length < CHALLENGES[name].needs;
    $("why-not").hidden = !$("try").disabled;
    $("lesson").hidden = !facts.lessons;
    $("lesson").href = `${facts.lessons ?? ""}${CHALLENGES[name].lesson}.html`;
  }

  async function run() {
    const name = $("challenge").value, { say } = stage;
    const guess = document.querySelector("#guesses input:checked")?.value;
    if (!guess) return void ($("revealed").textContent = say("guessFirst"));
    $("revealed").textContent = say("running");
    const { right, values } = await CHALLENGES[name].run(stage).finally(() => ($("revealed").textContent = ""));
    const verdict = guess === right ? say("guessedRight") : say("guessedOther", { right: right.startsWith("p") ? right : say(right) });
    $("revealed").textContent = `${verdict} ${say(`${name}Shown`, values)}`;
  }

  $("challenge").addEventListener("change", show);
  $("try").addEventListener("click", () => stage.attempt(run));
  return { show };
}
