"""The search for a setting: which one is best, what to expect of it, and a tie."""

import numpy as np

from ... import comparison, soft_prompts
from ..differences import unpack
from ..exercise import Exercise, Misconception, Part
from ..worlds import agree_in_all
from . import ask

SETTINGS = {
    "one-lucky-seed": "you choose by the best single seed: a setting is as good as its mean",
    "chosen-on-test": "you choose by the test score, which then measures your choosing: choose by validation",
    "one-at-a-time": "you change one setting at a time: a start and a rate may be good only together, try them all",
    "each-by-itself": "you choose each of the three by itself: a start and a rate may be good only together, try them "
    "all",
    "side-by-side": "you go through the three lists side by side: try every length with every start and every rate",
    "first-seed-only": "you look at the first seed only: take the mean over all seeds",
    "worst-for-best": "you keep the lowest score; for an accuracy the highest is the best",
    "last-of-a-tie": "two settings tie and you keep the later: keep the first",
    "tie-by-test": "where settings tie in validation, you let the test decide, so it has a part in the choice: keep "
    "the first",
    "chosen-on-both": "the test score has a say in your choice, and then it flatters: choose by validation alone",
    "weakest-seed": "you judge a setting by its weakest seed: take the mean",
    "median-for-mean": "you take the median over the seeds: take the mean",
    "last-length-only": "you begin anew with each length, so only the last one counts",
    "good-enough": "you stop at the first setting that seems good enough: try them all",
    "order-of-settings": "the setting comes as (length, start, rate)",
    "nothing-beats-zero": "where no accuracy is above 0 you return no setting: let the first one tried be the best so "
    "far, whatever its score",
}
SCORES = {name: SETTINGS[name] for name in SETTINGS if name not in ("last-of-a-tie", "tie-by-test")} | {
    "one-lucky-seed": "this is the score of the best seed; report the mean of all",
    "sum-for-mean": "this is the sum over seeds: divide by their number",
    "scores-swapped": "the validation score comes first, then the test score",
    "best-test-anywhere": "this is the best test score of any setting; report that of the setting you chose",
    "validation-for-test": "this is the validation score, which the choice has flattered: report the test score",
}


def right_setting(call, rng):
    compare(call, [search_space(rng, axis) for axis in range(3)], 0, "the setting", SETTINGS)


def right_scores(call, rng):
    what = "the mean validation accuracy and the mean test accuracy"
    compare(call, [search_space(rng, axis) for axis in (0, 1)], 1, what, SCORES)


def a_tie(call, rng):
    """A longer prompt that is no better is not worth its length; and where every score is 0, all of them tie."""
    ties = [tied(rng, axis, better_test) for axis in range(3) for better_test in (True, False)]
    *lists, validation, test = drawn(rng)
    compare(call, [*ties, [*lists, 0 * validation, test]], 0, "the setting where several tie", SETTINGS)


def compare(call, worlds: list[list], place: int, what: str, messages: dict[str, str]) -> None:
    """The setting, or the two scores, in each world."""
    got = []
    for world in worlds:
        facts = call(*world)
        if facts["foreign"]:
            raise Misconception(
                "seeds-counted",
                f"you run with seed {facts['foreign'][0]}, which is not among the seeds you were given: {world[3]}",
            )
        if type(facts["found"]) not in (tuple, list) or len(facts["found"]) != 2:
            unpack(facts["found"], 3, "the setting, its validation score and its test score")
        got.append(facts["found"][place])
    agree_in_all("4.3", got, worlds, lambda answer, world: ask.search(answer, *world)["found"][place], what, messages)


def tied(rng, axis: int, better_test: bool) -> list:
    """Two settings tie, above all others, that differ along this axis only; the later has the better test, or not."""
    *lists, validation, test = drawn(rng)
    validation = 0.5 * validation
    first = [int(rng.integers(size)) for size in validation.shape[:3]]
    first[axis], later = 0, first.copy()
    later[axis] = int(rng.integers(1, validation.shape[axis]))
    validation[tuple(first)] = validation[tuple(later)] = rng.uniform(0.6, 0.9, validation.shape[3])
    low, high = np.sort(rng.uniform(0.1, 0.9, 2))
    test[tuple(first)], test[tuple(later)] = (low, high) if better_test else (high, low)
    return [*lists, validation, test]


def drawn(rng) -> list:
    """Lists of settings, seeds, and scores; no seed is a number that one might count to."""
    sizes = rng.integers(2, 5, 3)
    lengths = sorted(rng.permutation(np.arange(1, 17))[: sizes[0]].tolist())
    starts = rng.permutation(["small", "mean", "words", "large", "vocabulary"])[: sizes[1]].tolist()
    rates = sorted(rng.permutation([0.003, 0.01, 0.03, 0.1, 0.3])[: sizes[2]].tolist())
    seeds = rng.permutation(np.arange(5, 90))[: rng.integers(3, 6)].tolist()
    return [lengths, starts, rates, seeds, *rng.uniform(0.05, 0.95, (2, *sizes, len(seeds)))]


def search_space(rng, axis: int) -> list:
    """A space in which each known mistake chooses another setting; the best is none of this list's first two."""
    while True:
        space = drawn(rng)
        validation, test = space[-2:]
        mean, best = validation.mean(-1), highest(validation.mean(-1))
        if best[0] == len(mean) - 1 or best[axis] < 2 or len(set(best)) == 1 or margin(mean) < 1e-6:
            continue
        wrong = [
            *(highest(each) for each in (validation.max(-1), validation.min(-1), np.median(validation, axis=-1))),
            *(highest(each) for each in (test.mean(-1), mean + test.mean(-1), validation[..., 0], -mean, mean > 0.5)),
            climbed(mean),
            (mean[:, 0, 0].argmax(), mean[0, :, 0].argmax(), mean[0, 0].argmax()),
        ]
        if best not in wrong:
            return space


def margin(scores: np.ndarray) -> float:
    """How far the best is above the second, so that rounding does not decide."""
    second, first = np.sort(scores, axis=None)[-2:]
    return first - second


def highest(scores: np.ndarray) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unravel_index(scores.argmax(), scores.shape))


def climbed(mean: np.ndarray) -> tuple[int, ...]:
    """The best length for the first start and rate, then the best start for that, then the best rate."""
    length = mean[:, 0, 0].argmax()
    start = mean[length, :, 0].argmax()
    return int(length), int(start), int(mean[length, start].argmax())


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
