"""Two lines of the gradient by hand, with small numbers: the way through the value, and the softmax's derivative."""

import torch

from ..puzzles import Puzzle

PUZZLES = (
    Puzzle(
        "3.z1",
        "from the logits through the value",
        lambda: {
            "weight": torch.tensor(0.5),
            "value": torch.tensor([[2.0, 0], [1, 1]]),
            "read": torch.tensor([[1.0, 2, 0], [0, 1, 3]]),
            "g": torch.tensor([0.7, -0.8, 0.1]),
        },
        lambda weight, value, read, g: weight * (value @ (read @ g)),
        (
            (lambda weight, value, read, g: value @ (read @ g), "The attention weight in front is missing"),
            (lambda weight, value, read, g: weight * (read @ g), "Step 3 is missing: the value's matrix"),
            (
                lambda weight, value, read, g: weight * (read @ g @ value),
                "Backwards the value's matrix stands in front",
            ),
        ),
    ),
    Puzzle(
        "3.z2",
        "what one wins the others lose",
        lambda: {"a": torch.tensor([0.5, 0.25, 0.25]), "c": torch.tensor([4.0, 0, 4])},
        lambda a, c: a * (c - a @ c),
        (
            (lambda a, c: a * c, "The others lose what one wins: take the mean of all c, weighted by a, away first"),
            (lambda a, c: c - a @ c, "The weight in front is missing"),
            (lambda a, c: a * (c - c.mean()), "The mean is weighted by a"),
        ),
    ),
)
