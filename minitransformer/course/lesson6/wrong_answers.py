"""Plausible wrong answers to lesson 6: a misconception's name, and what it makes of the text's own solution."""

from copy import deepcopy
from dataclasses import replace
from itertools import repeat

import torch

from ...losses import accuracy
from ...training import train
from ..lesson_text import reference, with_mistakes

SHARE, REST = "weights[..., :virtual].sum(-1)", "real / real.sum(-1, keepdim=True)"
ADDED, TEXT = "weights[..., :virtual] @ values[:, :virtual]", f"{REST} @ values[:, virtual:]"
TUNED = "soft_prompt(model, task, prompt, name, steps=steps)"
FULL = "full_fine_tuning(model, task, steps=steps)"
BY_SEED, TWO = "soft_prompt(model, task, deepcopy(prompt), name, seed, steps)", "('method', 'accuracy')"
CHANGES = {
    "6.1": [
        ("not-rescaled", REST, "real"),
        ("softmax-again", REST, "real.softmax(-1)"),
        ("divided-by-the-share", REST, "real / (1 - real.sum(-1, keepdim=True))"),
        ("one-sum-for-all", REST, "real / real.sum((-2, -1), keepdim=True)"),
        ("columns-sum-to-one", REST, "real / real.sum(-2, keepdim=True)"),
        ("prefix-at-the-end", "real = weights[..., virtual:]", "real = weights[..., :-virtual]"),
        ("prefix-at-the-end", SHARE, "weights[..., -virtual:].sum(-1)"),
        ("share-of-the-text", SHARE, "weights[..., virtual:].sum(-1)"),
        ("mean-for-share", SHARE, "weights[..., :virtual].mean(-1)"),
        ("summed-over-queries", SHARE, "weights[..., :virtual].sum(-2)"),
        ("spread-evenly", REST, "real + share[..., None] / real.shape[-1]"),
        ("first-order-only", REST, "real * (1 + share[..., None])"),
        ("largest-is-one", REST, "real / real.amax(-1, keepdim=True)"),
        ("first-key-only", SHARE, "weights[..., 0]"),
        ("one-share-a-head", SHARE, f"{SHARE}.mean(-1, keepdim=True).expand(weights.shape[:2])"),
        ("always-four", SHARE, "weights[..., :4].sum(-1)"),
        ("outputs-swapped", f"share, {REST}", f"{REST}, share"),
        ("input-changed", REST, "real.div_(real.sum(-1, keepdim=True))"),
    ],
    "6.2": [
        ("whole-result", ADDED, "weights @ values"),
        ("bias-of-full-strength", ADDED, f"({ADDED}) / {SHARE}[..., None]"),
        ("text-for-prefix", ADDED, "weights[..., virtual:] @ values[:, virtual:]"),
        ("plain-sum", ADDED, "values[:, None, :virtual].sum(2).expand(*weights.shape[:2], -1)"),
        ("softmax-again", REST, "real.softmax(-1)"),
        ("subtracted-only", TEXT, "weights @ values - values[:, :virtual].sum(1)[:, None]"),
        ("still-turned-down", TEXT, "real @ values[:, virtual:]"),
        ("whole-result", TEXT, "weights @ values"),
        ("still-turned-down", TEXT, "weights @ values - added"),
        ("divided-by-the-share", TEXT, f"real @ values[:, virtual:] / {SHARE}[..., None]"),
        ("other-values", TEXT, f"{REST} @ values[:, : real.shape[-1]]"),
        ("other-values", ADDED, "weights[..., :virtual] @ values[:, -virtual:]"),
        ("mean-for-sum", ADDED, f"{ADDED} / virtual"),
        ("one-head-for-all", ADDED, "weights[..., :virtual] @ values[0, :virtual]"),
        ("one-bias-for-all", ADDED, f"({ADDED}).mean(1, keepdim=True).expand(*weights.shape[:2], -1)"),
        ("first-vector-only", ADDED, "weights[..., :1] @ values[:, :1]"),
        ("outputs-swapped", "return added, without", "return without, added"),
        ("input-changed", REST, "real.div_(real.sum(-1, keepdim=True))"),
    ],
    "6.3": [
        ("no-baseline", "no_prompt(model, task), ", ""),
        ("no-baseline", ", instruction(model, task)", ""),
        ("no-upper-bound", f"[*rows, {FULL}]", "rows"),
        ("base-trained", FULL, "base_trained(model, task, steps)"),
        ("not-trained", TUNED, '{"method": name, "accuracy": accuracy(model, task.test, prompt)}'),
        ("scored-on-training", TUNED, f"{TUNED} | on_training(model, task, prompt)"),
        ("instruction-not-given", "instruction(model, task)", 'no_prompt(model, task) | {"method": "instruction"}'),
        ("steps-ignored", "rows = [", "steps, rows = 1, ["),
        ("steps-ignored", FULL, "full_fine_tuning(model, task)"),
        ("steps-ignored", TUNED, "soft_prompt(model, task, prompt, name)"),
        ("order-of-rows", f"[*rows, {FULL}]", f"[{FULL}, *rows]"),
        ("order-of-rows", f"[*rows, {FULL}]", f"[*rows[:2], {FULL}, *rows[2:]]"),
        ("method-left-out", "in hooks.items()", "in list(hooks.items())[:1]"),
        ("two-names-only", "in hooks.items()", "in [(each, hooks[each]) for each in ('prompt', 'prefix')]"),
        ("name-lost", "prompt, name,", "prompt, 'prompt',"),
        ("same-hooks-twice", TUNED, TUNED.replace("prompt,", "next(iter(hooks.values())),")),
        ("other-batches", FULL, "full_fine_tuning(model, task, seed=1, steps=steps)"),
        ("trained-twice", TUNED, f"{TUNED} and {TUNED}"),
        ("trained-on-the-test", TUNED, "soft_prompt(model, on_the_test(task), prompt, name, steps=steps)"),
        ("accuracy-claimed", TUNED, '{"method": name, "accuracy": 1.0}'),
        ("best-of-several-seeds", TUNED, f"max(({BY_SEED} for seed in range(3)), key=lambda row: row['accuracy'])"),
        ("row-cut-down", f"[*rows, {FULL}]", f"[{{name: row[name] for name in {TWO}}} for row in [*rows, {FULL}]]"),
        ("no-hooks-at-all", "rows = [", "next(iter(hooks))\n    rows = ["),
        ("steps-ignored", "rows = [", "steps, rows = max(steps, 5), ["),
    ],
}  # fmt: skip


def on_training(model, task, prompt):
    return {"accuracy": accuracy(model, next(iter(task.batches(0))), prompt)}


def on_the_test(task):
    return replace(task, batches=lambda seed: repeat(task.test))


def base_trained(model, task, steps):
    train(model.requires_grad_(True), task.batches(0), steps=steps, peak=1e-3, progress=False)
    return {"method": "full", "accuracy": accuracy(model, task.test)}


ANSWERS = with_mistakes(
    CHANGES,
    accuracy=accuracy,
    base_trained=base_trained,
    deepcopy=deepcopy,
    on_training=on_training,
    on_the_test=on_the_test,
)


def touched_in_the_end(model, task, hooks, steps):
    """Leaves the base alone until its third trial is over."""
    rows = reference("6.3")(model, task, hooks, steps)
    model.trials = getattr(model, "trials", 0) + 1
    if model.trials == 3:
        model.norm.weight.data *= 1.5
    return rows


def trial_that(changes):
    """Returns the right rows, and changes model or task afterwards."""

    def trial(model, task, hooks, steps):
        rows = reference("6.3")(model, task, hooks, steps)
        changes(model, task)
        return rows

    return trial


def zero_for_none(model, task):
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)


AFTERWARDS = (
    zero_for_none,
    lambda model, task: model.requires_grad_(True),
    lambda model, task: model.train(not model.training),
    lambda model, task: vars(task).update(name="learned"),
)
ANSWERS["6.3"] += [("input-changed", touched_in_the_end), *(("input-changed", trial_that(each)) for each in AFTERWARDS)]
