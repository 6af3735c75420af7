"""Lesson 4 on your own notebook: `SUBMISSION=my.ipynb python -m pytest tests/graded/test_lesson4.py`."""

from assignment import parts, questions


@parts(4)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@questions(4)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
