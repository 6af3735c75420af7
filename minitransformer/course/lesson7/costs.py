"""What tenants cost: the bytes of a tenant's file, and the work of the blocks."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np

from ... import soft_prompts
from ...model import Config
from ..differences import Suspect, agree, suspects, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import Plain
from ..small_models import CONFIG, SHAPE
from . import ask


def some_config(rng) -> Config:
    """A shape in which no two ways of counting give the same."""
    layers, kv_heads, head = int(rng.choice([5, 7, 11])), int(rng.choice([3, 5])), int(rng.choice([14, 16, 22]))
    heads = kv_heads * int(rng.choice([4, 8]))
    return Config(vocab=50, context=64, width=heads * head, layers=layers, heads=heads, kv_heads=kv_heads, hidden=64)


BYTES = {
    "numbers-not-bytes": "you count numbers; each float32 number takes 4 bytes",
    "half-precision": "you count 2 bytes for a number; here each takes 4",
    "bits-not-bytes": "you count bits; 8 of them are a byte",
    "length-forgotten": "this is one virtual token's share: multiply by the length",
    "whole-vocabulary": "this is the embedding table; a soft prompt has rows of its own, only as many as it is long",
    "prefix-for-prompt": "a prompt enters once: it has no vectors for each layer",
    "prompt-for-prefix": "this is a prompt, which enters once; here each layer has its own",
    "one-layer-only": "you count one layer; each layer has its own",
    "query-heads": "keys and values have `kv_heads` heads; the query heads share them",
    "one-head-only": "you count one key/value head; each of the `kv_heads` heads has a key and a value of its own",
    "keys-without-values": "you count keys alone: each of them has a value",
    "keys-and-values-for-states": "a textbook prefix stores one vector of the width for each layer: its keys and "
    "values are computed from that",
    "all-tenants-alike": "you add up the three methods; a tenant uses one of them",
}


def weigh(call, rng, method: str) -> None:
    for _ in range(2):
        config, length = some_config(rng), int(rng.integers(6, 20))
        right = reference("7.1")(method, length, config)
        compare(
            whole(call(method, length, asdict(config))),
            right,
            f"the bytes of a {method}",
            lambda: suspects("7.1", lambda tenant_bytes: tenant_bytes(method, length, config), BYTES),  # noqa: B023
        )


def compare(got: Plain, right: object, what: str, known: Callable[[], list[Suspect]]) -> None:
    """Known wrong answers are asked only where the answer is wrong."""
    try:
        agree(got, right, what)
    except Misconception:
        agree(got, right, what, *known())
        raise


def whole(got: Plain) -> Plain:
    """The whole number that was meant, whether it came as a tensor or with a point."""
    if type(got) is np.ndarray and got.ndim == 0:
        got = got.item()
    return int(got) if type(got) is float and got.is_integer() else got


WORK = {
    "one-block-only": "you count one block; every block does this work",
    "first-block-times-layers": "you multiply one block's work by the number of blocks; here a prefix is longer in "
    "some blocks than in others: add up over all of them",
    "heads-counted": "you count each head by itself; here a position or pair counts once for a block",
    "squared-queries": "there are more keys than queries: count queries × keys",
    "virtual-tokens-forgotten": "you count the text alone, as if nothing was added",
    "hooks-not-passed": "you count the bare model's work: send the hooks along, too",
    "cache-not-handed-on": "you do not hand the cache on to the model: new tokens then look at no earlier ones",
    "read-twice": "the model reads the tokens twice, and what was read first is in the cache at the second time",
    "exchanged": "the two numbers are exchanged: first the positions, then the pairs",
    "keys-for-queries": "you count the keys; the positions that run through a block are its queries",
    "squared-keys": "not every key asks, too: count queries × keys",
    "visible-only": "you leave out the hidden pairs; their scores are computed as well, and then set to −∞",
}
CALLS = ("the text", "the new tokens", "the text again, without a cache")


def compare_work(call, rng, method: str) -> None:
    length, text, new = int(rng.integers(3, 6)), int(rng.integers(6, 9)), int(rng.integers(2, 4))
    shape = SHAPE | {"layers": int(rng.integers(3, 6))}
    tokens, more = (rng.integers(1, CONFIG.vocab, (1, count)) for count in (text, new))
    inputs = shape, int(rng.integers(1000)), method, length, tokens, more
    facts, right = call(*inputs), ask.counted(reference("7.2"), *inputs)
    got = [two_counts(counts) for counts in facts["work"]]
    piles_up(got, right["work"])
    for part, when in enumerate(CALLS):
        for place, what in enumerate(("positions", "pairs")):

            def known(part=part, place=place):
                mistakes = suspects("7.2", lambda work: ask.counted(work, *inputs)["work"], WORK)
                same = [each for each in mistakes if all(map(alike, got, each.value))]
                return [each.at(part).at(place) for each in same or mistakes]

            compare(got[part][place], right["work"][part][place], f"the {what} for {when}", known)
    if not np.array_equal(facts["tokens"], tokens):
        raise Misconception("tokens-changed", "your code changes the tokens that it was given, which others still need")


def with_prefixes(call, rng):
    """A textbook prefix, and one that is longer in some blocks than in others."""
    compare_work(call, rng, "prefix")
    compare_work(call, rng, "key/value")


def two_counts(got: Plain) -> list[Plain]:
    return [whole(each) for each in unpack(got.tolist() if type(got) is np.ndarray else got, 2, "positions and pairs")]


def alike(got: list[Plain], counts: tuple) -> bool:
    return got == list(counts)


def piles_up(got: list[list[Plain]], right: list[tuple[int, int]]) -> None:
    """What each call adds to the one before is right, and the counts are not."""
    numbers = [each for counts in got for each in counts]
    if not all(type(each) is int for each in numbers):
        return
    steps = np.diff(np.array(got), axis=0)
    if got[-1] != list(right[-1]) and np.array_equal(steps, np.array(right[1:])):
        raise Misconception(
            "never-back-to-zero", "each call adds to what the calls before it counted: start each call at 0"
        )


EXERCISES = (
    Exercise(
        id="7.1",
        title="what a tenant weighs",
        ask=ask.weighed,
        provides=(soft_prompts,),
        parts=(
            Part("a prompt", 1, partial(weigh, method="prompt")),
            Part("a textbook prefix", 1, partial(weigh, method="prefix")),
            Part("keys and values", 1, partial(weigh, method="key/value")),
        ),
        hints=(
            "Count the numbers of one virtual token first, for each method. Then multiply.",
            "A prompt's virtual token is one vector, a textbook prefix's one vector for each layer, a key/value "
            "prefix's a key and a value for each layer and key/value head.",
            "In numbers: `config.width`; `config.layers * config.width`; `2 * config.layers * config.kv_heads * "
            "config.head`. Times the length, times 4 bytes.",
        ),
    ),
    Exercise(
        id="7.2",
        title="count the work",
        ask=ask.counted,
        provides=(soft_prompts,),
        parts=(
            Part("the bare model", 1, partial(compare_work, method="none")),
            Part("with a prompt", 1, partial(compare_work, method="prompt")),
            Part("with a prefix", 1, with_prefixes),
        ),
        hints=(
            "No formula is needed: a recorder can see how large each block's attention weights are.",
            '`Recorder(("weights",))` goes along as `Stack(hooks, recorder)`. `recorder["weights", layer]` has shape '
            "`(B, H, queries, keys)`.",
            "For each layer take `.shape[2]` for the positions and `.shape[2] * .shape[3]` for the pairs, and add up "
            "over the layers. Do not forget to hand on the cache.",
        ),
    ),
)
