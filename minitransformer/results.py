"""Results of many runs: rows of plain numbers, summarised over seeds, and numbers put in words."""

from collections.abc import Collection, Iterable, Sequence
from statistics import median

from . import expect

Row = dict[str, str | int | float]  # one run: method, skill, length, seed, parameters, bytes, accuracy, seconds, flops
COSTS = ("parameters", "bytes", "seconds", "flops")


def spread(rows: Collection[Row], by: Sequence[str] = ("method", "skill", "length")) -> list[Row]:
    """Mean, lowest and highest accuracy over seeds for each group of runs, and the median of what the runs cost.

    A seed's runs are averaged first, so that the spread is between seeds.
    """
    expect.several(rows=rows)
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if not isinstance(row, dict) or not {*by, "seed", "accuracy"} <= row.keys():
            wanted = ", ".join((*by, "seed", "accuracy"))
            raise ValueError(f"each row must have {wanted}; got {expect.shown(row)}: take the rows of compare(…)")
        groups.setdefault(tuple(row[key] for key in by), []).append(row)
    points = []
    for key, runs in groups.items():
        seeds: dict[int, list[float]] = {}
        for run in runs:
            seeds.setdefault(run["seed"], []).append(run["accuracy"])
        means = [sum(scores) / len(scores) for scores in seeds.values()]
        numbers = {"mean": sum(means) / len(means), "low": min(means), "high": max(means), "runs": len(means)}
        costs = {name: median(run[name] for run in runs) for name in COSTS if name in runs[0]}
        points.append(costs | dict(zip(by, key, strict=True)) | numbers)
    return points


def in_words(point: Row) -> str:
    """The mean of a group, and under it the lowest and the highest where they differ."""
    mean, low, high = (f"{point[name]:.2f}" for name in ("mean", "low", "high"))
    return mean if low == high else f"{mean}\n{low}–{high}"


def number(value: float | None) -> str:
    """Two digits of a number, for a picture or a sentence; None is said, and only 0 itself is called 0."""
    return "None" if value is None else "0" if value == 0 else f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def listed(names: Iterable[str], values: Iterable[float | None]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in zip(names, values, strict=True))


def virtual(count: int) -> list[str]:
    return [f"p{place}" for place in range(count)]
