"""Every exercise passes its reference, names what is behind wrong answers, and takes no nonsense for a pass."""

import re

import numpy as np
import pytest
import torch

from minitransformer.course import Unfinished, check, guessed, hint, predict, progress, reveal, use
from minitransformer.course.catalogue import exercise, exercises, known_answers, lessons
from minitransformer.course.differences import Suspect, agree, unpack
from minitransformer.course.display import NOT_YET, PLAIN
from minitransformer.course.exercise import Misconception, in_process, judge
from minitransformer.course.lesson_text import reference
from minitransformer.course.plain_data import plain
from minitransformer.course.progress import RECORD

ALL = [each for lesson in lessons() for each in exercises(lesson).values()]
every_exercise = pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
UNNAMED = {"wrong-type", "wrong-shape", "not-finite", "different-values", "raises", "no-sense"}
CASES = [
    pytest.param(exercise_id, name, answer, id=f"{exercise_id} {name}")
    for lesson in lessons()
    for exercise_id, cases in known_answers(lesson, "wrong").items()
    for name, answer in cases
]
UNUSUAL = [
    pytest.param(exercise_id, answer, id=f"{exercise_id} {number}")
    for lesson in lessons()
    for exercise_id, cases in known_answers(lesson, "right").items()
    for number, answer in enumerate(cases)
]


def with_seeds(case) -> list:
    """With two sorts of hidden inputs; one of them for every change."""
    return [
        pytest.param(*case.values, seed, id=f"{case.id} seed {seed}", marks=[pytest.mark.weekly] * (seed == 0))
        for seed in (0, 1)
    ]


@pytest.fixture(autouse=True)
def fresh_record():
    RECORD.forget()
    yield
    RECORD.forget()


def blank(*_, **__):
    raise NotImplementedError("Exercise 1.1 is not written yet")


@every_exercise
@pytest.mark.parametrize("seed", [0, 1])
def test_the_reference_gets_full_marks(each, seed):
    outcome = judge(each, in_process(each, reference(each.id)), seed)
    assert outcome.passed, [str(finding.misconception) for finding in outcome.findings]
    assert outcome.earned == each.points


@every_exercise
def test_every_exercise_has_a_bank_of_unusual_right_answers_and_one_of_wrong_ones(each):
    assert len(known_answers(each.lesson, "right")[each.id]) >= 5
    assert len(known_answers(each.lesson, "wrong")[each.id]) >= 6


@pytest.mark.parametrize(("exercise_id", "answer", "seed"), [one for case in UNUSUAL for one in with_seeds(case)])
def test_an_unusual_right_answer_gets_full_marks(exercise_id, answer, seed):
    outcome = judge(exercise(exercise_id), in_process(exercise(exercise_id), answer), seed)
    assert outcome.passed, [str(finding.misconception) for finding in outcome.findings]


@every_exercise
def test_a_blank_answer_gets_nothing_and_says_which_exercise_it_is(each):
    with pytest.raises(Unfinished, match=rf"^Exercise {each.id} is not written yet: "):
        check(each.id, blank)
    assert RECORD.outcomes[each.id].earned == 0


@every_exercise
@pytest.mark.parametrize(
    "odd",
    [None, 7, "right", lambda *_: None, lambda *_: 1 / 0, lambda *_: object()],
    ids=["None", "a number", "a text", "gives None", "stops", "gives an object"],
)
def test_an_odd_answer_gets_nothing_and_no_crash(each, odd):
    outcome = judge(each, in_process(each, odd), 0)
    assert outcome.earned == 0 and outcome.written


@every_exercise
def test_every_exercise_has_three_wrong_answers_with_names_of_their_own(each):
    names = {name for exercise_id, name, _ in (case.values for case in CASES) if exercise_id == each.id}
    assert len(names - UNNAMED) >= 3


@pytest.mark.parametrize(("exercise_id", "name", "answer", "seed"), [one for case in CASES for one in with_seeds(case)])
def test_a_wrong_answer_is_told_the_misconception_behind_it(exercise_id, name, answer, seed):
    outcome = judge(exercise(exercise_id), in_process(exercise(exercise_id), answer), seed)
    assert not outcome.passed
    assert name in {finding.misconception.name for finding in outcome.findings if finding.misconception}


def test_each_part_counts_for_itself():
    tril = lambda t, s: torch.ones(t, s, dtype=torch.bool).tril()  # noqa: E731
    with pytest.raises(Unfinished) as told:
        check("1.2", tril)
    said = str(told.value)
    assert said.startswith("Exercise 1.2: 1 of 2 points so far.")
    assert "✓ as many keys as queries (1 of 1)" in said and "✗ more keys than queries (0 of 1): [wrong-corner]" in said


def test_a_check_never_speaks_of_all_tests():
    shown = check("1.2", reference("1.2"))
    assert "your public checks pass" in shown.text and "all tests" not in shown.text + shown.html


def test_a_blank_gets_a_calm_note_where_somebody_reads_it_and_an_error_where_a_program_runs_it(monkeypatch):
    def blank(tokens, table):
        raise NotImplementedError("Exercise 1.1 is not written yet")

    monkeypatch.setattr("minitransformer.course.display.in_notebook", lambda: True)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    with pytest.raises(Unfinished):
        check("1.1", blank)
    monkeypatch.setenv("JPY_SESSION_NAME", "/lessons/01.ipynb")
    shown = check("1.1", blank)
    assert shown.text.startswith("Exercise 1.1 is not written yet: ") and 'hint("1.1")' in shown.text
    assert PLAIN in shown.html and NOT_YET not in shown.html and "0 of 8 points" in shown.html
    with pytest.raises(Unfinished):  # what is written and wrong stays an error
        check("1.1", lambda tokens, table: table[tokens - 1])
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    with pytest.raises(Unfinished):
        check("1.1", blank)


def test_nbgrader_gets_the_points_of_the_parts_that_are_right_and_its_readers_the_words(monkeypatch):
    partly, whole = lambda t, s: torch.ones(t, s, dtype=torch.bool).tril(), reference("1.2")
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")  # a student's look before handing in: why it is not all
    with pytest.raises(Unfinished, match="wrong-corner"):
        check("1.2", partly)
    assert repr(check("1.2", whole)) == "2.0"
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert [repr(check("1.2", each)) for each in (whole, partly, None)] == ["2.0", "1.0", "0.0"]
    assert "[wrong-corner]" in check("1.2", partly)._repr_html_() and "pass" in check("1.2", whole)._repr_html_()


def test_a_check_that_fails_shows_no_traceback():
    with pytest.raises(Unfinished) as told:
        check("1.1", lambda *_: 1 / 0)
    lines = told.value._render_traceback_()
    assert "your code stopped with ZeroDivisionError: division by zero" in "\n".join(lines)
    assert not any("Traceback" in line for line in lines)


def test_the_same_misconception_is_explained_once():
    with pytest.raises(Unfinished) as told:
        check("1.1", lambda tokens, table: table[tokens - 1])
    assert str(told.value).count("start at 0") == 1 and "[counts-from-one] again" in str(told.value)


def test_three_hints_come_one_at_a_time():
    shown = [hint("1.1") for _ in range(4)]
    assert [each.text[:11] for each in shown] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert shown[1].html.count("<details>") == 1 and "<code>" in shown[1].html


def test_one_s_own_answer_is_used_once_it_passes_and_the_reference_until_then():
    right, wrong = reference("1.1"), lambda tokens, table: table[tokens - 1]
    assert use("1.1", right) is right
    with pytest.warns(UserWarning, match=r"Exercise 1.1 does not pass its checks yet: .* the reference for now"):
        assert use("1.1", wrong) is right
    assert "questions" in repr(progress(1)) and "✗" in repr(progress(1))


def test_an_unknown_exercise_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"there is no exercise '1.9'; did you mean '1.\d'\?"):
        check("1.9", None)
    with pytest.raises(ValueError, match="there is no exercise 11"):
        hint(11)


def test_what_crosses_is_a_copy_and_only_data():
    array = np.zeros(3)
    copied = plain({"a": [array, (1, None)], "b": torch.nn.Parameter(torch.ones(2))})
    array += 1
    assert copied["a"][0].tolist() == [0, 0, 0] and type(copied["b"]) is np.ndarray and copied["a"][1] == (1, None)
    assert type(plain(np.float64(2))) is float
    for small, wide in ((torch.float16, "float32"), (torch.bfloat16, "float32"), (torch.int32, "int64")):
        whole = plain(torch.arange(3).to(small))
        assert whole.dtype == wide and whole.tolist() == [0, 1, 2]

    class Liar(np.ndarray):
        def __eq__(self, other):
            return True

    for odd in (array.view(Liar), object(), {1: 2}, np.array(["a"]), np.zeros(2, np.complex64), lambda: 0):
        with pytest.raises(TypeError, match="expected"):
            plain(odd)


@pytest.mark.parametrize(
    ("got", "expected", "name"),
    [
        (1, 1.0, "wrong-type"),
        (True, 1, "wrong-type"),
        ([1.0], np.ones(1), "wrong-type"),
        (np.ones(2, int), np.ones(2), "wrong-type"),
        (np.ones((2, 1)), np.ones(2), "wrong-shape"),
        (np.array([1.0, np.nan]), np.ones(2), "not-finite"),
        (np.array([1.0, np.inf]), np.ones(2), "not-finite"),
        (np.array([1.0, 1.1]), np.ones(2), "different-values"),
        (float("nan"), 1.0, "not-finite"),
        ("b", "a", "different-values"),
    ],
)
def test_type_comes_before_shape_before_finite_before_value(got, expected, name):
    with pytest.raises(Misconception) as told:
        agree(got, expected, "it")
    assert told.value.name == name


def test_what_agrees_says_nothing():
    for got, expected in ((1, 1), ("a", "a"), (1.0, 1.0 + 1e-7), (np.ones(2, np.float32), torch.ones(2).double())):
        agree(got, expected, "it")
    agree(np.array([0, -np.inf]), torch.tensor([0, -torch.inf]), "it")
    assert unpack((1, 2), 2, "two") == [1, 2]
    with pytest.raises(Misconception, match="expected 2 things, two; got 1 of them"):
        unpack([1], 2, "two")


def test_a_suspect_is_named_only_when_the_answer_is_wrong_and_just_like_it():
    suspect = Suspect("twice", np.full(2, 2.0), "you count twice")
    agree(np.ones(2), np.ones(2), "it", suspect)
    with pytest.raises(Misconception, match="twice: you count twice"):
        agree(np.full(2, 2), np.ones(2), "it", suspect)
    with pytest.raises(Misconception, match=r"different-values: it: not the right value in 2 of 2 places"):
        agree(np.full(2, 3.0), np.ones(2), "it", suspect)


def test_a_guess_is_shown_beside_the_measurement():
    assert "replace None by your guess" in repr(predict("1.p9", None))
    assert "no guess" in repr(reveal("1.p9", 0.5))
    predict("1.p9", {"a": 0.25})
    assert guessed("1.p9") == {"a": 0.25}
    shown = reveal("1.p9", {"a": 0.5, "b": -1.0})
    assert "a guess     0.25 ██████████\n" in shown.text and "b guess no guess" in shown.text
    cells = re.findall(r"<td[^>]*>([^<]*)<", shown.html)  # each name and number in one of its own: none overlap
    assert cells[:2] == ["a guess", "0.25"] and cells[6:8] == ["b guess", "no guess"]
    predict("1.p9", "nothing")
    assert "not as you said" in repr(reveal("1.p9", "everything"))
    with pytest.raises(ValueError, match="a guess is a number, a word, or a dict of numbers; got a list"):
        predict("1.p9", [1])
