"""Programs Amber, Blue, Coral and Dune: name the cause of the symptoms, then repair it."""

import numpy as np

from ...soft_prompts import PromptTuning
from ..differences import agree, suspects, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import tensors
from . import ask


def the_cause(right: str, *blank: object, **reasons: str) -> Part:
    """The diagnosis, asked for with nothing to repair; a wrong one is told what in the symptoms speaks against it."""

    def judge(call, rng):
        named, _ = call(*blank)
        if named == right:
            return
        if named not in reasons:
            raise Misconception(
                "no-cause", f"name one of the causes of the table: {', '.join(sorted([right, *reasons]))}"
            )
        raise Misconception(f"not-{named}", reasons[named])

    return Part("the cause", 1, judge)


LABELS = {
    "labels-one-late": "the first token of the answer is still asked for nowhere: it must be predicted at the LAST "
    "place of the question",
    "labels-unshifted": "here each place names the token that stands there already; it must name the next one",
    "question-graded": "the question is graded too; only the answer is asked for",
    "labels-one-early": "one place too early: the answer begins before the question has been read",
}
ENTRANCE = {
    "still-replaced": "the first P tokens of the text are still lost: nothing of the text is to be cut",
    "last-tokens-lost": "now the LAST tokens are lost: the sequence grows to P + T",
    "prompt-behind-the-text": "all tokens are there, but none of them can see a prompt that comes later",
    "prompt-added": "the prompt has places of its own",
}


def right_labels(call, rng):
    question, answer = (rng.integers(100, size=int(rng.integers(2, 6))).tolist() for _ in range(2))
    _, repaired = call(question, answer)
    tokens, targets = (np.array(each) for each in unpack(repaired, 2, "the tokens and the targets"))
    right = reference("3.4")().labelled(question, answer)
    wrong = suspects("3.4", lambda Amber: np.array(Amber().labelled(question, answer)[1]), LABELS)
    agree(tokens, np.array(right[0]), "the tokens")
    agree(targets, np.array(right[1]), "the targets", *wrong)


def right_entrance(call, rng):
    vectors, x = rng.normal(size=(2, 6)).astype(np.float32), rng.normal(size=(3, 5, 6)).astype(np.float32)
    _, entered = call(vectors, x)
    wrong = suspects("3.5", lambda Blue: Blue().embed(*tensors(vectors, x)), ENTRANCE)
    agree(entered, reference("3.5")().embed(*tensors(vectors, x)), "what enters the first block", *wrong)


def right_rate(call, rng):
    _, groups = call(int(rng.integers(1, 6)))
    groups = [group for group in groups if any(group["prompt"])]
    if not groups:
        raise Misconception("prompt-not-in-optimizer", "the optimizer does not hold the prompt's vectors any more")
    if groups[0]["rate"] < 0.005:
        raise Misconception(
            "rate-still-too-small",
            "still too small: Adam moves each number by about the rate at most, and from some starts thirty such "
            "steps do not lead far enough; between 0.005 and 0.05 is sensible here",
        )
    if groups[0]["rate"] > 0.1:
        raise Misconception(
            "rate-too-large",
            "now the first step is longer than the vectors themselves, whose numbers are about 0.05, and from some "
            "starts training does not recover; between 0.005 and 0.05 is sensible here",
        )


def right_preparation(call, rng):
    _, facts = call(int(rng.integers(1, 6)))
    if facts["base_held"]:
        raise Misconception(
            "base-in-optimizer", "the optimizer still holds weights of the model: it is to hold the prompt's alone"
        )
    if facts["trainable"] or facts["gradients"]:
        raise Misconception(
            "base-left-trainable",
            "the optimizer leaves the model alone now, but its weights still collect gradients: freeze it as well",
        )
    if not facts["prompt_trainable"]:
        raise Misconception("prompt-frozen-too", "the prompt is frozen as well: now nothing can learn")
    if not facts["prompt_held"]:
        raise Misconception("prompt-not-in-optimizer", "the optimizer does not hold the prompt's vectors")
    if facts["changed"] or not facts["prompt_moved"]:
        raise Misconception("wrong-thing-moves", "after three steps the prompt should have moved, and nothing else")


EXERCISES = (
    Exercise(
        id="3.4",
        title="program Amber",
        ask=ask.labels,
        provides=(PromptTuning,),
        parts=(
            the_cause(
                "labels",
                None,
                None,
                replaced="a prompt that overwrites words hides the beginning of the question; the last word, which is "
                "asked for here, would still be there",
                detached="then backward would have stopped with an error, or the loss would not fall at all",
                rate="the loss falls, and lower than in a healthy run: the steps do what the targets ask for",
                base="the model is as it was: its fingerprint says so",
                stale="old gradients spoil a picture of gradients; they do not make wrong answers",
            ),
            Part("the repair", 2, right_labels),
        ),
        hints=(
            "The model ends at once, without a word. Which tokens of the answer are among Amber's targets, and which "
            "is never asked for?",
            "Write a question of three tokens and an answer of two under each other with their targets. At which "
            "place must the first token of the answer be predicted?",
            "At the last token of the question. So one place fewer is ignored, and the whole answer is among the "
            "targets.",
        ),
    ),
    Exercise(
        id="3.5",
        title="program Blue",
        ask=ask.entrance,
        provides=(PromptTuning,),
        parts=(
            the_cause(
                "replaced",
                None,
                None,
                labels="labels that are off leave the question readable; here no answer knows how the question began",
                detached="without a way back to the prompt backward would have stopped with an error",
                rate="the loss does fall at first; it stops where no prompt can help any more",
                base="the model is as it was: its fingerprint says so",
                stale="old gradients spoil a picture of gradients; they do not change what the model reads",
            ),
            Part("the repair", 2, right_entrance),
        ),
        hints=(
            "Look at the answers: how much of each question did the model get to see?",
            "How many places should leave `embed` when T come in? How many do?",
            "P + T. The text must be joined whole, so what is cut from it has to stay.",
        ),
    ),
    Exercise(
        id="3.6",
        title="program Coral",
        ask=ask.rate,
        provides=(PromptTuning,),
        parts=(
            the_cause(
                "rate",
                0,
                labels="wrong labels give a loss that does not fit the answers; here both say the same: not there yet",
                replaced="it answers about the right sentence, only mostly not in Chinese yet",
                detached="then backward would have stopped with an error, or nothing would fall; the loss does, slowly",
                base="the model is as it was: its fingerprint says so",
                stale="the gradients are cleared before each step; the prompt moves in the right direction",
            ),
            Part("the repair", 2, right_rate),
        ),
        hints=(
            "Everything moves in the right direction. What does it lack?",
            "Adam moves each number by about the learning rate at most, whatever the size of the gradient. How far "
            "can a number get in thirty steps, and how large are the vectors' numbers, about 0.05, beside that?",
            "A prompt has few numbers and can take far larger steps than a whole model: a hundred times this rate.",
        ),
    ),
    Exercise(
        id="3.7",
        title="program Dune",
        ask=ask.prepared,
        provides=(PromptTuning,),
        parts=(
            the_cause(
                "base",
                0,
                labels="with wrong labels it would not answer this well",
                replaced="with words overwritten it would not answer this well",
                detached="the prompt may well be doing little here; but what made the model's fingerprint change?",
                rate="it learns quickly enough; what is odd is *what* has learned",
                stale="old gradients are cleared before the first step; and by themselves they change no byte",
            ),
            Part("the repair", 2, right_preparation),
        ),
        hints=(
            "Nothing in loss, accuracy or answers is wrong. Look at the end of the symptoms' first line.",
            "Who was given to the optimizer? And which weights may take gradients?",
            "Freeze the model before the optimizer is made, give it the prompt's parameters only, and remember the "
            "rate that suits a prompt.",
        ),
    ),
)
