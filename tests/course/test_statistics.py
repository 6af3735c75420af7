"""What a class's answers say about the questions, against numbers made by hand."""

import pytest

from minitransformer.course.grading import reports
from minitransformer.course.grading.statistics import items, misconceptions


def row(name: str, marks: dict[str, float], chosen: str = "", wrong: str = "") -> dict:
    tests = [
        {"id": id, "title": "question" if ".q" in id else "t", "part": "answer", "asked": None, "came": "so",
         "earned": earned, "points": 2, "misconception": wrong or None, "hint": None}
        for id, earned in marks.items()
    ]  # fmt: skip
    if chosen:
        tests[0]["chosen"] = [{"text": chosen, "right": False}, {"text": "the right one", "right": True}]
    return {"name": name, "file": name, "lesson": 2, "profile": "bubblewrap", "missing": [], "notes": [],
            "earned": sum(marks.values()), "points": 2 * len(marks), "tests": tests}  # fmt: skip


CLASS = [row(f"s{n}", {"2.q1": 2 * (n >= 5), "2.q2": 2 * (n < 5), "2.1": n / 5}) for n in range(10)]


def test_an_item_has_the_mean_of_its_shares_and_tells_who_did_not_begin_it():
    rows = [row("a", {"2.q1": 2, "2.1": 1}), row("b", {"2.q1": 1, "2.1": 0})]
    rows[1]["tests"][1]["came"] = "not written yet"
    first, second = items([*rows, row("unread", {}) | {"points": 4}])
    assert (first.id, first.mean, first.blank) == ("2.q1", 0.75, 0)
    assert (second.id, second.mean, second.blank) == ("2.1", 0.25, 1)


def test_an_item_separates_as_its_points_go_with_those_of_the_others():
    first, second, third = items(CLASS)
    rest = [2 * (n < 5) + n / 5 for n in range(10)]
    mean = sum(rest) / 10
    cov = sum((2 * (n >= 5) - 1) * (value - mean) for n, value in enumerate(rest))
    by_hand = cov / (10**0.5 * sum((value - mean) ** 2 for value in rest) ** 0.5)
    assert first.separates == pytest.approx(by_hand) and first.separates < 0
    assert second.separates < 0 and third.separates is None  # the others are worth 2 for everybody


def test_of_few_students_or_where_all_did_the_same_nothing_is_said():
    assert all(each.separates is None for each in items(CLASS[:9]))
    assert items([row(f"s{n}", {"2.q1": 2, "2.1": n / 5}) for n in range(10)])[0].separates is None


def test_wrong_options_are_counted_in_words_with_who_chose_them():
    rows = [row("a", {"2.q1": 0}, chosen="all layers"), row("b", {"2.q1": 0}, chosen="all layers")]
    rows.append(row("c", {"2.q1": 0}, chosen="the loss"))
    (first,) = items(rows)
    assert [(text, [each["name"] for each in who]) for text, who in first.misled] == [
        ("all layers", ["a", "b"]),
        ("the loss", ["c"]),
    ]


def test_misconceptions_name_who_has_them_once():
    rows = [row("a", {"2.1": 0, "2.2": 0}, wrong="start-ignored"), row("b", {"2.1": 0}, wrong="start-ignored")]
    rows.append(row("c", {"2.1": 0}, wrong="raises"))
    found = misconceptions(rows, {"raises"})
    assert [(name, [each["name"] for each in who]) for name, who in found] == [
        ("2.1 start-ignored", ["a", "b"]),
        ("2.2 start-ignored", ["a"]),
    ]


def test_the_pages_say_it_in_words_and_without_colour():
    rows = [row("<b>Anna</b>", {"2.q1": 0, "2.1": 2}, chosen="all <layers>"), *CLASS]
    page = reports.rendered("teacher.html", rows=rows, lesson=2, missing=[], pairs=0, **reports.overall(rows))
    assert "all &lt;layers&gt;" in page and "<details>" in page and "&lt;b&gt;Anna" in page and "<b>Anna" not in page
    own = reports.of_one(rows[0])["html"]
    assert own.index("2 of 4 points") < own.index("What to do next") < own.index("2.q1") and "✓" in own and "✗" in own
