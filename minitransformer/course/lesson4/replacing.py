"""Words in the place of vectors: what one word in its place costs, and all of them."""

import numpy as np

from ... import comparison, soft_prompts
from ...model import Config
from ...tokenizer import IGNORED
from ..differences import left_alone
from ..exercise import Exercise, Part
from ..small_models import random_weights
from ..worlds import agree_in_all
from . import ask

MESSAGES = {
    "never-put-back": "each vector that you replace stays replaced: start from a fresh copy of the vectors each time",
    "left-out": "you leave the vector out; its word belongs in its place",
    "all-but-one": "you replace all others and keep this one: replace this one and keep the others",
    "stretched-words": "you give the words the vectors' lengths: a hard prompt can hold the rows only as they are",
    "nothing-replaced": "this is the loss of the learned prompt itself each time: put the rows in",
    "always-all": "you replace all vectors each time: the first P losses are for one alone",
    "no-prompt": "this is the loss without any prompt: pass the prompt to the loss",
    "all-first": "the loss with all of them replaced comes last",
    "all-forgotten": "one loss is missing: the one with all vectors replaced",
    "nothing-replaced-last": "your last loss is the learned prompt's own: in the last, all vectors are replaced",
    "cost-for-loss": "you subtract the learned prompt's loss; the losses themselves are wanted",
    "accuracy-for-loss": "these are accuracies; `loss` measures the loss",
    "place-for-id": "you take the table's first rows: the ids say which rows to take",
    "twins-together": "where two vectors have the same word, you replace both at once: replace by place, not by word",
    "zero-for-word": "you put zeros in the vector's place; its word belongs there",
    "one-text-only": "you measure on the first text only: all examples count",
}


def alone(call, rng):
    compare_losses(call, small_worlds(rng), whole=False)


def together(call, rng):
    worlds = small_worlds(rng)
    for (_, weights, *inputs), facts in zip(worlds, compare_losses(call, worlds, whole=True), strict=True):
        left_alone([*facts["given"], *facts["weights"]], [*inputs, *weights.values()], CHANGED)


CHANGED = (
    "your function leaves the vectors, the ids, the examples or the model other than it found them: replace in a copy, "
    "vectors.clone(), or put everything back"
)


def small_worlds(rng) -> list[list]:
    """Two small models with a prompt each; in the second, two vectors have the same word."""
    return [small_world(rng, twins=False), small_world(rng, twins=True)]


def small_world(rng, twins: bool) -> list:
    """A small model of random weights, large enough that every vector matters, a prompt, its words, and examples."""
    shape = {"vocab": 11, "context": 16, "width": 8, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 16}
    shape["width"] = int(rng.choice([8, 12, 16]))
    weights = random_weights(rng, Config(**shape), scale=0.5, norms=0)
    count, rows, length = int(rng.integers(3, 5)), int(rng.integers(2, 5)), int(rng.integers(4, 7))
    vectors = rng.normal(size=(count, shape["width"]), scale=1.5).astype(np.float32)
    ids = rng.permutation(np.arange(count, shape["vocab"]))[:count]  # none of them is its own place
    if twins:
        ids[-1] = ids[rng.integers(count - 1)]
    tokens, targets = rng.integers(0, shape["vocab"], (2, rows, length))
    targets[:, :2], targets[-1, 2] = IGNORED, IGNORED
    return [shape, weights, vectors, ids, tokens, targets]


def compare_losses(call, worlds: list[list], whole: bool) -> list[dict]:
    """All P + 1 losses, or the first P of them, in each world."""

    def shown(losses, world):
        return losses[: None if whole else len(world[2])] if np.ndim(losses) == 1 else losses

    def value(answer, world):
        return shown(ask.replacement(answer, *world)["losses"].detach().numpy(), world)

    facts = [call(*world) for world in worlds]
    got = [shown(each["losses"], world) for each, world in zip(facts, worlds, strict=True)]
    what = "the losses" if whole else "the losses with one vector replaced"
    agree_in_all("4.2", got, worlds, value, what, MESSAGES, tolerance=1e-4)
    return facts


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
