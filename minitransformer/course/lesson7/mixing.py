"""One batch of many tenants: prefixes of different lengths side by side, and the ways to fail at it."""

import numpy as np
import torch
from torch import Tensor

from ... import soft_prompts
from ...hooks import Hooks
from ...soft_prompts import KeyValuePrefix
from ..agreement import Suspect, agree
from ..exercise import Exercise, Part
from ..lesson_text import reference
from ..plain import rebuilt, tensors
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
    given = random_weights(rng)
    shapes = [(2, CONFIG.layers, CONFIG.kv_heads, length, CONFIG.head) for length in lengths]
    prefixes = [tuple(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
    tokens = rng.integers(1, CONFIG.vocab, (len(lengths), 5))
    model, (text,), pairs = rebuilt(SHAPE, given), tensors(tokens), [tuple(tensors(*pair)) for pair in prefixes]
    with torch.no_grad():
        alone = [model(row[None], one(pair)) for row, pair in zip(text, pairs, strict=True)]
        suspects = [Suspect(name, model(text, hooks), said) for name, hooks, said in ways_to_fail(pairs)]
    got = call(SHAPE, given, prefixes, tokens, steps)
    agree(got, torch.cat(alone), "the logits of the mixed batch", *suspects, tolerance=1e-4)


def one(pair: tuple[Tensor, Tensor]) -> Hooks:
    return KeyValuePrefix.from_keys_values(CONFIG, *pair)


def ways_to_fail(pairs):
    """Names, hooks and messages of mixed batches that go wrong in one place."""
    Mixed = reference("7.3")
    right = Mixed(pairs)
    empty = right.strengths == -torch.inf  # (B, longest)

    def with_strengths(strengths: Tensor) -> Hooks:
        hooks = Mixed(pairs)
        hooks.strengths = strengths
        return hooks

    upside_down = with_strengths(torch.zeros(empty.shape).masked_fill(~empty, -torch.inf))
    behind = with_strengths(right.strengths.flip(1))
    behind.keys, behind.values = (
        torch.stack([part[:, row].roll(-int(gap), 2) for row, gap in enumerate(empty.sum(1))], 1)
        for part in (right.keys, right.values)
    )
    yield (
        "empty-slots-seen",
        with_strengths(torch.zeros_like(right.strengths)),
        (
            "rows with a shorter prefix see their empty slots. A key of zeros has the score 0 and takes its share: the "
            "log-strength of an empty slot is −∞"
        ),
    )
    yield (
        "gap-before-the-text",
        behind,
        (
            "you fill up BEHIND the prefix. Empty slots then push it away from the text, and positions are distances: "
            "fill up in front"
        ),
    )
    yield (
        "a-one-for-a-zero",
        with_strengths(1.0 - empty.float()),
        ("log-strengths are ADDED to scores: 0 leaves a key as it is and −∞ hides it; 1 and 0 do neither"),
    )
    yield (
        "upside-down",
        upside_down,
        "you hide the prefix and show the empty slots: turn it around",
    )
    yield "one-prefix-for-all", Mixed([pairs[0]] * len(pairs)), "every row gets the first row's prefix"
    yield "rows-exchanged", Mixed(pairs[::-1]), "the rows' prefixes are in the wrong order: row b has prefixes[b]"
    shortest = min(keys.shape[2] for keys, _ in pairs)
    yield (
        "cut-to-the-shortest",
        Mixed([tuple(part[:, :, :shortest] for part in pair) for pair in pairs]),
        ("you cut every prefix to the shortest: each tenant has paid for the whole of its own"),
    )
    yield (
        "cut-to-the-shortest",
        Mixed([tuple(part[:, :, part.shape[2] - shortest :] for part in pair) for pair in pairs]),
        "you cut every prefix to the shortest: each tenant has paid for the whole of its own",
    )
    yield "no-prefix-at-all", Hooks(), "these are the bare model's logits: no row has its prefix"


EXERCISES = (
    Exercise(
        id="7.3",
        title="one batch, many tenants",
        ask=ask.mixed,
        given=(soft_prompts,),
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
