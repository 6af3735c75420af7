"""Programs Amber, Blue, Coral and Dune: name the cause of the symptoms, then repair it."""

from dataclasses import asdict
from functools import cache
from itertools import islice

import numpy as np
import torch

from ... import Batches, Phrasebook, Transformer, accuracy, batch, freeze, loss, pretrained
from ...soft_prompts import PromptTuning
from ..differences import Suspect, agree, suspects, unpack
from ..exercise import Exercise, Misconception, Part
from ..judges_model import JudgesModel
from ..lesson_text import reference
from ..plain_data import plain, tensors, tiny
from . import ask


def the_cause(right: str, *blank: object, **reasons: str) -> Part:
    """The diagnosis, asked for with nothing to repair; a wrong one is told what in the symptoms speaks against it."""

    def judge(call, rng):
        named, _ = call(*blank)
        if named == right:
            return
        if type(named) is not str or named not in reasons:
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


NO_OPTIMIZER = (
    "no-optimizer",
    "what came back is no optimizer, on which the run can call `zero_grad()` and `step()`: make one, and return it",
)
NOT_MOVED = (
    "prompt-does-not-move",
    "the prompt's vectors stay where they are: the optimizer does not hold them, or its rate is 0",
)
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


class Slopes:
    """The gradient at each place that the student's optimizer has led to."""

    OPEN = ("gradient",)

    def __init__(self, gradients: list[np.ndarray]):
        self.gradients, self.path = gradients, []

    def gradient(self, vectors: np.ndarray) -> np.ndarray:
        self.path.append(vectors)
        return self.gradients[len(self.path) - 1]


class Run:
    """The exercise's own run, computed here. Seen from outside, the vectors' numbers stand in an order of its own, some
    with another sign: to Adam and its like that is all the same, and vectors learned elsewhere fit nowhere."""

    OPEN = ("gradient",)

    def __init__(self, rng):
        self.model, self.batches, self.test = the_run()
        self.prompt, self.losses = PromptTuning(4, self.model.config), []
        width = self.model.config.width
        self.order, self.signs = torch.from_numpy(rng.permutation(width)), torch.from_numpy(rng.choice([-1, 1], width))

    def seen(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors[:, self.order] * self.signs

    def go_to(self, vectors: np.ndarray) -> None:
        if vectors.shape != self.prompt.vectors.shape:
            raise ValueError("the prompt has other vectors after your optimizer's steps than before")
        self.prompt.vectors.data[:, self.order] = (torch.from_numpy(vectors) * self.signs).float()

    def gradient(self, vectors: np.ndarray) -> torch.Tensor:
        self.go_to(vectors)
        value = loss(self.model, *self.batches[len(self.losses)], self.prompt)
        self.losses.append(value.item())
        return self.seen(torch.autograd.grad(value, self.prompt.vectors)[0])

    def accuracy_after(self, call, factor: float) -> float:
        """The share of test translations that are right with the vectors that the student's optimizer reaches."""
        config, start = asdict(self.model.config), self.seen(self.prompt.vectors)
        _, reached = call(config, plain(start), len(self.batches), factor, served=self)
        if len(self.losses) < len(self.batches):
            raise Misconception("no-sense", "your optimizer did not follow the gradients of this run")
        self.go_to(reached)
        return accuracy(self.model, self.test, self.prompt)


@cache
def the_run():
    """The shipped model, the thirty batches, and the lesson's hundred test sentences with their translations."""
    model, tokenizer = pretrained()
    book = Phrasebook()
    batches = list(islice(Batches(book, tokenizer, ["chinese"], rows=16), 30))
    return freeze(model), batches, batch(tokenizer, book.examples("chinese", "test", 100))


def measured_rate(call, rng) -> tuple[float, bool]:
    """How far each number moves against its gradient at first, and whether all steps are those of a plain Adam."""
    vectors = (0.05 * rng.normal(size=(4, 8))).astype(np.float32)
    slopes = Slopes([rng.normal(size=vectors.shape).astype(np.float32) for _ in range(6)])
    _, last = call(asdict(tiny(0, 8).config), vectors, len(slopes.gradients), 1.0, served=slopes)
    if last is None:
        raise Misconception(*NO_OPTIMIZER)
    path = np.array([*slopes.path, last])
    if path.shape != (7, *vectors.shape) or np.array_equal(path[-1], vectors):
        raise Misconception(*NOT_MOVED)
    if not np.isfinite(path).all():
        raise Misconception("not-finite", "after some steps numbers of the prompt are NaN or infinite")
    rate = float(-((path[1] - path[0]) * np.sign(slopes.gradients[0])).mean())
    like_adam = np.array(adam_s_path(vectors, slopes.gradients, rate))
    return rate, bool(np.allclose(path, like_adam, 0, 0.02 * abs(rate)))


def adam_s_path(vectors: np.ndarray, gradients: list[np.ndarray], rate: float) -> list[np.ndarray]:
    learned = torch.nn.Parameter(torch.from_numpy(vectors.copy()))
    optimizer = torch.optim.Adam([learned], lr=abs(rate), maximize=rate < 0)
    path = [vectors]
    for gradient in gradients:
        learned.grad = torch.from_numpy(gradient)
        optimizer.step()
        path.append(plain(learned))
    return path


def right_rate(call, rng):
    """What moves as a plain Adam whose rate is known as good or bad is judged at once; all else is tried on the run."""
    rate, plain_adam = measured_rate(call, rng)
    up, rate = rate < 0, abs(rate)
    if plain_adam and not up and 0.005 <= rate <= 0.05:
        return
    if plain_adam and up and rate >= 0.001:
        raise Misconception("uphill-for-downhill", UPHILL)
    if plain_adam and not 0.0006 < rate < 2.5:
        raise Misconception(*(("rate-too-large", TOO_LARGE) if rate > 1 else ("rate-still-too-small", TOO_SMALL)))
    run = Run(rng)
    reached = run.accuracy_after(call, 1.0)
    if reached >= GOAL:
        return
    result = f"after your run {reached:.0%} of the test translations are right, and {GOAL:.0%} are asked for"
    if up and run.losses[-1] > run.losses[0]:
        raise Misconception("uphill-for-downhill", f"{result}. {UPHILL}")
    for factor in (0.1, 0.01, 10.0) if rate > 0.05 and plain_adam else (10.0, 100.0, 0.1):
        if Run(rng).accuracy_after(call, factor) >= GOAL:
            name, why = ("rate-still-too-small", TOO_SMALL) if factor > 1 else ("rate-too-large", TOO_LARGE)
            why = f": {why}" if plain_adam else ""
            raise Misconception(name, f"{result}; with {factor:g} times the rate they are{why}")
    raise Misconception("does-not-arrive", f"{result}; nor are they with a tenth of your rate or with ten times it")


STEPS = 60  # as many as in the lesson's own run


def right_preparation(call, rng):
    length, width, seed = int(rng.integers(1, 6)), int(rng.choice([8, 12])), int(rng.integers(1000))
    model = JudgesModel(tiny(seed, width), handed_out=True)
    vectors = (0.05 * rng.normal(size=(length, width))).astype(np.float32)
    tokens = rng.integers(17, size=(2, 6))
    shapes = [*(each.shape for each in model.began.values()), vectors.shape]
    gradients = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    right = tiny(seed, width)
    _, facts = call(*model.given, vectors, tokens, STEPS, gradients, served=model)
    if facts is None:
        raise Misconception(*NO_OPTIMIZER)
    path = facts["vectors"]
    if len(path) != STEPS + 1 or any(each.shape != vectors.shape for each in path) or not np.isfinite(path).all():
        raise Misconception("no-sense", "the prompt is to keep its shape, and its numbers are to stay finite")
    base_as_it_was(model, facts)
    moved = next((step for step in range(STEPS) if not np.array_equal(path[step], path[step + 1])), None)
    if moved is None:
        raise Misconception(*why_nothing_moves(facts))
    uphill = slope_of(right, path[moved], tokens)
    step = path[moved + 1] - path[moved]
    if (step * uphill).sum() > 0:
        raise Misconception("uphill-for-downhill", "the first step goes where the loss grows; it is to fall")
    if np.mean(np.sign(-step) == np.sign(uphill)) < 0.9:
        raise Misconception("wrong-way", "the first step does not follow the gradient: some numbers go uphill")


def base_as_it_was(model: JudgesModel, facts: dict) -> None:
    """Neither moved nor trainable, at any time."""
    asked, (prepared, later, last) = list(model.seen), facts["model"]
    model.take(prepared)
    at_first = model.facts()
    model.take(later)
    trainable = max(each["trainable"] for each in [at_first, *asked])
    moves = any(each["changed"] for each in [*asked, model.facts()])
    if at_first["changed"]:
        raise Misconception("base-changed", "the model's weights are not what they were, before any step was taken")
    if moves and not trainable:
        raise Misconception(
            "base-moves", f"in the run's {STEPS} steps the model's weights change, although they take no gradients"
        )
    before, after = (model.weights_after(standing) for standing in (later, last))
    if any(not torch.equal(after[name], before[name]) for name in after):
        raise Misconception(
            "base-in-optimizer", "the optimizer still holds weights of the model: it is to hold the prompt's alone"
        )
    if trainable == at_first["weights"] and facts["eval"]:
        raise Misconception(
            "eval-for-frozen",
            "`eval()` switches layers such as dropout to their use; it freezes nothing, and every weight still "
            "collects gradients",
        )
    if moves or trainable or any(each["gradients"] for each in [at_first, *asked]):
        raise Misconception(
            "base-left-trainable",
            f"the optimizer leaves the model alone now, but {trainable} of its {at_first['weights']} weights "
            "still collect gradients: freeze all of them as well",
        )


def why_nothing_moves(facts: dict) -> tuple[str, str]:
    if not facts["recording"]:
        return (
            "no-grad-for-all",
            "your preparation turns gradients off everywhere: then backward finds no way to the prompt, either",
        )
    if not facts["prompt trainable"]:
        return "prompt-frozen-too", "the prompt is frozen as well: now nothing can learn"
    return NOT_MOVED


def slope_of(model: Transformer, vectors: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The gradient at the first step: that of the mean of all squared logits."""
    prompt = PromptTuning.from_vectors(model, torch.from_numpy(vectors))
    value = (model(torch.from_numpy(tokens), prompt) ** 2).mean()
    return plain(torch.autograd.grad(value, prompt.vectors)[0])


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
                None,
                None,
                0,
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
                *[None] * 6,
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
