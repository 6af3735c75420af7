"""Lesson 7 on your own notebook: `SUBMISSION=my.ipynb python -m pytest tests/graded/test_lesson7.py`."""

from assignment import parts, questions


@parts(7)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@questions(7)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
