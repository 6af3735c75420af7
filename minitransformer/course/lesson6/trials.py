"""A trial with its baselines: every method has its row, and the base stays as it is."""

import numpy as np
import torch

from ... import comparison, soft_prompts
from ...losses import accuracy
from ...model import Config, Transformer
from ...tokenizer import IGNORED
from ..differences import agree, left_alone
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import rebuilt, tensors
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
    "best-of-several-seeds": "you try several seeds and keep the best score, which flatters: one training for each",
    "trained-twice": "you train the soft prompts twice as long as the rest: call `soft_prompt` once for each",
    "trained-on-the-test": "you train on the test: `task` goes to each method as it is",
}


def every_method(call, rng):
    for names in (["prompt", "prefix"], rng.permutation(NAMES)[:3].tolist(), []):
        world = little_world(rng, names, steps=1)
        (facts,) = rows(call, world)["trials"]
        methods_of(facts, names)
        whole_rows(facts, *ask.comparison(reference("6.3"), *world)["trials"])


def rows(call, world: list) -> dict:
    """What came back; and whether it failed for a name that the hooks do not have here."""
    try:
        return call(*world)
    except Misconception as wrong:
        hooks_of_the_first = world[2][0][-1]
        if wrong.name == "raises" and not hooks_of_the_first:
            raise Misconception(
                "no-hooks-at-all",
                "your code stops where `hooks` is empty; three rows are left then: both baselines and full fine-tuning",
                wrong.message,
            ) from None
        if wrong.name == "raises" and any(f"KeyError: '{name}'" in wrong.message for name in ("prompt", "prefix")):
            raise Misconception(
                "two-names-only",
                "you ask for hooks by names that they need not have: take names and hooks from `hooks`, one by one",
                wrong.detail,
            ) from None
        raise


def base_untouched(call, rng):
    """Three trials on one base, with two tasks. What was done to base or batches shows in the rows that follow."""
    names = ["prompt", "prefix"]
    world = little_world(rng, names, names, steps=int(rng.integers(3, 6)))
    said = rows(call, world)
    got = said["trials"]
    for facts in got:
        methods_of(facts, names, ordered=False)
    agree(bare(got[0]), untrained(world)[0], "the bare model's accuracy")
    if bare(got[1]) != untrained(world)[1]:
        raise Misconception(
            "base-trained",
            "the base that all methods share is not what it was: in the next trial the bare model answers in another "
            "way. Full fine-tuning works on a copy of it",
        )
    if not np.array_equal(in_order(got[0], names), in_order(got[2], names)):
        raise Misconception(
            "another-result-later",
            "the same task with new hooks of the same kind gives other accuracies the second time: something that both "
            "trials use was changed. Leave the base and the task's batches as they are",
        )
    left_alone(
        said["shared"],
        ask.shared(*ask.begin(*world[:3])),
        "after the last trial model or task is not what it was (weights, gradients and mode, and the task's batches, "
        "tests and name): leave both as they are",
    )


def bare(facts: dict) -> float:
    return facts["accuracies"][facts["methods"].index("no prompt")]


def untrained(world: list) -> list[float]:
    """The bare model's accuracy in each trial."""
    shape, weights, tasks, _ = world
    model = rebuilt(shape, weights)
    return [accuracy(model, tuple(tensors(*tasks[place][1]))) for place in ask.order(len(tasks))]


def methods_of(facts: dict, names: list[str], ordered: bool = True) -> None:
    """No row may be missing or too many, and they stand in the order that was asked for, if that is in question."""
    got = facts["methods"]
    expected = ["no prompt", "instruction", *names, "full"]
    for name in expected:
        if name not in got:
            if any(got.count(other) > 1 for other in names):
                raise Misconception("name-lost", "several rows have the same method: each has the name of its hooks")
            left_out = ("method-left-out", f"there is no row for {name!r}: every one of the named hooks gets its own")
            raise Misconception(*MISSING.get(name, left_out))
    if len(got) > len(expected):
        raise Misconception("too-many-rows", f"expected {len(expected)} rows, one for each method; got {len(got)}")
    if ordered and got != expected:
        wanted, found = (", ".join(each) for each in (expected, got))
        raise Misconception("order-of-rows", f"the rows should come in this order: {wanted}; yours: {found}")


def whole_rows(facts: dict, expected: dict) -> None:
    for method, got, names in zip(facts["methods"], facts["names"], expected["names"], strict=True):
        if missing := [name for name in names if name not in got]:
            raise Misconception(
                "row-cut-down",
                "a row tells more than its method and accuracy, and other cells use it: return it as the function of "
                "the package gave it",
                f"the row of {method!r} lacks {', '.join(map(repr, missing))}",
            )


def right_accuracies(call, rng):
    """In whatever order the rows are: that is another part's."""
    names = ["prompt", "prefix"]
    worlds = [little_world(rng, names, steps=int(rng.integers(*steps))) for steps in ((2, 5), (14, 22))]
    batches = worlds[1][2][0][0]
    batches.reverse()  # so that there another seed would have the better score
    got = []
    for world in worlds:
        (facts,) = rows(call, world)["trials"]
        methods_of(facts, names, ordered=False)
        got.append(in_order(facts, names))

    def accuracies(answer, world) -> np.ndarray:
        return in_order(*ask.comparison(answer, *world)["trials"], names)

    agree_in_all("6.3", got, worlds, accuracies, "the accuracies", SCORED, tolerance=1e-6)


def in_order(facts: dict, names: list[str]) -> np.ndarray:
    scores = dict(zip(facts["methods"], facts["accuracies"], strict=True))
    return np.array([scores[name] for name in ("no prompt", "instruction", *names, "full")])


def little_world(rng, *named: list[str], steps: int) -> list:
    """A small model of random weights, and for each list of names a task with so many hooks."""
    weights = random_weights(rng, Config(**SHAPE), norms=0)
    model = rebuilt(SHAPE, weights)
    return [SHAPE, weights, [little_task(rng, model, names) for names in named], steps]


def little_task(rng, model: Transformer, names: list[str]) -> list:
    """A task on which each method has an accuracy of its own.

    In training one answer is common, another for another seed; in the test the bare model is right, but only just, or
    that answer, or neither; with an instruction the bare model is right most often.
    """
    common, other = rng.permutation(SHAPE["vocab"])[:2]

    def texts(count: int, likely_share: float, share: float, answer: int) -> tuple[np.ndarray, np.ndarray]:
        close = int(likely_share * count)
        odd, place = rng.integers(0, SHAPE["vocab"], count), np.arange(count) / count
        tokens = np.concatenate((undecided(rng, model, close), words(rng, count - close)))
        answers = np.where(place < likely_share + share, answer, odd)
        answers[:close] = likely(model, tokens[:close])
        return at_end(tokens, answers)

    kinds, lengths = ["prompt", "prefix", "key/value"], [2, 3, 1]
    hooks = [[name, kind, length] for name, kind, length in zip(names, kinds, lengths, strict=False)]
    batches = [texts(12, 0, 0.6, common), texts(12, 0, 0.6, other)]
    return [batches, texts(100, 0.3, 0.4, common), texts(100, 0.8, 0, common), hooks]


def words(rng, count: int) -> np.ndarray:
    return rng.integers(0, SHAPE["vocab"], (count, 5))


def undecided(rng, model: Transformer, count: int) -> np.ndarray:
    """Texts that the model would answer in another way if it were another model by a little."""
    tokens = words(rng, 4000)
    with torch.no_grad():
        first, second = model(torch.from_numpy(tokens))[:, -1].topk(2).values.T
    margin = (first - second).numpy()
    return tokens[np.argsort(np.where(margin < 1e-4, np.inf, margin))[:count]]  # rounding decides none of them


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
            Part("base and task stay as they are", 1, base_untouched),
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
