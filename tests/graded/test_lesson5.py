"""Lesson 5 on your own notebook: `SUBMISSION=my.ipynb python -m pytest tests/graded/test_lesson5.py`."""

from assignment import parts, questions


@parts(5)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@questions(5)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
