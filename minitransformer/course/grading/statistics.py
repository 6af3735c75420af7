"""What a class's answers say about the questions: how hard each is, whether it tells students apart, what misleads."""

import statistics
from dataclasses import dataclass, field

ENOUGH = 10  # students, below which a correlation says nothing


@dataclass
class Item:
    """An exercise or a question, as a class did it."""

    id: str
    about: str
    shares: list[float]  # of its points, that each student earned
    blank: int  # students who did not begin it
    separates: float | None  # correlation with the points of all other items; None where it cannot be said
    misled: list[tuple[str, list[dict]]] = field(default_factory=list)  # wrong options, and who chose them

    @property
    def mean(self) -> float:
        return statistics.fmean(self.shares)


@dataclass(frozen=True)
class Totals:
    """Of the shares of all points that the students earned."""

    students: int
    mean: float
    median: float
    spread: tuple[int, ...]  # how many earned less than 10%, less than 20%, …; who earned all is in the last


def totals(rows: list[dict]) -> Totals | None:
    """How the class did; rows without any tests could not be read."""
    shares = [row["earned"] / row["points"] for row in rows if row["tests"]]
    if not shares:
        return None
    tenths = [min(9, max(0, int(10 * share + 1e-9))) for share in shares]
    spread = tuple(tenths.count(tenth) for tenth in range(10))
    return Totals(len(shares), statistics.fmean(shares), statistics.median(shares), spread)


def items(rows: list[dict]) -> list[Item]:
    """Every item that earns points, in the order of the lesson; rows without any tests could not be read."""
    read = [row for row in rows if row["tests"]]
    names = dict.fromkeys(test["id"] for row in read for test in row["tests"] if test["points"])
    return [item(name, read) for name in names]


def item(name: str, rows: list[dict]) -> Item:
    tests = [[test for test in row["tests"] if test["id"] == name] for row in rows]
    earned, points = ([sum(test[key] for test in each) for each in tests] for key in ("earned", "points"))
    rest = [round(row["earned"] - mine, 6) for row, mine in zip(rows, earned, strict=True)]
    begun = [not all(map(is_blank, each)) for each in tests]
    misled: dict[str, list[dict]] = {}
    for row, each in zip(rows, tests, strict=True):
        for option in each[0].get("chosen", ()) if each else ():
            if not option["right"]:
                misled.setdefault(option["text"], []).append(row)
    return Item(
        name,
        next(test["asked"] or test["title"] for each in tests for test in each),
        [mine / worth if worth else 0.0 for mine, worth in zip(earned, points, strict=True)],
        begun.count(False),
        correlation(earned, rest),
        sorted(misled.items(), key=lambda found: -len(found[1])),
    )


def is_blank(test: dict) -> bool:
    """Whether the student has not begun it."""
    return test["came"] in ("not written yet", "not answered yet")


def correlation(one: list[float], other: list[float]) -> float | None:
    if len(one) < ENOUGH or len({*one}) == 1 or len({*other}) == 1:
        return None
    return statistics.correlation(one, other)


def misconceptions(rows: list[dict], unnamed: set[str]) -> list[tuple[str, list[dict]]]:
    """Named misconceptions by exercise, those of most people first, and who has them."""
    whose: dict[str, list[dict]] = {}
    for row in rows:
        named = dict.fromkeys((test["id"], test["misconception"]) for test in row["tests"] if test["misconception"])
        for exercise, name in named:
            if name not in unnamed:
                whose.setdefault(f"{exercise} {name}", []).append(row)
    return sorted(whose.items(), key=lambda found: (-len(found[1]), found[0]))
