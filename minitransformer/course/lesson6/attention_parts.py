"""Attention with a prefix taken apart: its share and what it leaves; its bias and the rest of the result."""

import numpy as np
import torch
from torch import Tensor

from ... import comparison, soft_prompts
from ...base import pretrained
from ...hooks import Recorder, Stack
from ...model import Transformer
from ...soft_prompts import PrefixTuning
from ..differences import agree, left_alone, unpack
from ..exercise import Exercise, Part
from ..small_models import softmax
from ..worlds import agree_in_all
from . import ask

SHARE = {
    "share-of-the-text": "this is what the text keeps; the share is what the prefix takes",
    "prefix-at-the-end": "you take the last keys: the prefix stands in front",
    "mean-for-share": "you average the prefix's weights: a share adds up",
    "summed-over-queries": "you add over queries: each query has a share",
    "first-key-only": "you take the first key only: the prefix has `virtual` of them",
    "one-share-a-head": "you average over the queries: each query has a share of its own",
    "always-four": "your prefix is always four keys long: it has `virtual` of them",
    "outputs-swapped": "these are the rescaled weights: the share comes first",
}
REST = {
    "not-rescaled": "these rows do not sum to one: divide what is left by its sum",
    "softmax-again": "a second softmax flattens the weights: they are probabilities already, divide by their sum",
    "divided-by-the-share": "you divide by what the prefix takes; divide by what it leaves",
    "one-sum-for-all": "each row is divided by a sum of its own",
    "columns-sum-to-one": "you rescale columns: a query is a row",
    "prefix-at-the-end": "you drop the last keys: the prefix stands in front",
    "spread-evenly": "you give back the same to each key of the text: each grows by the same factor instead, so that "
    "what was larger stays larger in proportion",
    "first-order-only": "1 + share is about 1 / (1 - share) for a small share only: divide by the sum of what is left",
    "largest-is-one": "you divide by the largest weight of each row: divide by the row's sum",
    "outputs-swapped": "this is the share, which comes first; the rescaled weights come second",
}
BIAS = {
    "whole-result": "this is the head's whole result; the bias is the part that comes from the prefix",
    "bias-of-full-strength": "you rescale the prefix's weights: the bias is as strong as the share that they take",
    "text-for-prefix": "this is the text's part; the prefix's keys are the first ones",
    "plain-sum": "you add the prefix's values as they are: each query weighs them",
    "other-values": "you weigh values of the text: the prefix's own are the first ones",
    "mean-for-sum": "you divide by the number of prefix vectors: the weighted values add up",
    "one-head-for-all": "you use the first head's values for all heads: each head has its own",
    "one-bias-for-all": "you average over the queries: each query weighs the prefix in its own way",
    "first-vector-only": "you take the prefix's first vector only: it has `virtual` of them",
    "outputs-swapped": "this is the result without the prefix: the bias comes first",
}
WITHOUT = {
    "still-turned-down": "this is the text's part as it is *with* the prefix, turned down: without it the rows sum to "
    "one",
    "whole-result": "this is the head's result with the prefix: leave its part out, and rescale",
    "softmax-again": "divide by the sum; no second softmax",
    "divided-by-the-share": "you divide by what the prefix takes: divide by what it leaves",
    "other-values": "you weigh the first values, and those are the prefix's: the text's come after them",
    "outputs-swapped": "this is the bias, which comes first; the result without the prefix comes second",
    "subtracted-only": "the prefix's values enter with their weights, and its absence also gives the text its "
    "attention back",
}


CHANGED = "your function changes what it was given: dividing in place (/=, div_) does; make new tensors instead"


def right_share(call, rng):
    compare(call, "6.1", 0, "the share", SHARE, [world[::2] for world in attention(rng)])


def right_rest(call, rng):
    compare(call, "6.1", 1, "the rescaled weights", REST, [world[::2] for world in attention(rng)], alone=True)


def compare(call, exercise: str, place: int, what: str, messages: dict[str, str], worlds, alone=False) -> list:
    """The first or the second of the two results in each world; and, if `alone`, that the inputs were left alone."""
    run = ask.rescaling if exercise == "6.1" else ask.parts
    facts, got = [call(*world) for world in worlds], []
    for each in facts:
        names = (
            "the share and the rescaled weights" if exercise == "6.1" else "the bias and the result without the prefix"
        )
        got.append(unpack(each["found"], 2, names)[place])
    agree_in_all(exercise, got, worlds, lambda answer, world: run(answer, *world)["found"][place], what, messages)
    for world, each in zip(worlds, facts, strict=True):
        if alone:
            left_alone(each["given"], world[:-1], CHANGED)
    return got


def the_proof(call, rng):
    """On the shipped base, with random vectors and a text of random tokens: the first block is never reordered."""
    model, _ = pretrained()
    virtual, tokens = int(rng.integers(1, 5)), torch.from_numpy(rng.integers(1, model.config.vocab, (1, 6)))
    prefix = PrefixTuning(virtual, model.config, scale=1.0, seed=int(rng.integers(1000)))
    plain, prefixed = (first_weights(model, tokens, hooks) for hooks in (Stack(), prefix))
    (rest,) = compare(call, "6.1", 1, "the rescaled weights", REST, [(prefixed, virtual)])
    agree(rest, plain, "the rescaled weights of the model's first block, beside those without a prefix", tolerance=1e-4)


def first_weights(model: Transformer, tokens: Tensor, hooks) -> np.ndarray:
    recorder = Recorder(("weights",))
    with torch.no_grad():
        model(tokens, Stack(hooks, recorder))
    return recorder["weights", 0][0].numpy()


def right_bias(call, rng):
    compare(call, "6.2", 0, "the bias", BIAS, attention(rng))


def right_without(call, rng):
    compare(call, "6.2", 1, "the result without the prefix", WITHOUT, attention(rng), alone=True)


def attention(rng) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Weights with prefixes of three lengths in front of a text, one of them a single vector, and values."""
    lengths = [1, *(int(each) for each in rng.permutation([2, 3, 5, 6])[:2])]
    return [attention_with(rng, virtual) for virtual in lengths]


def attention_with(rng, virtual: int) -> tuple[np.ndarray, np.ndarray, int]:
    heads, text, width = (int(each) for each in (rng.integers(2, 4), rng.integers(4, 8), rng.integers(3, 6)))
    scores = rng.normal(size=(heads, text, virtual + text), scale=1.5)
    hidden = np.tril(np.ones((text, virtual + text)), virtual) == 0
    weights = softmax(np.where(hidden, -np.inf, scores)).astype(np.float32)
    return weights, rng.normal(size=(heads, virtual + text, width)).astype(np.float32), virtual


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
