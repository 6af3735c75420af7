"""Prefixes at every layer: as vectors by the context hook, and as keys and values."""

import numpy as np
import torch

from ...losses import loss
from ...soft_prompts import KeyValuePrefix
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Misconception, Part
from ..plain_data import rebuilt, tensors
from ..small_models import CONFIG, SHAPE, random_weights
from . import ask
from .ask import soft_prompt
from .random_inputs import batch, normal, some_length


def shapes_of(parameters) -> dict[str, tuple[int, ...]]:
    if not isinstance(parameters, dict) or not parameters:
        raise Misconception(
            "not-learnable",
            "your hooks own no parameter: an optimizer finds only what is an `nn.Parameter` and an attribute of `self`",
        )
    if any(not np.all(np.isfinite(array)) for array in parameters.values()):
        raise Misconception("not-finite", "a new prefix should hold finite numbers; some of yours are NaN or infinite")
    return {name: array.shape for name, array in parameters.items()}


def own_vectors(call, rng):
    length = some_length(rng)
    right = (CONFIG.layers, length, CONFIG.width)
    shapes = shapes_of(call("parameters", SHAPE, np.zeros(right, np.float32)))
    if shapes == {"vectors": right}:
        return
    if right[1:] in shapes.values():
        raise Misconception(
            "one-set-for-all-layers",
            "you keep one set of vectors; each layer has a set of its own, so there is one dimension more",
        )
    raise Misconception(
        "other-parameters",
        "there should be exactly one parameter, called vectors, of shape (layers, length, width); "
        f"yours are {', '.join(shapes)} of shapes {', '.join(map(str, shapes.values()))}",
    )


def in_front_at_every_layer(call, rng):
    length = some_length(rng)
    vectors, x = normal(rng, CONFIG.layers, length, CONFIG.width), normal(rng, 2, 7, CONFIG.width)
    own = np.broadcast_to(vectors[:, None], (CONFIG.layers, 2, length, CONFIG.width))
    text = np.broadcast_to(x, (CONFIG.layers, *x.shape))
    got = unpack(call("context", SHAPE, vectors, x), CONFIG.layers, "one context for each layer")
    if all(np.shape(each) == x.shape and np.allclose(each, x) for each in got):
        raise Misconception("changes-nothing", "context gives x back as it came: no layer sees your vectors")
    if np.shape(got[0]) != x.shape and all(np.shape(each) == x.shape for each in got[1:]):
        raise Misconception(
            "first-layer-only",
            "only the first layer gets your vectors. That is no prefix tuning yet: every layer gets a set of its own",
        )
    if all(np.shape(each) == x.shape for each in got) and np.allclose(got[0][:, length:], x[:, length:]):
        raise Misconception(
            "replaces-the-text", "your vectors take the places of the first tokens; they come in front of all of them"
        )
    if all(np.shape(each) == x.shape for each in got):
        raise Misconception("added-to-the-text", "the text is as long as before; vectors are put in front, not added")
    for layer, each in enumerate(got):
        agree(
            each,
            np.concatenate([own[layer], text[layer]], 1),
            f"the context of layer {layer}",
            Suspect(
                "behind-the-text",
                np.concatenate([text[layer], own[layer]], 1),
                "your vectors stand behind the text: by the causal rule only the last places would see them, and "
                "earlier ones would see text that comes after them",
            ),
            Suspect(
                "same-at-every-layer",
                np.concatenate([own[0], text[layer]], 1),
                "every layer gets the vectors of the first; use the number of the layer that you are inputs",
            ),
            Suspect(
                "layers-upside-down",
                np.concatenate([own[CONFIG.layers - 1 - layer], text[layer]], 1),
                "the vectors of the last layer go to the first: use the layer's number as it is",
            ),
        )


def learns(call, rng):
    inputs = random_weights(rng), *batch(rng)
    vectors = normal(rng, CONFIG.layers, some_length(rng), CONFIG.width)
    right = soft_prompt(rebuilt(SHAPE, inputs[0]), vectors)
    loss(rebuilt(SHAPE, inputs[0]), *tensors(*inputs[1:]), right).backward()
    got = call("gradient", SHAPE, vectors, *inputs)
    if got is None:
        raise Misconception(
            "cut-off",
            "no gradient reaches your vectors: somewhere on the way they are detached, copied or read through .data",
        )
    agree(got, right.vectors.grad, "the gradient of your vectors", tolerance=1e-4)


def own_keys_values(call, rng):
    length = some_length(rng)
    right = (CONFIG.layers, CONFIG.kv_heads, length, CONFIG.head)
    nothing = np.zeros(right, np.float32)
    shapes = shapes_of(call("parameters", SHAPE, nothing, nothing))
    if shapes == {"keys": right, "values": right}:
        return
    if (CONFIG.layers, CONFIG.heads, length, CONFIG.head) in shapes.values():
        raise Misconception(
            "query-heads",
            "you have one set for each query head; keys and values have fewer heads here, since query heads share them",
        )
    if (CONFIG.layers, length, CONFIG.width) in shapes.values():
        raise Misconception(
            "hidden-states",
            "these are hidden states, as wide as the model; a key and a value are as wide as a head, for each kv head",
        )
    if right[1:] in shapes.values():
        raise Misconception("one-set-for-all-layers", "you keep one set; each layer has keys and values of its own")
    raise Misconception(
        "other-parameters",
        "there should be two parameters, keys and values, both (layers, kv_heads, length, head); "
        f"yours are {', '.join(shapes)} of shapes {', '.join(map(str, shapes.values()))}",
    )


def drawn_keys_values(rng) -> list[np.ndarray]:
    length = some_length(rng)
    return [normal(rng, CONFIG.layers, CONFIG.kv_heads, length, CONFIG.head) for _ in range(2)]


def both_in_front(call, rng):
    keys, values = drawn_keys_values(rng)
    texts = [normal(rng, 2, CONFIG.kv_heads, 7, CONFIG.head) for _ in range(2)]
    got = unpack(call("keys_values", SHAPE, keys, values, *texts), CONFIG.layers, "one pair for each layer")
    for layer, pair in enumerate(got):
        pair = unpack(pair, 2, "the keys and the values")
        if np.shape(pair[0]) != np.shape(pair[1]):
            raise Misconception(
                "keys-without-values",
                "you put learned vectors in front of one of the two only: each key needs the value that it stands for",
            )
        for own, other, text, mine, what in zip((keys, values), (values, keys), texts, pair, NAMES, strict=True):
            first, wanted = np.stack([own[0]] * 2), np.stack([own[layer]] * 2)
            agree(
                mine,
                np.concatenate([wanted, text], 2),
                f"the {what} of layer {layer}",
                Suspect(
                    "keys-for-values",
                    np.concatenate([np.stack([other[layer]] * 2), text], 2),
                    "you have exchanged them: learned keys go in front of keys, learned values in front of values",
                ),
                Suspect("behind-the-text", np.concatenate([text, wanted], 2), "yours stand behind the text's own"),
                Suspect(
                    "same-at-every-layer",
                    np.concatenate([first, text], 2),
                    "every layer gets those of the first; use the number of the layer that you are inputs",
                ),
            )


NAMES = "keys", "values"


def both_learn(call, rng):
    keys, values = drawn_keys_values(rng)
    inputs = random_weights(rng), *batch(rng)
    right = KeyValuePrefix.from_keys_values(CONFIG, tensors(*keys), tensors(*values))
    loss(rebuilt(SHAPE, inputs[0]), *tensors(*inputs[1:]), right).backward()
    got = unpack(call("gradient", SHAPE, keys, values, *inputs), 2, "the gradients of keys and values")
    if any(each is None for each in got):
        raise Misconception("cut-off", "no gradient reaches your keys or your values: they are detached on the way")
    for mine, parameters, what in zip(got, (right.keys, right.values), NAMES, strict=True):
        agree(mine, torch.stack([each.grad for each in parameters]), f"the gradient of your {what}", tolerance=1e-4)


EXERCISES = (
    Exercise(
        id="5.1",
        title="the textbook's prefix, by the context hook",
        ask=ask.context_hook,
        parts=(
            Part("vectors of its own for each layer", 1, own_vectors),
            Part("in front of every layer's context", 2, in_front_at_every_layer),
            Part("they learn", 1, learns),
        ),
        hints=(
            "It is the prompt of lesson 2 with one dimension more, and `context` is told which layer is asking.",
            "One `nn.Parameter` of shape `(config.layers, length, config.width)`, small and random. In `context`, take "
            "the part of this layer and repeat it for every row with `.expand(len(x), -1, -1)`.",
            "`torch.cat((own, x), 1)` joins along the positions, where `own` is `self.vectors[layer]`, expanded.",
        ),
    ),
    Exercise(
        id="5.2",
        title="learned keys and values, by the keys_values hook",
        ask=ask.keys_values_hook,
        parts=(
            Part("keys and values of its own for each layer", 1, own_keys_values),
            Part("both in front of the text's", 2, both_in_front),
            Part("they learn", 1, both_learn),
        ),
        hints=(
            "Look at the shape of what the hook is given. Which of its four dimensions are the positions?",
            "Two parameters of shape `(config.layers, config.kv_heads, length, config.head)`. For a batch, this "
            "layer's part gets one dimension more in front: `.expand(len(keys), -1, -1, -1)`.",
            "Positions are dimension 2 here: `torch.cat((own_keys, keys), 2)`, the same for values, both returned.",
        ),
    ),
)
