"""Which questions of earlier lessons come again in a lesson's warm-up: what this student missed, and then a fixed rule.

A question's claim to come again is the first of these that is true of it:

1. an answer to it earned less than all, in its lesson or, where it came again since, in the last warm-up that asked it;
2. a check of an exercise in its section named a misconception;
3. a prediction in its section was off;
4. nothing is known of it, or it was right;
5. it was right in a warm-up: that comes last.

Questions with the first claim are taken before those with the second, and so on. Among equal claims it is one from each
lesson in turn: the last lesson first, then those that this one builds on. Within a lesson short questions come first,
then those that have the words in which this lesson says what it needs of that one.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from . import catalogue, lesson_text
from .answers import Given
from .lesson_text import lesson_of
from .progress import RECORD, practised, recall
from .questions import Choice, Numeric, Question

COUNT = 5


class Claim(IntEnum):
    MISSED, NAMED, GUESSED, FRESH, LEARNED = range(5)


@dataclass(frozen=True)
class Again:
    """A question that may come again, and why."""

    question: Question
    claim: Claim = Claim.FRESH
    why: str = ""

    @property
    def lesson(self) -> int:
        return lesson_of(self.question.id)


def chosen(lesson: int, kept: Sequence[str] = ()) -> list[Again]:
    """The questions of this lesson's warm-up: those that are `kept` and still exist, and then those with most claim."""
    every = {each.question.id: each for each in claims(lesson)}
    kept = [every.pop(name) for name in kept if name in every]
    return [*kept, *ranked(lesson, every.values())][:COUNT]


def fixed(lesson: int) -> list[Question]:
    """The questions of who has no records."""
    return [each.question for each in ranked(lesson, [Again(each) for each in questions_before(lesson)])][:COUNT]


def ranked(lesson: int, every: Iterable[Again]) -> Iterator[Again]:
    """All of them, those with most claim first; among equal claims one from each lesson in turn."""
    every = sorted(every, key=lambda each: place(lesson, each))
    for claim in Claim:
        rows = [[each for each in every if (each.claim, each.lesson) == (claim, one)] for one in order(lesson)]
        for turn in range(max(map(len, rows), default=0)):
            yield from (row[turn] for row in rows if turn < len(row))


def order(lesson: int) -> list[int]:
    """The earlier lessons: the last one, those that this one builds on, the others; later ones first."""
    earlier, needed = before(lesson), lesson_text.builds_on(lesson)
    return sorted(earlier, key=lambda each: (each != earlier[-1], each not in needed, -each))


def before(lesson: int) -> list[int]:
    return [each for each in catalogue.lessons() if each < lesson]


def place(lesson: int, each: Again) -> tuple:
    """Where a question stands among those of its lesson with an equal claim; what is left is drawn from its id."""
    question = each.question
    text = " ".join([question.prompt, *(line for _, line in question.lines())]).lower()
    needed = set(re.findall(r"[a-z]{4,}", lesson_text.builds_on(lesson).get(each.lesson, "").lower()))
    drawn = zlib.crc32(f"{lesson} {question.id}".encode())
    return not isinstance(question, Choice | Numeric), -sum(word.rstrip("s") in text for word in needed), drawn


def questions_before(lesson: int) -> list[Question]:
    """The questions of earlier lessons that can be right or wrong."""
    return [each for earlier in before(lesson) for each in catalogue.questions(earlier).values() if each.points]


def claims(lesson: int) -> list[Again]:
    """Each of these questions with this student's claim to see it again."""
    again = warmed_up(lesson)
    beside = {earlier: trouble_in_sections(earlier) for earlier in before(lesson)}
    for earlier in beside:
        recall(earlier)
    return [
        Again(each, *claim_of(each, again.get(each.id, []), beside[lesson_of(each.id)]))
        for each in questions_before(lesson)
    ]


def claim_of(question: Question, again: Sequence[Given], beside: dict[int, tuple[Claim, str]]) -> tuple[Claim, str]:
    """The claim of a question that was answered `again` in warm-ups, among what went wrong in its lesson."""
    if again := earned(question, again):
        return (Claim.LEARNED, "") if again[0] == again[-1] == 1 else (Claim.MISSED, "you missed it in a warm-up")
    given = RECORD.given.get(question.id)
    if given and not all(credit == 1 for credit in earned(question, given.tries or [given])):
        return Claim.MISSED, "you missed it at first"
    section = lesson_text.sections(lesson_of(question.id)).get(question.id)
    return beside.get(section, (Claim.FRESH, ""))


def earned(question: Question, tries: Sequence[Given]) -> list[float]:
    """What each answer earned; those to an earlier form of the question are passed over."""
    credits = []
    for each in tries:
        with suppress(ValueError):
            credits.append(question.for_student(each.student).grade(each.text).credit)
    return credits


def warmed_up(lesson: int) -> dict[str, list[Given]]:
    """How each question was answered in the last of the earlier warm-ups that asked it."""
    again = {}
    for earlier in before(lesson):
        again |= {name: tries for name, tries in practised(earlier)[0].answers.items() if tries}
    return again


def trouble_in_sections(lesson: int) -> dict[int, tuple[Claim, str]]:
    """What went wrong in each section of a lesson: a check that named a misconception counts before a prediction."""
    practice, sections = practised(lesson)[0], lesson_text.sections(lesson)
    missed = [name for name, near in practice.predictions.items() if not near and name in sections]
    named = [name for name, each in practice.exercises.items() if each.named and name in sections]
    beside = {sections[name]: (Claim.GUESSED, f"your prediction {name} beside it was off") for name in missed}
    return beside | {sections[name]: (Claim.NAMED, f"your check of {name} beside it named a mistake") for name in named}
