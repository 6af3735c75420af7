"""The gradient on one prompt vector by hand: through its value, through its key, and both beside autograd's."""

import numpy as np
import torch
from torch import Tensor

from ...soft_prompts import PromptTuning
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Part
from ..lesson_text import reference
from . import ask


def forward(x, weights):
    """One attention layer without norms, read at its last place; for NumPy arrays and for tensors."""
    softmax = (lambda z: z.softmax(-1)) if isinstance(x, Tensor) else (lambda z: np.exp(z) / np.exp(z).sum())
    query, values = x[-1] @ weights["query"], x @ weights["value"]
    attention = softmax(x @ weights["key"] @ query / len(query) ** 0.5)
    probabilities = softmax((x[-1] + attention @ values) @ weights["read"])
    return {"query": query, "values": values, "attention": attention, "probabilities": probabilities}


def drawn(rng) -> tuple[np.ndarray, dict, dict, int, int]:
    """A tiny model and its input: 3 virtual tokens, 3 of text; width 6, queries of width 4, 9 words."""
    x = rng.normal(size=(6, 6))
    shapes = {"query": (6, 4), "key": (6, 4), "value": (6, 6), "read": (6, 9)}
    weights = {name: rng.normal(size=shape) * 0.6 for name, shape in shapes.items()}
    return x, weights, forward(x, weights), int(rng.integers(3)), int(rng.integers(9))


def through_the_value(call, rng):
    for _ in range(2):
        _, weights, seen, place, target = drawn(rng)
        value, _ = unpack(call(place, target, seen, weights), 2, "the ways through the value and through the key")
        compare_value(value, weights, seen, place, target)


def compare_value(value, weights, seen, place, target) -> None:
    right, _ = reference("3.1")(place, target, seen, weights)
    weight, hit = seen["attention"][place], np.eye(9)[target]
    all_probabilities, only_target = weights["read"] @ seen["probabilities"], weights["read"] @ hit
    top = all_probabilities - only_target
    agree(
        value,
        right,
        "the gradient through the value",
        Suspect("uphill-for-downhill", -right, "the sign is turned: the gradient points to where the loss grows"),
        Suspect(
            "target-forgotten",
            weight * (weights["value"] @ all_probabilities),
            "the slope at the logits is the probabilities MINUS 1 at the target; without it nothing says what was "
            "right",
        ),
        Suspect(
            "only-the-target",
            -weight * (weights["value"] @ only_target),
            "only the target's logit counts in yours; the softmax pushes all other words down as well",
        ),
        Suspect(
            "attention-forgotten",
            weights["value"] @ top,
            "as if the place were read with weight 1; it is read with its attention weight",
        ),
        Suspect(
            "matrix-the-wrong-way",
            weight * (top @ weights["value"]),
            "values are x @ value, so on the way back the matrix is turned around: value @ (gradient at the value)",
        ),
        Suspect("at-the-top", top, "this is the gradient at the top; it still has to pass the value matrix"),
    )


def through_the_key(call, rng):
    for _ in range(2):
        _, weights, seen, place, target = drawn(rng)
        _, key = unpack(call(place, target, seen, weights), 2, "the ways through the value and through the key")
        compare_key(key, weights, seen, place, target)


def compare_key(key, weights, seen, place, target) -> None:
    _, right = reference("3.1")(place, target, seen, weights)
    attention, heard = seen["attention"], seen["values"] @ weights["read"] @ (seen["probabilities"] - np.eye(9)[target])
    asked = weights["key"] @ seen["query"] / 2
    agree(
        key,
        right,
        "the gradient through the key",
        Suspect("uphill-for-downhill", -right, "the sign is turned: the gradient points to where the loss grows"),
        Suspect(
            "softmax-one-by-one",
            attention[place] * heard[place] * asked,
            "more attention here is less elsewhere: take the average of all places away before multiplying",
        ),
        Suspect(
            "softmax-like-a-sigmoid",
            attention[place] * (1 - attention[place]) * heard[place] * asked,
            "that is how a weight moves with its own score; but the other weights move as well, and have values of "
            "their own",
        ),
        Suspect(
            "weight-forgotten", (heard[place] - attention @ heard) * asked, "the attention weight in front is missing"
        ),
        Suspect("scale-forgotten", 2 * right, "the scores were divided by √d; so is their gradient"),
        Suspect("key-forgotten", 0 * right, "moving the vector also moves its key, and with it the attention"),
    )


def equal_to_autograd(call, rng):
    for _ in range(3):
        x, weights, seen, place, target = drawn(rng)
        ways = unpack(call(place, target, seen, weights), 2, "the ways through the value and through the key")
        compare_value(ways[0], weights, seen, place, target)
        compare_key(ways[1], weights, seen, place, target)
        leaf = torch.tensor(x, requires_grad=True)
        matrices = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        (-forward(leaf, matrices)["probabilities"][target].log()).backward()
        agree(ways[0] + ways[1], leaf.grad[place], "the whole gradient, compared with autograd's")


EXERCISES = (
    Exercise(
        id="3.1",
        title="the gradient on one prompt vector, by hand",
        ask=ask.by_hand,
        provides=(PromptTuning,),
        parts=(
            Part("through the value", 2, through_the_value),
            Part("through the key", 2, through_the_key),
            Part("together equal to autograd's", 1, equal_to_autograd),
        ),
        hints=(
            "Follow the numbered steps 1 to 5 above; each is one line, and the shape of each result is given there.",
            "Steps 1 and 2 are the same for both ways: `wrong`, the probabilities with 1 taken away at the target, "
            "then `top = W['read'] @ wrong`. The way through the value needs one more line, the way through the key "
            "three.",
            "`heard = seen['values'] @ top` is what each place contributes; a score's gradient is its weight times "
            "(its own `heard` minus the average `attention @ heard`). Multiply by `W['key'] @ query` and divide by √d.",
        ),
    ),
)
