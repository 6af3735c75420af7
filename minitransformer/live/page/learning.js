// What an optimizer does with gradients, as torch.optim.Adam does it, and numbers by chance that a seed decides.

export class Adam {
  constructor(rate = 0.03, betas = [0.9, 0.999], eps = 1e-8) {
    Object.assign(this, { rate, betas, eps, steps: 0, moments: new Map() });
  }

  // Changes each array of `parameters` in place; both are objects of Float32Arrays by name.
  step(parameters, gradients, rate = this.rate) {
    this.steps += 1;
    const [keep, keepSquares] = this.betas;
    const own = rate / (1 - keep ** this.steps);
    const root = Math.sqrt(1 - keepSquares ** this.steps);
    for (const [name, gradient] of Object.entries(gradients)) {
      const values = parameters[name];
      if (!this.moments.has(name)) {
        this.moments.set(name, [new Float32Array(values.length), new Float32Array(values.length)]);
      }
      const [mean, square] = this.moments.get(name);
      for (let i = 0; i < values.length; i += 1) {
        mean[i] = keep * mean[i] + (1 - keep) * gradient[i];
        square[i] = keepSquares * square[i] + (1 - keepSquares) * gradient[i] ** 2;
        values[i] -= (own * mean[i]) / (Math.sqrt(square[i]) / root + this.eps);
      }
    }
  }
}

// The length of all gradients together.
export function length(gradients) {
  let squares = 0;
  for (const gradient of Object.values(gradients)) for (const value of gradient) squares += value * value;
  return Math.sqrt(squares);
}

// Two of them added, as `backward` adds to what `zero_grad` did not clear; there may be none yet.
export function sum(gradients, before) {
  const entries = Object.entries(gradients);
  return Object.fromEntries(entries.map(([name, gradient]) => [name, gradient.map((value, i) => value + (before?.[name][i] ?? 0))]));
}

// All gradients together no longer than `most`, as torch.nn.utils.clip_grad_norm_ does it.
export function clip(gradients, most = 1) {
  const factor = Math.min(1, most / (length(gradients) + 1e-6));
  const scaled = Object.entries(gradients).map(([name, gradient]) => [name, gradient.map((value) => value * factor)]);
  return Object.fromEntries(scaled);
}

// Numbers from 0 to 1: the same seed, the same numbers (mulberry32).
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function normal(count, scale, random) {
  const one = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Float32Array.from({ length: count }, () => scale * one());
}

export const draw = (list, count, random) => Array.from({ length: count }, () => list[Math.floor(random() * list.length)]);
