"""What a prefix and a prompt compile to: the keys and values that later tokens see of them."""

import numpy as np
import torch
from torch import Tensor

from ...model import Transformer
from ...soft_prompts import PrefixTuning, PromptTuning
from ..differences import Suspect, agree, suspects, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import rebuilt, tensors
from ..small_models import CONFIG, SHAPE, random_weights
from . import ask
from .ask import soft_prompt
from .prefixes import NAMES
from .random_inputs import normal, some_length

TRANSLATED = {
    "norm-forgotten": "the layer normalises its context before it computes keys",
    "other-norm": "you use the norm before the feed-forward; attention has a norm of its own",
    "heads-mixed-up": "a plain reshape tears vectors apart: split the last dimension into heads, then move the heads "
    "in front",
    "one-layer-s-matrices": "each layer has matrices of its own: use them",
    "turned-twice": "your keys are turned by position already; the hook's keys are turned after it",
    "keys-for-values": "you return the values first",
}
TAKEN_FOR_PREFIX = (
    "you give every layer the prompt's own vectors. A prompt enters once, at the bottom; what the layers above see is "
    "what the blocks below have made of it, so it has to be run"
)


def exact_keys_values(call, rng):
    weights = random_weights(rng)
    vectors = normal(rng, CONFIG.layers, some_length(rng), CONFIG.width)
    model, (layers,) = rebuilt(SHAPE, weights), tensors(vectors)
    compare_pairs(call(SHAPE, weights, vectors), reference("5.3")(model, layers), translated_wrongly(model, layers))


def translated_wrongly(model: Transformer, vectors: Tensor) -> list[Suspect]:
    with torch.no_grad():
        return suspects("5.3", lambda answer: answer(model, vectors), TRANSLATED)


def compare_pairs(got, right, wrong: list[Suspect]) -> None:
    """Keys and values, and those of the suspects."""
    got = unpack(got, 2, "the keys and the values")
    for place, what in enumerate(NAMES):
        named = [Suspect(each.name, each.value[place], each.message) for each in wrong]
        agree(got[place], right[place], f"the {what}", *named, tolerance=1e-4)


def compiles_a_prompt(call, rng):
    compare_compiled(call, rng, some_length(rng), CONFIG.width)


def compiles_a_prefix(call, rng):
    compare_compiled(call, rng, CONFIG.layers, some_length(rng), CONFIG.width)


def compare_compiled(call, rng, *shape: int) -> None:
    weights, vectors = random_weights(rng), normal(rng, *shape)
    model = rebuilt(SHAPE, weights)
    got = unpack(call(SHAPE, weights, vectors), 2, "the keys and the values")
    length = np.shape(got[0])[2] if np.ndim(got[0]) == 4 else shape[-2]
    if length == 0:
        raise Misconception("prompt-left-out", "there are no keys at all: the soft prompt has to go along")
    if length > shape[-2]:
        raise Misconception(
            "text-included", "there are more keys than virtual tokens: some of them belong to a text; run with no text"
        )
    every_layer = torch.from_numpy(np.broadcast_to(vectors, (CONFIG.layers, *vectors.shape[-2:])).copy())
    taken_for_prefix = Suspect("prompt-taken-for-prefix", reference("5.3")(model, every_layer), TAKEN_FOR_PREFIX)
    right = reference("5.4")(model, soft_prompt(model, vectors))
    compare_pairs(got, right, [*translated_wrongly(model, every_layer), taken_for_prefix])


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
        provides=(PromptTuning, PrefixTuning),
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
