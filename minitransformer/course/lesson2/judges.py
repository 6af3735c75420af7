"""Lesson 2, judged: vectors in front of the text, the loss that knows no prompt, a start from words."""

from functools import partial

import numpy as np
import torch

from ...losses import loss
from ...soft_prompts import PromptTuning
from ...tokenizer import IGNORED
from ...training import train
from ..differences import Suspect, agree, left_alone, looks_like
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import Plain, plain, tensors, tiny
from ..small_models import normal
from ..worlds import agree_in_all
from . import ask


def in_front(call, rng):
    worlds = [start_and_text(rng, rows) for rows in (3, 1)]  # one row hides that each must have the prompt
    facts = [call(*world, None, None, 0) for world in worlds]
    try:
        compare_entered([each["entered"] for each in facts], worlds)
    except Misconception as wrong:
        if wrong.name == "different-values" and all(looks_like(*each["beside another"], 0) for each in facts):
            raise Misconception("shared-by-all-prompts", SHARED, wrong.detail) from None
        raise
    for (vectors, x), each in zip(worlds, facts, strict=True):
        for when, name, message in MODES:
            agree(each[when], each["entered"], f"what enters {when}", Suspect(name, x, message))
        for got, start in zip(each["beside another"], (vectors, -vectors), strict=True):
            same = Suspect("shared-by-all-prompts", each["entered"], SHARED)
            agree(got, entered(reference("2.1"), start, x), "what enters when there are two prompts", same)


MODES = (
    ("in eval mode", "not-in-eval-mode", "after eval() your vectors no longer enter: they belong there, too"),
    ("without gradients", "only-with-gradients", "under no_grad() your vectors do not enter: answers are made there"),
)
SHARED = "two prompts that start from different vectors let the same ones enter: keep each prompt's own vectors on self"


def start_and_text(rng, rows: int) -> tuple[np.ndarray, np.ndarray]:
    length, width = rng.integers(2, 5), rng.choice([6, 8, 10])
    return normal(rng, length, width), normal(rng, rows, 5, width)


def entered(Prompt, vectors, x) -> torch.Tensor:
    start, text = tensors(vectors, x)
    return Prompt(start).embed(text)


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
    "start-ignored": "you start at 0; start from the vectors you are given",
}


def compare_entered(got: list, worlds: list) -> None:
    agree_in_all(
        "2.1", got, worlds, lambda Prompt, world: entered(Prompt, *world), "what enters the first block", ENTERED
    )


def learnable(call, rng):
    """Whatever the parameters look like, P · D numbers are learned, and the gradient of all texts reaches them."""
    worlds = [start_and_text(rng, 4) for _ in range(2)]
    every = [call(*world, None, None, 0) for world in worlds]
    (vectors, x), facts = worlds[0], every[0]
    if not facts["learned"]:
        raise Misconception(
            "not-a-parameter",
            "your vectors are a plain tensor, so no optimizer will ever find them: wrap them in nn.Parameter",
        )
    numbers = sum(int(np.prod(shape)) for shape in facts["learned"])
    if numbers != vectors.size:
        shapes = ", ".join(str(tuple(shape)) for shape in facts["learned"])
        raise Misconception(
            "other-parameters",
            f"expected P · D = {vectors.size} numbers to learn and no others; yours are {numbers}: {shapes}",
        )
    compare_entered([each["entered"] for each in every], worlds)
    if any(gradient is None for gradient in facts["gradients"]):
        raise Misconception(
            "gradient-cut-off",
            "the vectors enter, but no gradient comes back to them: something on the way (detach, .data, no_grad, a "
            "copy) cuts the graph",
        )
    if facts["gradient of the text"] is None:
        raise Misconception(
            "text-cut-off", "no gradient comes back to the text any more: put it behind the prompt as it is"
        )
    gradient = np.concatenate([part.reshape(-1) for part in facts["gradients"]]).reshape(vectors.shape)
    expected = 2 * len(x) * vectors
    first_text = Suspect(
        "gradient-in-part", expected / len(x), "the gradient comes from one text only; all have the prompt"
    )
    agree(gradient, expected, "the gradient that reaches the vectors from all texts together", first_text)


def trains(call, rng):
    """What enters after training, in a model of the judge's own: the loss is as low as with the reference's vectors."""
    seed, vectors = int(rng.integers(1000)), 0.3 * normal(rng, 3, 8)
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
    if not np.array_equal(facts["start"], vectors):
        raise Misconception(
            "start-not-copied",
            "training has changed the tensor that your prompt was given, which others may still need: keep a copy, "
            "vectors.clone()",
        )


def compare_loss(call, rng, length: int | None) -> None:
    worlds = [some_targets(rng, length) for _ in range(2)]
    facts = [call(*world) for world in worlds]
    got = [number(each["loss"]) for each in facts]
    if (length or 0) > 6 and all(type(each) is float and np.isnan(each) for each in got):
        raise Misconception("logits-sliced", LOSSES["logits-sliced"])
    known = {name: LOSSES[name] for name in LOSSES if length or name != "prompt-not-passed"}
    agree_in_all("2.2", got, worlds, loss_of, "the loss", known, tolerance=1e-4)
    for (vectors, tokens, targets, seed), each in zip(worlds, facts, strict=True):
        left_alone(each["given"], (tokens, targets), "your function changes the tokens or the targets: leave them be")
        if vectors is None:
            continue
        if each["gradient"] is None:
            raise Misconception(
                "gradient-lost",
                "the value is right, but no gradient comes from it, and training has nothing to go by: return the "
                "tensor as it is, without item(), detach() or no_grad",
            )
        right = ask.loss(reference("2.2"), vectors, tokens, targets, seed)["gradient"]
        agree(each["gradient"], right, "the gradient of the loss on the prompt", tolerance=1e-4)


def some_targets(rng, length: int | None) -> list:
    """The rows have targets at different places and not equally many, so that wrong places and wrong means show."""
    seed, tokens, targets = int(rng.integers(1000)), rng.integers(17, size=(3, 6)), rng.integers(17, size=(3, 6))
    targets[1, :4], targets[2, 2:5] = IGNORED, IGNORED
    return [None if length is None else normal(rng, length, 8), tokens, targets, seed]


def loss_of(prompt_loss, world: list) -> float:
    return number(plain(ask.loss(prompt_loss, *world)["loss"]))


def number(value: Plain) -> Plain:
    """The single number that a tensor holds; anything else as it is."""
    return float(value) if type(value) is np.ndarray and value.ndim == 0 else value


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
    "softmax-twice": "you take a softmax before F.cross_entropy, which takes one itself: hand it the logits",
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
    worlds = [[rng.permutation(np.arange(1, 12))[:words], normal(rng, 12, 5), length] for _ in range(2)]
    facts = [call(*world) for world in worlds]
    got = [each["vectors"] for each in facts]
    value = lambda from_words, world: ask.start(from_words, *world)["vectors"]  # noqa: E731
    agree_in_all("2.3", got, worlds, value, "the starting vectors", STARTS)
    for world, each in zip(worlds, facts, strict=True):
        left_alone(each["given"], world[:2], "your function changes the words or the table: leave them as they are")


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
