"""Lesson 1 on your own notebook: `SUBMISSION=my.ipynb python -m pytest tests/graded/test_lesson1.py`."""

from assignment import parts, questions


@parts(1)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@questions(1)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
