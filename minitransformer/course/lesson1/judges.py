"""Lesson 1, judged: tokens become vectors, who sees whom, one attention head."""

from functools import cache

import numpy as np
import torch

from ...base import pretrained
from ...hooks import Recorder
from ..differences import agree, difference, looks_like, suspects, type_in_words, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import plain, tensors
from . import ask

UNCHANGED = "you change what you were given, and the caller may still need it: leave it as it is"
LOST = (
    "the values are right, but training could not reach {} through them: stay with PyTorch's operations, without "
    "detach(), .data, no_grad, item(), tolist() or NumPy"
)


def compare(got, right, what: str, exercise: str, value, messages, tolerance: float = 1e-5) -> None:
    """As `agree`; the known wrong answers are only tried on an answer that is wrong.

    Where the softmax is so sharp that several mistakes come to the same, none of them is named.
    """
    if not difference(got, plain(right), what, tolerance):
        return
    known = [each for each in suspects(exercise, value, messages) if looks_like(got, plain(each.value), tolerance)]
    alike = {each.name for each in known}
    agree(got, right, what, *(known if len(alike) == 1 or exercise != "1.3" else ()), tolerance=tolerance)


def left_alone(after: list, before, names: str) -> None:
    for now, then, name in zip(after, before, names.split(), strict=True):
        if not np.array_equal(now, then):
            raise Misconception("input-changed", UNCHANGED, f"after your code has run, {name} is another")


def compare_gradients(got, right, names: str, exercise: str, value, messages) -> None:
    for n, name in enumerate(names.split()):
        if got is None or got[n] is None:
            raise Misconception("gradient-lost", LOST.format(name))
        what = f"the gradient that reaches {name}"
        compare(got[n], right[n], what, exercise, lambda answer, n=n: value(answer)[n], messages, 1e-4)


ROWS = {
    "columns-for-rows": "you take columns of the table: a token's vector is its row",
    "counts-from-one": "you are one row off: the ids of tokens start at 0",
    "place-for-token": "you look up the place in the sentence, not the token that stands there",
    "words-in-one-bag": "you average the vectors: each token keeps one of its own",
    "first-row-only": "you look up the first sentence only: keep the batch, (B, T, D)",
    "batch-lost": "one sentence is a batch of one: keep that dimension, (1, T, D)",
    "sentences-joined": "you join all sentences into one: keep the batch, (B, T, D)",
    "axes-swapped": "you return (B, D, T): each token's vector comes last, (B, T, D)",
    "each-word-once": "you look up each word once, in the order of the ids: every place has a row, also where a word "
    "comes again",
    "vectors-changed": "you normalise the vectors: the lookup returns them as they are",
    "vectors-scaled": "you multiply by √D, as some models do; here the lookup returns the rows as they are",
    "small-ids-only": "ids of 128 or 256 and more come out as others: you squeeze the ids into too few bits",
    "rounded": "you round the vectors to half precision: return them as they are",
}
ROWS_IN_PART = {"gradient-in-part": "row 0 is left out of training: it is a row like all others"}


def right_rows(call, rng):
    compare_rows(call, rng, 1)


def several_rows(call, rng):
    compare_rows(call, rng, int(rng.integers(2, 5)))


def compare_rows(call, rng, rows: int) -> None:
    """First a small square table, in which a lookup in the wrong direction runs, too; then a large one.

    Of one sentence only the vectors are looked at. Each sentence has the first and the last token and one word twice.
    """
    one = {"first-row-only", "sentences-joined"}  # of one sentence these are the same as a lost batch
    names = {name: said for name, said in ROWS.items() if name not in (one if rows == 1 else ())}
    for vocab, width in (11, 11), (int(rng.integers(300, 400)), int(rng.integers(8, 11))):
        table = rng.normal(size=(vocab, width)).astype(np.float32)
        tokens = np.stack([drawn_tokens(rng, vocab) for _ in range(rows)])
        facts, right = call(tokens, table), ask.embedding(reference("1.1"), tokens, table)

        def vectors(embed, tokens=tokens, table=table):
            return embed(*tensors(tokens, table))

        def gradient(embed, tokens=tokens, table=table):
            return ask.embedding(embed, tokens, table)["gradients"]

        compare(facts["vectors"], right["vectors"], "the vectors", "1.1", vectors, names)
        if rows == 1:
            continue
        left_alone(facts["given"], (tokens, table), "tokens table")
        got = facts.get("gradients")
        compare_gradients(got, right["gradients"], "table", "1.1", gradient, ROWS_IN_PART)


def drawn_tokens(rng, vocab: int) -> np.ndarray:
    tokens = rng.permutation(np.arange(1, vocab - 1))[:4]
    if vocab > 256:
        tokens[0] = rng.integers(256, vocab - 1)
    return rng.permutation(np.concatenate((tokens, tokens[:1], [0, vocab - 1])))


def as_many_keys(call, rng):
    for length in int(rng.integers(4, 8)), 1, int(rng.integers(20, 40)):
        compare_masks(call, length, length)


def more_keys(call, rng):
    queries = int(rng.integers(3, 7))
    compare_masks(call, queries, queries + int(rng.integers(2, 6)))
    compare_masks(call, 1, int(rng.integers(2, 8)))
    queries = int(rng.integers(17, 40))
    compare_masks(call, queries, queries + int(rng.integers(1, 40)))


NUMBERS = {"floats-for-truths": "a mask holds True and False here: True where a query sees a key"}
MASKS = {
    "mask-upside-down": "this is True where nothing may be seen: turn it around",
    "wrong-corner": "your triangle starts in the first column; the queries are the LAST of the keys, so query 0 "
    "already sees the S - T keys in front of it and itself",
    "sees-the-future": "a query sees keys that come later: that is the future",
    "blind-to-itself": "your queries do not see their own place; query 0 of a plain text would see nothing at all",
    "keys-by-queries": "you have keys × queries: a query is a row, a key is a column",
    "shift-backwards": "you move the triangle to the wrong side: query 0 stands at place S - T, not T - S",
    "square-mask": "your mask is square; it has one row for each query and one column for each key, (T, S)",
    "hides-the-front": "you hide the S - T keys in front of the first query: they come earlier, so all may see them",
    "forgets-the-beginning": "your queries lose sight of the first keys: what is earlier may be seen, however far away",
    "sees-one-key": "your queries see their own place only; they also see all that comes earlier",
}


def compare_masks(call, queries: int, keys: int) -> None:
    facts = call(queries, keys)
    if not facts["is a tensor"]:
        kind = type_in_words(facts["mask"]).replace("tensor", "NumPy array")
        raise Misconception("not-a-tensor", f"the mask should be a tensor of True and False; yours is {kind}")
    right = reference("1.2")(queries, keys)
    names = MASKS if facts["mask"].dtype == bool else NUMBERS
    compare(facts["mask"], right, "the mask", "1.2", lambda seen: ask.mask(seen, queries, keys)["mask"], names)


WEIGHTS = {
    "scale-forgotten": "you do not divide by √d: the softmax is too sharp",
    "scale-too-strong": "you divide by d; it is the root, √d",
    "scale-upside-down": "you multiply by √d: divide by it",
    "scale-by-length": "you divide by the root of a number of queries or keys; d is the width of one query, "
    "the last number of its shape",
    "scale-of-one-width": "you divide by a fixed number; √d depends on the queries that are given",
    "scale-too-late": "you divide after the softmax: the scores are divided, before it, and rows sum to one",
    "mask-forgotten": "you do not use the mask: these queries see what is hidden from them",
    "mask-upside-down": "you hide what may be seen: turn the mask around",
    "own-mask": "you make a mask of your own: use the one that is given, whatever it hides",
    "mask-too-late": "you hide the future after the softmax: it has taken its share already, and rows do not sum to "
    "one",
    "zero-is-not-hidden": "you set hidden scores to 0, and e⁰ = 1 still counts: a hidden score is −∞",
    "not-quite-hidden": "a hidden key still has some weight: a hidden score is −∞",
    "zero-times-infinity": "you multiply the mask by −∞, and 0 · ∞ is no number (NaN): put −∞ in with masked_fill",
    "mask-as-numbers": "you add True and False as 1 and 0: hide with −∞ instead",
    "softmax-over-queries": "the softmax runs over the keys: each ROW sums to one, and yours does so in the columns",
    "softmax-over-all": "your softmax runs over the whole table at once: each row sums to one",
    "softmax-twice": "you take the softmax twice, which evens the weights out",
    "logs-for-weights": "these are the logarithms of the weights: softmax, not log_softmax",
    "scores-for-weights": "these are the scores; the weights are their softmax",
    "cosines-for-scores": "you compare directions only: the score is the dot product divided by √d",
    "queries-and-keys-swapped": "your keys ask and your queries are looked at: a row is a query, Q Kᵀ",
}
READ = {
    "mixes-keys": "you mix the keys: they say where to look; the values are read",
    "plain-mean": "you average whatever is visible: each value counts by its weight",
    "reads-with-scores": "you mix the values by the scores: mix them by the weights, which sum to one",
    "not-quite-hidden": WEIGHTS["not-quite-hidden"],
    "reads-backwards": "you turn the weights on their side, and each value is handed to the wrong place",
}


def right_weights(call, rng):
    for inputs in worlds(rng):
        facts, right = call(*inputs), ask.head(reference("1.3"), *inputs)
        compare_weights(facts, right, inputs)
        left_alone(facts["given"], inputs, "query key value visible")
        got, wanted = facts.get("gradients of the weights"), right["gradients of the weights"]
        compare_gradients(got, wanted, "query key", "1.3", None, {})


def right_mixture(call, rng):
    for inputs in worlds(rng):
        facts, right = call(*inputs), ask.head(reference("1.3"), *inputs)
        mixed = compare_weights(facts, right, inputs)
        compare_result(mixed, right, inputs)
        got, wanted = facts.get("gradients of the result"), right["gradients of the result"]
        compare_gradients(got, wanted, "query key value", "1.3", None, {})


def worlds(rng) -> list[list[np.ndarray]]:
    """A plain text, more keys than queries, a mask that is not causal, one query: no two lengths and widths alike."""
    plain_text = int(rng.integers(5, 8))
    queries = int(rng.integers(5, 8))
    keys = queries + int(rng.integers(1, 4))
    causal = reference("1.2")
    return [
        drawn(rng, rng.integers(11, 15), causal(plain_text, plain_text).numpy()),
        drawn(rng, rng.integers(11, 15), causal(queries, keys).numpy()),
        low(*drawn(rng, 3, some_seen(rng, queries, keys))),
        tempting(*drawn(rng, 3, some_seen(rng, 1, keys))),
    ]


def low(query, key, value, seen) -> list[np.ndarray]:
    """The same with scores near −30, which changes no weight, unless what is hidden gets a score that is not −∞."""
    query[:, 0], key[:, 0] = 30, -np.sqrt(query.shape[1])
    return [query, key, value, seen]


def tempting(query, key, value, seen) -> list[np.ndarray]:
    """The same with a score of 60 for the first key, which is hidden: to make a score less is not enough."""
    key[0] = 60 * query[0] * np.sqrt(query.shape[1]) / (query[0] @ query[0])
    return [query, key, value, seen]


def some_seen(rng, queries: int, keys: int) -> np.ndarray:
    """A mask in which each query sees some keys, the last one among them, and never the first."""
    seen = rng.random((queries, keys)) < 0.5
    seen[:, -1], seen[:, 0] = True, False
    return seen


def drawn(rng, width: int, seen: np.ndarray) -> list[np.ndarray]:
    """Queries, keys and values, with scores large enough to matter."""
    queries, keys = seen.shape
    sizes = (queries, width), (keys, width), (keys, width)
    return [*(rng.normal(size=size, scale=1.5).astype(np.float32) for size in sizes), seen]


def compare_weights(facts, right, inputs):
    """The result, if the weights are right."""
    weights, mixed = unpack(facts["answer"], 2, "the weights and the result")
    expected, read = (part.detach() for part in right["answer"])
    if not difference(weights, plain(read), "", 1e-5) and not difference(mixed, plain(expected), "", 1e-5):
        raise Misconception("parts-swapped", "you return the result first: the weights come first, then the result")
    try:
        compare(weights, expected, "the attention weights", "1.3", lambda attend: attend(*tensors(*inputs))[0], WEIGHTS)
    except Misconception as wrong:
        if wrong.name == "different-values" and weights[~inputs[-1]].any():
            raise Misconception("not-quite-hidden", WEIGHTS["not-quite-hidden"], wrong.detail) from None
        raise
    return mixed


def compare_result(mixed, right, inputs) -> None:
    compare(mixed, right["answer"][1], "the result", "1.3", lambda attend: attend(*tensors(*inputs))[1], READ)


@cache
def base():
    return pretrained()[0]


def like_the_model(call, rng):
    """One head of the shipped base, on a sentence of random tokens."""
    model = base()
    recorder, tokens = Recorder(("queries", "keys", "values", "weights")), rng.integers(1, model.config.vocab, (1, 6))
    layer, chosen = int(rng.integers(model.config.layers)), int(rng.integers(model.config.heads))
    with torch.no_grad():
        model(torch.from_numpy(tokens), recorder)
    shared = chosen * model.config.kv_heads // model.config.heads  # the key/value head that this query head reads
    query = model.rotate(recorder["queries", layer], 6)[0, chosen].numpy()
    key = model.rotate(recorder["keys", layer], 6)[0, shared].numpy()
    value, seen = recorder["values", layer][0, shared].numpy(), reference("1.2")(6, 6).numpy()
    inputs = [query, key, value, seen]
    facts, right = call(*inputs), ask.head(reference("1.3"), *inputs)
    mixed = compare_weights(facts, right, inputs)
    compare_result(mixed, right, inputs)
    weights = facts["answer"][0]
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
