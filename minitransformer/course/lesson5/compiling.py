"""What a prefix and a prompt compile to: the keys and values that later tokens see of them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import numpy as np
import torch

from ...model import Config
from ...soft_prompts import PrefixTuning, PromptTuning
from ..differences import agree, looks_like, suspects, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import plain, rebuilt, tensors
from ..small_models import normal, random_weights
from . import ask
from .ask import soft_prompt
from .prefixes import NAMES
from .random_inputs import some_config, some_length

TRANSLATED = {
    "norm-forgotten": "the layer normalises its context before it computes keys",
    "values-not-normed": "your keys are right, but the values come of vectors that were not normalised",
    "other-norm": "you use another norm of the model; attention has a norm of its own",
    "norm-twice": "you normalise twice, and the norm's weights count twice: once is enough",
    "heads-mixed-up": "a plain reshape tears vectors apart: split the last dimension into heads, then move the heads "
    "in front",
    "heads-not-in-front": "the heads stand behind the places: move them in front, (L, G, P, d)",
    "one-layer-s-matrices": "each layer has matrices of its own: use them",
    "layers-upside-down": "the last layer's vectors went through the first layer's matrices",
    "turned-twice": "your keys are turned by position already; the hook's keys are turned after it",
    "keys-for-values": "you return the values first",
    "keys-twice": "you return the keys twice: values come of the linear map `value`",
    "divided-by-root-d": "you divide by √d: that belongs to the scores, and the model does it there",
}
COMPILED = {
    "prompt-taken-for-prefix": "you give every layer the prompt's own vectors. A prompt enters once, at the bottom; "
    "what the layers above see is what the blocks below have made of it, so it has to be run",
    "text-included": "there are more keys than virtual tokens: some of them belong to a text; run with no text",
    "text-in-front": "these are the last keys and values, which are the text's; the virtual tokens come first",
    "prompt-left-out": "there are no keys at all: the soft prompt has to go along",
    "turned-twice": "your keys are turned by position already, as a cache keeps them; the hook's keys are turned after "
    "it: take what the recorder saw",
    "keys-for-values": "you return the values first",
    "keys-twice": "you return the keys twice",
    "one-layer-for-all": "each layer has what the first one saw: record every layer",
    "last-layer-for-all": "each layer has what the last one saw: record every layer",
    "layers-upside-down": "the layers are in reversed order",
    "batch-kept": "there is still a dimension for the batch: take its one row",
}


def exact_keys_values(call, rng):
    for _ in range(2):
        config = some_config(rng)
        weights = random_weights(rng, config)
        vectors = normal(rng, config.layers, some_length(rng), config.width)
        model, (layers,) = rebuilt(asdict(config), weights), tensors(vectors)
        got = call(asdict(config), weights, vectors)
        value = lambda answer, model=model, layers=layers: answer(model, layers)  # noqa: E731
        compare_pairs(got, vectors, weights, value, "5.3", TRANSLATED)


def compare_pairs(got, vectors, weights, value: Callable, exercise: str, messages: Mapping[str, str]) -> None:
    """Keys and values are those of `value(the reference)`, and the vectors and the model are as they were."""
    pair, after, used = unpack(got, 3, "the keys and values, the vectors, and the model")
    pair = [joined(each) for each in unpack(pair, 2, "the keys and the values")]
    with torch.no_grad():
        right = [plain(each) for each in value(reference(exercise))]
        if not all(looks_like(*each, 1e-4) for each in zip(pair, right, strict=True)):
            known = suspects(exercise, lambda answer: [plain(each) for each in value(answer)], messages)
            known = [
                each for each in known if all(looks_like(*both, 1e-4) for both in zip(pair, each.value, strict=True))
            ]
            for place, what in enumerate(NAMES):
                agree(pair[place], right[place], f"the {what}", *(each.at(place) for each in known), tolerance=1e-4)
    if not np.array_equal(after, vectors):
        raise Misconception("vectors-changed", "your function changes the vectors that it is given; make new ones")
    if not all(np.array_equal(used[name], weight) for name, weight in weights.items()):
        raise Misconception("model-changed", "your function changes the model's weights; it should only use them")


def joined(layers):
    """One array, also where there is a list of one for each layer."""
    alike = type(layers) in (list, tuple) and len({np.shape(each) for each in layers}) == 1
    return np.stack(layers) if alike and all(type(each) is np.ndarray for each in layers) else layers


def compiles_a_prompt(call, rng):
    config = some_config(rng)
    compare_compiled(call, rng, config, some_length(rng), config.width)


def compiles_a_prefix(call, rng):
    config = some_config(rng)
    compare_compiled(call, rng, config, config.layers, some_length(rng), config.width)


def compare_compiled(call, rng, config: Config, *shape: int) -> None:
    weights, vectors = random_weights(rng, config), normal(rng, *shape)
    model = rebuilt(asdict(config), weights)
    hooks = soft_prompt(model, vectors)
    got = call(asdict(config), weights, vectors)
    compare_pairs(got, vectors, weights, lambda answer: answer(model, hooks), "5.4", COMPILED)


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
