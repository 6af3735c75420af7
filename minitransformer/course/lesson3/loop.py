"""The training loop: what it learns, what it leaves alone, and what it reports."""

import numpy as np
from torch import Tensor

from ...soft_prompts import PromptTuning
from ...tokenizer import IGNORED
from ..differences import Suspect, agree, looks_like, suspects, type_in_words
from ..exercise import Exercise, Misconception, Part
from ..judges_model import JudgesModel
from ..lesson_text import reference
from ..plain_data import NotFinite, Plain, tensors, tiny
from . import ask


def a_training(rng) -> tuple:
    batches, rows, length, virtual = (int(rng.integers(*ends)) for ends in ((4, 6), (2, 5), (4, 7), (2, 5)))
    tokens, targets = rng.integers(17, size=(2, batches, rows, length))
    targets[:, :, :2] = IGNORED
    vectors = (0.3 * rng.normal(size=(virtual, int(rng.choice([8, 12]))))).astype(np.float32)
    return vectors, tokens, targets, float(rng.uniform(0.06, 0.12)), int(rng.integers(1000))


def tuned(tune, vectors, tokens, targets, rate, seed) -> tuple[Tensor, list[float]]:
    """The vectors that this loop learns, and the losses that it reports."""
    model = tiny(seed, vectors.shape[1])
    prompt = PromptTuning.from_vectors(model, *tensors(vectors))
    losses = tune(model, prompt, [tensors(*pair) for pair in zip(tokens, targets, strict=True)], rate)
    return prompt.vectors, losses


def trained(call, training: tuple) -> dict:
    """What the loop made of vectors that it was given; what became of the model is seen in the judge's own."""
    vectors, *batches_and_rate, seed = training
    model = JudgesModel(tiny(seed, vectors.shape[1]), handed_out=True)
    facts = call(*model.given, vectors, *batches_and_rate, served=model)
    bare = bool(model.read) and not model.in_front
    if facts["stopped"]:
        name = "prompt-not-passed" if bare else "no-grad-around-the-base"
        name = name if bare or facts["prompt trainable"] else "prompt-frozen-too"
        raise Misconception(name, f"backward has nowhere to go: {NO_WAY[name]}")
    model.take(facts["after"])
    return facts | {"during": model.seen, "after": model.facts(), "bare": bare}


NO_WAY = {
    "prompt-not-passed": "the model was run without the prompt, so the loss does not depend on it. Pass the prompt to "
    "`loss`, after the targets",
    "prompt-frozen-too": "the prompt takes no gradients any more, and the model should not: freeze the model only",
    "no-grad-around-the-base": "the loss has no graph. A frozen model must still be run WITH gradients on: no_grad or "
    "detach would cut the only way from the loss to the prompt",
}


LEARNED = {
    "never-steps": "your vectors have not moved: the optimizer's step is missing, comes where there is no gradient, or "
    "the optimizer does not hold the prompt",
    "gradients-pile-up": "backward ADDS to what is in .grad: without zero_grad each step follows all earlier batches "
    "too",
    "one-batch-only": "you train on the first batch only",
    "optimizer-made-anew": "you make a new optimizer for each batch, so it forgets what it has learned of the "
    "gradients: make one before the loop",
    "uphill-for-downhill": "you climb: the loss is to fall",
    "rate-changes": "the rate does not stay what it is: each step is shorter than the one before",
    "weights-decayed": "your vectors also shrink with each step: weight decay is on, which Adam by itself does not do",
    "batches-twice": "each batch is to be used once; your vectors have taken a step more for each",
    "sgd-for-adam": "this is plain SGD; Adam is asked for",
}


def what_is_learned(call, rng):
    for _ in range(2):
        training = a_training(rng)
        vectors, losses = tuned(reference("3.2"), *training)
        facts = trained(call, training)
        try:
            agree(facts["vectors"], vectors, "the learned vectors", tolerance=1e-4)
        except Misconception as wrong:
            name_what_is_learned(call, training, facts, losses)
            simulated = suspects("3.2", lambda tune, inputs=training: tuned(tune, *inputs)[0], LEARNED)
            agree(facts["vectors"], vectors, "the learned vectors", *simulated, tolerance=1e-4)
            raise wrong


def name_what_is_learned(call, training: tuple, facts: dict, losses: list[float]) -> None:
    """Mistakes that a second look proves: at what the model was given, at the losses, and at another rate."""
    vectors, tokens, targets, rate, seed = training
    if facts["bare"]:
        raise Misconception("prompt-not-passed", NO_WAY["prompt-not-passed"])
    if np.array_equal(facts["vectors"], vectors):
        if type(facts["losses"]) is list and looks_like(np.array(facts["losses"]), np.array(losses), 1e-3):
            raise Misconception(
                "copy-trained",
                "the losses fall as they should, but the prompt that was handed in has not moved: a copy of it was "
                "trained, and is lost",
            )
    elif np.array_equal(trained(call, (vectors, tokens, targets, rate / 2, seed))["vectors"], facts["vectors"]):
        raise Misconception("rate-ignored", "half the rate gives the very same vectors: `rate` is not used")


def what_stays(call, rng):
    facts = trained(call, a_training(rng))
    during, after, weights = facts["during"], facts["after"], facts["after"]["weights"]
    if any(each["changed"] for each in [*during, after]):
        raise Misconception(
            "base-trained",
            "the model's weights change while the loop runs: give the optimizer the prompt's parameters only",
        )
    if after["trainable"] == weights and facts["eval"]:
        raise Misconception(
            "eval-for-frozen",
            "`eval()` switches layers such as dropout to their use; it freezes nothing, and every weight still takes "
            "gradients",
        )
    if after["trainable"]:
        raise Misconception(
            "base-left-trainable",
            f"{after['trainable']} of the model's {weights} weights still take gradients in the end: freeze them, or "
            "every backward computes and keeps what nobody needs",
        )
    if any(each["trainable"] for each in during):
        raise Misconception(
            "base-frozen-too-late",
            f"in the end the model is frozen, but {during[0]['trainable']} of its {weights} weights took gradients "
            "while the loop ran: freeze it before the first batch",
        )
    if after["gradients"]:
        raise Misconception(
            "stale-gradients",
            "the model still carries gradients of its earlier training: whoever looks will believe that this training "
            "reached it",
        )
    if not during:
        raise Misconception("never-run", "the model was not run at all, so nothing was trained that could change it")


REPORTED = {
    "loss-after-the-step": "these are losses after the step; asked for is the loss of each batch that was used for it",
    "batches-twice": "each batch is to be used once",
    "losses-summed-up": "yours grow from batch to batch, since each contains the ones before: the loss of each batch "
    "is wanted by itself",
    "rate-ignored": "the losses are those of another rate",
    "one-batch-only": LEARNED["one-batch-only"],
}


def what_is_reported(call, rng):
    training = a_training(rng)
    _, right = tuned(reference("3.2"), *training)
    losses = trained(call, training)["losses"]
    losses = numbers_of(losses)
    wrong = [Suspect("last-loss-only", np.array(right[-1:]), "one loss for each batch is wanted")]
    if np.shape(losses) != np.shape(right) or not np.allclose(losses, right, 1e-4, 1e-4):
        wrong += suspects("3.2", lambda tune: np.array(tuned(tune, *training)[1]), REPORTED)
    agree(losses, np.array(right), "the losses", *wrong, tolerance=1e-4)


def numbers_of(losses: Plain) -> np.ndarray:
    """The losses as one array, if they are what was asked for."""
    if type(losses) not in (list, tuple):
        raise Misconception(
            "wrong-type",
            f"expected a list with the loss of each batch; what came back is {type_in_words(losses)}",
        )
    if any(type(each) is np.ndarray for each in losses):
        raise Misconception(
            "graphs-kept",
            "expected plain numbers; your list holds tensors, and each of them can keep its whole graph alive: .item() "
            "takes the number out",
        )
    if any(type(each) is NotFinite for each in losses):
        raise Misconception("not-finite", "the losses should be finite; some of yours are NaN or infinite")
    odd = [each for each in losses if type(each) not in (int, float)]
    if odd:
        raise Misconception("wrong-type", f"expected plain numbers; your list holds {type_in_words(odd[0])}")
    return np.array(losses, float)


EXERCISES = (
    Exercise(
        id="3.2",
        title="the training loop",
        ask=ask.loop,
        provides=(PromptTuning,),
        parts=(
            Part("what is learned", 2, what_is_learned),
            Part("what stays as it was", 2, what_stays),
            Part("what is reported", 1, what_is_reported),
        ),
        hints=(
            "Two lines before the loop, four lines in it, and the list of losses.",
            "Before: `freeze(model)` and an optimizer that is given `prompt.parameters()`. Inside: clear, loss, "
            "backward, step. All of it with gradients on.",
            "`torch.optim.Adam(…, lr=rate)` is made once. In the loop `zero_grad()` of the optimizer, `value = "
            "loss(model, tokens, targets, prompt)`, `value.backward()`, the optimizer's `step()`; then append "
            "`value.item()`.",
        ),
    ),
)
