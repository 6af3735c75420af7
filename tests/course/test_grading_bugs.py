"""Our graded tests kill every planted bug and name its cause, and let the right program pass."""

import pytest

from minitransformer.course.assignment import Assignment
from minitransformer.course.catalogue import exercise
from minitransformer.course.exercise import beside, judge
from minitransformer.course.lesson5 import bugs as planted_bugs
from minitransformer.course.lesson5 import guarding


def judged(exercise_id: str, cell: str):
    """What the judges say about this cell, beside the lesson's own first cell."""
    assignment, scope = Assignment.of(int(exercise_id[0])), {}
    exec(assignment.setup, scope)
    exec(cell, scope)
    known = exercise(exercise_id)
    return judge(known, beside(known, scope[assignment.names[exercise_id]]), seed=7)


@pytest.mark.parametrize("right", [planted_bugs.RIGHT, planted_bugs.RIGHT_TOO])
@pytest.mark.parametrize("exercise_id", planted_bugs.RIGHT)
def test_the_right_program_passes(exercise_id, right):
    assert judged(exercise_id, right[exercise_id]).passed


@pytest.mark.parametrize("name", planted_bugs.BUGS)
def test_a_planted_bug_is_caught_and_its_cause_named(name):
    exercise_id, cell, cause, symptom = planted_bugs.BUGS[name]
    found = judged(exercise_id, cell)
    assert not found.passed and symptom
    assert cause in {each.misconception.name for each in found.findings if each.misconception}


def test_a_student_s_test_is_asked_for_every_one_of_them():
    wanted = [name for _, names in guarding.GROUPS.values() for name in names]
    assert sorted(wanted) == sorted(planted_bugs.BUGS) and len(wanted) >= 12
