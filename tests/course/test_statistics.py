"""What a class's answers say about the questions, against numbers made by hand."""

import re

import pytest

from minitransformer.course import catalogue
from minitransformer.course.answers import Given
from minitransformer.course.grading import reports
from minitransformer.course.grading.marking import question_test
from minitransformer.course.grading.statistics import items, misconceptions, totals
from minitransformer.course.questions import Choice, Match, Numeric, Order, Several


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


def test_totals_are_those_of_who_could_be_read():
    """Shares of .5, 1, 0, .25: the mean is .4375, the median .375, and they fall into the tenths 5, 9, 0, 2."""
    rows = [row("a", {"2.1": 1}), row("b", {"2.1": 2}), row("c", {"2.1": 0}), row("d", {"2.1": 0.5})]
    about = totals([*rows, row("unread", {}) | {"points": 4}])
    assert (about.students, about.mean, about.median) == (4, 0.4375, 0.375)
    assert about.spread == (1, 0, 1, 0, 0, 1, 0, 0, 0, 1)
    assert totals([row("unread", {}) | {"points": 4}]) is None


def test_a_tenth_that_floats_miss_by_a_little_is_counted_in_its_place():
    assert totals([row("a", {"2.1": 0.3 + 0.3}) | {"points": 2}]).spread[3] == 1
    assert totals([row("a", {"2.1": 0.1 + 0.7}) | {"points": 1}]).spread[8] == 1  # 0.7999999999999999


KINDS = {"choice": Choice, "several": Several, "order": Order, "match": Match, "numeric": Numeric}
OF_KIND = {
    name: next(each for lesson in catalogue.lessons() for each in catalogue.questions(lesson).values()
               if type(each) is kind)
    for name, kind in KINDS.items()
}  # fmt: skip


def wrong_answer(question) -> str:
    if isinstance(question, Numeric):
        return f"{question.value + 1 + question.tolerance}"
    if isinstance(question, Order):
        return " ".join(reversed(question.answer.split()))
    if isinstance(question, Match):
        none_fits = next(letter for text, letter in question.letters().items() if text in question.wrong_texts)
        return " ".join(f"{number}{none_fits}" for number, _ in enumerate(question.pairs, 1))
    return next(letter for option, letter in question.letters().items() if not option.right)


@pytest.mark.parametrize("question", OF_KIND.values(), ids=OF_KIND)
def test_the_test_of_a_question_says_in_words_what_was_answered(question):
    right = question_test(question, Given(question.answer))["chosen"]
    assert all(each["right"] for each in right) and bool(right) is not isinstance(question, Order)
    wrong = question_test(question, Given(wrong_answer(question)))["chosen"]
    assert wrong and not any(each["right"] for each in wrong)
    assert "chosen" not in question_test(question, Given("")) and "chosen" not in question_test(question, Given("zz"))


def test_an_order_says_which_step_stood_before_which():
    question = OF_KIND["order"]
    rule = question.rules[0]
    wrong = [each["text"] for each in question_test(question, Given(wrong_answer(question)))["chosen"]]
    assert f"“{question.steps[rule.then]}” before “{question.steps[rule.first]}”" in wrong


def test_a_part_of_the_points_is_called_partly_right_and_what_a_person_reads_is_not_judged():
    marks = [(2, 2), (1, 2), (0, 2), (0, 0)]
    words = [reports.verdict({"earned": earned, "points": points}) for earned, points in marks]
    assert words == ["✓ right", "◧ partly right", "✗ not right", "✎ a person reads this"]


def class_page(rows: list[dict], **about) -> str:
    return reports.rendered("teacher.html", rows=rows, lesson=2, missing=[], pairs=0, **reports.overall(rows), **about)


def names_shown(page: str) -> str:
    """What stands on the page before a click, above the list of everyone."""
    return re.sub(r"</summary>.*?</details>", "", page.partition("<h2>Everyone</h2>")[0], flags=re.DOTALL)


def test_the_class_page_keeps_names_behind_a_click():
    rows = [row("Anna", {"2.1": 0}, wrong="start-ignored"), row("Berta", {"2.1": 0}, wrong="raises")]
    rows.append(row("Clara", {"2.q1": 0}, chosen="all layers"))
    page = class_page(rows, absent=["Dora"])
    for name in "Anna", "Berta", "Clara", "Dora":
        assert name in page.partition("<h2>Everyone</h2>")[0] and name not in names_shown(page)
    assert "Not handed in" in page and "Not handed in" not in class_page(rows)


def test_of_many_wrong_answers_to_one_item_the_rarer_ones_fold_away():
    rows = [row(f"s{n}", {"2.q1": 0}, chosen=f"option {n // 2}") for n in range(14)]
    page = class_page(rows)
    assert "2 × option 0" in page and "<summary>2 rarer ones</summary>" in page
    assert page.index("rarer ones") < page.index("2 × option 6")


def test_the_class_page_gives_the_totals_and_who_could_not_be_read():
    unread = row("z", {}) | {"points": 4, "problem": "could not be read"}
    page = class_page([*CLASS, unread])
    assert "10 submissions that could be read: on average 48% of the points" in page
    assert "because they could not be read: 1." in page and "could be read" in class_page([unread])


def test_the_student_sees_three_next_steps_with_hints_and_links_to_the_rest():
    mine = row("a", {"2.1": 0, "2.2": 2, "2.3": 1, "2.q1": 0, "2.q2": 0})
    mine["tests"][0]["hint"] = "count the rows"
    own = reports.of_one(mine)["html"]
    steps = own.partition("</ol>")[0]
    assert re.findall(r'<a href="#([\d.q]+)">', steps) == ["2.1", "2.3", "2.q1"] and "count the rows" in steps
    assert 'Then 1 more: <a href="#2.q2">2.q2</a>.' in own and "◧ partly right" in own
    assert {*re.findall(r'href="#([^"]+)"', own)} <= {*re.findall(r'id="([^"]+)"', own)}


def test_the_pages_say_it_in_words_and_without_colour():
    rows = [row("<b>Anna</b>", {"2.q1": 0, "2.1": 2}, chosen="all <layers>"), *CLASS]
    page = class_page(rows)
    assert "all &lt;layers&gt;" in page and "<details>" in page and "&lt;b&gt;Anna" in page and "<b>Anna" not in page
    own = reports.of_one(rows[0])["html"]
    assert own.index("2 of 4 points") < own.index("What to do next") < own.index("2.q1") and "✓" in own and "✗" in own
