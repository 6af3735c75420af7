"""A design decision, with evidence that is measured again."""

import numpy as np
import torch

from ... import soft_prompts
from ...base import pretrained
from ...freezing import freeze
from ...hooks import Hooks
from ...losses import accuracy
from ...phrasebook import Phrasebook
from ...tokenizer import batch
from ..differences import unpack
from ..exercise import Exercise, Misconception, Part
from ..plain_data import Plain
from . import ask
from .ask import METHODS

BYTES, KEYS, ACCURACY = 1200, 4, 0.9  # the scenario of exercise 7.4


PARTS = {"method": str, "length": int, "vectors": list, "accuracy": float, "bytes": int, "extra keys": int}


def handed_in(call) -> tuple[dict, Hooks, bool]:
    """The decision, after a look at its parts; its soft prompt, built again; and whether the base is unchanged."""
    decision, unchanged = unpack(call(), 2, "the decision and the base")
    lacking = [name for name in PARTS if not isinstance(decision, dict) or name not in decision]
    if lacking:
        raise Misconception("incomplete", f"a decision is a dict with {', '.join(PARTS)}; yours lacks {lacking[0]}")
    decision = {name: meant(decision[name], kind) for name, kind in PARTS.items()}
    wrong = [name for name, kind in PARTS.items() if type(decision[name]) is not kind]
    if wrong or decision["method"] not in METHODS or not 1 <= decision["length"] <= 64:
        place = wrong[0] if wrong else "method" if decision["method"] not in METHODS else "length"
        raise Misconception(
            "incomplete",
            f"{place!r} is not what it should be: the method is one of {', '.join(METHODS)}, the length from 1 to 64, "
            "the vectors are a list of the hooks' parameters, and the rest are numbers",
        )
    hooks = METHODS[decision["method"]](decision["length"], base()[0].config)
    own = list(hooks.parameters())
    shapes = [list(np.shape(each)) for each in decision["vectors"]]
    if shapes != [list(each.shape) for each in own]:
        raise Misconception(
            "other-vectors", f"the vectors are not those of a {decision['method']} of length {decision['length']}"
        )
    with torch.no_grad():
        for mine, learned in zip(own, decision["vectors"], strict=True):
            mine.copy_(torch.from_numpy(np.asarray(learned)))
    return decision, hooks, unchanged


def meant(value: Plain, kind: type) -> Plain:
    """The number or list that was meant, whether it came as a tensor, with a point or as a tuple."""
    if type(value) is np.ndarray and value.ndim == 0:
        value = value.item()
    if kind is list and type(value) is tuple:
        return list(value)
    if (kind is float and type(value) is int) or (kind is int and type(value) is float and value.is_integer()):
        return kind(value)
    return value


def base():
    model, tokenizer = pretrained()
    return freeze(model), tokenizer


def within_the_file(call, rng):
    decision, hooks, _ = handed_in(call)
    right = sum(parameter.nbytes for parameter in hooks.parameters())
    if decision["bytes"] != right:
        raise Misconception(
            "bytes-miscounted",
            "your evidence names another number of bytes than your vectors take: 4 for each number of each parameter",
            f"{right} bytes, claimed {decision['bytes']}",
        )
    if right > BYTES:
        raise Misconception(
            "over-the-byte-budget",
            f"these vectors take {right:,} bytes and {BYTES:,} are allowed. What is it that costs so much?",
        )


def within_the_keys(call, rng):
    decision, *_ = handed_in(call)
    if decision["extra keys"] != decision["length"]:
        raise Misconception(
            "keys-miscounted",
            "your evidence names another number of extra keys than a layer gets: one for each virtual token",
        )
    if decision["length"] > KEYS:
        raise Misconception(
            "over-the-key-budget", f"each layer may show {KEYS} extra keys; yours shows {decision['length']}"
        )


def good_enough(call, rng):
    decision, hooks, unchanged = handed_in(call)
    if not unchanged:
        raise Misconception(
            "base-touched", "the base has changed while you decided; it serves the other tenants, too, and stays frozen"
        )
    model, tokenizer = base()
    unseen = book().examples("backwards", "test", 150, seed=int(rng.integers(1, 10_000)))
    measured, claimed = accuracy(model, batch(tokenizer, unseen), hooks), decision["accuracy"]
    if not near(claimed, measured):
        if near(claimed / 100, measured) and claimed > 1:
            raise Misconception("in-percent", "you give the accuracy in percent; here it is a share, from 0 to 1")
        raise Misconception(
            "not-reproduced",
            "on other unseen sentences your vectors are not as good, or as bad, as your evidence says: measure on the "
            "test split, with the vectors that you hand in",
            f"measured {measured:.2f}, claimed {claimed:.2f}",
        )
    if measured < ACCURACY:
        raise Misconception(
            "not-good-enough", f"the evidence holds, and speaks against it: at least {ACCURACY} of the answers are due"
        )
    measured_elsewhere(call, rng, claimed)


def near(claimed: float, measured: float) -> bool:
    """Within three standard deviations for some hundred sentences."""
    return abs(measured - claimed) <= max(0.08, 3 * (measured * (1 - measured) / 60) ** 0.5)


def measured_elsewhere(call, rng, claimed: float) -> None:
    """Whether the evidence is measured: for another base and book the accuracy is another."""
    shares = {"train": 0.1, "test": float(rng.uniform(0.4, 0.6)), "validation": 0.75}
    again = meant(call(shares, int(rng.integers(1000))), float)
    if type(again) is not float or abs(again - shares["test"]) < 0.08:  # code may stop where nothing is good enough
        return
    where = "with a small base that gets about half of the answers on the test split right, your code "
    detail = f"measured {shares['test']:.2f}, claimed {again:.2f}"
    if again == claimed:
        raise Misconception(
            "claimed-not-measured",
            f"{where}claims what it claims for the shipped one. Evidence is measured each time, with the model, the "
            "book and the vectors that are there",
            detail,
        )
    for name, value, message in (
        ("measured-on-training", shares["train"], "claims what holds on the training split. Training has seen these"),
        ("measured-on-validation", shares["validation"], "claims what holds on the validation split"),
        ("tokens-counted", tokens_right(shares["test"]), "claims the share of right tokens: an answer is right only "
         "as a whole"),
    ):  # fmt: skip
        if abs(again - value) < 0.05:
            raise Misconception(name, f"{where}{message}; measure whole answers on the test split", detail)
    raise Misconception("not-reproduced", f"{where}claims another accuracy: measure on the test split", detail)


def tokens_right(share: float) -> float:
    """The share of right tokens where each answer is ended at once, and that share of the answers is empty."""
    tokenizer = base()[1]
    lengths = [len(tokenizer.encode(answer)) for _, answer in book().examples("backwards", "test", 100)]
    return 1 / (1 + (1 - share) * float(np.mean(lengths)))


def book() -> Phrasebook:
    return Phrasebook()


EXERCISES = (
    Exercise(
        id="7.4",
        title="a decision, with evidence",
        ask=ask.decision,
        provides=(soft_prompts,),
        parts=(
            Part("the file is small enough", 1, within_the_file),
            Part("few enough extra keys", 1, within_the_keys),
            Part("good enough on unseen sentences", 2, good_enough),
        ),
        hints=(
            "Start from the budget: how many bytes does one virtual token take under each method? Some are out.",
            "Train as in the first section, for some 60 steps of 16 rows, and measure on "
            '`batch(tokenizer, book.examples("backwards", "test", 100))`.',
            "Hand in `[parameter.detach() for parameter in hooks.parameters()]` as vectors, and as bytes the sum of "
            "their `nbytes`. The extra keys in a layer are the length.",
        ),
    ),
)
