"""Rows of numbers, drawn together over seeds and put in words."""

import pytest

from minitransformer import results


def test_the_spread_is_between_seeds_and_never_between_skills():
    runs = [("a", 0, 0.0), ("b", 0, 1.0), ("a", 1, 0.2), ("b", 1, 1.0)]
    rows = [{"method": "prompt", "skill": skill, "seed": seed, "accuracy": score} for skill, seed, score in runs]
    (found,) = results.spread(rows, ["method"])
    assert found == {
        "method": "prompt",
        "mean": pytest.approx(0.55),
        "low": 0.5,
        "high": 0.6,
        "runs": 2,
    }
    assert (
        results.in_words(found) == "0.55\n0.50–0.60" and results.in_words(found | {"low": 0.55, "high": 0.55}) == "0.55"
    )
    assert [point["mean"] for point in results.spread(rows, ["method", "skill"])] == [pytest.approx(0.1), 1.0]


def test_the_spread_keeps_what_the_runs_cost():
    runs = [
        dict(method="prompt", skill="s", length=4, seed=seed, accuracy=0.5, parameters=512, seconds=seconds)
        for seed, seconds in enumerate([1.0, 9.0, 2.0])
    ]
    (found,) = results.spread(runs)
    assert found["parameters"] == 512 and found["seconds"] == 2.0 and found["length"] == 4


def test_numbers_in_words_keep_none_apart_from_zero_and_from_small():
    values = [None, 0.0, 1e-9, 0.014, 1.26, 123.4, -0.5]
    assert [results.number(value) for value in values] == ["None", "0", "1e-09", "0.014", "1.3", "123", "-0.5"]
    assert results.listed(results.virtual(2), [None, 0.0]) == "p0 None, p1 0"
