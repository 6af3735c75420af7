"""One batch of many tenants: prefixes of different lengths side by side, and the ways to fail at it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...hooks import Hooks
from ...soft_prompts import KeyValuePrefix
from ..asks import lesson7 as asks
from ..asks.plain import rebuilt, tensors
from ..comparing import Suspect, agree
from ..exercise import Exercise, Part
from ..worlds import CONFIG, SHAPE, random_weights


class Mixed(Hooks):
    def __init__(self, prefixes: list[tuple[Tensor, Tensor]]):
        super().__init__()
        self.longest = max(keys.shape[2] for keys, _ in prefixes)
        pairs = zip(*prefixes, strict=True)
        self.keys, self.values = (torch.stack([self.padded(part) for part in parts], 1) for parts in pairs)
        self.strengths = torch.stack([self.row(keys.shape[2]) for keys, _ in prefixes])

    def padded(self, part: Tensor) -> Tensor:  # (L, G, P, d) -> (L, G, longest, d)
        return F.pad(part, (0, 0, self.longest - part.shape[2], 0))

    def row(self, length: int) -> Tensor:
        return F.pad(torch.zeros(length), (self.longest - length, 0), value=-torch.inf)

    def keys_values(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat((self.keys[layer], keys), 2), torch.cat((self.values[layer], values), 2)

    def bias(self, layer: int) -> Tensor:
        return self.strengths


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


class Behind(Mixed):
    """The empty slots between prefix and text."""

    def padded(self, part):
        return F.pad(part, (0, 0, 0, self.longest - part.shape[2]))

    def row(self, length):
        return F.pad(torch.zeros(length), (0, self.longest - length), value=-torch.inf)


class Seen(Mixed):
    """The empty slots are seen."""

    def row(self, length):
        return torch.zeros(self.longest)


class SlightlyLess(Mixed):
    """One for a key, zero for an empty slot."""

    def row(self, length):
        return F.pad(torch.ones(length), (self.longest - length, 0))


class UpsideDown(Mixed):
    """The empty slots are seen and the keys are not."""

    def row(self, length):
        hidden = torch.full((length,), -torch.inf)
        return F.pad(hidden, (self.longest - length, 0))


def ways_to_fail(pairs):
    yield (
        "empty-slots-seen",
        Seen(pairs),
        (
            "rows with a shorter prefix see their empty slots. A key of zeros has the score 0 and takes its share: the "
            "log-strength of an empty slot is −∞"
        ),
    )
    yield (
        "gap-before-the-text",
        Behind(pairs),
        (
            "you fill up BEHIND the prefix. Empty slots then push it away from the text, and positions are distances: "
            "fill up in front"
        ),
    )
    yield (
        "a-one-for-a-zero",
        SlightlyLess(pairs),
        ("log-strengths are ADDED to scores: 0 leaves a key as it is and −∞ hides it; 1 and 0 do neither"),
    )
    yield "upside-down", UpsideDown(pairs), "you hide the prefix and show the empty slots: turn it around"
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
        ask=asks.mixed,
        reference=lambda: Mixed,
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
