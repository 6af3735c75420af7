"""Plausible wrong answers to lesson 6: a misconception's name, and what it makes of the text's own solution."""

from ...losses import accuracy
from ...training import train
from ..lesson_text import with_mistakes

SHARE, REST = "weights[..., :virtual].sum(-1)", "real / real.sum(-1, keepdim=True)"
ADDED, TEXT = "weights[..., :virtual] @ values[:, :virtual]", f"{REST} @ values[:, virtual:]"
TUNED = "soft_prompt(model, task, prompt, name, steps=steps)"
FULL = "full_fine_tuning(model, task, steps=steps)"
CHANGES = {
    "6.1": [
        ("not-rescaled", REST, "real"),
        ("softmax-again", REST, "real.softmax(-1)"),
        ("divided-by-the-share", REST, "real / (1 - real.sum(-1, keepdim=True))"),
        ("one-sum-for-all", REST, "real / real.sum((-2, -1), keepdim=True)"),
        ("columns-sum-to-one", REST, "real / real.sum(-2, keepdim=True)"),
        ("prefix-at-the-end", SHARE, "weights[..., -virtual:].sum(-1)"),
        ("share-of-the-text", SHARE, "weights[..., virtual:].sum(-1)"),
        ("mean-for-share", SHARE, "weights[..., :virtual].mean(-1)"),
        ("summed-over-queries", SHARE, "weights[..., :virtual].sum(-2)"),
    ],
    "6.2": [
        ("whole-result", ADDED, "weights @ values"),
        ("bias-of-full-strength", ADDED, f"({ADDED}) / {SHARE}[..., None]"),
        ("text-for-prefix", ADDED, "weights[..., virtual:] @ values[:, virtual:]"),
        ("still-turned-down", TEXT, "real @ values[:, virtual:]"),
        ("whole-result", TEXT, "weights @ values"),
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
    ],
}  # fmt: skip


def on_training(model, task, prompt):
    return {"accuracy": accuracy(model, next(iter(task.batches(0))), prompt)}


def base_trained(model, task, steps):
    train(model.requires_grad_(True), task.batches(0), steps=steps, peak=1e-3, progress=False)
    return {"method": "full", "accuracy": accuracy(model, task.test)}


ANSWERS = with_mistakes(CHANGES, accuracy=accuracy, base_trained=base_trained, on_training=on_training)
