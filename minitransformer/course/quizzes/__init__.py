"""All questions for course systems: Moodle XML, QTI 2.1 and GIFT, each with the reasons for right and wrong answers."""

from collections.abc import Iterable

from .. import catalogue
from ..questions import Order, Question


def questions(lessons: Iterable[int] = ()) -> dict[int, list[Question]]:
    """The questions of these lessons, or of all, lesson by lesson."""
    return {lesson: [*catalogue.questions(lesson).values()] for lesson in lessons or catalogue.lessons()}


def as_places(question: Order) -> tuple[str, list[tuple[str, int]]]:
    """An order as a match, since course systems know no partial orders: how many steps must come before each."""
    asked = f"{question.prompt}\n\nFor each step: how many of the other steps must come before it?"
    return asked, [(question.steps[key], sum(then == key for _, then in question.before)) for key in question.shown]
