"""One submission's marks: every judge runs here, in the grader, and asks the child for data only."""

import builtins
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from ..answers import Given
from ..assignment import Assignment
from ..display import clean
from ..exercise import Call, Exercise, Misconception, NotWritten, Outcome, judge
from ..isolation import AWAY, Box, Limits, Lost, provided_sources
from ..questions import Question, Reply
from .intake import Submission

MISSING = {"ImportError": f" ({AWAY})", "NameError": " (soft prompts and what other cells make are away while graded)"}


class Session:
    """A student's code, asked through a box: a fresh process for each exercise, and a new box where one was lost."""

    def __init__(self, assignment: Assignment, submission: Submission, limits: Limits, open_box: Callable[[], Box]):
        self.assignment, self.limits, self.open_box, self.box = assignment, limits, open_box, None
        self.code, self.sources = submission.code, []
        self.deadline, self.trouble = time.monotonic() + limits.whole, None

    def call(self, exercise: Exercise) -> Call:
        """What the judges of this exercise ask with, until the next one begins."""
        self.trouble = None
        try:
            self.begin(exercise)
        except (Misconception, NotWritten) as why:
            self.trouble = why
        ask = exercise.ask
        return partial(self.ask, "call", ask.__module__, ask.__name__, self.assignment.names[exercise.id])

    def begin(self, exercise: Exercise) -> None:
        """A process that has read the lesson's imports and this exercise's pieces."""
        pieces = self.code.get(exercise.id)
        if not pieces:
            raise NotWritten
        self.sources = [self.assignment.setup, *(piece.source for piece in pieces)]
        own = [place for place, piece in enumerate(pieces, 1) if piece.own]
        if not (self.box and self.box.begin(self.left(self.limits.call))):
            self.close()
            self.box, seconds = self.open_box(), self.left(self.limits.start)
            if not self.box.begin(seconds):
                raise Lost("out-of-time") if seconds < self.limits.start else RuntimeError("the child did not start")
        numbered = [*enumerate(self.sources)]
        self.ask("begin", provided_sources(exercise), numbered, own, self.assignment.names[exercise.id])

    def ask(self, *message: object) -> object:
        """The reply, or what it means that there is none."""
        if self.trouble:
            raise self.trouble
        try:
            kind, value = self.box.ask(*message, seconds=self.left(self.limits.call))
        except Lost as why:
            self.trouble = why
            raise
        if kind == "gave":
            return value
        if kind == "blank":
            raise NotWritten
        message = "your code stopped in a way of its own"
        with suppress(TypeError, IndexError):  # the value may be anything
            message = self.error_text(*value)
        raise Misconception("raises", message)

    def error_text(self, name: str, place: int, line: int) -> str:
        """An error's kind and line; its text is left out, since code can write hidden inputs into it."""
        known = name if name in vars(builtins) else "an error of its own"
        if known == "TypeError" and not line:
            return "what your code gave back is no data, or it cannot be called as asked"
        where = f", at the line: {self.sources[place].splitlines()[line - 1].strip()}" if line else ""
        return f"your code stopped with {known}{where}{MISSING.get(known, '')}"

    def left(self, longest: float) -> float:
        """Seconds for one thing, out of those for this submission."""
        if time.monotonic() > self.deadline:
            raise Lost("out-of-time")
        return min(longest, self.deadline - time.monotonic())

    def close(self) -> None:
        self.trouble = None  # where it was raised it holds this session: a circle
        if self.box:
            self.box.close()


def mark(session: Session, answers: dict[str, Given], key: bytes) -> Iterator[dict]:
    """A test for each part of each exercise and for each question, as plain data. `key` decides the hidden inputs."""
    try:
        for exercise in session.assignment.exercises.values():
            seed = int.from_bytes(hmac.digest(key, exercise.id.encode(), "sha256")[:8], "big")
            yield from exercise_tests(judge(exercise, session.call(exercise), seed))
    finally:
        session.close()
    for question in session.assignment.questions.values():
        yield question_test(question, answers.get(question.id, Given("")).text)


def exercise_tests(outcome: Outcome) -> Iterator[dict]:
    """The tests of an exercise, without anything that shows a hidden input."""
    exercise = outcome.exercise
    for finding in outcome.findings:
        part, wrong = finding.part, finding.misconception
        text = "right" if finding.right else clean(wrong.message) if wrong else "not written yet"
        yield {"id": exercise.id, "title": exercise.title, "part": part.name, "asked": None, "came": text,
               "earned": finding.earned, "points": part.points, "misconception": wrong and wrong.name,
               "hint": None if finding.right else exercise.hints[0]}  # fmt: skip


def question_test(question: Question, answer: str) -> dict:
    """A question's test."""
    try:
        reply = question.grade(answer) if answer else Reply(0.0, ("not answered yet",))
    except ValueError as error:
        reply = Reply(0.0, (clean(str(error)),))
    text = "\n\n".join((f"you answered {clean(answer)}", *reply.lines) if answer else reply.lines)
    return {"id": question.id, "title": "question", "part": "answer", "asked": question.prompt, "came": text,
            "earned": round(reply.credit, 3), "points": 1, "misconception": None, "hint": None}  # fmt: skip
