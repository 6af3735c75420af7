"""What tenants cost: the bytes of a tenant's file, and the work of the blocks."""

from dataclasses import asdict
from functools import partial

from ... import soft_prompts
from ...model import Config
from ..differences import agree, suspects, unpack
from ..exercise import Exercise, Part
from ..lesson_text import reference
from ..small_models import CONFIG, SHAPE
from . import ask


def some_config(rng) -> Config:
    """A shape in which no two ways of counting give the same."""
    layers, heads = int(rng.choice([5, 7, 11])), 3 * int(rng.choice([4, 8]))
    return Config(vocab=50, context=64, width=heads * 16, layers=layers, heads=heads, kv_heads=3, hidden=64)


BYTES = {
    "numbers-not-bytes": "you count numbers; each float32 number takes 4 bytes",
    "length-forgotten": "this is one virtual token's share: multiply by the length",
    "whole-vocabulary": "this is the embedding table; a soft prompt has rows of its own, only as many as it is long",
    "prefix-for-prompt": "a prompt enters once: it has no vectors for each layer",
    "prompt-for-prefix": "this is a prompt, which enters once; here each layer has its own",
    "one-layer-only": "you count one layer; each layer has its own",
    "query-heads": "keys and values have `kv_heads` heads; the query heads share them",
    "keys-without-values": "you count keys alone: each of them has a value",
}


def weigh(call, rng, method: str) -> None:
    config, length = some_config(rng), int(rng.integers(6, 20))
    wrong = suspects("7.1", lambda tenant_bytes: tenant_bytes(method, length, config), BYTES)
    right = reference("7.1")(method, length, config)
    agree(call(method, length, asdict(config)), right, f"the bytes of a {method}", *wrong)


WORK = {
    "one-block-only": "you count one block; every block does this work",
    "heads-counted": "you count each head by itself; here a position or pair counts once for a block",
    "squared-queries": "there are more keys than queries: count queries × keys",
    "virtual-tokens-forgotten": "you count the text alone, as if nothing was added",
    "keys-for-queries": "you count the keys; the positions that run through a block are its queries",
    "squared-keys": "not every key asks, too: count queries × keys",
    "visible-only": "you leave out the hidden pairs; their scores are computed as well, and then set to −∞",
}


def compare_work(call, rng, method: str) -> None:
    length, text, new = int(rng.integers(3, 6)), int(rng.integers(6, 9)), 2
    tokens, more = (rng.integers(1, CONFIG.vocab, (1, count)) for count in (text, new))
    inputs = SHAPE, int(rng.integers(1000)), method, length, tokens, more
    right = ask.counted(reference("7.2"), *inputs)
    wrong = suspects("7.2", lambda work: ask.counted(work, *inputs), WORK)
    got = unpack(call(*inputs), 2, "two counts of the work")
    for part, when in enumerate(("text", "new tokens")):
        counts = unpack(got[part], 2, "the positions and the pairs")
        for place, what in enumerate(("positions", "pairs")):
            mistakes = [each.at(part).at(place) for each in wrong]
            agree(counts[place], right[part][place], f"the {what} for the {when}", *mistakes)


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
            Part("with a prefix", 1, partial(compare_work, method="prefix")),
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
