"""Lesson 8, judged: the loss of logits that stand at more places than there are labels."""

import numpy as np

from ...tokenizer import IGNORED
from ..differences import agree, left_alone, suspects
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import Plain, plain
from ..small_models import normal
from . import ask

VOCABULARY = 11


def with_a_prompt(call, rng):
    compare(call, rng, virtual=int(rng.integers(2, 5)), text=6)


def with_a_prompt_longer_than_the_text(call, rng):
    compare(call, rng, virtual=int(rng.integers(7, 10)), text=5)


def with_and_without(call, rng):
    """The program that is to be mended is right without a prompt: that alone earns nothing."""
    for virtual in rng.permutation([0, 2]):
        compare(call, rng, virtual=int(virtual), text=6)


def compare(call, rng, virtual: int, text: int) -> None:
    """Rows have labels at different places and not equally many; no label of the first row is ignored."""
    logits = 2 * normal(rng, 3, virtual + text, VOCABULARY)
    labels = rng.integers(VOCABULARY, size=(3, text))
    labels[1, : text - 2], labels[2, 2:4] = IGNORED, IGNORED
    facts, right = call(logits, labels), ask.loss(reference("8.1"), logits, labels)
    known = suspects("8.1", lambda text_loss: number(plain(ask.loss(text_loss, logits, labels)["loss"])), LOSSES)
    agree(number(facts["loss"]), right["loss"].item(), "the loss", *known)
    left_alone(
        facts["given"], (logits, labels), "your function changes the logits or the labels, and others still read them"
    )
    if facts["gradient"] is None:
        raise Misconception(
            "gradient-lost",
            "the value is right, but no gradient comes from it, and training has nothing to go by: return the tensor "
            "as it is, without item(), detach() or no_grad",
        )
    agree(facts["gradient"], right["gradient"], "the gradient of the loss on the logits")


def number(value: Plain) -> Plain:
    """The single number that a tensor holds; anything else as it is."""
    return float(value) if type(value) is np.ndarray and value.ndim == 0 else value


LOSSES = {
    "front-for-back": "you keep the first T places. The prompt stands in FRONT, so the text's places are the last T",
    "labels-beside-themselves": "you compare a place with the token that stands there; the logits of a place say what "
    "comes NEXT",
    "shifted-backwards": "you compare a place with the token before it; the logits of a place say what comes NEXT",
    "shifted-twice": "your labels are two places ahead; the logits of a place say what comes next, one place ahead",
    "first-token-counted": "the prompt's last place predicts the text's first token, and you count it. Without a "
    "prompt nothing can, so the two losses would be means over different tokens: leave it out",
    "prompt-counted": "you count the prompt's places too, with a label of their own; a virtual token has none",
    "cut-twice": "you cut P places off at the end as well: each of them is a token of the text",
    "ignored-counted": "you divide by all places; the mean runs over the labels that are not −100",
    "ignored-as-a-word": "−100 is no token: labels that are −100 do not count at all",
    "sum-for-mean": "this is the sum over the labels; the loss is their mean",
    "mean-of-row-means": "you average each text first: then a token of a short answer counts more than one of a long "
    "answer",
    "softmax-twice": "you take a softmax before F.cross_entropy, which takes one itself: hand it the logits",
}


EXERCISES = (
    Exercise(
        id="8.1",
        title="labels at their places",
        ask=ask.loss,
        parts=(
            Part("with a prompt", 2, with_a_prompt),
            Part("with a prompt longer than the text", 1, with_a_prompt_longer_than_the_text),
            Part("with and without a prompt", 1, with_and_without),
        ),
        hints=(
            "Write the P + T places in a row, and below each place the token that stands there. Whose places does the "
            "program keep?",
            "The text's places are the last T. Of these the last one predicts a token that is not there, and the first "
            "label is predicted by nobody. That part is right already.",
            "How many places to cut off in front? `logits.shape[1] - labels.shape[1]` is P, also where P is 0; a slice "
            "from there to the end keeps the text's places.",
        ),
    ),
)
