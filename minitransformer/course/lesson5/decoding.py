"""Decoding with soft prompts and a cache: one token at a time, and the decoder that forgets its prefix."""

from dataclasses import asdict

import torch

from ...hooks import NO_HOOKS
from ...soft_prompts import PrefixTuning, PromptTuning
from ..differences import agree, left_alone, looks_like, suspects
from ..exercise import Exercise, Misconception, Part
from ..judges_model import JudgesModel
from ..lesson_text import reference
from ..plain_data import plain, rebuilt
from ..small_models import normal, random_weights
from . import ask
from .ask import soft_prompt
from .random_inputs import batch, some_config, some_length


def drawn_decoding(rng, for_prompt: bool) -> list:
    """A model, vectors for it, and texts: everything of some size."""
    config, length = some_config(rng), some_length(rng)
    shape = (length, config.width) if for_prompt else (config.layers, length, config.width)
    tokens, _ = batch(rng, int(rng.integers(2, 4)), int(rng.integers(4, 7)))
    return [asdict(config), random_weights(rng, config), normal(rng, *shape), tokens]


STEPS = {
    "prefix-forgotten": "these are the logits of the bare model. Hooks that lengthen run at a sequence's FIRST step; "
    "yours were not there",
    "a-new-cache-each-step": "each token is read as if it were the first: keep ONE cache for all steps",
    "last-step-only": "these are the last step's logits only; keep those of each step, and join them",
    "joined-along-rows": "the steps are joined along the rows of the batch: join them along the places, dimension 1",
    "probabilities": "these are probabilities: return the logits as the model gives them",
    "backwards": "the places are in reversed order",
    "first-place-s-logits": "your first logits stand at every place",
}
KEPT = "the first call is right, and the next one, with the same text, is not: start each text with a new Cache()"
CHANGED = "the result is right, but `tokens`, which belong to whoever called you, are no longer what they were"


def steps_with_a_prefix(call, rng):
    compare_steps(call, *drawn_decoding(rng, for_prompt=False))


def steps_with_a_prompt(call, rng):
    compare_steps(call, *drawn_decoding(rng, for_prompt=True))


def compare_steps(call, config, weights, vectors, tokens) -> None:
    model, text = rebuilt(config, weights), torch.from_numpy(tokens)
    hooks, served = soft_prompt(model, vectors), JudgesModel(model)
    (logits, again), tokens_after = call(config, vectors, tokens, served=served)
    with torch.no_grad():
        right = plain(model(text, hooks))
        wrong = []
        if not looks_like(logits, right, 1e-4):
            wrong = suspects("5.5", lambda step_by_step: step_by_step(model, text, hooks), STEPS)
        agree(logits, right, "the logits", *wrong, tolerance=1e-4)
    places = [each[1] for each in served.read]
    if set(places) == {tokens.shape[1]}:
        raise Misconception("all-at-once", "right numbers, but in one step: here the tokens come one at a time")
    left_alone([tokens_after], [tokens], CHANGED)
    if too_many := read_again(served, places_of_two_calls(vectors, tokens)):
        raise Misconception("reads-again", f"right numbers, but {too_many}")
    if max(places, default=1) > 1:
        raise Misconception(
            "several-at-once", f"right numbers, but one of your steps reads {max(places)} tokens: one at a time"
        )
    once_more(again, right, 1e-4)


def reads(served: JudgesModel) -> int:
    """How many places ran through the blocks, over all rows."""
    return served.in_front + sum(rows * places for rows, places in served.read)


def read_again(served: JudgesModel, needed: int) -> str:
    """What was read more than once, in words; nothing where all was read once."""
    if reads(served) <= needed:
        return ""
    return (
        f"{reads(served) / needed:.1f} times as many places run through the model as there are: each token is to be "
        "read once, and the cache keeps it"
    )


def places_of_two_calls(vectors, tokens, new: int = 0) -> int:
    """So many it takes, if each is read once: a prompt's vectors run like tokens, and a prefix's are only looked at."""
    virtual = len(vectors) if vectors.ndim == 2 else 0
    return 2 * len(tokens) * (virtual + tokens.shape[1] + new)


def once_more(again, right, tolerance: float) -> None:
    if not looks_like(again, right, tolerance):
        raise Misconception("cache-kept-between-calls", KEPT)


def same_as_uncached(call, rng):
    compare_answers(call, rng, for_prompt=False)


def for_a_prompt_too(call, rng):
    compare_answers(call, rng, for_prompt=True)


ANSWERED = {
    "prefix-forgotten": "this is what the bare model says. Hooks that lengthen run at a sequence's FIRST step; which "
    "step is that?",
    "last-token-twice": "the text's last token is read twice: it is in the cache already",
    "starts-with-the-question": "the first of your tokens is the text's last one, not a new one",
    "text-returned-too": "the text itself is among your tokens: return the new ones only",
    "least-likely": "these are the tokens with the lowest logits: take the highest",
    "one-too-few": "one token is missing: `count` new ones are asked for",
    "last-token-only": "this is the last new token only: return all of them",
    "cache-emptied": "each step starts from an empty cache, and knows of the text no more: keep ONE cache",
    "text-not-read": "only the text's last token was read: the others have to be in the cache before",
}


def compare_answers(call, rng, for_prompt: bool) -> None:
    count = int(rng.integers(5, 8))
    for _ in range(50):  # until the mistakes show in the tokens
        config, weights, vectors, tokens = drawn_decoding(rng, for_prompt)
        model, text = rebuilt(config, weights), torch.from_numpy(tokens)
        hooks = soft_prompt(model, vectors)
        with torch.no_grad():
            right, bare = reference("5.6")(model, text, hooks, count), reference("5.6")(model, text, NO_HOOKS, count)
            twice = reference("5.6")(model, torch.cat((text, text[:, -1:]), 1), hooks, count)
        if not (torch.equal(right, bare) or torch.equal(right, twice) or torch.equal(bare, twice)):
            break
    served = JudgesModel(model)
    (new_tokens, again), tokens_after = call(config, vectors, tokens, count, served=served)
    with torch.no_grad():
        wrong = []
        if not looks_like(new_tokens, plain(right), 0):
            wrong = suspects("5.6", lambda answer: answer(model, text, hooks, count), ANSWERED)
        agree(new_tokens, right, "the new tokens", *wrong)
    left_alone([tokens_after], [tokens], CHANGED)
    if too_many := read_again(served, places_of_two_calls(vectors, tokens, count)):
        raise Misconception("cache-given-up", f"the right tokens, but {too_many}")
    once_more(again, plain(right), 0)


EXERCISES = (
    Exercise(
        id="5.5",
        title="one token at a time",
        ask=ask.one_at_a_time,
        provides=(PromptTuning, PrefixTuning),
        parts=(Part("with a prefix", 1, steps_with_a_prefix), Part("with a prompt", 1, steps_with_a_prompt)),
        hints=(
            "A loop over the positions: each step gives the model one token, and what was read before is in the cache.",
            "Make one `Cache()` before the loop. `tokens[:, t : t + 1]` is a batch of single tokens; pass it with "
            "`hooks` and the cache.",
            "Collect the logits of the steps, `(B, 1, V)` each, in a list, and join them along dimension 1.",
        ),
    ),
    Exercise(
        id="5.6",
        title="repair the forgetful decoder",
        ask=ask.decoded,
        provides=(PromptTuning, PrefixTuning),
        parts=(Part("what it says with a prefix", 2, same_as_uncached), Part("and with a prompt", 1, for_a_prompt_too)),
        hints=(
            "Without a cache the answers are right. So which call is a sequence's first, once there is a cache?",
            "The first call fills the cache. It is the only one at which hooks that lengthen may run, and they are not "
            "there.",
            "Pass `hooks` to the very first call as well, the one that reads the text; nothing else has to change.",
        ),
    ),
)
