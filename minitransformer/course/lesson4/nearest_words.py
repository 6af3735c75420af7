"""The nearest words: by direction, not by length or distance, and how near they are."""

import numpy as np

from ... import comparison, soft_prompts
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Part
from ..small_models import unit
from . import ask


def right_words(call, rng):
    vectors, table, wrong = neighbourhood(rng)
    ids, _ = unpack(call(vectors, table), 2, "the ids and the cosines")
    compare_ids(ids, vectors, table, wrong)


def right_cosines(call, rng):
    vectors, table, wrong = neighbourhood(rng)
    ids, cosines = unpack(call(vectors, table), 2, "the ids and the cosines")
    compare_ids(ids, vectors, table, wrong)
    places = np.arange(len(vectors))
    products, right = vectors @ table.T, cosine(vectors, table)
    sizes = np.linalg.norm(vectors, axis=1), np.linalg.norm(table, axis=1)[ids]
    agree(
        cosines,
        right.max(1),
        "the cosines",
        Suspect("product-for-cosine", products[places, ids], "you return the dot product: divide by both lengths"),
        Suspect("half-normalised", products[places, ids] / sizes[0], "you divide by one of the two lengths only"),
        Suspect("half-normalised", products[places, ids] / sizes[1], "you divide by one of the two lengths only"),
        Suspect("all-cosines", right, "you return the cosine with every row; one for each vector is wanted, the best"),
        Suspect("distance-for-cosine", 1 - right.max(1), "this is one minus the cosine: large is near here"),
    )


def neighbourhood(rng):
    """Vectors and rows of very different lengths, such that each known mistake finds other words."""
    while True:
        vectors = rng.normal(size=(5, 6)) * rng.uniform(0.5, 3, (5, 1))
        table = rng.normal(size=(12, 6)) * rng.uniform(0.3, 3, (12, 1))
        vectors, table = vectors.astype(np.float32), table.astype(np.float32)
        cosines, products = cosine(vectors, table), vectors @ table.T
        apart = np.linalg.norm(vectors[:, None] - table, axis=2)
        wrong = {
            "long-rows-win": products.argmax(1),
            "distance-for-direction": apart.argmin(1),
            "farthest-for-nearest": cosines.argmin(1),
            "opposite-counts-as-near": np.abs(cosines).argmax(1),
        }
        if all((ids != cosines.argmax(1)).sum() >= 2 for ids in wrong.values()):
            return vectors, table, wrong


def compare_ids(ids, vectors, table, wrong) -> None:
    cosines = cosine(vectors, table)
    messages = {
        "long-rows-win": "by the dot product a long row is near to everything: compare directions, not lengths",
        "distance-for-direction": "by distance a long vector is near to no row: learned vectors have other lengths "
        "than rows, so compare directions",
        "farthest-for-nearest": "these are the words that point away most: the largest cosine is the nearest",
        "opposite-counts-as-near": "a cosine of -1 is the opposite direction: do not drop the sign",
    }
    agree(
        ids,
        cosines.argmax(1),
        "the ids",
        *(Suspect(name, wrong[name], message) for name, message in messages.items()),
        Suspect(
            "vector-for-each-word",
            cosines.argmax(0),
            "you found the nearest vector of each word: one word for each vector is wanted",
        ),
        Suspect("all-cosines", cosines, "these are all cosines; the ids of the largest are wanted"),
    )


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return unit(one) @ unit(other).T


EXERCISES = (
    Exercise(
        id="4.1",
        title="the nearest words",
        ask=ask.neighbours,
        provides=(soft_prompts, comparison),
        parts=(Part("which word", 2, right_words), Part("how near", 1, right_cosines)),
        hints=(
            "A cosine is the dot product of two vectors that have both been given length 1.",
            "`F.normalize(x, dim=1)` gives each row of `x` length 1. One matrix product of the normalised vectors and "
            "the transposed normalised table then holds all cosines, `(P, V)`.",
            "`cosines.max(1)` looks along each vector's row and has two fields: `.indices`, which are the ids, and "
            "`.values`, which are the cosines.",
        ),
    ),
)
