"""Our graded tests kill every planted bug and name its cause, and let right programs pass."""

import pytest

from minitransformer.course.catalogue import exercise
from minitransformer.course.exercise import in_process, judge
from minitransformer.course.lesson5 import bugs, guarding
from minitransformer.course.lesson_text import answer_names, defined, lesson_of, setup


def judged(exercise_id: str, program: str):
    """What the judges say about one answer of this program."""
    answer = defined(exercise_id, f"{setup(2)}\n{program}")
    return judge(exercise(exercise_id), in_process(exercise(exercise_id), answer), seed=7)


@pytest.mark.parametrize("program", [bugs.program(), bugs.another_right_program()], ids=["the text's", "another"])
@pytest.mark.parametrize("exercise_id", bugs.PROGRAM)
def test_a_right_program_passes(exercise_id, program):
    assert judged(exercise_id, program).passed


def test_two_right_programs_are_written_differently():
    assert bugs.program() != bugs.another_right_program()
    assert all(f"{answer_names(lesson_of(name))[name]} =" in bugs.another_right_program() for name in bugs.PROGRAM)


@pytest.mark.parametrize("bug", bugs.BUGS)
def test_a_planted_bug_is_caught_and_its_cause_named(bug):
    exercise_id, symptom = bugs.BUGS[bug]
    found = judged(exercise_id, bugs.program(bug))
    assert not found.passed and symptom
    assert bug in {each.misconception.name for each in found.findings if each.misconception}


def test_a_student_s_test_is_asked_for_every_one_of_them():
    wanted = [name for _, names in guarding.GROUPS.values() for name in names]
    assert sorted(wanted) == sorted(bugs.BUGS) and len(wanted) >= 12
