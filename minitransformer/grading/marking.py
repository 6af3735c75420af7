"""One submission's marks: every judge runs here, beside copies of its own, and only asks the child."""

import builtins
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..exercises.exercise import Call, Exercise, Misconception, NotWritten, judge
from .course import Assignment, reduced
from .intake import Submission
from .isolation import Child, Limits, Local, Stopped

EXHAUSTED = [["MemoryError"], ["OSError"], ["BlockingIOError"], ["RecursionError"]]


@dataclass
class Asked:
    """A student's code, asked through a child that is started when needed, and again when it was lost."""

    assignment: Assignment
    submission: Submission
    start: Callable[[float], Child]
    limits: Limits
    child: Child | None = None
    loaded: int = 0
    late: set[str] = field(default_factory=set)
    lost: dict[str, Misconception] = field(default_factory=dict)  # exercises whose code cannot be asked again
    now: str = ""
    deadline: float = 0.0

    def __post_init__(self):
        self.deadline = time.monotonic() + self.limits.whole
        self.pieces = [(None, line) for line in self.assignment.setup] + self.submission.pieces

    def call(self, exercise: Exercise) -> Call:
        """What the judges of this exercise ask with."""
        has_answer = any(owner == exercise.id for owner, _ in self.pieces)
        answer = self.assignment.names[exercise.id]

        def call(*given):
            if not has_answer:
                raise NotWritten
            if exercise.id not in self.lost:
                try:
                    self.prepare(exercise)
                    if exercise.id not in self.lost:
                        return self.sense(exercise, *self.ask("call", exercise.ask.__name__, answer, list(given)))
                except Stopped as why:
                    self.close()
                    self.lost[exercise.id] = Misconception(why.name, why.message)
            raise self.lost[exercise.id]

        return call

    def ask(self, kind: str, *given: object) -> tuple[str, object]:
        return self.child.ask(kind, *given, seconds=min(self.left(), self.limits.call))

    def left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Stopped("out-of-time", "the time for this whole submission was used up before this was asked")
        return left

    def prepare(self, exercise: Exercise) -> None:
        """A child that has all pieces up to this exercise's, without those that no child survived."""
        if self.child is not None and exercise.id != self.now and self.child.crowded():
            self.close()
        self.now = exercise.id
        if self.child is None:
            self.child, self.loaded, self.late = self.start(self.left()), 0, set()
        owners = [owner for owner, _ in self.pieces]
        last = len(owners) - owners[::-1].index(exercise.id)
        for place in range(self.loaded, last):
            owner, source = self.pieces[place]
            self.loaded = place + 1
            if owner in self.lost:
                continue
            try:
                kind, value = self.ask("load", f"piece{place}", source)
            except Stopped as why:
                if owner is not None and owner != exercise.id:  # someone else's fault: on without it
                    self.lost[owner] = Misconception(why.name, why.message)
                elif owner is None:
                    self.pieces[place] = (None, "")
                else:
                    raise
                self.close()
                return self.prepare(exercise)
            if kind != "gave" and owner is not None:
                self.lost[owner] = self.raised(value)
        names = self.assignment.late[exercise.id] - self.late
        if names:
            self.ask("hand_over", reduced(self.assignment.late[exercise.id] | self.assignment.given))
            self.late |= names

    def sense(self, exercise: Exercise, kind: str, value: object) -> object:
        if kind == "gave":
            return value
        if kind == "blank":
            raise NotWritten
        if kind == "too-much":
            raise Misconception("too-much", "what your code gave back is larger than may be given back")
        if type(value) is list and value[:1] in EXHAUSTED:
            self.close()  # those who come after start with a child that has room
        raise self.raised(value)

    def raised(self, value: object) -> Misconception:
        """The kind of an error and its line; its text is left out, since code can write hidden inputs into it."""
        name, piece, line = value if type(value) is list and len(value) == 3 else ("", "", 0)
        known = str(name) if isinstance(getattr(builtins, str(name), None), type) else "an error of its own"
        if known == "TypeError" and not piece:
            return Misconception("raises", "what your code gave back is no data, or it cannot be called as asked")
        place = str(piece).removeprefix("piece")
        lines = self.pieces[int(place)][1].splitlines() if place.isdigit() and int(place) < len(self.pieces) else []
        shown = f", at the line: {lines[line - 1].strip()}" if type(line) is int and 0 < line <= len(lines) else ""
        return Misconception("raises", f"your code stopped with {known}{shown}")

    def close(self) -> None:
        if self.child is not None:
            self.child.close()
        self.child = None


def mark(
    assignment: Assignment, submission: Submission, profile: Local, course: Path, limits: Limits, key: bytes
) -> dict:  # fmt: skip
    """Marks out of the full sum, as plain data; `key` tells the hidden inputs."""
    asked = Asked(assignment, submission, lambda left: Child(profile, course, assignment.lesson, limits, left), limits)
    outcomes = {}
    try:
        for each in sorted(assignment.exercises.values(), key=lambda each: len(assignment.late[each.id])):
            seed = int.from_bytes(hmac.digest(key, each.id.encode(), hashlib.sha256)[:8], "big")
            outcomes[each.id] = judge(each, asked.call(each), seed)
    finally:
        asked.close()
    exercises = [told(outcomes[each]) for each in assignment.exercises]
    questions = [replied(each, submission.answers.get(each.id)) for each in assignment.questions.values()]
    earned = sum(each["earned"] for each in exercises) + sum(each["earned"] for each in questions)
    return {"earned": round(earned, 3), "exercises": exercises, "questions": questions}


def told(outcome) -> dict:
    """An exercise's outcome as plain data, without what may tell a hidden input."""
    exercise, parts = outcome.exercise, []
    for finding in outcome.findings:
        found = finding.misconception
        came = "right" if finding.right else found.message if found else "not written yet"
        part = {"name": finding.part.name, "earned": finding.earned, "points": finding.part.points, "came": came}
        parts.append(part | {"misconception": found.name if found else None})
    about = {"id": exercise.id, "title": exercise.title, "earned": outcome.earned, "points": exercise.points}
    return about | {"parts": parts, "hint": None if outcome.passed else exercise.hints[0]}


def replied(question, answer: str | None) -> dict:
    about = {"id": question.id, "title": question.prompt, "answered": answer, "earned": 0.0, "points": 1}
    if answer is None:
        return about | {"said": ["not answered yet"]}
    try:
        reply = question.grade(answer)
    except ValueError as error:
        return about | {"said": [str(error)]}
    return about | {"earned": round(reply.credit, 3), "said": list(reply.said)}
