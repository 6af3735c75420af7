"""What a prefix and a prompt compile to: the keys and values that later tokens see of them."""

import numpy as np
import torch
from torch import Tensor

from ...model import Transformer
from ...soft_prompts import PrefixTuning, PromptTuning
from ..agreement import Suspect, agree, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain import rebuilt, tensors
from ..small_models import CONFIG, SHAPE, random_weights
from . import ask
from .ask import soft_prompt
from .drawing import normal, some_length
from .prefixes import NAMES


def heads(x: Tensor, count: int = CONFIG.kv_heads) -> Tensor:  # (P, G·d) -> (G, P, d)
    return x.unflatten(1, (count, -1)).transpose(0, 1)


def exact_keys_values(call, rng):
    given = random_weights(rng)
    vectors = normal(rng, CONFIG.layers, some_length(rng), CONFIG.width)
    model = rebuilt(SHAPE, given)
    compare_pairs(
        call(SHAPE, given, vectors), reference("5.3")(model, *tensors(vectors)), *wrong_ways(model, *tensors(vectors))
    )


def compare_pairs(got, right, *suspects) -> None:
    """Keys and values, against what is right and against (name, (keys, values), message)."""
    got = unpack(got, 2, "the keys and the values")
    for place, what in enumerate(NAMES):
        named = [Suspect(name, pair[place], message) for name, pair, message in suspects]
        agree(got[place], right[place], f"the {what}", *named, tolerance=1e-4)


@torch.no_grad()
def wrong_ways(model: Transformer, vectors: Tensor):
    """Names, keys and values, and messages of the ways to get the translation wrong."""
    attentions = [block.attention for block in model.blocks]

    def through(norm, split=heads, own=None):
        pairs = [(own or each, norm(place, v)) for place, (each, v) in enumerate(zip(attentions, vectors, strict=True))]
        return [torch.stack([split(part(a)(x)) for a, x in pairs]) for part in (key_of, value_of)]

    right = lambda place, v: attentions[place].norm(v)  # noqa: E731
    yield "norm-forgotten", through(lambda _, v: v), "the layer normalises its context before it computes keys"
    other = lambda place, v: model.blocks[place].norm(v)  # noqa: E731
    yield "other-norm", through(other), "you use the norm before the feed-forward; attention has a norm of its own"
    shape = CONFIG.kv_heads, -1, CONFIG.head
    yield (
        "heads-mixed-up",
        through(right, lambda x: x.reshape(shape)),
        ("a plain reshape tears vectors apart: split the last dimension into heads, then move the heads in front"),
    )
    yield "one-layer-s-matrices", through(right, own=attentions[0]), "each layer has matrices of its own: use them"
    turned = through(right)
    length = vectors.shape[1]
    here, there = model.cosine[:length], model.sine[:length]
    turned[0] = turned[0] * here + turned[0].roll(CONFIG.head // 2, -1) * there
    yield "turned-twice", turned, "your keys are turned by position already; the hook's keys are turned after it"
    swapped = through(right)[::-1]
    yield "keys-for-values", swapped, "you return the values first"


def key_of(attention):
    return attention.key


def value_of(attention):
    return attention.value


def compiles_a_prompt(call, rng):
    compare_compiled(call, rng, some_length(rng), CONFIG.width)


def compiles_a_prefix(call, rng):
    compare_compiled(call, rng, CONFIG.layers, some_length(rng), CONFIG.width)


def compare_compiled(call, rng, *shape: int) -> None:
    given, vectors = random_weights(rng), normal(rng, *shape)
    model = rebuilt(SHAPE, given)
    right = reference("5.4")(model, soft_prompt(model, vectors))
    got = unpack(call(SHAPE, given, vectors), 2, "the keys and the values")
    length = np.shape(got[0])[2] if np.ndim(got[0]) == 4 else shape[-2]
    if length == 0:
        raise Misconception("prompt-left-out", "there are no keys at all: the soft prompt has to go along")
    if length > shape[-2]:
        raise Misconception(
            "text-included", "there are more keys than virtual tokens: some of them belong to a text; run with no text"
        )
    alone = torch.from_numpy(np.broadcast_to(vectors, (CONFIG.layers, *vectors.shape[-2:])).copy())
    compare_pairs(
        got,
        right,
        *wrong_ways(model, alone),
        (
            "prompt-taken-for-prefix",
            reference("5.3")(model, alone),
            "you give every layer the prompt's own vectors. A prompt enters once, at the bottom; what the layers above "
            "see is what the blocks below have made of it, so it has to be run",
        ),
    )


EXERCISES = (
    Exercise(
        id="5.3",
        title="from the textbook's prefix to keys and values",
        ask=ask.keys_values_of,
        parts=(Part("the keys and values of every layer", 3, exact_keys_values),),
        hints=(
            "Read what the model's attention does with its context between the `context` hook and the `keys_values` "
            "hook. Nothing else is needed.",
            "For each layer: `attention = model.blocks[layer].attention`; its `norm` first, then its `key` or its "
            "`value`. That gives `(P, G·d)`.",
            "To split into heads: `.unflatten(1, (G, -1))` gives `(P, G, d)`, and `.transpose(0, 1)` brings the heads "
            "to the front. Stack the layers with `torch.stack`.",
        ),
    ),
    Exercise(
        id="5.4",
        title="compile a prompt",
        ask=ask.compiled,
        given=(PromptTuning, PrefixTuning),
        parts=(Part("a prompt", 2, compiles_a_prompt), Part("and a textbook prefix", 1, compiles_a_prefix)),
        hints=(
            "All that later tokens ever see of a virtual token is its keys and values. Run the virtual tokens, and "
            "keep those.",
            "A text of no tokens is `torch.empty(1, 0, dtype=torch.long)`. A `Recorder` and the prompt go along "
            "together as `Stack(prompt, recorder)`.",
            '`recorder["keys", layer][0]` is `(G, P, d)`, row 0 of the batch. Stack those of all layers, and the '
            "values in the same way.",
        ),
    ),
)
