"""What ends a training, and which parameters are left: each part by itself, without a model."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest
from torch import nn

from minitransformer import History
from minitransformer.schedule import Schedule
from minitransformer.stopping import Stopping


def after(scores, patience=None, until=None):
    """A learner whose one weight is the number of the score, after it was looked at for each of them."""
    learner, history, coming = nn.Linear(1, 1, bias=False), History(), iter(scores)
    stopping = Stopping(learner, history, lambda: next(coming), patience, until=until)
    ends = []
    for number, _ in enumerate(scores, 1):
        nn.init.constant_(learner.weight, number)
        stopping.look(10 * number)
        ends.append(stopping.due)
    stopping.restore()
    return learner.weight.item(), history.validation, ends


def test_the_best_parameters_come_back_and_the_earliest_of_equals():
    weight, validation, _ = after([0.2, 0.7, 0.7, 0.1])
    assert weight == 2 and validation == [(10, 0.2), (20, 0.7), (30, 0.7), (40, 0.1)]


def test_it_is_due_after_so_many_scores_without_a_better_one():
    assert after([0.5, 0.4, 0.3, 0.6, 0.1, 0.1], patience=2)[2] == [False, False, True, False, False, True]
    assert not any(after([0.5, 0.4, 0.3])[2])


def test_it_is_due_as_soon_as_the_score_to_reach_is_reached():
    weight, _, ends = after([0.5, 0.9, 0.8], patience=5, until=0.9)
    assert weight == 2 and ends == [False, True, True]


def test_without_a_score_nothing_is_kept_and_nothing_ends():
    learner = nn.Linear(1, 1)
    stopping = Stopping(learner, History(), patience=1)
    before = learner.weight.item()
    stopping.look(1)
    stopping.restore()
    assert not stopping.due and learner.weight.item() == before


def test_the_rate_warms_up_and_falls_to_a_tenth():
    rates = [Schedule(100, 1.0, 10).rate(step) for step in range(101)]
    assert rates[:10] == [(step + 1) / 10 for step in range(10)]
    assert rates[10] == max(rates) == 1.0 and abs(rates[100] - 0.1) < 1e-12
    assert all(one >= other for one, other in pairwise(rates[10:]))


def test_one_step_is_enough_and_so_is_one_after_the_warmup():
    assert Schedule(1, 100.0, 0).rate(0) == 100
    assert Schedule(10, 1.0, 10).rate(10) == Schedule(11, 1.0, 10).rate(10) == 1
    assert abs(Schedule(11, 1.0, 10).rate(11) - 0.1) < 1e-12


@pytest.mark.parametrize(("steps", "peak", "warmup"), [(0, 1.0, 0), (1, 100.5, 0), (1, 0.0, 0), (1, 1.0, -1)])
def test_a_schedule_that_cannot_be_is_refused(steps, peak, warmup):
    with pytest.raises(ValueError, match="must be"):
        Schedule(steps, peak, warmup)


def test_a_schedule_stays_as_it_was_checked():
    with pytest.raises(FrozenInstanceError):
        Schedule(1, 1.0, 0).steps = 0
