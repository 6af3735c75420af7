"""One batch of many tenants: prefixes of different lengths side by side, and the usual mistakes."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ... import soft_prompts
from ...soft_prompts import KeyValuePrefix
from ..differences import Suspect, agree, suspects
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import Plain, rebuilt, tensors
from ..small_models import CONFIG, random_weights
from . import ask


def equal_lengths(call, rng):
    compare_mixed(call, rng, [int(rng.integers(2, 5))] * int(rng.integers(2, 5)), 1)


def different_lengths(call, rng):
    compare_mixed(call, rng, [int(n) for n in rng.permutation([2, 5, 3, 4][: rng.integers(3, 5)])], 1, sharper=4)


def one_without(call, rng):
    compare_mixed(call, rng, [int(n) for n in rng.permutation([0, 4, 2])], 1, sharper=4)


def while_decoding(call, rng):
    compare_mixed(call, rng, [int(n) for n in rng.permutation([1, 4, 2])], 5)


def compare_mixed(call, rng, lengths: list[int], steps: int, sharper: float = 1) -> None:
    """`sharper` attention compares larger scores, so that what is hidden only in part shows."""
    config = replace(CONFIG, layers=int(rng.integers(2, 5)), kv_heads=int(rng.choice([2, 4])))
    weights = random_weights(rng, config)
    for name in weights:
        weights[name] *= sharper if "query" in name else 1
    shapes = [(2, config.layers, config.kv_heads, length, config.head) for length in lengths]
    prefixes, others = ([tuple(rng.normal(size=shape).astype(np.float32)) for shape in shapes] for _ in range(2))
    tokens = rng.integers(1, config.vocab, (len(lengths), 5))
    inputs = asdict(config), weights, prefixes, others, tokens, steps
    facts, model = call(*inputs), rebuilt(asdict(config), weights)
    right, right_others = (alone(model, each, tokens) for each in (prefixes, others))

    def known():
        mistakes = suspects("7.3", lambda Mixed: ask.mixed(Mixed, *inputs)["logits"], MIXED)
        return [*mistakes, *too_weak(facts["strengths"], inputs)]

    compare(facts["logits"], right, "the logits of the mixed batch", known)
    same_again(facts["again"], right, "used-up", "the first request is served well and the second is not: keep what "
               "you built, since each request runs with the same hooks")  # fmt: skip
    same_again(facts["in eval mode"], right, "not-in-eval-mode", "after eval() the rows get other logits: tenants are "
               "served in eval mode, too")  # fmt: skip
    first, second = facts["beside another"]
    for got, own, other in (first, right, right_others), (second, right_others, right):
        compare(got, own, "the logits when there are two batches", partial(shared, other))
    if not unchanged(facts["prefixes"], prefixes):
        raise Misconception(
            "prefixes-changed", "the prefixes that you were given are no longer what they were: work on copies"
        )


def alone(model, prefixes, tokens) -> Tensor:
    """The logits of each row, run by itself with its own prefix."""
    (text,), pairs = tensors(tokens), [tensors(*pair) for pair in prefixes]
    with torch.no_grad():
        rows = [
            model(row[None], KeyValuePrefix.from_keys_values(model.config, *pair))
            for row, pair in zip(text, pairs, strict=True)
        ]
    return torch.cat(rows)


def same_again(got: Plain, right: Tensor, name: str, message: str) -> None:
    """What was right before is right now."""
    try:
        agree(got, right, "the logits", tolerance=1e-3)
    except Misconception as wrong:
        raise Misconception(name, message, wrong.detail) from None


def shared(other: Tensor) -> list[Suspect]:
    message = "a batch gets the prefixes of another that was made before or after it: keep what you build on self"
    return [Suspect("shared-by-all-batches", other, message)]


def unchanged(now: Plain, before: list) -> bool:
    return len(now) == len(before) and all(
        len(one) == 2 and all(map(np.array_equal, one, other)) for one, other in zip(now, before, strict=True)
    )


def too_weak(strengths: Plain, inputs: tuple) -> list[Suspect]:
    """What the reference makes of these log-strengths, where those of the empty slots are negative and finite."""

    class Weak(reference("7.3")):
        def __init__(self, prefixes):
            super().__init__(prefixes)
            right, self.strengths = self.strengths, torch.from_numpy(strengths.copy())
            hides = torch.isfinite(self.strengths).all() and (self.strengths[right < 0] < 0).all()
            if not hides or self.strengths[right == 0].any():
                raise ValueError("these log-strengths do something else")

    try:
        value = ask.mixed(Weak, *inputs)["logits"]
    except Exception:  # log-strengths of another shape or kind
        return []
    message = (
        "you hide the empty slots, but not enough: where a text's own scores are lower still, a slot takes its share. "
        "Only −∞ hides under all circumstances"
    )
    return [Suspect("hidden-too-weakly", value, message)]


def compare(got: Plain, right: Tensor, what: str, known: Callable[[], list[Suspect]]) -> None:
    """Known wrong answers are asked only where the answer is wrong."""
    try:
        agree(got, right, what, tolerance=1e-3)
    except Misconception:
        agree(got, right, what, *known(), tolerance=1e-3)
        raise


MIXED = {
    "empty-slots-seen": "rows with a shorter prefix see their empty slots. A key of zeros has the score 0 and takes "
    "its share: the log-strength of an empty slot is −∞",
    "gap-before-the-text": "you fill up BEHIND the prefix. Empty slots then push it away from the text, and positions "
    "are distances: fill up in front",
    "a-one-for-a-zero": "log-strengths are ADDED to scores: 0 leaves a key as it is and −∞ hides it; 1 and 0 do "
    "neither",
    "upside-down": "you hide the prefix and show the empty slots: turn it around",
    "one-prefix-for-all": "every row gets the first row's prefix",
    "rows-exchanged": "the rows' prefixes are in the wrong order: row b has prefixes[b]",
    "cut-to-the-shortest": "you cut every prefix to the shortest: each tenant has paid for the whole of its own",
    "sorted-by-length": "you have sorted the prefixes by length; row b of the batch has prefixes[b]",
    "hidden-in-one-layer": "you hide the empty slots in one layer only; each layer has them",
    "hidden-at-the-first-step": "you hide the empty slots at the first step only; they stay in the cache, and each "
    "later step can see them",
    "first-layer-for-all": "every layer gets the first layer's keys and values; use those of `layer`",
    "values-for-keys": "the keys stand where the values should be, too",
    "keys-and-values-exchanged": "keys and values are exchanged: a pair is (keys, values)",
    "no-prefix-at-all": "these are the bare model's logits: no row has its prefix",
}


EXERCISES = (
    Exercise(
        id="7.3",
        title="one batch, many tenants",
        ask=ask.mixed,
        provides=(soft_prompts,),
        parts=(
            Part("prefixes of one length", 1, equal_lengths),
            Part("of different lengths", 2, different_lengths),
            Part("a row without any", 1, one_without),
            Part("while decoding", 1, while_decoding),
        ),
        hints=(
            "Draw three rows with prefixes of 1, 4 and 2 slots above each other, so that all of them end where the "
            "text starts. What is in the corner?",
            "`F.pad(part, (0, 0, n, 0))` puts n slots of zeros in front, along the second dimension from the end. "
            "`torch.stack([...], 1)` of parts `(L, G, P, d)` gives `(L, B, G, P, d)`.",
            "The log-strengths of a row with P keys are longest − P times `-torch.inf`, then P zeros. Stack them to "
            "`(B, longest)` and return that for every layer.",
        ),
    ),
)
