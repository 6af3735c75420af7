"""Lesson 2, judged: vectors in front of the text, the loss that knows no prompt, a start from words."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...hooks import NO_HOOKS
from ...losses import loss
from ...soft_prompts import PromptTuning
from ...tokenizer import IGNORED
from ...training import train
from ..differences import Suspect, agree
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import tensors, tiny
from . import ask


def in_front(call, rng):
    for rows in (3, 1):  # also where one row would hide that each must have the prompt
        vectors, x = rng.normal(size=(2, 8)).astype(np.float32), rng.normal(size=(rows, 5, 8)).astype(np.float32)
        compare_entered(call(vectors, x, None, None, 0)["entered"], vectors, x)


def compare_entered(entered, vectors, x) -> None:
    prompt = np.broadcast_to(vectors, (len(x), *vectors.shape))
    overwritten = np.concatenate((prompt, x[:, len(vectors) :]), 1)
    agree(
        entered,
        np.concatenate((prompt, x), 1),
        "what enters the first block",
        Suspect(
            "prompt-behind-the-text",
            np.concatenate((x, prompt), 1),
            "your vectors come after the text; there, no token of the text can see them, since nobody sees what comes "
            "later",
        ),
        Suspect(
            "prompt-replaces-tokens",
            overwritten,
            "your vectors stand in the place of the first tokens, which are lost; the text gets P places longer",
        ),
        Suspect("prompt-forgotten", x, "the text comes out as it went in: nothing was put in front of it"),
        Suspect("text-forgotten", prompt, "only the prompt is left: the text belongs behind it"),
        Suspect(
            "prompt-added",
            x + vectors.mean(0),
            "you add to the text's vectors; the prompt has places of its own, in front of them",
        ),
        Suspect(
            "prompt-backwards",
            np.concatenate((prompt[:, ::-1], x), 1),
            "the vectors stand in front in reversed order: p0 comes first",
        ),
        Suspect(
            "one-vector-everywhere",
            np.concatenate((np.broadcast_to(vectors[:1], prompt.shape), x), 1),
            "every place has the same vector: each of the P places has one of its own",
        ),
        Suspect(
            "prompt-in-first-text-only",
            np.concatenate((np.concatenate((prompt[:1], np.zeros_like(prompt[1:]))), x), 1),
            "only the first text of the batch has the prompt",
        ),
    )


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
    with torch.no_grad():
        logits, bare = model(words, hooks), model(words)
    every = entropies(logits, wanted)  # (B, T), 0 where there is no target
    counts = (wanted != IGNORED).sum(1)
    cut = length or 0
    sliced = mean(logits[:, cut:], wanted[:, cut:]) if 0 < cut < 6 else None
    moved = mean(logits[:, cut:], wanted[:, : 6 - cut]) if 0 < cut < 6 else None
    got = call(vectors, tokens, targets, seed)
    if got is not None and np.ndim(got) == 0 and cut >= 6 and np.isnan(got):
        raise Misconception("logits-sliced", SLICED)
    agree(
        float(got) if np.ndim(got) == 0 and got is not None else got,
        mean(logits, wanted),
        "the loss",
        *(Suspect("logits-sliced", value, SLICED) for value in (sliced, moved) if value is not None),
        *(
            [Suspect("prompt-not-passed", mean(bare, wanted), "this is the loss without the prompt: the model must be "
                     "called with it, hooks=hooks")]
            if length else []
        ),
        Suspect(
            "targets-shifted-twice",
            mean(logits[:, :-1], wanted[:, 1:]),
            "you shift the targets; they are shifted already: each stands beside the token that comes before it",
        ),
        Suspect(
            "targets-unshifted",
            mean(logits[:, 1:], wanted[:, :-1]),
            "you shift the logits: each position would have to name the token that it has just read",
        ),
        Suspect(
            "tokens-for-targets",
            F.cross_entropy(logits.flatten(0, 1), words.flatten()).item(),
            "you compare with the tokens that were read; the targets say what should come next",
        ),
        Suspect(
            "ignored-counted",
            (every.sum() / every.numel()).item(),
            "you divide by all places; the mean runs over the places that have a target",
        ),
        Suspect("sum-for-mean", every.sum().item(), "this is the sum over the targets; the loss is their mean"),
        Suspect(
            "mean-of-row-means",
            (every.sum(1) / counts).mean().item(),
            "you average each text first: then a token of a short answer counts more than one of a long answer",
        ),
        Suspect("last-place-only", mean(logits[:, -1:], wanted[:, -1:]), "you judge the last place only"),
        tolerance=1e-4,
    )  # fmt: skip


SLICED = "you cut P places off; the model has dropped the prompt's already, and what you cut off are tokens of the text"


def entropies(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def mean(logits: Tensor, targets: Tensor) -> float:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()).item()


def compare_start(call, rng, words: int, length: int) -> None:
    table, ids = rng.normal(size=(12, 5)).astype(np.float32), rng.permutation(np.arange(1, 12))[:words]
    chosen, places = table[ids], np.arange(length)
    padded = np.concatenate((chosen[:length], np.zeros((max(0, length - words), 5), np.float32)))
    agree(
        call(ids, table, length),
        chosen[places % words],
        "the starting vectors",
        Suspect("too-many-words", chosen, "you take every word; a prompt of P vectors needs the first P"),
        Suspect("rest-left-at-zero", padded, "the places after the last word are 0; begin again with the first word"),
        Suspect(
            "last-word-repeated",
            chosen[np.minimum(places, words - 1)],
            "you repeat the last word; begin again with the first",
        ),
        Suspect(
            "words-stretched",
            np.repeat(chosen, -(-length // words), axis=0)[:length],
            "you repeat each word several times in a row; go through all words in turn",
        ),
        Suspect(
            "words-in-one-bag",
            np.broadcast_to(chosen.mean(0), (length, 5)),
            "you average the words; each place starts as one word of its own",
        ),
        Suspect("first-word-only", np.broadcast_to(chosen[0], (length, 5)), "every place has the first word"),
        Suspect(
            "table-from-the-top",
            table[places],
            "these are the table's first rows; the words say which rows to take",
        ),
        Suspect("last-words-kept", chosen[-length:], "you keep the last words; the first P are wanted"),
    )


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
