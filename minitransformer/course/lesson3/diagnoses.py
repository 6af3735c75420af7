"""Programs Amber, Blue, Coral and Dune: name the cause of the symptoms, then repair it."""

from functools import cache

import numpy as np
import torch

from ... import Phrasebook, accuracy, batch, freeze, pretrained
from ...soft_prompts import PromptTuning
from ..differences import Suspect, agree, suspects, unpack
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
    "last-question-word-graded": "one place too many: the end of the question is given, and not to be learned",
    "labels-one-early": "one place too early: the answer begins before the question has been read",
    "zero-for-ignored": "0 is the id of a token, so it would be learned; what is not graded has -100",
    "first-word-only": "only the first token of the answer is graded; all of them are asked for",
    "end-not-graded": "the last token of the answer is not graded, so nobody learns where to end",
}
ENTRANCE = {
    "still-replaced": "the first P tokens of the text are still lost: nothing of the text is to be cut",
    "last-tokens-lost": "now the LAST tokens are lost: the sequence grows to P + T",
    "prompt-behind-the-text": "all tokens are there, but none of them can see a prompt that comes later",
    "prompt-added": "the prompt has places of its own",
    "prompt-forgotten": "the text enters as it is, without a prompt",
    "text-forgotten": "the prompt enters without the text",
    "prompt-backwards": "the vectors stand in the opposite order",
    "prompt-in-first-text-only": "only the first text of the batch gets the prompt",
    "one-vector-everywhere": "the first vector stands at every place of the prompt",
}


def right_labels(call, rng):
    for _ in range(3):
        question, answer = (rng.integers(1, 100, size=int(rng.integers(*ends))).tolist() for ends in ((3, 8), (3, 6)))
        _, repair = call(question, answer)
        tokens, targets = (np.array(each) for each in unpack(repair["made"], 2, "the tokens and the targets"))
        right = reference("3.4")().labelled(question, answer)
        if np.shape(tokens) == (len(question) + len(answer),):
            suspect = Suspect(
                "text-not-cut",
                np.array(question + answer),
                "the last token has nothing behind it to predict, so it is no input",
            )
            agree(tokens, np.array(right[0]), "the tokens", suspect)
        agree(tokens, np.array(right[0]), "the tokens")
        wrong = suspects("3.4", lambda Amber, pair=(question, answer): labelled(Amber, *pair), LABELS)
        agree(targets, np.array(right[1]), "the targets", *wrong)
        if repair["changed"]:
            raise Misconception(
                "inputs-changed",
                "tokens and targets are right, but the question or the answer that you were given is another list now: "
                "`+=`, `append` and `extend` change the list of whoever called you",
            )


def labelled(Amber, question, answer):
    return np.array(Amber().labelled([*question], [*answer])[1])


def right_entrance(call, rng):
    for _ in range(2):
        virtual, rows, length, width = (int(rng.integers(*ends)) for ends in ((2, 4), (2, 4), (4, 7), (4, 8)))
        vectors = rng.normal(size=(virtual, width)).astype(np.float32)
        x = rng.normal(size=(rows, length, width)).astype(np.float32)
        _, made = call(vectors, x)
        wrong = suspects("3.5", lambda Blue, pair=(vectors, x): Blue().embed(*tensors(*pair)), ENTRANCE)
        right = reference("3.5")().embed(*tensors(vectors, x))
        agree(made["entered"], right, "what enters the first block", *wrong)
        slope = np.arange(right.numel()).reshape(right.shape)[:, :virtual].sum(0).astype(np.float32)
        if made["gradient"] is None:
            raise Misconception(
                "gradient-cut-off",
                "the right vectors enter, but without a connection to the parameter: no gradient comes back to it",
            )
        agree(made["gradient"], slope, "the gradient on the vectors")


GOAL = 0.8  # the text's own: the share of translations that a repaired run must get right


TOO_SMALL = (
    "still too small: Adam moves each number by about the rate at most, and from some starts thirty such steps do not "
    "lead far enough; between 0.005 and 0.05 is sensible here"
)
TOO_LARGE = (
    "now the first step is longer than the vectors themselves, whose numbers are about 0.05, and from some starts "
    "training does not recover; between 0.005 and 0.05 is sensible here"
)
UPHILL = "`maximize` climbs, so the loss grows; it is to fall"


def right_rate(call, rng):
    """A plain Adam whose rate is known as good or bad is judged at once; all else is tried, on the run to repair."""
    _, groups = call("look", 1.0)
    held = [group for group in groups if group["prompt"]]
    if not held:
        raise Misconception("prompt-not-in-optimizer", "the optimizer does not hold the prompt's vectors any more")
    plain = len(groups) == 1 and held[0]["kind"] != "" and held[0]["usual"]
    rate, up = held[0]["rate"], held[0]["maximize"]
    if plain and not up and 0.005 <= rate <= 0.05:
        return
    if plain and up and rate >= 0.001:
        raise Misconception("uphill-for-downhill", UPHILL)
    if plain and not 0.0005 < rate < 3:
        raise Misconception(*(("rate-too-large", TOO_LARGE) if rate > 1 else ("rate-still-too-small", TOO_SMALL)))
    reached, losses = run(call, 1.0)
    if reached >= GOAL:
        return
    result = f"after your run {reached:.0%} of the test translations are right, and {GOAL:.0%} are asked for"
    if up and losses[-1] > losses[0]:
        raise Misconception("uphill-for-downhill", f"{result}. {UPHILL}")
    for factor in (0.1, 0.01, 10.0) if rate > 0.05 and plain else (10.0, 100.0, 0.1):
        if run(call, factor)[0] >= GOAL:
            name, why = ("rate-still-too-small", TOO_SMALL) if factor > 1 else ("rate-too-large", TOO_LARGE)
            raise Misconception(name, f"{result}; with {factor:g} times the rate they are. {why}")
    raise Misconception("does-not-arrive", f"{result}; nor are they with a tenth of your rate or with ten times it")


def run(call, factor: float) -> tuple[float, list[float]]:
    """The accuracy of the vectors that the student's optimizer reaches, measured here; and the losses on the way."""
    _, reached = call("run", factor)
    model, test = to_measure()
    vectors = np.asarray(reached["vectors"])
    if vectors.shape != (4, model.config.width):
        raise Misconception("no-sense", "the prompt has other vectors after your optimizer's steps than before")
    prompt = PromptTuning.from_vectors(model, torch.from_numpy(vectors.astype(np.float32)))
    return accuracy(model, test, prompt), reached["losses"]


@cache
def to_measure():
    """The shipped model, and the lesson's hundred test sentences with their translations."""
    model, tokenizer = pretrained()
    return freeze(model), batch(tokenizer, Phrasebook().examples("chinese", "test", 100))


def right_preparation(call, rng):
    length, width, seed = int(rng.integers(1, 6)), int(rng.choice([8, 12])), int(rng.integers(1000))
    _, facts = call(length, width, seed)
    if facts["base_held"]:
        raise Misconception(
            "base-in-optimizer", "the optimizer still holds weights of the model: it is to hold the prompt's alone"
        )
    if facts["changed"]:
        raise Misconception("base-changed", "the model's weights are not what they were, before any step was taken")
    if not facts["recording"]:
        raise Misconception(
            "no-grad-for-all",
            "your preparation turns gradients off everywhere: then backward finds no way to the prompt, either",
        )
    if facts["trainable"] == facts["weights"] and facts["eval"]:
        raise Misconception(
            "eval-for-frozen",
            "`eval()` switches layers such as dropout to their use; it freezes nothing, and every weight still "
            "collects gradients",
        )
    if facts["trainable"] or facts["gradients"]:
        raise Misconception(
            "base-left-trainable",
            f"the optimizer leaves the model alone now, but {facts['trainable']} of its {facts['weights']} weights "
            "still collect gradients: freeze all of them as well",
        )
    if not facts["prompt_trainable"]:
        raise Misconception("prompt-frozen-too", "the prompt is frozen as well: now nothing can learn")
    if not facts["prompt_held"]:
        raise Misconception("prompt-not-in-optimizer", "the optimizer does not hold the prompt's vectors")
    if facts["first step"] > 0:
        raise Misconception("uphill-for-downhill", "the first step goes where the loss grows; it is to fall")
    if facts["changed later"] or not facts["prompt_moved"]:
        raise Misconception("wrong-thing-moves", "after some steps the prompt should have moved, and nothing else")


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
                "",
                1.0,
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
                0,
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
