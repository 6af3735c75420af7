"""Attention with a prefix taken apart: its share and what it leaves; its bias and the rest of the result."""

import numpy as np
import torch
from torch import Tensor

from ... import comparison, soft_prompts
from ...base import pretrained
from ...hooks import Recorder, Stack
from ...model import Transformer
from ...soft_prompts import PrefixTuning
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Part
from ..small_models import softmax
from . import ask


def right_share(call, rng):
    weights, _, virtual = attention(rng)
    share, _ = unpack(call(weights, virtual), 2, "the share and the rescaled weights")
    agree(
        share,
        weights[..., :virtual].sum(-1),
        "the share",
        Suspect(
            "share-of-the-text",
            weights[..., virtual:].sum(-1),
            "this is what the text keeps; the share is what the prefix takes",
        ),
        Suspect(
            "prefix-at-the-end", weights[..., -virtual:].sum(-1), "you take the last keys: the prefix stands in front"
        ),
        Suspect("mean-for-share", weights[..., :virtual].mean(-1), "you average the prefix's weights: a share adds up"),
        Suspect("summed-over-queries", weights[..., :virtual].sum(-2), "you add over queries: each query has a share"),
    )


def right_rest(call, rng):
    weights, _, virtual = attention(rng)
    _, rest = unpack(call(weights, virtual), 2, "the share and the rescaled weights")
    compare_rest(rest, weights, virtual)


def compare_rest(rest, weights: np.ndarray, virtual: int) -> None:
    real = weights[..., virtual:]
    last = weights[..., : real.shape[-1]]
    agree(
        rest,
        rescaled(weights, virtual),
        "the rescaled weights",
        Suspect("not-rescaled", real, "these rows do not sum to one: divide what is left by its sum"),
        Suspect(
            "softmax-again",
            softmax(real),
            "a second softmax flattens the weights: they are probabilities already, divide by their sum",
        ),
        Suspect(
            "divided-by-the-share",
            real / (1 - real.sum(-1, keepdims=True)),
            "you divide by what the prefix takes; divide by what it leaves",
        ),
        Suspect("one-sum-for-all", real / real.sum((-2, -1), keepdims=True), "each row is divided by a sum of its own"),
        Suspect("columns-sum-to-one", real / real.sum(-2, keepdims=True), "you rescale columns: a query is a row"),
        Suspect(
            "prefix-at-the-end",
            last / last.sum(-1, keepdims=True),
            "you drop the last keys: the prefix stands in front",
        ),
    )


def the_proof(call, rng):
    """On the shipped base, with random vectors and a text of random tokens: the first block is never reordered."""
    model, _ = pretrained()
    virtual, tokens = int(rng.integers(1, 5)), torch.from_numpy(rng.integers(1, model.config.vocab, (1, 6)))
    prefix = PrefixTuning(virtual, model.config, scale=1.0, seed=int(rng.integers(1000)))
    plain, prefixed = (first_weights(model, tokens, hooks) for hooks in (Stack(), prefix))
    _, rest = unpack(call(prefixed, virtual), 2, "the share and the rescaled weights")
    compare_rest(rest, prefixed, virtual)
    agree(rest, plain, "the rescaled weights of the model's first block, beside those without a prefix", tolerance=1e-4)


def first_weights(model: Transformer, tokens: Tensor, hooks) -> np.ndarray:
    recorder = Recorder(("weights",))
    with torch.no_grad():
        model(tokens, Stack(hooks, recorder))
    return recorder["weights", 0][0].numpy()


def right_bias(call, rng):
    weights, values, virtual = attention(rng)
    added, _ = unpack(call(weights, values, virtual), 2, "the bias and the result without the prefix")
    shared = weights[..., :virtual]
    agree(
        added,
        shared @ values[:, :virtual],
        "the bias",
        Suspect(
            "whole-result",
            weights @ values,
            "this is the head's whole result; the bias is the part that comes from the prefix",
        ),
        Suspect(
            "bias-of-full-strength",
            shared / shared.sum(-1, keepdims=True) @ values[:, :virtual],
            "you rescale the prefix's weights: the bias is as strong as the share that they take",
        ),
        Suspect(
            "text-for-prefix",
            weights[..., virtual:] @ values[:, virtual:],
            "this is the text's part; the prefix's keys are the first ones",
        ),
        Suspect(
            "plain-sum",
            np.broadcast_to(values[:, None, :virtual].sum(2), added_shape(weights, values)),
            "you add the prefix's values as they are: each query weighs them",
        ),
    )


def right_without(call, rng):
    weights, values, virtual = attention(rng)
    _, without = unpack(call(weights, values, virtual), 2, "the bias and the result without the prefix")
    real = weights[..., virtual:]
    agree(
        without,
        rescaled(weights, virtual) @ values[:, virtual:],
        "the result without the prefix",
        Suspect(
            "still-turned-down",
            real @ values[:, virtual:],
            "this is the text's part as it is *with* the prefix, turned down: without it the rows sum to one",
        ),
        Suspect(
            "whole-result",
            weights @ values,
            "this is the head's result with the prefix: leave its part out, and rescale",
        ),
        Suspect("softmax-again", softmax(real) @ values[:, virtual:], "divide by the sum; no second softmax"),
        Suspect(
            "subtracted-only",
            weights @ values - values[:, :virtual].sum(1)[:, None],
            "the prefix's values enter with their weights, and its absence also gives the text its attention back",
        ),
    )


def added_shape(weights: np.ndarray, values: np.ndarray) -> tuple[int, ...]:
    return (*weights.shape[:2], values.shape[2])


def attention(rng) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights of two heads with a prefix of some vectors in front of five tokens, and values."""
    virtual = int(rng.integers(2, 5))
    scores = rng.normal(size=(2, 5, virtual + 5), scale=1.5)
    hidden = np.tril(np.ones((5, virtual + 5)), virtual) == 0
    weights = softmax(np.where(hidden, -np.inf, scores)).astype(np.float32)
    return weights, rng.normal(size=(2, virtual + 5, 3)).astype(np.float32), virtual


def rescaled(weights: np.ndarray, virtual: int) -> np.ndarray:
    real = weights[..., virtual:]
    return real / real.sum(-1, keepdims=True)


EXERCISES = (
    Exercise(
        id="6.1",
        title="share and content",
        ask=ask.rescaling,
        provides=(soft_prompts, comparison),
        parts=(
            Part("the prefix's share", 1, right_share),
            Part("the rest, rescaled", 1, right_rest),
            Part("the proof on the model", 1, the_proof),
        ),
        hints=(
            "The prefix's keys are the first columns; each row of the whole sums to one. What does the rest of a row "
            "sum to?",
            "`weights[..., :virtual]` are the prefix's columns and `weights[..., virtual:]` the text's. Sums over keys "
            "run over the last dimension.",
            "Divide the text's columns by their own sum, with `keepdim=True` so that each row meets its own sum. "
            "Return the share first.",
        ),
    ),
    Exercise(
        id="6.2",
        title="the result taken apart",
        ask=ask.parts,
        provides=(soft_prompts, comparison),
        parts=(Part("the bias", 2, right_bias), Part("without the prefix", 2, right_without)),
        hints=(
            "The result is a sum over all keys. Which keys belong to which of the two parts?",
            "Keys are the last dimension of the weights, and the second of the values: `values[:, :virtual]` belongs "
            "to the prefix. Each part is weights @ values over its own keys.",
            "The bias takes the prefix's weights as they are. For the result without a prefix, first rescale the "
            "text's weights as in exercise 6.1, then mix the text's values.",
        ),
    ),
)
