"""A trial with its baselines: every method has its row, and the base stays as it is."""

import numpy as np
import torch

from ... import comparison, soft_prompts
from ...model import Config, Transformer
from ...tokenizer import IGNORED
from ..differences import agree, suspects
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import rebuilt
from ..small_models import random_weights
from . import ask

SHAPE = {"vocab": 12, "context": 16, "width": 16, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 32}
STEPS = 20


def every_method(call, rng):
    tried(call, little_task(rng))


def base_untouched(call, rng):
    _, same = tried(call, little_task(rng))
    if not same:
        raise Misconception(
            "base-trained",
            "the base that all methods share is not what it was: full fine-tuning works on a copy of it",
        )


def tried(call, inputs) -> tuple[dict, bool]:
    """The accuracies of the student's trial, in which no row may be missing, and whether the base is unchanged."""
    scores, same = call(*inputs)
    messages = {
        "no prompt": ("no-baseline", "without the bare model's score nobody can say what the vectors have changed"),
        "instruction": ("no-baseline", "without the instruction in words nobody can say whether vectors were needed"),
        "full": ("no-upper-bound", "without full fine-tuning nobody can say whether the task could be learned at all"),
    }
    for name in ("no prompt", "instruction", "prompt", "prefix", "full"):
        if name not in scores:
            left_out = ("method-left-out", f"there is no row for {name!r}: every one of the named hooks gets its own")
            raise Misconception(*messages.get(name, left_out))
    return scores, same


SCORED = {
    "scored-on-training": "you measure on the training batch: `task.test` is there to measure",
    "not-trained": "these soft prompts are as they were made: train them first",
    "steps-ignored": "you do not pass `steps` on, so the methods are not compared alike",
    "instruction-not-given": "your instruction row is the bare model's: it reads `task.asked`",
}


def right_accuracies(call, rng):
    inputs = little_task(rng)
    scores, _ = tried(call, inputs)
    right, _ = ask.comparison(reference("6.3"), *inputs)
    if scores == right:  # the suspects take their time
        return

    def accuracies(answer) -> np.ndarray:
        return in_order(ask.comparison(answer, *inputs)[0], right)

    agree(
        in_order(scores, right), in_order(right, right), "the accuracies", *suspects("6.3", accuracies, SCORED),
        tolerance=1e-6,
    )  # fmt: skip


def in_order(scores: dict, right: dict) -> np.ndarray:
    return np.array([scores[name] for name in right])


def little_task(rng) -> list:
    """A small model of random weights and a task that each method gets a different accuracy."""
    weights = random_weights(rng, Config(**SHAPE), norms=0)
    model = rebuilt(SHAPE, weights)
    tokens, asked = rng.integers(0, SHAPE["vocab"], (12, 3)), rng.integers(0, SHAPE["vocab"], (12, 3))
    answer = rng.integers(0, SHAPE["vocab"], 12)
    common = int(rng.integers(0, SHAPE["vocab"]))
    trained = np.where(np.arange(12) < 8, common, answer)  # the test has other rows, more of them odd
    tested = np.where(np.arange(12) < 6, common, likely(model, tokens))
    led = np.where(np.arange(12) < 10, likely(model, asked), answer)
    return [SHAPE, weights, at_end(tokens, trained), at_end(tokens, tested), at_end(asked, led), STEPS]


def likely(model: Transformer, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(tokens))[:, -1].argmax(-1).numpy()


def at_end(tokens: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    targets = np.full(tokens.shape, IGNORED)
    targets[:, -1] = answer
    return tokens, targets


EXERCISES = (
    Exercise(
        id="6.3",
        title="a trial with its baselines",
        ask=ask.comparison,
        provides=(soft_prompts, comparison),
        parts=(
            Part("every method has its row", 1, every_method),
            Part("the base stays as it is", 1, base_untouched),
            Part("the accuracies", 2, right_accuracies),
        ),
        hints=(
            "Two rows need no training, one row comes for each of the hooks, and one for the copy. In what order?",
            "`hooks.items()` gives name and hooks; `soft_prompt(model, task, hooks, name, steps=steps)` trains them "
            "and measures them on the task's test.",
            "Start with a list of the two untrained rows, append one in a loop over the hooks, then "
            "`full_fine_tuning(model, task, steps=steps)`, which makes its copy itself.",
        ),
    ),
)
