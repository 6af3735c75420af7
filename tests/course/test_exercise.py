"""An exercise by itself: what it must have, how an answer is asked, and what comes of each way to be wrong."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from minitransformer.course.exercise import (
    Exercise,
    Finding,
    Misconception,
    Outcome,
    Part,
    answered,
    in_process,
    judge,
    last_line,
)


def doubles(call, rng):
    number = int(rng.integers(1, 1 << 40))
    if call(number) != 2 * number:
        raise Misconception("not-doubled", "it is twice as much", f"at {number}")


def keeps_nothing(call, rng):
    if call(0) != 0:
        raise Misconception("not-nothing", "twice nothing is nothing")


PARTS = Part("any number", 2, doubles), Part("nothing", 3, keeps_nothing)


def exercise(ask=lambda answer, x: answer(x), **changes) -> Exercise:
    given = dict(id="3.12", title="twice", ask=ask, parts=PARTS, hints=("nudge", "push", "nearly all"))
    return Exercise(**given | changes)


def outcome(answer, seed: int = 0, **changes) -> Outcome:
    return judge(exercise(**changes), in_process(exercise(**changes), answer), seed)


def stops_with(error):
    def answer(x):
        raise error

    return answer


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        *((dict(id=id), "as in '2.1'; got") for id in ("x", "2", "0.1", "2.0", "2.1.1", "2.1x", "")),
        (dict(parts=()), "exercise 3.12 needs parts with different names; got "),
        (dict(parts=(PARTS[0], PARTS[0])), "needs parts with different names; got .'any number', 'any number'."),
        (dict(hints=("a", "b")), "exercise 3.12 needs three hints, from a nudge to nearly all; got 2"),
        (dict(hints=("a", "b", "c", "d")), "three hints, from a nudge to nearly all; got 4"),
    ],
)
def test_an_exercise_that_lacks_something_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(ValueError, match=message):
        exercise(**wrong)


def test_an_exercise_knows_its_place_and_its_points():
    assert (exercise().lesson, exercise().number, exercise().points) == (3, 12, 5)


def test_what_was_judged_cannot_be_changed_afterwards():
    right = outcome(lambda x: 2 * x)
    for each, name in ((PARTS[0], "points"), (exercise(), "id"), (right, "findings"), (right.findings[0], "written")):
        with pytest.raises(FrozenInstanceError):
            setattr(each, name, 7)


def test_a_right_answer_earns_all_points():
    right = outcome(lambda x: 2 * x)
    assert right.passed and right.written and right.earned == 5
    assert right.findings == tuple(Finding(part) for part in PARTS)


def test_each_part_is_judged_and_paid_by_itself():
    half = outcome(lambda x: 0)
    assert half.written and not half.passed
    assert [(finding.right, finding.earned) for finding in half.findings] == [(False, 0), (True, 3)]
    assert half.earned == 3 and outcome(lambda x: 1).earned == 0


def test_a_misconception_has_a_name_a_message_and_a_place():
    misconception = outcome(lambda x: 0).findings[0].misconception
    assert (misconception.name, misconception.message) == ("not-doubled", "it is twice as much")
    assert misconception.detail.startswith("at ") and str(misconception) == "not-doubled: it is twice as much"


@pytest.mark.parametrize("text", ["", "Exercise 3.12 is not written yet"])
def test_a_blank_answer_is_no_wrong_one(text):
    blank = outcome(stops_with(NotImplementedError(*[text][: len(text)])))
    assert not blank.written and not blank.passed and blank.earned == 0
    assert not any(finding.right or finding.misconception for finding in blank.findings)


def test_an_answer_of_which_one_part_is_blank_is_written_and_has_not_passed():
    half = outcome(lambda x: stops_with(NotImplementedError())(x) if x else 0)
    assert half.written and not half.passed and half.earned == 3


@pytest.mark.parametrize(
    "error", [NotImplementedError('"index" not implemented for Half'), ValueError(), ValueError("not written yet")]
)
def test_what_stops_for_another_reason_is_not_blank(error):
    stopped = outcome(stops_with(error))
    misconception = stopped.findings[0].misconception
    assert stopped.written and misconception.name == "raises"
    assert misconception.message == f"your code stopped with {type(error).__name__}: {error}"


def test_the_line_is_shown_at_which_the_student_s_code_stopped():
    def inner(x):
        return 1 / 0

    def answer(x):
        return inner(x)

    line = inner.__code__.co_firstlineno + 1
    assert outcome(answer).findings[0].misconception.detail == f"at line {line}: return 1 / 0"


def test_where_a_library_stopped_the_line_is_the_one_that_called_it():
    def answer(x):
        return np.linalg.inv(np.zeros((2, 2)))

    line = answer.__code__.co_firstlineno + 1
    detail = outcome(answer).findings[0].misconception.detail
    assert detail == f"at line {line}: return np.linalg.inv(np.zeros((2, 2)))"


def test_where_no_line_is_known_none_is_shown():
    scope = {}
    exec("def answer(x):\n    return 1 / 0", scope)
    assert outcome(scope["answer"]).findings[0].misconception.detail == ""
    assert last_line(ValueError("it was never raised")) == ""


def test_what_gives_back_no_data_is_told_so():
    misconception = outcome(lambda x: object()).findings[0].misconception
    assert misconception.name == "wrong-type" and "what your code gave back is no data: " in misconception.message


def test_an_answer_on_which_the_judge_fails_has_not_passed():
    def wants_text(call, rng):
        call(1).upper()

    odd = outcome(lambda x: x, parts=(Part("a text", 1, wants_text),))
    misconception = odd.findings[0].misconception
    assert odd.written and odd.earned == 0 and misconception.name == "no-sense"
    assert misconception.detail == """AttributeError("'int' object has no attribute 'upper'")"""


def test_the_same_seed_asks_the_same_and_another_seed_and_part_ask_other_things():
    def asked(seed):
        numbers = []
        outcome(lambda x: numbers.append(x) or 2 * x, seed, parts=(PARTS[0], Part("again", 1, doubles)))
        return numbers

    assert asked(1) == asked(1) and len({*asked(1), *asked(2)}) == 4


class Tally:
    OPEN = ("add",)

    def __init__(self):
        self.sum = 0

    def add(self, number):
        self.sum += number
        return self.sum

    def secret(self):
        return "the answer"


def test_what_the_judge_serves_can_be_asked_while_the_answer_works():
    tally = Tally()
    with_served = exercise(ask=lambda answer, x, served: answer(x, served))
    call = in_process(with_served, lambda x, served: served("add", x) * 10)
    assert call(3, served=tally) == 30 and call(4, served=tally) == 70


@pytest.mark.parametrize("method", ["secret", "__init__", "", 7, None, ["add"]])
def test_only_the_open_methods_of_what_is_served_are_answered(method):
    with pytest.raises(ValueError, match="the judge answers add; got"):
        answered(Tally(), method)


def test_a_method_s_name_that_only_passes_for_an_open_one_is_not_answered():
    class Name(str):
        def __eq__(self, other):
            return True

        __hash__ = str.__hash__

    with pytest.raises(ValueError, match="the judge answers add; got 'secret'"):
        answered(Tally(), Name("secret"))
