"""One submission's marks: every judge runs here, in the grader, and asks the child for data only."""

import builtins
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from threading import RLock

from tqdm import tqdm

from ..answers import LONGEST, Given
from ..assignment import Assignment
from ..display import clean
from ..exercise import Call, Exercise, Misconception, NotWritten, Outcome, answered, judge
from ..isolation import AWAY, Box, Limits, Lost, provided_sources
from ..plain_data import Plain
from ..questions import Question, Reply
from .intake import Submission

MISSING = {"ImportError": f" ({AWAY})", "NameError": " (soft prompts and what other cells make are away while graded)"}


class Session:
    """A student's code, asked through a box: a fresh process for each exercise, and a new box where one was lost."""

    def __init__(self, assignment: Assignment, submission: Submission, limits: Limits, open_box: Callable[[], Box]):
        self.assignment, self.limits, self.open_box, self.box = assignment, limits, open_box, None
        self.code, self.sources = submission.code, []
        self.deadline, self.used, self.trouble = time.monotonic() + limits.patience * limits.whole, 0.0, None
        self.hurried = self.held_up = False  # the clock leaves less time than its own is; and points were lost so

    def call(self, exercise: Exercise) -> Call:
        """What the judges of this exercise ask with, until the next one begins."""
        self.trouble = None
        try:
            self.begin(exercise)
        except (Misconception, NotWritten) as why:
            self.trouble = why
        ask, answer = exercise.ask, self.assignment.names[exercise.id]

        def call(*inputs: Plain, served: object = None) -> Plain:
            serve = None if served is None else partial(answered, served)
            return self.ask("call", ask.__module__, ask.__name__, answer, bool(serve), *inputs, serve=serve)

        return call

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
                if seconds == self.limits.start:
                    raise RuntimeError("the child did not start")
                self.held_up |= self.hurried
                raise Lost("out-of-time")
        numbered = [*enumerate(self.sources)]
        self.ask("begin", provided_sources(exercise), numbered, own, self.assignment.names[exercise.id])

    def ask(self, *message: object, serve: Callable | None = None) -> object:
        """The reply, or what it means that there is none. `serve` answers what the child asks on the way."""
        if self.trouble:
            raise self.trouble
        try:
            kind, value = self.box.ask(*message, seconds=self.left(self.limits.call), serve=serve)
        except Lost as why:
            self.trouble, self.held_up = why, self.held_up or self.box.held_up or self.hurried
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
        written = self.sources[place].splitlines()[line - 1].strip().replace("`", "'") if line else ""
        where = f", at the line `{written[:120]}`{' …' * (len(written) > 120)}" if line else ""
        return f"your code stopped with {known}{where}{MISSING.get(known, '')}"

    def left(self, longest: float) -> float:
        """Seconds for one thing, out of those for this submission."""
        clock = (self.deadline - time.monotonic()) / self.limits.patience
        own = min(longest, self.limits.whole - self.used - (self.box.used if self.box else 0.0))
        self.hurried = clock < own
        if min(clock, own) <= 0:
            self.held_up |= self.hurried
            raise Lost("out-of-time")
        return min(clock, own)

    def close(self) -> None:
        self.trouble = None  # where it was raised it holds this session: a circle
        if self.box:
            self.box.close()
            self.used, self.box = self.used + self.box.used, None


def mark(session: Session, answers: dict[str, Given], key: bytes, attempts: int | None = None) -> Iterator[dict]:
    """A test for each part of each exercise and for each question, as plain data.

    `key` decides the hidden inputs; of each question's attempts, so many count.
    """
    tqdm.set_lock(RLock())  # its own is a semaphore of the system, which a process that is ended would leave behind
    try:
        for exercise in session.assignment.exercises.values():
            seed = int.from_bytes(hmac.digest(key, exercise.id.encode(), "sha256")[:8], "big")
            yield from exercise_tests(judge(exercise, session.call(exercise), seed))
    finally:
        session.close()
    for question in session.assignment.questions.values():
        yield question_test(question, answers.get(question.id, Given("")), attempts)


def exercise_tests(outcome: Outcome) -> Iterator[dict]:
    """The tests of an exercise. Of hidden data they show one place at most; another file gets other data."""
    exercise = outcome.exercise
    for finding in outcome.findings:
        part, wrong = finding.part, finding.misconception
        text = "right" if finding.right else what_is_wrong(wrong) if wrong else "not written yet"
        yield {"id": exercise.id, "title": exercise.title, "part": part.name, "asked": None, "came": text,
               "earned": finding.earned, "points": part.points, "misconception": wrong and wrong.name,
               "hint": None if finding.right else exercise.hints[0]}  # fmt: skip


def what_is_wrong(wrong: Misconception) -> str:
    """What to think about, and the first place that differs."""
    return clean(wrong.message) + (f" ({clean(wrong.detail, 200)})" if wrong.detail else "")


def question_test(question: Question, given: Given, allowed: int | None = None) -> dict:
    """A question's test; what a person reads is collected whole. Of the attempts at most `allowed` count."""
    counts, note = attempt_that_counts(question, given, allowed)
    reply = reply_to(question, counts) if counts else Reply(0.0, ())
    said = [note, *reply.lines] if question.points or not given.text else [note]
    if given.text:
        text = clean_lines((counts or given).text, LONGEST if not question.points else 400)
        said.insert(0, f"you answered {text}" if question.points else text)
    asked = question.for_student(given.student).prompt
    test = {"id": question.id, "title": "question", "part": "answer", "asked": asked,
            "came": "\n\n".join(filter(None, said)), "earned": round((reply.credit or 0.0) * question.points, 3),
            "points": question.points, "misconception": None, "hint": None}  # fmt: skip
    if counts and readable(question, counts):
        said = question.for_student(counts.student).chosen(counts.text)
        test["chosen"] = [{"text": each.text, "right": each.right} for each in said]
    rubric = {"rubric": [asdict(criterion) for criterion in question.rubric]} if question.rubric else {}
    whose = {"student": clean(given.student, 200)} if given.text else {}
    return test | {"attempts": given.attempts if given.text else 0} | whose | rubric


def attempt_that_counts(question: Question, given: Given, allowed: int | None) -> tuple[Given | None, str]:
    """The last attempt that can be read, or the last that is allowed, and a sentence where others came after it.

    The same answer once more, as when a notebook runs again, is no new attempt.
    """
    tries = [each for each in (*given.tries, replace(given, attempts=1)) if readable(question, each)]
    tries = [each for each, _ in groupby(tries)]
    count = len(tries) if given.tries else given.attempts
    if not allowed or count <= allowed:
        return (tries or [given])[-1], ""
    if given.tries:
        return tries[allowed - 1], f"of your {count} attempts number {allowed} counts"
    return None, f"you took {count} attempts, and {allowed} are allowed: it earns nothing"


def readable(question: Question, given: Given) -> bool:
    with suppress(ValueError):
        return bool(question.for_student(given.student).grade(given.text))
    return False


def reply_to(question: Question, given: Given) -> Reply:
    """What there is to say about an answer, by the letters that this student saw."""
    try:
        return (
            question.for_student(given.student).grade(given.text) if given.text else Reply(0.0, ("not answered yet",))
        )
    except ValueError as error:
        return Reply(0.0, (clean(str(error)),))


def clean_lines(text: str, longest: int) -> str:
    return "\n".join(clean(line, longest) for line in text[:longest].splitlines())
