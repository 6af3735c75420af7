"""The nearest words: by direction, not by length or distance, and how near they are."""

import numpy as np

from ... import comparison, soft_prompts
from ..differences import left_alone, unpack
from ..exercise import Exercise, Part
from ..small_models import unit
from ..worlds import agree_in_all
from . import ask

IDS = {
    "long-rows-win": "by the dot product a long row is near to everything: compare directions, not lengths",
    "distance-for-direction": "by distance a long vector is near to no row: learned vectors have other lengths "
    "than rows, so compare directions",
    "farthest-for-nearest": "these are the words that point away most: the largest cosine is the nearest",
    "opposite-counts-as-near": "a cosine of -1 is the opposite direction: do not drop the sign",
    "vector-for-each-word": "you found the nearest vector of each word: one word for each vector is wanted",
    "outputs-swapped": "these are the cosines: the ids come first, then the cosines",
    "columns-normalised": "you give each column length 1: it is the rows that should have length 1, dim=1",
    "correlation-for-cosine": "you subtract each row's mean first: that is the correlation; the cosine takes the "
    "numbers as they are",
    "negatives-dropped": "where all cosines are below 0, you find no word: the nearest is the largest, below 0 too",
    "second-nearest": "these are the second nearest words: take the nearest itself",
}
COSINES = IDS | {
    "product-for-cosine": "you return the dot product: divide by both lengths",
    "half-normalised": "you divide by one of the two lengths only",
    "long-rows-win": "you return dot products: the cosine is divided by the lengths of both, each by its own",
    "all-cosines": "you return the cosine with every row; one for each vector is wanted, the best",
    "distance-for-cosine": "this is one minus the cosine: large is near here",
    "angle-for-cosine": "this is the angle; the cosine itself is wanted",
    "outputs-swapped": "these are the ids: the cosines come second",
}


def right_words(call, rng):
    compare(call, rng, 0, "the ids", IDS)


def right_cosines(call, rng):
    worlds, facts = compare(call, rng, 1, "the cosines", COSINES)
    for world, each in zip(worlds, facts, strict=True):
        left_alone(each["given"], world, CHANGED)


CHANGED = (
    "your function changes the vectors or the table that it was given: dividing in place (/=, div_) does; make new "
    "tensors instead"
)


def compare(call, rng, place: int, what: str, messages: dict[str, str]) -> tuple[list, list[dict]]:
    """One of the two results, in three worlds: two where each mistake finds other words, one with negative cosines."""
    worlds = [neighbourhood(rng), neighbourhood(rng), turned_away(rng)]
    facts = [call(*world) for world in worlds]
    got = [unpack(each["found"], 2, "the ids and the cosines")[place] for each in facts]
    agree_in_all(
        "4.1", got, worlds, lambda answer, world: ask.neighbours(answer, *world)["found"][place], what, messages
    )
    return worlds, facts


def neighbourhood(rng) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and rows of very different lengths, such that each known mistake finds other words."""
    count, rows, width = rng.integers(3, 7), rng.integers(9, 15), rng.integers(5, 9)
    while True:
        vectors = (rng.normal(size=(count, width)) * rng.uniform(0.5, 3, (count, 1))).astype(np.float32)
        table = (rng.normal(size=(rows, width)) * rng.uniform(0.3, 3, (rows, 1))).astype(np.float32)
        cosines, products = cosine(vectors, table), vectors @ table.T
        apart = np.linalg.norm(vectors[:, None] - table, axis=2)
        columns = (vectors / np.linalg.norm(vectors, axis=0)) @ (table / np.linalg.norm(table, axis=0)).T
        centred = cosine(*(each - each.mean(1, keepdims=True) for each in (vectors, table)))
        found = [each.argmax(1) for each in (products, -apart, -cosines, np.abs(cosines), columns, centred)]
        if clear(cosines) and all((ids != cosines.argmax(1)).any() for ids in found):
            return vectors, table


def turned_away(rng) -> tuple[np.ndarray, np.ndarray]:
    """Rows on the other side: the nearest has a negative cosine."""
    while True:
        vectors = (rng.normal(size=(4, 6)) + 2).astype(np.float32)
        table = (rng.normal(size=(7, 6)) - 2).astype(np.float32)
        cosines = cosine(vectors, table)
        if clear(cosines) and (cosines < 0).all() and (cosines.argmax(1) > 0).any():
            return vectors, table


def clear(cosines: np.ndarray) -> bool:
    """Whether no two rows are so nearly as near that rounding would decide."""
    best = np.sort(cosines, axis=1)
    return bool((best[:, -1] - best[:, -2] > 1e-3).all())


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
