"""The gradient on one prompt vector by hand: through its value, through its key, and both beside autograd's."""

import numpy as np
import torch
from torch import Tensor

from ...soft_prompts import PromptTuning
from ..differences import Suspect, agree, suspects, unpack
from ..exercise import Exercise, Misconception, Part
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
    """A tiny model and its input: some virtual tokens and some of text, and a place among the virtual ones."""
    virtual, text, width, head, words = (int(rng.integers(*ends)) for ends in ((2, 5), (2, 5), (6, 9), (3, 6), (7, 11)))
    x = rng.normal(size=(virtual + text, width))
    shapes = {"query": (width, head), "key": (width, head), "value": (width, width), "read": (width, words)}
    weights = {name: rng.normal(size=shape) * 0.6 for name, shape in shapes.items()}
    return x, weights, forward(x, weights), int(rng.integers(1, virtual)), int(rng.integers(words))


def through_the_value(call, rng):
    for _ in range(2):
        _, *inputs = drawn(rng)
        compare_way(call, 0, *inputs)


def through_the_key(call, rng):
    for _ in range(2):
        _, *inputs = drawn(rng)
        compare_way(call, 1, *inputs)


SWAPPED = "this is the other way: first comes the one through the value, then the one through the key"
ADDED = "this is the sum of both ways; each is asked for by itself"
PLACE = "this is the gradient at place 0, whatever place was asked for"
VALUE = {
    "place-ignored": PLACE,
    "target-pushed-down": "the target is pushed down as well: 1 is taken away at the target, not added",
    "uphill-for-downhill": "the sign is turned: the gradient points to where the loss grows",
    "target-forgotten": "the slope at the logits is the probabilities MINUS 1 at the target; without it nothing says "
    "what was right",
    "only-the-target": "only the target's logit counts in yours; the softmax pushes all other words down as well",
    "attention-forgotten": "as if the place were read with weight 1; it is read with its attention weight",
    "matrix-the-wrong-way": "values are x @ value, so on the way back the matrix is turned around: value @ (gradient "
    "at the value)",
    "at-the-top": "this is the gradient at the top; it still has to pass the value matrix",
}
KEY = {
    "place-ignored": PLACE,
    "target-pushed-down": VALUE["target-pushed-down"],
    "scaled-by-the-width": "d is the width of the query, not that of the vectors",
    "scale-upside-down": "the scores were divided by √d, and so is their gradient; yours is multiplied by it",
    "uphill-for-downhill": VALUE["uphill-for-downhill"],
    "softmax-one-by-one": "more attention here is less elsewhere: take the average of all places away before "
    "multiplying",
    "softmax-like-a-sigmoid": "that is how a weight moves with its own score; but the other weights move as well, and "
    "have values of their own",
    "weight-forgotten": "the attention weight in front is missing",
    "scale-forgotten": "the scores were divided by √d; so is their gradient",
    "key-forgotten": "moving the vector also moves its key, and with it the attention",
}


def compare_way(call, way: int, weights, seen, place, target) -> np.ndarray:
    """One of the two: 0 is through the value, 1 through the key."""
    name, messages = (("value", VALUE), ("key", KEY))[way]
    ways = call(place, target, seen, weights)["ways"]
    if type(ways) is np.ndarray and ways.ndim == 2:  # one array with a row for each way
        ways = list(ways)
    got = unpack(ways, 2, "the ways through the value and through the key")[way]
    right = reference("3.1")(place, target, seen, weights)
    wrong = [Suspect("ways-swapped", right[1 - way], SWAPPED), Suspect("ways-added", sum(right), ADDED)]
    wrong += suspects("3.1", lambda by_hand: by_hand(place, target, dict(seen), weights)[way], messages)
    agree(got, right[way], f"the gradient through the {name}", *wrong)
    return got


def equal_to_autograd(call, rng):
    for _ in range(3):
        x, weights, seen, place, target = drawn(rng)
        both = sum(compare_way(call, way, weights, seen, place, target) for way in (0, 1))
        leaf = torch.tensor(x, requires_grad=True)
        matrices = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        (-forward(leaf, matrices)["probabilities"][target].log()).backward()
        agree(both, leaf.grad[place], "the whole gradient, compared with autograd's")
        changed = call(place, target, seen, weights)["changed"]
        if changed:
            raise Misconception(
                f"{changed[0].lower()}-changed",
                f"the values are right, but `{changed[0]}` is not what it was: whoever asks for the next place gets "
                "another answer. Work on a copy",
            )


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
