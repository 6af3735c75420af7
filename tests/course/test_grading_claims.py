"""What counts is what was done: a claim about it earns nothing, and honest answers lose nothing by the same noise."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases_claims
import cases_lesson5_to_7

from minitransformer.course.assignment import Assignment
from minitransformer.course.exercise import judge
from minitransformer.course.grading.intake import Piece, Submission
from minitransformer.course.grading.marking import Session
from minitransformer.course.isolation import Box, Limits, write_open_part

LIMITS = Limits()
CASES = cases_claims.CASES | cases_lesson5_to_7.CASES


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    """For each lesson one box, in which every case gets a process of its own."""
    opened = {}

    def box_of(lesson: int) -> Box:
        if lesson not in opened or not opened[lesson].begin(60):
            course = write_open_part(lesson, tmp_path_factory.mktemp("course") / "open")
            opened[lesson] = Box("local", course, lesson, LIMITS)
        return opened[lesson]

    yield box_of
    for box in opened.values():
        box.close()


def outcome_of(boxes, name: str, seed: int):
    exercise_id, cell, points = CASES[name]
    assignment = Assignment.of(int(exercise_id[0]))
    exercise = assignment.exercises[exercise_id]
    session = Session(
        assignment, Submission({exercise_id: [Piece(True, cell)]}), LIMITS, lambda: boxes(exercise.lesson)
    )
    session.box = boxes(exercise.lesson)
    return judge(exercise, session.call(exercise), seed), points


def cases() -> list:
    """All of them; of those of two exercises with many trainings, a third for every change."""
    slow = [name for name, (exercise_id, *_) in CASES.items() if exercise_id in ("6.3", "7.4")]
    marks = {name: [pytest.mark.weekly] for place, name in enumerate(slow) if place % 3}
    return [pytest.param(name, id=name, marks=marks.get(name, ())) for name in CASES]


@pytest.mark.parametrize("name", cases())
def test_a_claim_earns_nothing_and_noise_costs_nothing(boxes, name):
    outcome, points = outcome_of(boxes, name, seed=len(name))
    assert outcome.earned == points, [(each.part.name, str(each.misconception)) for each in outcome.findings]
    assert name.startswith("honest") == outcome.passed


def test_every_exercise_has_attacks_and_honest_twins():
    for exercise_id in (*cases_claims.POINTS, *cases_lesson5_to_7.POINTS):
        names = [name for name, (exercise, *_) in CASES.items() if exercise == exercise_id]
        assert len([name for name in names if name.startswith("honest")]) >= 3 and len(names) >= 9
