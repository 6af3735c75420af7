"""Attention with a prefix taken apart: its share and what it leaves; its bias and the rest of the result."""

import numpy as np
import torch
from torch import Tensor

from ... import comparison, soft_prompts
from ...base import pretrained
from ...hooks import Recorder, Stack
from ...model import Transformer
from ...soft_prompts import PrefixTuning
from ..differences import agree, suspects, unpack
from ..exercise import Exercise, Part
from ..lesson_text import reference
from ..plain_data import tensors
from ..small_models import softmax
from . import ask

SHARE = {
    "share-of-the-text": "this is what the text keeps; the share is what the prefix takes",
    "prefix-at-the-end": "you take the last keys: the prefix stands in front",
    "mean-for-share": "you average the prefix's weights: a share adds up",
    "summed-over-queries": "you add over queries: each query has a share",
}
REST = {
    "not-rescaled": "these rows do not sum to one: divide what is left by its sum",
    "softmax-again": "a second softmax flattens the weights: they are probabilities already, divide by their sum",
    "divided-by-the-share": "you divide by what the prefix takes; divide by what it leaves",
    "one-sum-for-all": "each row is divided by a sum of its own",
    "columns-sum-to-one": "you rescale columns: a query is a row",
    "prefix-at-the-end": "you drop the last keys: the prefix stands in front",
}
BIAS = {
    "whole-result": "this is the head's whole result; the bias is the part that comes from the prefix",
    "bias-of-full-strength": "you rescale the prefix's weights: the bias is as strong as the share that they take",
    "text-for-prefix": "this is the text's part; the prefix's keys are the first ones",
    "plain-sum": "you add the prefix's values as they are: each query weighs them",
}
WITHOUT = {
    "still-turned-down": "this is the text's part as it is *with* the prefix, turned down: without it the rows sum to "
    "one",
    "whole-result": "this is the head's result with the prefix: leave its part out, and rescale",
    "softmax-again": "divide by the sum; no second softmax",
    "subtracted-only": "the prefix's values enter with their weights, and its absence also gives the text its "
    "attention back",
}


def right_share(call, rng):
    weights, _, virtual = attention(rng)
    share, _ = unpack(call(weights, virtual), 2, "the share and the rescaled weights")
    compare_parts("6.1", 0, share, "the share", SHARE, weights, virtual)


def right_rest(call, rng):
    weights, _, virtual = attention(rng)
    _, rest = unpack(call(weights, virtual), 2, "the share and the rescaled weights")
    compare_rest(rest, weights, virtual)


def compare_rest(rest, weights: np.ndarray, virtual: int) -> None:
    compare_parts("6.1", 1, rest, "the rescaled weights", REST, weights, virtual)


def compare_parts(exercise: str, place: int, got, what: str, messages: dict[str, str], *inputs) -> None:
    """The first or the second of the two results, and what known wrong answers give there."""

    def result(answer) -> Tensor:
        *arrays, virtual = inputs
        return answer(*tensors(*arrays), virtual)[place]

    agree(got, result(reference(exercise)), what, *suspects(exercise, result, messages))


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
    compare_parts("6.2", 0, added, "the bias", BIAS, weights, values, virtual)


def right_without(call, rng):
    weights, values, virtual = attention(rng)
    _, without = unpack(call(weights, values, virtual), 2, "the bias and the result without the prefix")
    compare_parts("6.2", 1, without, "the result without the prefix", WITHOUT, weights, values, virtual)


def attention(rng) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights of two heads with a prefix of some vectors in front of five tokens, and values."""
    virtual = int(rng.integers(2, 5))
    scores = rng.normal(size=(2, 5, virtual + 5), scale=1.5)
    hidden = np.tril(np.ones((5, virtual + 5)), virtual) == 0
    weights = softmax(np.where(hidden, -np.inf, scores)).astype(np.float32)
    return weights, rng.normal(size=(2, virtual + 5, 3)).astype(np.float32), virtual


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
