"""All questions for course systems: Moodle XML, QTI 2.1 and GIFT, each with the reasons for right and wrong answers."""

from collections.abc import Iterable
from itertools import pairwise

from .. import catalogue
from ..questions import Match, Order, Question, Text


def questions(lessons: Iterable[int] = ()) -> dict[int, list[Question]]:
    """The questions of these lessons, or of all, lesson by lesson."""
    return {lesson: [*catalogue.questions(lesson).values()] for lesson in lessons or catalogue.lessons()}


def right_order(question: Order) -> list[str]:
    """The keys of a question's steps in the order that its answer gives."""
    keys = {letter: key for key, letter in question.letters().items()}
    return [keys[letter] for letter in question.answer.split()]


def prompt(question: Question) -> str:
    """What is asked. Course systems know one right order only, so an order's text says what it would leave open."""
    if not isinstance(question, Order):
        return question.prompt
    steps, open_pairs = question.steps, [p for p in pairwise(right_order(question)) if p not in question.before]
    fixed = [f"“{steps[first]}” stands somewhere before “{steps[then]}”." for first, then in sorted(open_pairs)]
    says = ["Where either way round would do, keep to this:"] * bool(fixed)
    return "\n\n".join([question.prompt, *says, *fixed])


def reasons(question: Question) -> str:
    """All reasons in one text, for kinds of questions that have none beside an option; of a text, its model answer."""
    match question:
        case Match():
            right = [f"*{pair.left}*: {pair.reason}" for pair in question.lefts]
            parts = right + [f"*{wrong.text}* fits nothing: {wrong.reason}" for wrong in question.distractors]
        case Order():
            steps = question.steps
            parts = [
                f"*{steps[rule.first]}* comes before *{steps[rule.then]}*: {rule.reason}" for rule in question.rules
            ]
        case Text():
            parts = [f"**A model answer**: {question.model}", rubric(question)]
        case _:
            parts = []
    return "\n\n".join(parts)


def rubric(question: Text) -> str:
    """What a person who reads the answer looks at, from little to much."""
    weaker = [f"**A weaker answer**: {question.weak}"] * bool(question.weak)
    return "\n\n".join([*(f"**{each.name}**: {' → '.join(each.levels)}" for each in question.rubric), *weaker])
