"""One submission's marks: every judge runs here, beside copies of its own, and only asks the child."""

import builtins
import hashlib
import hmac
import time
from collections.abc import Callable

from ..exercises.exercise import Call, Exercise, Misconception, NotWritten, Outcome, judge
from ..exercises.questions import Reply
from .box import Limits, Stopped
from .course import AWAY, Assignment, given
from .intake import Submission, clean


class Asked:
    """A student's code, asked through a box that is opened when needed, and again when it was lost."""

    def __init__(self, assignment: Assignment, submission: Submission, open_box: Callable, limits: Limits):
        self.assignment, self.open_box, self.limits, self.box, self.now = assignment, open_box, limits, None, None
        self.pieces = [(None, assignment.setup), *submission.pieces]
        self.deadline = time.monotonic() + limits.whole
        self.lost: dict[str, Misconception] = {}  # exercises whose code cannot be asked again
        self.deadly: set[int] = set()  # pieces that no process survived

    def call(self, exercise: Exercise) -> Call:
        """What the judges of this exercise ask with."""
        answer = self.assignment.names[exercise.id]

        def call(*given):
            if not any(owner == exercise.id for owner, _ in self.pieces):
                raise NotWritten
            if exercise.id in self.lost:
                raise self.lost[exercise.id]
            try:
                if self.now != exercise.id:
                    self.begin(exercise.id)
                return self.sense(*self.ask("call", exercise.ask.__name__, answer, list(given)))
            except Stopped as why:
                self.lost[exercise.id] = Misconception(why.name, why.message)
                raise self.lost[exercise.id] from None

        return call

    def begin(self, exercise: str) -> None:
        """A fresh process that has read what stands before this exercise and its own cell, but no deadly piece."""
        if not (self.box and self.box.end(min(self.left(), self.limits.call))):
            self.box = self.open_box(self.left())
        self.ask("begin", self.assignment.lesson, given(exercise))
        last = max(place for place, (owner, _) in enumerate(self.pieces) if owner == exercise)
        for place, (owner, source) in enumerate(self.pieces[: last + 1]):
            try:
                kind, value = ("gave", None) if place in self.deadly else self.ask("load", f"piece{place}", source)
            except Stopped:
                self.deadly.add(place)
                if owner == exercise:
                    raise
                return self.begin(exercise)  # someone else's fault: on without it
            if kind != "gave" and owner == exercise:
                self.sense(kind, value)
        self.now = exercise

    def ask(self, kind: str, *given: object) -> tuple[str, object]:
        self.now, now = None, self.now  # nothing goes on in a process that gave no answer
        answer = self.box.ask(kind, *given, seconds=min(self.left(), self.limits.call))
        self.now = now
        return answer

    def sense(self, kind: str, value: object) -> object:
        """What came, or what it means that nothing came."""
        if kind == "gave":
            return value
        if kind == "blank":
            raise NotWritten
        if kind == "too-much":
            raise Misconception("too-much", "what your code gave back is larger than may be given back")
        # the error's kind and line only; its text is left out, since code can write hidden inputs into it
        name, piece, line = value if type(value) is list and len(value) == 3 else ("", "", 0)
        known = str(name) if isinstance(getattr(builtins, str(name), None), type) else "an error of its own"
        if known == "TypeError" and not piece:
            raise Misconception("raises", "what your code gave back is no data, or it cannot be called as asked")
        place = str(piece).removeprefix("piece")
        lines = self.pieces[int(place)][1].splitlines() if place.isdigit() and int(place) < len(self.pieces) else []
        shown = f", at the line: {lines[line - 1].strip()}" if type(line) is int and 0 < line <= len(lines) else ""
        away = f" (soft prompts and checks are {AWAY})" if known == "ImportError" else ""
        raise Misconception("raises", f"your code stopped with {known}{shown}{away}")

    def left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Stopped("out-of-time", "the time for this whole submission was used up before this was asked")
        return left

    def close(self) -> None:
        if self.box:
            self.box.close()


def mark(assignment: Assignment, submission: Submission, open_box: Callable, limits: Limits, key: bytes) -> dict:
    """Marks out of the full sum, as plain data; `key` tells the hidden inputs."""
    asked, outcomes = Asked(assignment, submission, open_box, limits), {}
    try:  # those that are given soft prompts come last, when nobody is asked to write them any more
        for each in sorted(assignment.exercises.values(), key=lambda each: bool(given(each.id))):
            seed = int.from_bytes(hmac.digest(key, each.id.encode(), hashlib.sha256)[:8], "big")
            outcomes[each.id] = judge(each, asked.call(each), seed)
    finally:
        asked.close()
    items = [told(outcomes[each]) for each in assignment.exercises]
    items += [replied(each, submission.answers.get(each.id)) for each in assignment.questions.values()]
    return {"earned": round(sum(item["earned"] for item in items), 3), "items": items}


def told(outcome: Outcome) -> dict:
    """An exercise's outcome as plain data, without what may tell a hidden input."""
    exercise, parts = outcome.exercise, []
    for finding in outcome.findings:
        found = finding.misconception
        came = "right" if finding.right else clean(found.message) if found else "not written yet"
        about = {"name": finding.part.name, "earned": finding.earned, "points": finding.part.points}
        parts.append(about | {"came": came, "misconception": found.name if found else None})
    hint = None if outcome.passed else exercise.hints[0]
    about = {"id": exercise.id, "title": exercise.title, "asked": None}
    return about | {"earned": outcome.earned, "points": exercise.points, "parts": parts, "hint": hint}


def replied(question, answer: str | None) -> dict:
    """The same for a question, as an item of one part."""
    try:
        reply = question.grade(answer) if answer else Reply(0.0, ("not answered yet",))
    except ValueError as error:
        reply = Reply(0.0, (clean(str(error)),))
    earned = {"earned": round(reply.credit, 3), "points": 1}
    came = "\n\n".join((f"you answered {clean(answer)}", *reply.said) if answer else reply.said)
    part = {"name": "answer", "came": came, "misconception": None}
    about = {"id": question.id, "title": "question", "asked": question.prompt}
    return about | earned | {"parts": [part | earned], "hint": None}
