"""Every part and question of a lesson, on your own notebook.

`SUBMISSION=my.ipynb python -m pytest tests/course/graded`; `-k "2."` chooses lesson 2, `-k "2.1"` one exercise.
"""

import pytest

from minitransformer.course import catalogue

PARTS = [
    pytest.param(lesson, f"{exercise.id} {exercise.title}: {part.name}", id=f"{exercise.id} {part.name}",
                 marks=[pytest.mark.points(part.points), pytest.mark.hint(exercise.hints[0])])
    for lesson in catalogue.lessons() for exercise in catalogue.exercises(lesson).values() for part in exercise.parts
]  # fmt: skip
QUESTIONS = [
    pytest.param(lesson, f"{name} question: answer", id=name, marks=pytest.mark.points(question.points))
    for lesson in catalogue.lessons()
    for name, question in catalogue.questions(lesson).items()
]


@pytest.mark.parametrize(("lesson", "name"), PARTS)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@pytest.mark.parametrize(("lesson", "name"), QUESTIONS)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
