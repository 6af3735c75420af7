// The stack as a table: columns of tokens, layers upward, and beside each layer the base's own parameters.

import { landed } from "./soft_prompts.js";
import { say } from "./texts.js";

function short(value) {
  if (!value) return "0";
  return value >= 100 ? value.toFixed(0) : value >= 0.001 ? String(Number(value.toPrecision(2))) : value.toExponential(0);
}

const strength = (value, most) => Math.max(0.08, Math.min(0.85, 0.85 + Math.log10(value / most + 1e-9) / 4)); // four decades

// A step, as the worker gives it, -> rows from the bottom up: where a cell stands, its value, its gradient or null.
export function rowsOf({ step, method, length, layers, labels, parameters, withGradient }) {
  const [stream, [, rows, places, width]] = step.stream;
  const virtual = places - labels.length; // in the stream itself: those of a prompt
  const reached = withGradient ? step.stream_norms[1][0] : 0;
  const own = withGradient === "learned" ? landed(method, step, length, layers) : null;
  const norm = (layer, place) => {
    const from = ((layer * rows) * places + place) * width;
    return Math.hypot(...stream.subarray(from, from + width));
  };
  const gradient = (layer, place) => {
    const at = layer - (layers + 1 - reached);
    return at < 0 ? null : step.stream_norms[0][at * places + place];
  };
  const of_base = (layer) => parameters.filter((name) => (layer < 0 ? !name.startsWith("blocks.") : name.startsWith(`blocks.${layer}.`)));
  return Array.from({ length: layers + 1 }, (_, layer) => ({
    layer,
    cells: [
      ...Array.from({ length }, (_, place) => {
        const where = say("virtual", { place });
        if (virtual && layer) return { where, value: norm(layer, place), gradient: gradient(layer, place) };
        const learned = virtual ? layer === 0 : layer > 0;
        if (!learned) return { where, empty: true };
        const value = virtual ? norm(0, place) : null;
        return { where, learned, value, gradient: own ? own[virtual ? 0 : layer - 1][place] : null };
      }),
      ...labels.map((token, place) => ({
        where: say("word", { token }), value: norm(layer, virtual + place), gradient: gradient(layer, virtual + place),
      })),
    ],
    parameters: of_base(layer - 1).map((name) => ({
      parameter: name, gradient: step[`norm.model.${name}`]?.[0][0] ?? null,
    })),
  }));
}

export class Stack {
  constructor(table, detail) {
    Object.assign(this, { table, detail, rows: [], labels: [], up: 0, down: 0, at: [0, 0] });
    table.addEventListener("keydown", (event) => this.move(event));
    table.addEventListener("focusin", (event) => this.tell(event.target));
    table.addEventListener("mouseover", (event) => this.tell(event.target));
  }

  show(rows, columns, targets) {
    Object.assign(this, { rows, columns, targets });
    this.draw();
  }

  // How many rows have been read upward, and how many downward.
  reveal(up, down) {
    Object.assign(this, { up, down });
    this.draw();
  }

  draw() {
    const focused = this.table.contains(document.activeElement);
    const values = this.rows.flatMap(({ cells }) => cells.map(({ value }) => value ?? 0));
    const gradients = this.rows.flatMap(({ cells }) => cells.map(({ gradient }) => gradient ?? 0));
    const ofBase = this.rows.flatMap(({ parameters }) => parameters.map(({ gradient }) => gradient ?? 0));
    const most = { value: Math.max(...values), gradient: Math.max(...gradients), base: Math.max(...ofBase) };
    const head = line("thead", ["", ...this.columns.map((_, place) => this.targets[place] ?? ""), ""], "col", say("target"));
    const foot = line("tfoot", ["", ...this.columns, say("base")], "col", "");
    const body = document.createElement("tbody");
    [...this.rows].reverse().forEach((row, fromTop) => {
      const { layer } = row;
      const lit = layer < this.up, back = fromTop < this.down;
      const name = layer ? say("block", { number: layer }) : say("embedding");
      const tr = body.insertRow();
      tr.append(header(name, "row"));
      row.cells.forEach((cell, place) => tr.insertCell().append(this.cell(cell, name, lit, back, most, [fromTop, place])));
      const box = document.createElement("div");
      box.className = "parameters";
      row.parameters.forEach((each, place) => box.append(this.parameter(each, lit, back, most, [fromTop, row.cells.length + place])));
      tr.insertCell().append(box);
    });
    this.table.replaceChildren(head, body, foot);
    const current = this.find(this.at) ?? this.table.querySelector(".cell:not(.empty)");
    if (current) current.tabIndex = 0;
    if (focused) current?.focus();
  }

  cell({ where, value, gradient, learned, empty }, layer, lit, back, most, at) {
    if (empty) return mark("empty", "", "", at);
    const what = { where, layer, value: value === null ? "" : short(value), gradient: gradient === null ? "None" : short(gradient) };
    const kinds = learned ? ["learned"] : [];
    if (back && gradient === null) return mark([...kinds, "none"], "", say("cellNone", what), at);
    if (back) {
      const text = say(learned ? "cellLearned" : "cellGradient", what);
      return mark([...kinds, "gradient"], what.gradient, text, at, strength(gradient, most.gradient));
    }
    if (lit && value !== null) return mark([...kinds, "forward"], what.value, say("cellForward", what), at, strength(value, most.value));
    return mark(kinds, "", `${where}, ${layer}`, at);
  }

  parameter({ parameter, gradient }, lit, back, most, at) {
    const what = { name: parameter, gradient: gradient === null ? "None" : short(gradient) };
    if (!back) return mark([], "", say("parameterYet", what), at);
    if (gradient === null) return mark(["none"], "", say("parameterNone", what), at);
    return mark(["gradient"], "", say("parameterGradient", what), at, strength(gradient, most.base));
  }

  find([row, place]) {
    return this.table.querySelector(`[data-at="${row},${place}"]:not(.empty)`);
  }

  tell(target) {
    if (target.dataset?.at && target.ariaLabel) this.detail.textContent = target.ariaLabel;
  }

  move(event) {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    const [row, place] = (event.target.dataset.at ?? "0,0").split(",").map(Number);
    for (let far = 1; (down || right) && far < 40; far += 1) {
      const next = this.find([row + down * far, place + right * far]);
      if (!next) continue;
      event.preventDefault();
      this.at = [row + down * far, place + right * far];
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      return;
    }
  }
}

function mark(kinds, text, label, at, much = 0) {
  const cell = document.createElement("div");
  cell.className = ["cell", ...[kinds].flat()].join(" ");
  cell.textContent = text;
  cell.dataset.at = at.join(",");
  if (label) {
    cell.setAttribute("role", "img");
    cell.setAttribute("aria-label", label);
    cell.tabIndex = -1;
  }
  if (much) cell.style.setProperty("--much", much.toFixed(2));
  return cell;
}

function header(text, scope) {
  const th = document.createElement("th");
  th.scope = scope;
  th.textContent = text;
  return th;
}

function line(part, texts, scope, first) {
  const group = document.createElement(part);
  const row = group.insertRow();
  texts.forEach((text, place) => {
    const words = place ? text : first;
    row.append(words ? header(words, scope) : document.createElement("td"));
  });
  return group;
}
