"""What tenants cost: the bytes of a tenant's file, and the work of the blocks."""

from dataclasses import asdict
from functools import partial

from ... import soft_prompts
from ...model import Config
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Part
from ..lesson_text import reference
from ..small_models import CONFIG, SHAPE
from . import ask


def some_config(rng) -> Config:
    """A shape in which no two ways of counting give the same."""
    layers, heads = int(rng.choice([5, 7, 11])), 3 * int(rng.choice([4, 8]))
    return Config(vocab=50, context=64, width=heads * 16, layers=layers, heads=heads, kv_heads=3, hidden=64)


def weigh(call, rng, method: str) -> None:
    config, length = some_config(rng), int(rng.integers(6, 20))
    right, prompt = reference("7.1")(method, length, config), reference("7.1")("prompt", length, config)
    suspects = [
        Suspect("numbers-not-bytes", right // 4, "you count numbers; each float32 number takes 4 bytes"),
        Suspect("length-forgotten", right // length, "this is one virtual token's share: multiply by the length"),
        Suspect(
            "whole-vocabulary",
            4 * config.vocab * config.width,
            "this is the embedding table; a soft prompt has rows of its own, and only as many as it is long",
        ),
    ]
    if method == "prompt":
        every = "prefix-for-prompt", right * config.layers, "a prompt enters once: it has no vectors for each layer"
        suspects.append(Suspect(*every))
    else:
        suspects.append(
            Suspect("prompt-for-prefix", prompt, "this is a prompt, which enters once; here each layer has its own")
        )
    if method == "key/value":
        wide = 2 * config.layers * 4 * length * config.width
        suspects += [
            Suspect("one-layer-only", right // config.layers, "you count one layer; each layer has its own"),
            Suspect("query-heads", wide, "keys and values have `kv_heads` heads; the query heads share them"),
            Suspect("keys-without-values", right // 2, "you count keys alone: each of them has a value"),
        ]
    agree(call(method, length, asdict(config)), right, f"the bytes of a {method}", *suspects)


def compare_work(call, rng, method: str) -> None:
    length, text, new = int(rng.integers(3, 6)), int(rng.integers(6, 9)), 2
    extra, layers = 0 if method == "none" else length, CONFIG.layers
    stream = text + (extra if method == "prompt" else 0)
    tokens, more = (rng.integers(1, CONFIG.vocab, (1, count)) for count in (text, new))
    got = unpack(call(SHAPE, int(rng.integers(1000)), method, length, tokens, more), 2, "two counts of the work")
    keys = text + extra
    for counts, queries, seen, part in zip(got, (stream, new), (keys, keys + new), ("text", "new tokens"), strict=True):
        counts = unpack(counts, 2, "the positions and the pairs")
        for count, one, what in zip(counts, (queries, queries * seen), ("positions", "pairs"), strict=True):
            plain = (text if part == "text" else new) ** (1 if what == "positions" else 2)
            agree(
                count,
                layers * one,
                f"the {what} for the {part}",
                Suspect("one-block-only", one, "you count one block; every block does this work"),
                Suspect(
                    "heads-counted",
                    layers * one * CONFIG.heads,
                    "you count each head by itself; here a position or pair counts once for a block",
                ),
                Suspect(
                    "squared-queries", layers * queries**2, "there are more keys than queries: count queries × keys"
                ),
                Suspect(
                    "virtual-tokens-forgotten", layers * plain, "you count the text alone, as if nothing was added"
                ),
                Suspect(
                    "keys-for-queries",
                    layers * seen,
                    "you count the keys; the positions that run through a block are its queries",
                ),
                Suspect("squared-keys", layers * seen**2, "not every key asks, too: count queries × keys"),
                Suspect(
                    "visible-only",
                    layers * sum(seen - queries + 1 + place for place in range(queries)),
                    "you leave out the hidden pairs; their scores are computed as well, and then set to −∞",
                ),
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
