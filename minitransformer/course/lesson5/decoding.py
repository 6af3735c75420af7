"""Decoding with soft prompts and a cache: one token at a time, and the decoder that forgets its prefix."""

import torch

from ...hooks import NO_HOOKS
from ...soft_prompts import PrefixTuning, PromptTuning
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import rebuilt
from ..small_models import CONFIG, SHAPE, random_weights
from . import ask
from .ask import soft_prompt
from .random_inputs import batch, normal, some_length


def drawn_decoding(rng, *shape: int) -> list:
    return [SHAPE, random_weights(rng), normal(rng, *shape), batch(rng)[0]]


def steps_with_a_prefix(call, rng):
    compare_steps(call, *drawn_decoding(rng, CONFIG.layers, some_length(rng), CONFIG.width))


def steps_with_a_prompt(call, rng):
    compare_steps(call, *drawn_decoding(rng, some_length(rng), CONFIG.width))


def compare_steps(call, config, weights, vectors, tokens) -> None:
    model = rebuilt(config, weights)
    hooks, text = soft_prompt(model, vectors), torch.from_numpy(tokens)
    logits, calls = unpack(call(config, weights, vectors, tokens), 2, "the logits and the calls")
    with torch.no_grad():
        alone = torch.cat([model(token, hooks) for token in text.split(1, 1)], 1)
        agree(
            logits,
            model(text, hooks),
            "the logits",
            Suspect("prefix-forgotten", model(text), "these are the logits of the bare model: the hooks never got in"),
            Suspect(
                "a-new-cache-each-step",
                alone,
                "each token is read as if it were the first: keep ONE cache for all steps",
            ),
            tolerance=1e-4,
        )
    if calls == [tokens.shape[1]]:
        raise Misconception("all-at-once", "right numbers, but in one step: here the tokens come one at a time")
    if sum(calls) > tokens.shape[1]:
        raise Misconception(
            "reads-again", "right numbers, but earlier tokens are read again at each step: the cache should save that"
        )


def same_as_uncached(call, rng):
    compare_answers(call, rng, CONFIG.layers, some_length(rng), CONFIG.width)


def for_a_prompt_too(call, rng):
    compare_answers(call, rng, some_length(rng), CONFIG.width)


def compare_answers(call, rng, *shape: int) -> None:
    count = 6
    for _ in range(50):  # until the mistakes show in the tokens
        config, weights, vectors, tokens = drawn_decoding(rng, *shape)
        model = rebuilt(config, weights)
        hooks, text = soft_prompt(model, vectors), torch.from_numpy(tokens)
        with torch.no_grad():
            right, bare = reference("5.6")(model, text, hooks, count), reference("5.6")(model, text, NO_HOOKS, count)
            twice = reference("5.6")(model, torch.cat((text, text[:, -1:]), 1), hooks, count)
        if not (torch.equal(right, bare) or torch.equal(right, twice) or torch.equal(bare, twice)):
            break
    new_tokens, calls = unpack(call(config, weights, vectors, tokens, count), 2, "the new tokens and the calls")
    late = torch.cat((text[:, -1:], right[:, :-1]), 1)
    agree(
        new_tokens,
        right,
        "the new tokens",
        Suspect(
            "prefix-forgotten",
            bare,
            "this is what the bare model says. Hooks that lengthen run at a sequence's FIRST step; which step is that?",
        ),
        Suspect("last-token-twice", twice, "the text's last token is read twice: it is in the cache already"),
        Suspect("starts-with-the-question", late, "the first of your tokens is the text's last one, not a new one"),
    )
    if sum(calls) > tokens.shape[1] + count:
        raise Misconception(
            "cache-given-up",
            "the right tokens, but by reading everything again at each step: repair it, keep the cache",
        )


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
