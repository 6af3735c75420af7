"""The training loop: what it learns, what it leaves alone, and what it reports."""

import numpy as np
from torch import Tensor

from ...soft_prompts import PromptTuning
from ...tokenizer import IGNORED
from ..differences import Suspect, agree, suspects
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import tensors, tiny
from . import ask


def a_training(rng) -> tuple:
    tokens, targets = rng.integers(17, size=(4, 3, 5)), rng.integers(17, size=(4, 3, 5))
    targets[:, :, :2] = IGNORED
    return (0.3 * rng.normal(size=(3, 8))).astype(np.float32), tokens, targets, 0.05, int(rng.integers(1000))


def tuned(tune, vectors, tokens, targets, rate, seed) -> tuple[Tensor, list[float]]:
    """The vectors that this loop learns, and the losses that it reports."""
    model = tiny(seed, 8)
    prompt = PromptTuning.from_vectors(model, *tensors(vectors))
    losses = tune(model, prompt, [tensors(*pair) for pair in zip(tokens, targets, strict=True)], rate)
    return prompt.vectors, losses


def trained(call, training: tuple) -> dict:
    facts = call(*training)
    if facts["stopped"]:
        raise Misconception(
            "no-grad-around-the-base",
            "the loss has no graph, so backward has nowhere to go. A frozen model must still be run WITH gradients "
            "on: no_grad or detach would cut the only way from the loss to the prompt",
        )
    return facts


LEARNED = {
    "never-steps": "your vectors have not moved: the optimizer's step is missing, comes where there is no gradient, or "
    "the optimizer does not hold the prompt",
    "gradients-pile-up": "backward ADDS to what is in .grad: without zero_grad each step follows all earlier batches "
    "too",
    "one-batch-only": "you train on the first batch only",
    "optimizer-made-anew": "you make a new optimizer for each batch, so it forgets what it has learned of the "
    "gradients: make one before the loop",
    "uphill-for-downhill": "you climb: the loss is to fall",
    "sgd-for-adam": "this is plain SGD; Adam is asked for",
}


def what_is_learned(call, rng):
    training = a_training(rng)
    right, _ = tuned(reference("3.2"), *training)
    wrong = suspects("3.2", lambda tune: tuned(tune, *training)[0], LEARNED)
    agree(trained(call, training)["vectors"], right, "the learned vectors", *wrong, tolerance=1e-4)


def what_stays(call, rng):
    facts = trained(call, a_training(rng))
    if facts["changed"]:
        raise Misconception(
            "base-trained", "the model's weights have changed: give the optimizer the prompt's parameters only"
        )
    if facts["trainable"]:
        raise Misconception(
            "base-left-trainable",
            "the model's weights do not change, but they still take gradients: freeze them, or every backward "
            "computes and keeps what nobody needs",
        )
    if facts["gradients"]:
        raise Misconception(
            "stale-gradients",
            "the model still carries gradients of its earlier training: whoever looks will believe that this training "
            "reached it",
        )
    if np.array_equal(facts["losses"], []) or facts["losses"] is None:
        raise Misconception("never-steps", "no losses were reported, so nothing says that any training took place")


def what_is_reported(call, rng):
    training = a_training(rng)
    _, right = tuned(reference("3.2"), *training)
    losses = trained(call, training)["losses"]
    if type(losses) is not list or not all(type(each) is float for each in losses):
        raise Misconception(
            "graphs-kept",
            "expected a list of plain numbers, one a batch: a tensor would keep its whole graph alive; .item() takes "
            "the number out",
        )
    agree(
        np.array(losses),
        np.array(right),
        "the losses",
        Suspect("last-loss-only", np.array(right[-1:]), "one loss for each batch is wanted"),
        tolerance=1e-4,
    )


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
