"""Plausible wrong answers to lesson 6, each with the name of the misconception behind it."""

from minitransformer import accuracy, train
from minitransformer.comparison import full_fine_tuning, instruction, no_prompt, soft_prompt


def content(share=lambda weights, virtual: weights[..., :virtual].sum(-1), rest=None):
    """Goes wrong in one of the two."""
    return lambda weights, virtual: (share(weights, virtual), (rest or rescaled)(weights, virtual))


def rescaled(weights, virtual):
    real = weights[..., virtual:]
    return real / real.sum(-1, keepdim=True)


def by(total):
    """The text's weights, divided by something else than their row's sum."""
    return content(rest=lambda weights, virtual: weights[..., virtual:] / total(weights, virtual))


def bias(weights, values, virtual):
    return weights[..., :virtual] @ values[:, :virtual]


def without(weights, values, virtual):
    return rescaled(weights, virtual) @ values[:, virtual:]


def split(added=bias, rest=without):
    """Goes wrong in one of the two."""
    return lambda *given: (added(*given), rest(*given))


def strong_bias(weights, values, virtual):
    shared = weights[..., :virtual]
    return shared / shared.sum(-1, keepdim=True) @ values[:, :virtual]


def trial(tuned=soft_prompt, asked=instruction, full=full_fine_tuning, bare=no_prompt):
    """A trial that goes wrong in one of its rows; None leaves a row out."""

    def tried(model, task, hooks, steps):
        rows = [row(model, task) for row in (bare, asked) if row]
        rows += [tuned(model, task, prompt, name, steps=steps) for name, prompt in hooks.items()]
        return rows + ([full(model, task, steps=steps)] if full else [])

    return tried


def train_the_base(model, task, steps):
    train(model.requires_grad_(True), task.batches(0), steps=steps, peak=1e-3, progress=False)
    return {"method": "full", "accuracy": accuracy(model, task.test)}


def not_trained(model, task, hooks, name, steps):
    return {"method": name, "accuracy": accuracy(model, task.test, hooks)}


def scored_on_training(model, task, hooks, name, steps):
    row = soft_prompt(model, task, hooks, name, steps=steps)
    return row | {"accuracy": accuracy(model, next(iter(task.batches(0))), hooks)}


def uninstructed(model, task):
    return no_prompt(model, task) | {"method": "instruction"}


ANSWERS = {
    "6.1": [
        ("not-rescaled", content(rest=lambda weights, virtual: weights[..., virtual:])),
        ("softmax-again", content(rest=lambda weights, virtual: weights[..., virtual:].softmax(-1))),
        ("divided-by-the-share", by(lambda weights, virtual: 1 - weights[..., virtual:].sum(-1, keepdim=True))),
        ("one-sum-for-all", by(lambda weights, virtual: weights[..., virtual:].sum((-2, -1), keepdim=True))),
        ("columns-sum-to-one", by(lambda weights, virtual: weights[..., virtual:].sum(-2, keepdim=True))),
        ("prefix-at-the-end", content(lambda weights, virtual: weights[..., -virtual:].sum(-1))),
        ("share-of-the-text", content(lambda weights, virtual: weights[..., virtual:].sum(-1))),
        ("mean-for-share", content(lambda weights, virtual: weights[..., :virtual].mean(-1))),
        ("summed-over-queries", content(lambda weights, virtual: weights[..., :virtual].sum(-2))),
    ],
    "6.2": [
        ("whole-result", split(lambda weights, values, virtual: weights @ values)),
        ("bias-of-full-strength", split(strong_bias)),
        ("text-for-prefix", split(lambda weights, values, virtual: weights[..., virtual:] @ values[:, virtual:])),
        (
            "still-turned-down",
            split(rest=lambda weights, values, virtual: weights[..., virtual:] @ values[:, virtual:]),
        ),
        ("whole-result", split(rest=lambda weights, values, virtual: weights @ values)),
    ],
    "6.3": [
        ("no-baseline", trial(bare=None)),
        ("no-baseline", trial(asked=None)),
        ("no-upper-bound", trial(full=None)),
        ("base-trained", trial(full=train_the_base)),
        ("not-trained", trial(not_trained)),
        ("scored-on-training", trial(scored_on_training)),
        ("instruction-not-given", trial(asked=uninstructed)),
        ("steps-ignored", lambda model, task, hooks, steps: trial()(model, task, hooks, 1)),
    ],
}
