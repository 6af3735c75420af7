"""Lesson 1, judged: tokens become vectors, who sees whom, one attention head."""

import numpy as np
import torch

from ...base import pretrained
from ...hooks import Recorder
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Part
from ..lesson_text import reference
from ..plain_data import tensors
from ..small_models import softmax, unit
from . import ask


def right_rows(call, rng, rows=1):
    table = rng.normal(size=(11, 11)).astype(np.float32)  # square: a lookup in the wrong direction runs too
    tokens = rng.permutation(11)[: rows * 5].reshape(rows, 5)
    expected = table[tokens]
    agree(
        call(tokens, table),
        expected,
        "the vectors",
        Suspect(
            "columns-for-rows", np.moveaxis(table[:, tokens], 0, -1), "you take columns: a token's vector is a row"
        ),
        Suspect("columns-for-rows", table[:, tokens], "you take columns of the table: a token's vector is its row"),
        Suspect("counts-from-one", table[tokens - 1], "you are one row off: the ids of tokens start at 0"),
        Suspect(
            "place-for-token",
            np.broadcast_to(table[:5], expected.shape),
            "you look up the place in the sentence, not the token that stands there",
        ),
        Suspect("words-in-one-bag", expected.mean(1), "you average the vectors: each token keeps one of its own"),
        Suspect("first-row-only", expected[0], "you look up the first sentence only: keep the batch, (B, T, D)"),
        Suspect("vectors-changed", unit(expected), "you normalise the vectors: the lookup returns them as they are"),
    )


def several_rows(call, rng):
    right_rows(call, rng, rows=2)


def as_many_keys(call, rng):
    length = int(rng.integers(3, 8))
    compare_masks(call, length, length)


def more_keys(call, rng):
    queries = int(rng.integers(2, 6))
    compare_masks(call, queries, queries + int(rng.integers(1, 5)))


def compare_masks(call, queries: int, keys: int) -> None:
    right, every = reference("1.2")(queries, keys).numpy(), np.ones((queries, keys), bool)
    agree(
        call(queries, keys),
        right,
        "the mask",
        Suspect("floats-for-truths", right.astype(float), "the values are right, but a mask holds True and False here"),
        Suspect(
            "floats-for-truths",
            np.where(right, 0.0, -np.inf),
            "this is what is added to the scores; here the mask itself is wanted, True where a query sees a key",
        ),
        Suspect("mask-upside-down", ~right, "this is True where nothing may be seen: turn it around"),
        Suspect(
            "wrong-corner",
            np.tril(every),
            "your triangle starts in the first column; the queries are the LAST of the keys, so query 0 "
            "already sees the S - T keys in front of it and itself",
        ),
        Suspect("sees-the-future", np.triu(every), "query i sees key j where j comes later: that is the future"),
        Suspect("sees-the-future", every, "everyone sees everything: nobody may see what comes later"),
        Suspect(
            "blind-to-itself",
            np.tril(every, keys - queries - 1),
            "your queries do not see their own place; query 0 of a plain text would see nothing at all",
        ),
        Suspect("keys-by-queries", right.T, "you have keys × queries: a query is a row, a key is a column"),
    )


def right_weights(call, rng):
    inputs = drawn(rng)
    weights, _ = unpack(call(*inputs), 2, "the weights and the mixed values")
    compare_weights(weights, *inputs)


def right_mixture(call, rng):
    inputs = drawn(rng)
    weights, mixed = unpack(call(*inputs), 2, "the weights and the mixed values")
    compare_weights(weights, *inputs)
    expected = reference("1.3")(*tensors(*inputs))[1]
    _, key, value, seen = inputs
    agree(
        mixed,
        expected,
        "the mixed values",
        Suspect("mixes-keys", weights @ key, "you mix the keys: they say where to look; the values are read"),
        Suspect(
            "plain-mean",
            seen / seen.sum(1, keepdims=True) @ value,
            "you average whatever is visible: each value counts by its weight",
        ),
    )


def drawn(rng) -> list[np.ndarray]:
    """Queries, keys and values, with two keys more than queries and scores large enough to matter."""
    query, key, value = (rng.normal(size=(n, 4), scale=1.5).astype(np.float32) for n in (5, 7, 7))
    return [query, key, value, reference("1.2")(5, 7).numpy()]


def compare_weights(weights, query, key, value, seen) -> None:
    scores = query @ key.T
    scaled, hidden = scores / query.shape[1] ** 0.5, np.where(seen, 0, -np.inf)
    columns = softmax((scaled + hidden).T).T
    columns_first = np.where(seen, softmax(scaled.T).T, 0)
    agree(
        weights,
        softmax(scaled + hidden).astype(np.float32),
        "the attention weights",
        Suspect("scale-forgotten", softmax(scores + hidden), "you do not divide by √d: the softmax is too sharp"),
        Suspect("scale-too-strong", softmax(scores / query.shape[1] + hidden), "you divide by d; it is the root, √d"),
        Suspect("mask-forgotten", softmax(scaled), "you do not use the mask: these queries see the future"),
        Suspect(
            "mask-upside-down",
            softmax(scaled + np.where(seen, -np.inf, 0)),
            "you hide what may be seen: turn the mask around",
        ),
        Suspect(
            "mask-too-late",
            softmax(scaled) * seen,
            "you hide the future after the softmax: it has taken its share already, and rows do not sum to one",
        ),
        Suspect(
            "zero-is-not-hidden",
            softmax(scaled * seen),
            "you set hidden scores to 0, and e⁰ = 1 still counts: a hidden score is −∞",
        ),
        Suspect("mask-as-numbers", softmax(scaled + seen), "you add True and False as 1 and 0: hide with −∞ instead"),
        Suspect("softmax-over-queries", columns, "your COLUMNS sum to one: the softmax runs over the keys"),
        Suspect("softmax-over-queries", columns_first, "the softmax runs over the keys: each ROW sums to one"),
        Suspect("scores-for-weights", scaled, "these are the scores; the weights are their softmax"),
    )


def like_the_model(call, rng):
    """One head of the shipped base, on a sentence of random tokens."""
    model, _ = pretrained()
    recorder, tokens = Recorder(("queries", "keys", "values", "weights")), rng.integers(1, model.config.vocab, (1, 6))
    layer, chosen = int(rng.integers(model.config.layers)), int(rng.integers(model.config.heads))
    with torch.no_grad():
        model(torch.from_numpy(tokens), recorder)
    shared = chosen * model.config.kv_heads // model.config.heads  # the key/value head that this query head reads
    query = model.rotate(recorder["queries", layer], 6)[0, chosen].numpy()
    key = model.rotate(recorder["keys", layer], 6)[0, shared].numpy()
    value, seen = recorder["values", layer][0, shared].numpy(), reference("1.2")(6, 6).numpy()
    weights, mixed = unpack(call(query, key, value, seen), 2, "the weights and the mixed values")
    compare_weights(weights, query, key, value, seen)
    agree(weights, recorder["weights", layer][0, chosen], "the weights of a head of the model")
    agree(mixed, recorder["weights", layer][0, chosen] @ torch.from_numpy(value), "what a head of the model reads")


EXERCISES = (
    Exercise(
        id="1.1",
        title="look up each token's vector",
        ask=ask.embedding,
        parts=(Part("a sentence", 1, right_rows), Part("several sentences at once", 1, several_rows)),
        hints=(
            "The table has one row for each token of the vocabulary, and a token's id is the number of its row.",
            "Indexing a tensor with a tensor of whole numbers picks that many rows: `letters[torch.tensor([2, 0])]` "
            "gives the third row and the first.",
            "It works for ids of any shape at once: ids `(B, T)` into a table `(V, D)` give `(B, T, D)`. "
            "So the answer is the table, indexed with the tokens.",
        ),
    ),
    Exercise(
        id="1.2",
        title="who may see whom",
        ask=ask.mask,
        parts=(Part("as many keys as queries", 1, as_many_keys), Part("more keys than queries", 1, more_keys)),
        hints=(
            "Draw the case of 3 queries and 5 keys on paper: the queries are the last 3 of the 5 places. "
            "What does the first of them see?",
            "`torch.ones(T, S, dtype=torch.bool)` sees everything; `.tril(n)` keeps what lies on or below the n-th "
            "diagonal. Which n lets query 0 see itself, at place S − T?",
            "Query i stands at place S − T + i and sees key j when j ≤ S − T + i, so the diagonal is n = S − T.",
        ),
    ),
    Exercise(
        id="1.3",
        title="one attention head",
        ask=ask.head,
        parts=(
            Part("the weights", 2, right_weights),
            Part("what is read with them", 1, right_mixture),
            Part("the same as a head of the model", 1, like_the_model),
        ),
        hints=(
            "Three steps, in the order of the equation: scores, weights, mixture. Say for each what shape it has.",
            "`scores = query @ key.T` is `(T, S)`; divide by the root of `query.shape[1]`. What is not visible becomes "
            "−∞ *before* the softmax: `scores.masked_fill(~visible, -torch.inf)`.",
            "The softmax runs over the keys, the last dimension: `.softmax(-1)`. The mixture is `weights @ value`. "
            "Return both, the weights first.",
        ),
    ),
)
