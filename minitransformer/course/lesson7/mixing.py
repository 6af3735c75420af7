"""One batch of many tenants: prefixes of different lengths side by side, and the usual mistakes."""

import numpy as np
import torch
from torch import Tensor

from ... import soft_prompts
from ...hooks import Hooks
from ...soft_prompts import KeyValuePrefix
from ..differences import agree, suspects
from ..exercise import Exercise, Part
from ..plain_data import rebuilt, tensors
from ..small_models import CONFIG, SHAPE, random_weights
from . import ask


def equal_lengths(call, rng):
    compare_mixed(call, rng, [3, 3, 3], 1)


def different_lengths(call, rng):
    compare_mixed(call, rng, [int(n) for n in rng.permutation([2, 5, 3])], 1)


def one_without(call, rng):
    compare_mixed(call, rng, [int(n) for n in rng.permutation([0, 4, 2])], 1)


def while_decoding(call, rng):
    compare_mixed(call, rng, [int(n) for n in rng.permutation([1, 4, 2])], 5)


def compare_mixed(call, rng, lengths: list[int], steps: int) -> None:
    weights = random_weights(rng)
    shapes = [(2, CONFIG.layers, CONFIG.kv_heads, length, CONFIG.head) for length in lengths]
    prefixes = [tuple(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
    tokens = rng.integers(1, CONFIG.vocab, (len(lengths), 5))
    model, (text,), pairs = rebuilt(SHAPE, weights), tensors(tokens), [tuple(tensors(*pair)) for pair in prefixes]
    with torch.no_grad():
        alone = [model(row[None], one(pair)) for row, pair in zip(text, pairs, strict=True)]
        wrong = suspects("7.3", lambda Mixed: model(text, Mixed(pairs)), MIXED)
    got = call(SHAPE, weights, prefixes, tokens, steps)
    agree(got, torch.cat(alone), "the logits of the mixed batch", *wrong, tolerance=1e-4)


def one(pair: tuple[Tensor, Tensor]) -> Hooks:
    return KeyValuePrefix.from_keys_values(CONFIG, *pair)


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
