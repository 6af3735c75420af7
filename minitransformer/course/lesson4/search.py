"""The search for a setting: which one is best, what to expect of it, and a tie."""

import numpy as np

from ... import comparison, soft_prompts
from ..differences import Suspect, agree, unpack
from ..exercise import Exercise, Part
from . import ask


def right_setting(call, rng):
    space, expected, wrong = search_space(rng)
    compare_setting(call(*space), expected, wrong)


def right_scores(call, rng):
    space, expected, wrong = search_space(rng)
    got = call(*space)
    compare_setting(got, expected, wrong)
    place, (_, _, _, _, validation, test) = tuple(expected), space
    _, valid, tested = unpack(got, 3, "the setting, its validation score and its test score")
    agree(
        valid,
        float(validation[place].mean()),
        "the validation score",
        Suspect(
            "one-lucky-seed",
            float(validation[place].max()),
            "this is the score of the best seed; report the mean of all",
        ),
        Suspect("sum-for-mean", float(validation[place].sum()), "this is the sum over seeds: divide by their number"),
        Suspect("scores-swapped", float(test[place].mean()), "the validation score comes first, then the test score"),
    )
    agree(
        tested,
        float(test[place].mean()),
        "the test score",
        Suspect("one-lucky-seed", float(test[place].max()), "this is the best seed's test score; report the mean"),
        Suspect(
            "best-test-anywhere",
            float(test.mean(-1).max()),
            "this is the best test score of any setting; report that of the setting you chose",
        ),
        Suspect(
            "validation-for-test",
            float(validation[place].mean()),
            "this is the validation score, which the choice has flattered: report the test score",
        ),
    )


def a_tie(call, rng):
    """A longer prompt that is no better is not worth its length."""
    (lengths, starts, rates, seeds, validation, test), _, _ = search_space(rng)
    top = np.unravel_index(rng.integers(len(starts) * len(rates)), (len(starts), len(rates)))
    validation = validation * 0.5
    validation[(0, *top)] = validation[(-1, *top)] = 0.75
    place, _, _ = unpack(
        call(lengths, starts, rates, seeds, validation, test), 3, "the setting, its validation score and its test score"
    )
    last = Suspect(
        "last-of-a-tie", np.array([len(lengths) - 1, *top]), "two settings tie and you keep the later: keep the first"
    )
    agree(place, np.array([0, *top]), "the setting", last)


def search_space(rng):
    """Scores in which each known mistake chooses another setting."""
    lengths, starts, rates, seeds = [1, 4, 8], ["small", "mean", "words"], [0.001, 0.01, 0.1], [0, 1, 2]
    while True:
        validation, test = rng.uniform(0.05, 0.95, (2, 3, 3, 3, 3))
        mean = validation.mean(-1)
        wrong = {
            "one-lucky-seed": highest(validation.max(-1)),
            "chosen-on-test": highest(test.mean(-1)),
            "one-at-a-time": climbed(mean),
            "first-seed-only": highest(validation[..., 0]),
            "worst-for-best": highest(-mean),
        }
        if len({highest(mean), *wrong.values()}) == 6:
            return [lengths, starts, rates, seeds, validation, test], np.array(highest(mean)), wrong


def highest(scores: np.ndarray) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unravel_index(scores.argmax(), scores.shape))


def climbed(mean: np.ndarray) -> tuple[int, ...]:
    """The best length for the first start and rate, then the best start for that, then the best rate."""
    length = mean[:, 0, 0].argmax()
    start = mean[length, :, 0].argmax()
    return int(length), int(start), int(mean[length, start].argmax())


def compare_setting(got, expected, wrong) -> None:
    place, _, _ = unpack(got, 3, "the setting, its validation score and its test score")
    messages = {
        "one-lucky-seed": "you choose by the best single seed: a setting is as good as its mean",
        "chosen-on-test": "you choose by the test score, which then measures your choosing: choose by validation",
        "one-at-a-time": "you change one setting at a time: a start and a rate may be good only together, try them all",
        "first-seed-only": "you look at the first seed only: take the mean over all seeds",
        "worst-for-best": "you keep the lowest score; for an accuracy the highest is the best",
    }
    agree(
        place,
        expected,
        "the setting",
        *(Suspect(name, np.array(wrong[name]), message) for name, message in messages.items()),
    )


EXERCISES = (
    Exercise(
        id="4.3",
        title="choose a setting",
        ask=ask.search,
        provides=(soft_prompts, comparison),
        parts=(
            Part("the setting", 2, right_setting),
            Part("what to expect of it", 1, right_scores),
            Part("a tie", 1, a_tie),
        ),
        hints=(
            "There are as many settings as lengths × starts × rates, and each is run once for every seed.",
            "Three loops inside each other. In the innermost: the results of all seeds, the mean of their `validation` "
            "and the mean of their `test`. Which of the two decides?",
            "Keep what is best so far in a variable that starts as `None`, and replace it only where the mean "
            "validation score is *larger* (not equal): so the first of a tie stays.",
        ),
    ),
)
