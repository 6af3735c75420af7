"""Lesson 2 on your own notebook: `SUBMISSION=my.ipynb python -m pytest tests/graded/test_lesson2.py`."""

from assignment import parts, questions


@parts(2)
def test_exercise(full_points, lesson, name):
    full_points(lesson, name)


@questions(2)
def test_question(full_points, lesson, name):
    full_points(lesson, name)
