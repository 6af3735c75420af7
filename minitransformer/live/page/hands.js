// Hands on: one vector of a prompt is replaced, scaled, moved, swapped or taken out; the others stay as they are.

// A tensor is [numbers, [P, D]]; each of these gives a new one.
const size = ([, [, width]]) => width;
export const vector = (tensor, place) => tensor[0].subarray(place * size(tensor), (place + 1) * size(tensor));

export function replaced(tensor, place, numbers) {
  const made = tensor[0].slice();
  made.set(numbers, place * size(tensor));
  return [made, [...tensor[1]]];
}

export const scaled = (tensor, place, factor) =>
  replaced(tensor, place, vector(tensor, place).map((number) => number * factor));

export const swapped = (tensor, one, other) =>
  replaced(replaced(tensor, one, vector(tensor, other)), other, vector(tensor, one));

export function removed([numbers, [length, width]], place) {
  const left = [...Array(length).keys()].filter((each) => each !== place);
  return [Float32Array.from(left.flatMap((each) => [...vector([numbers, [length, width]], each)])), [length - 1, width]];
}

// By so much along the two axes of the plane of words, each of length one.
export const moved = (tensor, place, axes, by) =>
  replaced(tensor, place, vector(tensor, place).map((number, i) => number + by[0] * axes[0][i] + by[1] * axes[1][i]));

// The buttons, and the vectors in the plane, which a pointer or the arrow keys move.
export function handsOn(stage) {
  const $ = (id) => document.getElementById(id);
  const place = () => Number($("which").value);
  const tensor = () => stage.learner.hooks["hooks.vectors"];
  let trained = null; // as they were before the first touch

  async function change(made) {
    trained ??= tensor();
    await stage.become("prompt", { "hooks.vectors": made });
  }

  function show() {
    const { method, length } = stage.learner;
    $("hands").hidden = method !== "prompt";
    const chosen = Math.min(place(), length - 1);
    $("which").replaceChildren(...Array.from({ length }, (_, i) => new Option(`p${i}`, i)));
    $("which").value = chosen;
    for (const id of ["swap", "take"]) $(id).disabled = length < 2;
    $("back").disabled = !trained;
  }

  const on = (id, act) => $(id).addEventListener("click", () => stage.attempt(act));
  on("swap", () => change(swapped(tensor(), place(), (place() + 1) % stage.learner.length)));
  on("take", () => change(removed(tensor(), place())));
  on("scale", () => change(scaled(tensor(), place(), Number($("factor").value))));
  on("replace", () => change(replaced(tensor(), place(), stage.embeddingOf($("by").value.trim()))));
  on("back", async () => {
    await stage.become("prompt", { "hooks.vectors": trained });
    trained = null;
    show();
  });

  const drag = async (at, by) => change(moved(tensor(), at, stage.facts.plane.axes, by));
  $("plane").addEventListener("keydown", (event) => {
    const [right, up] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
    const at = event.target.dataset?.vector;
    if (at === undefined || !(right || up)) return;
    event.preventDefault();
    stage.attempt(() => drag(Number(at), [right, up].map((way, axis) => (way * stage.span()[axis]) / 20)))
      .then(() => $("plane").querySelector(`[data-vector="${at}"]`)?.focus());
  });
  let held = null;
  $("plane").addEventListener("pointerdown", (event) => {
    if (event.target.dataset?.vector === undefined || stage.running) return;
    held = { at: Number(event.target.dataset.vector), from: [event.clientX, event.clientY], dot: event.target };
    $("plane").setPointerCapture(event.pointerId);
  });
  $("plane").addEventListener("pointermove", (event) => {
    if (!held) return;
    const scale = $("plane").viewBox.baseVal.width / $("plane").getBoundingClientRect().width;
    const by = [event.clientX - held.from[0], event.clientY - held.from[1]].map((pixels) => pixels * scale);
    held.dot.setAttribute("transform", `translate(${by[0].toFixed(1)} ${by[1].toFixed(1)})`);
    held.by = by;
  });
  $("plane").addEventListener("pointercancel", () => {
    held?.dot.removeAttribute("transform");
    held = null;
  });
  $("plane").addEventListener("pointerup", () => {
    const { at, by } = held ?? {};
    held = null;
    if (by) stage.attempt(() => drag(at, stage.inPlane(by)));
  });
  return { show, forget: () => (trained = null) };
}
