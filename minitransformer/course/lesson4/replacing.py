"""Words in the place of vectors: what one word in its place costs, and all of them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ... import comparison, soft_prompts
from ...hooks import NO_HOOKS
from ...losses import loss
from ...model import Config
from ...soft_prompts import PromptTuning
from ...tokenizer import IGNORED
from ..differences import Suspect, agree
from ..exercise import Exercise, Part
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


def compare_losses(got, shape, weights, vectors, ids, tokens, targets, whole: bool) -> None:
    model = rebuilt(shape, weights)
    vectors, ids, *examples = tensors(vectors, ids, tokens, targets)
    rows, places = model.embedding.weight[ids], range(len(vectors))
    stretched = F.normalize(rows, dim=1) * vectors.norm(dim=1, keepdim=True)

    def losses(prompts: list[Tensor], all_replaced: Tensor = rows) -> Tensor:
        """What these prompts, one for each place, and the last one would have given."""
        wanted = [*prompts, all_replaced] if whole else prompts
        return torch.stack([loss(model, *examples, PromptTuning.from_vectors(model, prompt)) for prompt in wanted])

    def suspect(name: str, message: str, prompts: list[Tensor], all_replaced: Tensor = rows) -> Suspect:
        return Suspect(name, losses(prompts, all_replaced), message)

    agree(
        got,
        losses([swapped(vectors, place, rows) for place in places]),
        "the losses" if whole else "the losses with one vector replaced",
        suspect(
            "never-put-back",
            "each vector that you replace stays replaced: start from a fresh copy of the vectors each time",
            [torch.cat((rows[: place + 1], vectors[place + 1 :])) for place in places],
        ),
        suspect(
            "left-out",
            "you leave the vector out; its word belongs in its place",
            [torch.cat((vectors[:place], vectors[place + 1 :])) for place in places],
        ),
        suspect(
            "all-but-one",
            "you replace all others and keep this one: replace this one and keep the others",
            [swapped(rows, place, vectors) for place in places],
        ),
        suspect(
            "stretched-words",
            "you give the words the vectors' lengths: a hard prompt can hold the rows only as they are",
            [swapped(vectors, place, stretched) for place in places],
            stretched,
        ),
        suspect(
            "nothing-replaced",
            "this is the loss of the learned prompt itself each time: put the rows in",
            [vectors for _ in places],
            vectors,
        ),
        suspect(
            "always-all",
            "you replace all vectors each time: the first P losses are for one alone",
            [rows for _ in places],
        ),
        Suspect(
            "no-prompt",
            loss(model, *examples, NO_HOOKS).expand(len(places) + whole),
            "this is the loss without any prompt: pass the prompt to the loss",
        ),
        tolerance=1e-4,
    )


def swapped(vectors: Tensor, place: int, others: Tensor) -> Tensor:
    mixed = vectors.clone()
    mixed[place] = others[place]
    return mixed


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
