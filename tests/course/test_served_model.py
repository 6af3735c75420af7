"""A model that the judge serves gives a student what the model itself gives, and the judge sees what is done to it."""

import copy
from dataclasses import asdict
from functools import partial

import pytest
import torch

from minitransformer import (
    Cache,
    Gate,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    freeze,
    loss,
)
from minitransformer.course.exercise import answered
from minitransformer.course.judges_model import MOST_PLACES, JudgesModel
from minitransformer.course.plain_data import tiny
from minitransformer.course.served_model import ServedModel
from minitransformer.losses import shared_loss

BASE = tiny(3, 8)
CONFIG = BASE.config
TOKENS = torch.arange(12).reshape(2, 6)
METHODS = {
    "no hooks": Hooks,
    "prompt": lambda: PromptTuning(3, CONFIG, scale=1.0),
    "prefix": lambda: PrefixTuning(3, CONFIG, scale=1.0),
    "keys and values": lambda: KeyValuePrefix(3, CONFIG),
    "gate": lambda: Gate(PrefixTuning(2, CONFIG, scale=1.0), CONFIG, 0.5),
    "two at once": lambda: Stack(PromptTuning(2, CONFIG, scale=1.0), KeyValuePrefix(1, CONFIG)),
}
every_method = pytest.mark.parametrize("made", METHODS.values(), ids=METHODS)


def served(handed_out: bool = True) -> tuple[ServedModel, JudgesModel]:
    mine = JudgesModel(copy.deepcopy(BASE), handed_out)
    config, weights = mine.given
    return ServedModel(config, partial(answered, mine), weights), mine


@every_method
@pytest.mark.parametrize("handed_out", [True, False])
def test_its_logits_are_the_model_s_with_a_cache_and_without(made, handed_out):
    theirs, mine = served(handed_out)
    hooks, cache = made(), Cache()
    right = BASE(TOKENS, hooks)
    with torch.no_grad():
        steps = [theirs(token, hooks, cache) for token in TOKENS.split(1, 1)]
        for came in theirs(TOKENS, hooks), theirs.forward(TOKENS, hooks=hooks), torch.cat(steps, 1):
            torch.testing.assert_close(came, right.detach(), atol=1e-5, rtol=1e-5)
    assert mine.read == [[2, 6]] * 2 + [[2, 1]] * 6 or mine.read == [[2, 1]] * 6 + [[2, 6]] * 2


@every_method
@pytest.mark.parametrize("measured", [loss, shared_loss])
def test_the_gradients_of_hooks_and_weights_are_the_model_s(made, measured):
    theirs, mine = served()
    base = copy.deepcopy(BASE)
    here, there = made(), made()
    measured(base, TOKENS, TOKENS.roll(1), here).backward()
    measured(theirs, TOKENS, TOKENS.roll(1), there).backward()
    pairs = [*zip(base.parameters(), theirs.parameters(), strict=True)]
    pairs += zip(here.parameters(), there.parameters(), strict=True)
    for one, other in pairs:
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-4)
    assert max(each["trainable"] for each in mine.seen) == len([*base.parameters()])


def test_the_judge_sees_what_is_frozen_changed_and_left_with_a_gradient():
    theirs, mine = served()
    theirs(TOKENS)
    freeze(theirs.blocks)
    theirs.norm.weight.grad = torch.ones(8)
    theirs.norm.weight.data[0] += 1e-6
    theirs.logits(torch.zeros(1, 8))
    first, last = mine.seen[0], mine.seen[-1]
    weights = len([*BASE.parameters()])
    assert first == {"weights": weights, "trainable": weights, "gradients": 0, "changed": 0}
    assert last == {"weights": weights, "trainable": 2, "gradients": 1, "changed": 1}


def test_a_gradient_that_was_asked_for_shows_that_a_weight_was_not_frozen():
    theirs, mine = served()
    value = theirs(TOKENS).sum()
    theirs.standing = lambda standing=theirs.standing: standing() | {"trainable": []}
    value.backward()
    assert mine.seen[-1]["trainable"] == len([*BASE.parameters()])
    assert not any(weight.requires_grad for weight in mine.model.parameters())


def test_where_no_weights_are_handed_out_there_are_none():
    theirs, _ = served(handed_out=False)
    assert not any(weight.any() for weight in theirs.parameters())
    with pytest.raises(RuntimeError, match="use the model as a whole"):
        theirs.embedding(TOKENS)


def test_what_the_model_refuses_is_refused_as_by_the_model():
    theirs, mine = served()
    for wrong, message in (
        (lambda: theirs(TOKENS + 99), "token ids run from 0 to 16"),
        (lambda: theirs(TOKENS.repeat(1, 9)), "positions are needed"),
        (lambda: theirs(TOKENS, Recorder()), "cannot watch embedding, input"),
        (lambda: theirs(TOKENS, PromptTuning(2, tiny(0, 12).config)), "made for another model"),
        (lambda: theirs(TOKENS.repeat(MOST_PLACES // 12 + 1, 1)), "at most 8192 places at once"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
    assert mine.read == []


def test_a_copy_of_the_model_asks_the_same_judge_and_tells_of_its_own_weights():
    theirs, mine = served()
    other = copy.deepcopy(theirs)
    other.norm.weight.data.zero_()
    assert not other(TOKENS).any() and mine.seen[-1]["changed"] == 1
    assert theirs(TOKENS).any() and mine.seen[-1]["changed"] == 0


def test_the_judge_gives_away_no_more_than_it_said():
    mine = JudgesModel(copy.deepcopy(BASE))
    assert mine.given == (asdict(CONFIG), None)
    with pytest.raises(ValueError, match="the judge answers forward, backward; got 'model'"):
        answered(mine, "model")
    hidden = {"hidden": torch.zeros(1, 8)}
    with pytest.raises(KeyError):
        answered(mine, "backward", {}, hidden, {}, ["embedding.weight"], [torch.ones(1, 17)])
