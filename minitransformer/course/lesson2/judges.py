"""Lesson 2, judged: vectors in front of the text, the loss that knows no prompt, a start from words."""

from functools import partial

import numpy as np
import torch

from ...hooks import NO_HOOKS
from ...losses import loss
from ...soft_prompts import PromptTuning
from ...tokenizer import IGNORED
from ...training import train
from ..differences import Suspect, agree, suspects
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import tensors, tiny
from . import ask


def in_front(call, rng):
    for rows in (3, 1):  # also where one row would hide that each must have the prompt
        vectors, x = rng.normal(size=(2, 8)).astype(np.float32), rng.normal(size=(rows, 5, 8)).astype(np.float32)
        compare_entered(call(vectors, x, None, None, 0)["entered"], vectors, x)


ENTERED = {
    "prompt-behind-the-text": "your vectors come after the text; there, no token of the text can see them, since "
    "nobody sees what comes later",
    "prompt-replaces-tokens": "your vectors stand in the place of the first tokens, which are lost; the text gets P "
    "places longer",
    "prompt-forgotten": "the text comes out as it went in: nothing was put in front of it",
    "text-forgotten": "only the prompt is left: the text belongs behind it",
    "prompt-added": "you add to the text's vectors; the prompt has places of its own, in front of them",
    "prompt-backwards": "the vectors stand in front in reversed order: p0 comes first",
    "one-vector-everywhere": "every place has the same vector: each of the P places has one of its own",
    "prompt-in-first-text-only": "only the first text of the batch has the prompt",
}


def compare_entered(entered, vectors, x) -> None:
    def enters(Prompt):
        start, text = tensors(vectors, x)
        return Prompt(start).embed(text)

    agree(entered, enters(reference("2.1")), "what enters the first block", *suspects("2.1", enters, ENTERED))


def learnable(call, rng):
    vectors, x = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(4, 5, 8)).astype(np.float32)
    facts = call(vectors, x, None, None, 0)
    if not facts["parameters"]:
        raise Misconception(
            "not-a-parameter",
            "your vectors are a plain tensor, so no optimizer will ever find them: wrap them in nn.Parameter",
        )
    if len(facts["parameters"]) != 1 or facts["parameters"][0].shape != vectors.shape:
        shapes = ", ".join(str(parameter.shape) for parameter in facts["parameters"])
        raise Misconception(
            "other-parameters", f"expected one parameter of shape (P, D) = {vectors.shape}; yours: {shapes}"
        )
    agree(
        facts["parameters"][0],
        vectors,
        "what the prompt starts from",
        Suspect("start-ignored", np.zeros_like(vectors), "you start at 0; start from the vectors you are given"),
    )
    compare_entered(facts["entered"], vectors, x)
    if facts["gradients"][0] is None:
        raise Misconception(
            "gradient-cut-off",
            "the vectors enter, but no gradient comes back to them: something on the way (detach, .data, no_grad, a "
            "copy) cuts the graph",
        )
    agree(facts["gradients"][0], 2 * len(x) * vectors, "the gradient that reaches the vectors from all texts together")


def trains(call, rng):
    """The learned vectors in a model of the judge's own: their loss is as low as that of the reference's vectors."""
    seed, vectors = int(rng.integers(1000)), (0.3 * rng.normal(size=(3, 8))).astype(np.float32)
    tokens, targets = rng.integers(17, size=(4, 5)), rng.integers(17, size=(4, 5))
    targets[:, :3] = IGNORED
    facts = call(vectors, np.zeros((1, 1, 8), np.float32), tokens, targets, seed)
    if facts["trained"] is None:
        raise Misconception("not-a-parameter", "there is nothing to train: wrap your vectors in nn.Parameter")
    agree(np.shape(facts["trained"]), vectors.shape, "the shape of the learned vectors")
    model, examples = tiny(seed, 8), tensors(tokens, targets)
    ours = reference("2.1")(*tensors(vectors))
    train(model, [examples] * 5, ours, steps=5, warmup=1, progress=False)
    start, mine, right = (
        loss(model, *examples, PromptTuning.from_vectors(model, torch.as_tensor(each))).item()
        for each in (vectors, facts["trained"], ours.vectors)
    )
    if not mine < start:
        raise Misconception("does-not-learn", "after five training steps the loss is no lower than before")
    agree(mine, right, "the loss after five training steps", tolerance=1e-3)


def compare_loss(call, rng, length: int | None) -> None:
    """The rows have targets at different places and not equally many, so that wrong places and wrong means show."""
    seed, tokens, targets = int(rng.integers(1000)), rng.integers(17, size=(3, 6)), rng.integers(17, size=(3, 6))
    targets[1, :4], targets[2, 2:5] = IGNORED, IGNORED
    vectors = None if length is None else rng.normal(size=(length, 8)).astype(np.float32)
    model, (words, wanted) = tiny(seed, 8), tensors(tokens, targets)
    hooks = NO_HOOKS if vectors is None else PromptTuning.from_vectors(model, *tensors(vectors))

    def loss_of(prompt_loss) -> float:
        with torch.no_grad():
            return prompt_loss(model, hooks, words, wanted).item()

    got = call(vectors, tokens, targets, seed)
    if got is not None and np.ndim(got) == 0:
        if np.isnan(got) and (length or 0) >= tokens.shape[1]:
            raise Misconception("logits-sliced", LOSSES["logits-sliced"])
        got = float(got)
    wrong = [each for each in suspects("2.2", loss_of, LOSSES) if length or each.name != "prompt-not-passed"]
    agree(got, loss_of(reference("2.2")), "the loss", *wrong, tolerance=1e-4)


LOSSES = {
    "logits-sliced": "you cut P places off; the model has dropped the prompt's already, and what you cut off are "
    "tokens of the text",
    "prompt-not-passed": "this is the loss without the prompt: the model must be called with it, hooks=hooks",
    "targets-shifted-twice": "you shift the targets; they are shifted already: each stands beside the token that comes "
    "before it",
    "targets-unshifted": "you shift the logits: each position would have to name the token that it has just read",
    "tokens-for-targets": "you compare with the tokens that were read; the targets say what should come next",
    "ignored-counted": "you divide by all places; the mean runs over the places that have a target",
    "sum-for-mean": "this is the sum over the targets; the loss is their mean",
    "mean-of-row-means": "you average each text first: then a token of a short answer counts more than one of a long "
    "answer",
    "last-place-only": "you judge the last place only",
}
STARTS = {
    "too-many-words": "you take every word; a prompt of P vectors needs the first P",
    "rest-left-at-zero": "the places after the last word are 0; begin again with the first word",
    "last-word-repeated": "you repeat the last word; begin again with the first",
    "words-stretched": "you repeat each word several times in a row; go through all words in turn",
    "words-in-one-bag": "you average the words; each place starts as one word of its own",
    "first-word-only": "every place has the first word",
    "table-from-the-top": "these are the table's first rows; the words say which rows to take",
    "last-words-kept": "you keep the last words; the first P are wanted",
}


def compare_start(call, rng, words: int, length: int) -> None:
    table, ids = rng.normal(size=(12, 5)).astype(np.float32), rng.permutation(np.arange(1, 12))[:words]
    wrong = suspects("2.3", lambda from_words: from_words(*tensors(ids, table), length), STARTS)
    agree(call(ids, table, length), reference("2.3")(*tensors(ids, table), length), "the starting vectors", *wrong)


EXERCISES = (
    Exercise(
        id="2.1",
        title="the embed hook: prompt tuning",
        ask=ask.prompt,
        parts=(
            Part("in front of every text", 2, in_front),
            Part("the vectors can be learned", 1, learnable),
            Part("five training steps lower the loss", 1, trains),
        ),
        hints=(
            "Two things: in `__init__` keep the vectors so that training finds them; in `embed` join them with `x`. "
            "Which of the three dimensions of `x` grows?",
            "`nn.Parameter(vectors)` on `self` makes them learnable. `torch.cat((a, b), dim)` joins tensors "
            "when all their other dimensions agree; the vectors still lack the batch.",
            "`self.vectors.expand(len(x), -1, -1)` repeats them for each of the B texts, `(B, P, D)`, without copying. "
            "Then join with `x` along dimension 1, the prompt first.",
        ),
    ),
    Exercise(
        id="2.2",
        title="the loss of a model with a prompt",
        ask=ask.loss,
        provides=(PromptTuning,),
        parts=(
            Part("without a prompt", 1, partial(compare_loss, length=None)),
            Part("with a short prompt", 1, partial(compare_loss, length=2)),
            Part("with a prompt longer than the text", 1, partial(compare_loss, length=9)),
        ),
        hints=(
            "Write it for a model without hooks first. What has to change when a prompt is there?",
            "The logits are `(B, T, V)` and the targets `(B, T)`, place by place. `F.cross_entropy` wants one long "
            "list of both: `(B·T, V)` and `(B·T,)`.",
            "`logits.flatten(0, 1)` and `targets.flatten()` make these lists; −100 is passed over by itself, and the "
            "mean is taken over the rest. The hooks go in at the call of the model, and nowhere else.",
        ),
    ),
    Exercise(
        id="2.3",
        title="start from words",
        ask=ask.start,
        parts=(
            Part("as many words as vectors", 1, partial(compare_start, words=4, length=4)),
            Part("fewer words", 1, partial(compare_start, words=3, length=7)),
            Part("more words", 1, partial(compare_start, words=6, length=4)),
        ),
        hints=(
            "First decide which token id stands at each of the P places; the lookup is the one of lesson 1.",
            "With 3 words and 7 places the words' numbers run 0 1 2 0 1 2 0. What is left over when you divide the "
            "place by 3?",
            "`torch.arange(length) % len(words)` gives those numbers, also when there are more words than places. "
            "Index the words with them, and the table with the result.",
        ),
    ),
)
