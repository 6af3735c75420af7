"""Six lines on the way to the exercises of lesson 1: each is a part of one of them, with other numbers."""

import torch

from ..puzzles import Puzzle

FOURTH = "This is the row with number 3; counting starts at 0, so the third one has number 2"


def table():
    return torch.arange(12.0).view(4, 3)


PUZZLES = (
    Puzzle(
        "1.z1",
        "take the third row",
        lambda: {"table": table()},
        lambda table: table[2],
        (
            (lambda table: table[3], FOURTH),
            (lambda table: table[:, 2], "This is a column; the first index picks a row"),
        ),
    ),
    Puzzle(
        "1.z2",
        "many rows at once",
        lambda: {"table": table(), "ids": torch.tensor([2, 0, 2])},
        lambda table, ids: table[ids],
        (
            (lambda table, ids: table[:3], "These are the rows at the places, not those that the ids name"),
            (lambda table, ids: table[ids - 1], "Nothing is to be taken away from an id: counting starts at 0"),
            (lambda table, ids: table[:, ids], "These are columns; the first index picks rows"),
        ),
    ),
    Puzzle(
        "1.z3",
        "each with each",
        lambda: {"tens": torch.tensor([10, 20, 30]), "ones": torch.tensor([1, 2])},
        lambda tens, ones: tens[:, None] + ones,
        ((lambda tens, ones: tens[:, None] * ones, "You multiply; the two are to be added"),),
    ),
    Puzzle(
        "1.z4",
        "a mask",
        lambda: {"mine": torch.tensor([1, 3]), "theirs": torch.arange(5)},
        lambda mine, theirs: theirs <= mine[:, None],
        (
            (lambda mine, theirs: theirs < mine[:, None], "Where the two are equal, the target says True as well"),
            (lambda mine, theirs: theirs >= mine[:, None], "Compare the other way: smaller is True"),
            (lambda mine, theirs: theirs > mine[:, None], "Compare the other way: yours is True where False is wanted"),
        ),
    ),
    Puzzle(
        "1.z5",
        "all dot products",
        lambda: {
            "query": torch.tensor([[1.0, 0, 2], [0, 1, 1]]),
            "key": torch.tensor([[1.0, 1, 0], [0, 2, 1], [1, 0, 1], [2, 0, 1]]),
        },
        lambda query, key: query @ key.T,
    ),
    Puzzle(
        "1.z6",
        "rows that sum to one",
        lambda: {"scores": torch.tensor([[1.0, 1, 2], [2, 6, 2]]).log()},
        lambda scores: scores.softmax(1),
        (
            (lambda scores: scores.softmax(0), "Your columns sum to 1; the rows should"),
            (lambda scores: scores.exp(), "These are positive already: divide each row by its sum"),
            (lambda scores: scores.flatten().softmax(0).view(2, 3), "Here all six sum to 1; each row should"),
            (lambda scores: scores.log_softmax(1), "This is the logarithm of what is wanted"),
        ),
    ),
)
