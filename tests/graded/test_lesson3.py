"""Lesson 3 on your own notebook: `SUBMISSION=my.ipynb python -m pytest tests/graded/test_lesson3.py`."""

from assignment import parts, questions


@parts(3)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@questions(3)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
