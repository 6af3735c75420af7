"""Words in the place of vectors: what one word in its place costs, and all of them."""

import numpy as np
from torch import Tensor

from ... import comparison, soft_prompts
from ...model import Config
from ...tokenizer import IGNORED
from ..differences import agree, suspects
from ..exercise import Exercise, Part
from ..lesson_text import reference
from ..plain_data import rebuilt, tensors
from ..small_models import random_weights
from . import ask

SHAPE = {"vocab": 11, "context": 16, "width": 8, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 16}


def alone(call, rng):
    world = small_world(rng)
    compare_losses(call(*world)[:-1], *world, whole=False)


def together(call, rng):
    world = small_world(rng)
    compare_losses(call(*world), *world, whole=True)


def small_world(rng) -> list:
    """A small model of random weights, large enough that every vector matters, a prompt, its words, and examples."""
    weights = random_weights(rng, Config(**SHAPE), scale=0.5, norms=0)
    count = int(rng.integers(3, 5))
    vectors = rng.normal(size=(count, SHAPE["width"]), scale=1.5).astype(np.float32)
    ids, tokens = rng.permutation(SHAPE["vocab"])[:count], rng.integers(0, SHAPE["vocab"], (3, 5))
    targets = rng.integers(0, SHAPE["vocab"], (3, 5))
    targets[:, :2], targets[0, 4] = IGNORED, IGNORED
    return [SHAPE, weights, vectors, ids, tokens, targets]


MESSAGES = {
    "never-put-back": "each vector that you replace stays replaced: start from a fresh copy of the vectors each time",
    "left-out": "you leave the vector out; its word belongs in its place",
    "all-but-one": "you replace all others and keep this one: replace this one and keep the others",
    "stretched-words": "you give the words the vectors' lengths: a hard prompt can hold the rows only as they are",
    "nothing-replaced": "this is the loss of the learned prompt itself each time: put the rows in",
    "always-all": "you replace all vectors each time: the first P losses are for one alone",
    "no-prompt": "this is the loss without any prompt: pass the prompt to the loss",
}


def compare_losses(got, shape, weights, *inputs, whole: bool) -> None:
    model = rebuilt(shape, weights)

    def losses(replaced) -> Tensor:
        vectors, ids, *examples = tensors(*inputs)
        return replaced(model, vectors, ids, examples)[: len(vectors) + whole]

    what = "the losses" if whole else "the losses with one vector replaced"
    agree(got, losses(reference("4.2")), what, *suspects("4.2", losses, MESSAGES), tolerance=1e-4)


EXERCISES = (
    Exercise(
        id="4.2",
        title="words in the vectors' places",
        ask=ask.replacement,
        provides=(soft_prompts, comparison),
        parts=(Part("one vector at a time", 2, alone), Part("and all of them", 1, together)),
        hints=(
            "Each of the P + 1 measurements starts from the learned vectors. What does that say about changing them "
            "in place?",
            "`mixed = vectors.clone()`, then put `model.embedding.weight[ids[i]]` into `mixed[i]`, make a prompt of it "
            "with `PromptTuning.from_vectors`, and measure `loss(model, *examples, prompt)`.",
            "Do this for each i, then once with all rows, `model.embedding.weight[ids]`, as the vectors. "
            "`torch.stack` makes one tensor of the list of losses.",
        ),
    ),
)
