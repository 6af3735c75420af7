"""A design decision, with evidence that is measured again."""

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch

from ... import soft_prompts
from ...base import pretrained
from ...freezing import freeze
from ...hooks import Hooks
from ...losses import Batch, accuracy
from ...model import Config, Transformer
from ...phrasebook import Phrasebook
from ...tokenizer import IGNORED, batch
from ..differences import unpack
from ..exercise import Call, Exercise, Misconception, Part
from ..plain_data import NotFinite, Plain, rebuilt
from ..small_models import random_weights
from . import ask
from .ask import METHODS

BYTES, KEYS, ACCURACY = 1200, 4, 0.9  # the scenario of exercise 7.4


PARTS = {"method": str, "length": int, "vectors": list, "accuracy": float, "bytes": int, "extra keys": int}


ASKED: WeakKeyDictionary[Call, Plain] = WeakKeyDictionary()  # one decision serves all parts of one judging


def reply(call: Call) -> list[Plain]:
    """The decision; whether the child says that the base is as it was; and how often the child says that it ran."""
    if call not in ASKED:
        ASKED[call] = call()
    return unpack(ASKED[call], 3, "the decision and the base")


def handed_in(call: Call) -> tuple[dict, Hooks]:
    """The decision, after a look at its parts, and its soft prompt, built again."""
    decision, *_ = reply(call)
    lacking = [name for name in PARTS if not isinstance(decision, dict) or name not in decision]
    if lacking:
        raise Misconception("incomplete", f"a decision is a dict with {', '.join(PARTS)}; yours lacks {lacking[0]}")
    decision = {name: meant(decision[name], kind) for name, kind in PARTS.items()}
    wrong = [name for name, kind in PARTS.items() if not fits(decision[name], kind)]
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
            "other-vectors",
            f"the vectors are not those of a {decision['method']} of length {decision['length']}",
            f"expected the shapes {[list(each.shape) for each in own]}, got {shapes}",
        )
    with torch.no_grad():
        for mine, learned in zip(own, decision["vectors"], strict=True):
            mine.copy_(torch.from_numpy(np.asarray(learned)))
    return decision, hooks


def fits(value: Plain, kind: type) -> bool:
    """Whether it is of this kind; a number that is not finite is a number, and is judged as such."""
    return type(value) is kind or (kind is float and type(value) is NotFinite)


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
    decision, hooks = handed_in(call)
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
    decision, _ = handed_in(call)
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
    decision, hooks = handed_in(call)
    numbers = () if type(decision["accuracy"]) is NotFinite else (decision["accuracy"], *decision["vectors"])
    if not numbers or not all(np.isfinite(each).all() for each in numbers):
        raise Misconception("not-finite", "your accuracy, and every number of your vectors, should be finite")
    try:
        holds_here(decision["accuracy"], hooks, rng)
        for share in shares_elsewhere(rng):
            holds_elsewhere(call, decision["accuracy"], share, rng)
    except Misconception as wrong:
        if not reply(call)[1]:  # what the child says explains a mistake, and is none by itself
            raise Misconception(
                "base-touched",
                "the base has changed while you decided, and what you claim does not hold on the base that serves the "
                "other tenants: it stays frozen",
                wrong.detail,
            ) from None
        raise


def holds_here(claimed: float, hooks: Hooks, rng) -> None:
    """Whether these vectors are as good as claimed on the shipped base, and good enough."""
    model, tokenizer = base()
    unseen = book().examples("backwards", "test", 150, seed=int(rng.integers(1, 10_000)))
    measured = accuracy(model, batch(tokenizer, unseen), hooks)
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


def near(claimed: float, measured: float) -> bool:
    """Within three standard deviations for some hundred sentences."""
    return abs(measured - claimed) <= max(0.08, 3 * (measured * (1 - measured) / 60) ** 0.5)


def shares_elsewhere(rng) -> list[float]:
    """Two shares so far apart that no guess is right twice, and none that a few sentences could give."""
    return rng.permutation([rng.choice(ends) for ends in ((0.25, 0.35, 0.45), (0.65, 0.75))]).tolist()


def holds_elsewhere(call: Call, claimed: float, share: float, rng) -> None:
    """Whether the evidence is measured: for another base and book the accuracy is another."""
    world = another_world(rng, share, runs_allowed(reply(call)[2]))
    where = "with another base and another book, where another share of the answers is right, your code "
    try:
        again = meant(call(*world), float)
    except Misconception as wrong:
        if wrong.name != "raises":
            raise
        raise Misconception(
            "no-decision-elsewhere",
            f"{where}hands in nothing, though nothing may be good enough there: decide all the same, and say how good "
            "it is",
            f"{wrong.message} {wrong.detail}",
        ) from None
    right = score(world, "test")
    if type(again) is float and abs(again - right) < 0.03:
        return
    detail = f"measured {right:.2f}, claimed {again}"
    if again == claimed:
        raise Misconception(
            "claimed-not-measured",
            f"{where}claims what it claims for the shipped one. Evidence is measured each time, with the model, the "
            "book and the vectors that are there",
            detail,
        )
    for name, value, message in (
        (
            "measured-on-training",
            score(world, "train"),
            "claims what holds on the training split. Training has seen these",
        ),
        ("measured-on-validation", score(world, "validation"), "claims what holds on the validation split"),
        (
            "asked-in-words",
            score(world, "test", instructed=True),
            "claims what holds where the task is asked for in words; the soft prompt is to do without",
        ),
        ("tokens-counted", tokens_right(world), "claims the share of right tokens: an answer is right only as a whole"),
    ):
        if type(again) is float and abs(again - value) < 0.03:
            raise Misconception(name, f"{where}{message}; measure whole answers on the test split", detail)
    raise Misconception("not-reproduced", f"{where}claims another accuracy: measure on the test split", detail)


def runs_allowed(runs: Plain) -> int:
    """As often as for the shipped base, and as often again; who counts wrong harms only itself."""
    return 2 * runs + 400 if type(runs) is int and 0 <= runs < 10_000 else 2000


def another_world(rng, test: float, most: int) -> list:
    """A base that says one word and ends, whatever the soft prompt; and answers, of which a share are that word.

    Asked for in words, that word is always right.
    """
    shipped, tokenizer = base()
    words = [word for word in book().words if len(tokenizer.encode(word)) == 1]
    word, other = (str(each) for each in rng.choice(words, 2, replace=False))
    config = replace(shipped.config, layers=1, hidden=8)
    shares = {"train": 0.02, "test": test, "validation": test + 0.2}  # of the tokens, fewer than `test` are right
    answers = {split: spread(rng, share, word, other) for split, share in shares.items()} | {"in words": [word]}
    return [vars(config), says(rng, config, tokenizer.encode(word)[0]), answers, most]


def spread(rng, share: float, word: str, other: str) -> list[str | None]:
    """This word for a share of the sentences, spread evenly; some of the rest have the other word for an answer."""
    due = np.floor(share * np.arange(301) + rng.uniform())
    rest = np.where(rng.uniform(size=300) < 0.3, other, None)
    return [word if more else each for more, each in zip(np.diff(due), rest.tolist(), strict=True)]


def says(rng, config: Config, word: int) -> dict[str, np.ndarray]:
    """Weights with which `word` comes after everything, and after it the end: blocks that add next to nothing."""
    weights = random_weights(rng, config, scale=0.02, norms=0)
    for name, weight in weights.items():
        if name.endswith(("output.weight", "down.weight")):
            weight *= 0.01
    table = weights["embedding.weight"]
    table[:, :2] = 1, 0
    table[word, :2], table[config.end, :2] = (3, 6), (1, 12)
    return weights


def examples(world: list, split: str, instructed: bool = False) -> tuple[Transformer, Batch]:
    config, weights, answers, _ = world
    other, tokenizer = ask.OtherAnswers(answers), base()[1]
    return rebuilt(config, weights), batch(tokenizer, other.examples("backwards", split, 200, instructed=instructed))


def score(world: list, split: str, instructed: bool = False) -> float:
    """The share of whole answers that are right in this world."""
    return accuracy(*examples(world, split, instructed))


@torch.no_grad()
def tokens_right(world: list) -> float:
    """The share of right tokens on the test split."""
    model, (tokens, targets) = examples(world, "test")
    return (model(tokens).argmax(-1) == targets)[targets != IGNORED].float().mean().item()


def book() -> Phrasebook:
    return Phrasebook()


EXERCISES = (
    Exercise(
        id="7.4",
        title="a decision, with evidence",
        ask=ask.asked,
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
