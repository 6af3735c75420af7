"""A trial with its baselines: every method has its row, and the base stays as it is."""

import numpy as np
import torch

from ... import comparison, soft_prompts
from ...model import Config, Transformer
from ...tokenizer import IGNORED
from ..exercise import Exercise, Misconception, Part
from ..plain_data import rebuilt
from ..small_models import random_weights
from ..worlds import agree_in_all
from . import ask

SHAPE = {"vocab": 12, "context": 16, "width": 16, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 32}
NAMES = ["soft", "deep", "short", "mine", "theirs", "front"]
MISSING = {
    "no prompt": ("no-baseline", "without the bare model's score nobody can say what the vectors have changed"),
    "instruction": ("no-baseline", "without the instruction in words nobody can say whether vectors were needed"),
    "full": ("no-upper-bound", "without full fine-tuning nobody can say whether the task could be learned at all"),
}
SCORED = {
    "not-trained": "these soft prompts are as they were made: train them first",
    "accuracy-claimed": "this accuracy is claimed and not measured: take the row that `soft_prompt` returns",
    "scored-on-training": "you measure on the training batch: `task.test` is there to measure",
    "steps-ignored": "you do not pass `steps` on to every method, so they are not compared alike",
    "instruction-not-given": "your instruction row is the bare model's: it reads `task.asked`",
    "same-hooks-twice": "you train the same hooks for each row: each name has hooks of its own",
    "other-batches": "full fine-tuning has other batches than the soft prompts: leave the seed as it is",
    "trained-twice": "you train the soft prompts twice as long as the rest: call `soft_prompt` once for each",
    "trained-on-the-test": "you train on the test: `task` goes to each method as it is",
}


def every_method(call, rng):
    for names in (["prompt", "prefix"], rng.permutation(NAMES)[:3].tolist()):
        world = little_task(rng, names, steps=1)
        methods_of(rows(call, world), world)


def rows(call, world: list) -> dict:
    """What came back; and whether it failed for a name that the hooks do not have here."""
    try:
        return call(*world)
    except Misconception as wrong:
        if wrong.name == "raises" and any(f"KeyError: '{name}'" in wrong.message for name in ("prompt", "prefix")):
            raise Misconception(
                "two-names-only",
                "you ask for hooks by names that they need not have: take names and hooks from `hooks`, one by one",
                wrong.detail,
            ) from None
        raise


def base_untouched(call, rng):
    world = little_task(rng, ["prompt", "prefix"], steps=3)
    facts = rows(call, world)
    methods_of(facts, world, order=False)
    if not facts["unchanged"]:
        raise Misconception(
            "base-trained",
            "the base that all methods share is not what it was: full fine-tuning works on a copy of it",
        )


def methods_of(facts: dict, world: list, order: bool = True) -> None:
    """No row may be missing or too many, and they stand in the order that was asked for, if that is in question."""
    got, names = facts["methods"], [name for name, _, _ in world[-2]]
    expected = ["no prompt", "instruction", *names, "full"]
    for name in expected:
        if name not in got:
            if any(got.count(other) > 1 for other in names):
                raise Misconception("name-lost", "several rows have the same method: each has the name of its hooks")
            left_out = ("method-left-out", f"there is no row for {name!r}: every one of the named hooks gets its own")
            raise Misconception(*MISSING.get(name, left_out))
    if len(got) > len(expected):
        raise Misconception("too-many-rows", f"expected {len(expected)} rows, one for each method; got {len(got)}")
    if order and got != expected:
        wanted, found = (", ".join(each) for each in (expected, got))
        raise Misconception("order-of-rows", f"the rows should come in this order: {wanted}; yours: {found}")


def right_accuracies(call, rng):
    """In whatever order the rows are: that is another part's."""
    worlds = [little_task(rng, ["prompt", "prefix"], steps=int(rng.integers(14, 22))) for _ in range(2)]
    got = []
    for world in worlds:
        facts = rows(call, world)
        methods_of(facts, world, order=False)
        got.append(in_order(facts, world))

    def accuracies(answer, world) -> np.ndarray:
        return in_order(ask.comparison(answer, *world), world)

    agree_in_all("6.3", got, worlds, accuracies, "the accuracies", SCORED, tolerance=1e-6)


def in_order(facts: dict, world: list) -> np.ndarray:
    scores = dict(zip(facts["methods"], facts["accuracies"], strict=True))
    return np.array(
        [scores[name] for name in ("no prompt", "instruction", *(each for each, _, _ in world[-2]), "full")]
    )


def little_task(rng, names: list[str], steps: int) -> list:
    """A small model of random weights and a task on which each method has an accuracy of its own.

    In training one answer is common, another for another seed; in the test the bare model is right, or that answer, or
    neither; with an instruction the bare model is right most often.
    """
    weights = random_weights(rng, Config(**SHAPE), norms=0)
    model, (common, other) = rebuilt(SHAPE, weights), rng.permutation(SHAPE["vocab"])[:2]

    def texts(count: int, likely_share: float, share: float, answer: int) -> tuple[np.ndarray, np.ndarray]:
        tokens, odd = rng.integers(0, SHAPE["vocab"], (count, 3)), rng.integers(0, SHAPE["vocab"], count)
        place = np.arange(count) / count
        answers = np.where(place < share, answer, np.where(place < share + likely_share, likely(model, tokens), odd))
        return at_end(tokens, answers)

    kinds, lengths = ["prompt", "prefix", "key/value"], [2, 3, 1]
    named = [[name, kind, length] for name, kind, length in zip(names, kinds, lengths, strict=False)]
    batches = [texts(12, 0, 0.6, common), texts(12, 0, 0.6, other)]
    return [SHAPE, weights, batches, texts(40, 0.3, 0.4, common), texts(40, 0.8, 0, common), named, steps]


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
