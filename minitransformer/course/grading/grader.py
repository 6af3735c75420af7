"""What happens to one submission, in a process of its own: it is taken in, judged, and its reports are made."""

import hmac
import json
import math
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import torch

from .. import catalogue, lesson_text
from ..assignment import Assignment, course_digest
from ..display import clean
from ..isolation import Box, Limits, write_open_part
from . import finding, intake, reports, similarity
from .cells import Refused
from .marking import Session, mark

LARGEST_ROW = 4 << 20
OUT_OF_TIME = {"time-out", "out-of-time"}


@dataclass(frozen=True)
class Grader:
    """Everything that rows depend on beside the submissions.

    `missing` says what this isolation profile could not close here; `rows` is the folder of rows that are kept.
    """

    lesson: int
    profile: str
    missing: tuple[str, ...]
    limits: Limits
    secret: bytes
    rows: Path
    attempts: int | None = None

    def prepare(self) -> Callable[[tuple[str, object]], bytes]:
        """Load, once for a class, what every submission needs; return what does a job: a method's name, and what of."""
        desk = Desk(self)
        return lambda job: json.dumps(getattr(desk, job[0])(job[1])).encode()

    def place(self, name: str) -> Path:
        """Where the row of this submission is kept."""
        return self.rows / f"{reports.file_name(name)}.json"

    def empty_row(self, name: str) -> dict:
        return {"name": name, "file": reports.file_name(name), "lesson": self.lesson, "profile": self.profile,
                "missing": [*self.missing], "earned": 0.0, "points": Assignment.of(self.lesson).points,
                "tests": [], "notes": []}  # fmt: skip


class Desk:
    """A grader at work, with the course at hand and a folder that students' code may see."""

    def __init__(self, grader: Grader):
        self.grader, self.assignment, self.course_digest = grader, Assignment.of(grader.lesson), course_digest()
        self.open_part = write_open_part(grader.lesson, Path(tempfile.gettempdir(), "open"))
        self.known_code = similarity.known_code(grader.lesson)
        for exercise in self.assignment.exercises:
            lesson_text.reference(exercise)  # judges ask for it, and it imports what the lesson imports
        if any("torch.optim" in path.read_text("utf-8") for path in catalogue.folder(grader.lesson).glob("*.py")):
            import_module("torch._dynamo")  # the first optimizer imports it, for a second in every process

    def grade_alone(self, submission: finding.SubmissionFile) -> dict:
        """The same while nobody else is graded: nobody holds this code up, and less patience is needed."""
        return self.grade_one(submission, replace(self.grader.limits, patience=1.5))

    def grade_one(self, submission: finding.SubmissionFile, limits: Limits | None = None) -> dict:
        """The row of one submission: graded now, or kept from an earlier run in which everything was the same."""
        began, row = time.perf_counter(), self.grader.empty_row(submission.name)
        try:
            files = finding.contents(submission)
            key, row["content"] = self.digests(submission, files)
            if kept := self.kept(submission, row["content"]):
                return kept
            handed_in = intake.read(files, self.assignment)
            row |= similarity.traces(handed_in.pieces, self.known_code) | {
                "taken": [[*each] for each in handed_in.taken]
            }
            row["notes"] = [*submission.notes, *handed_in.notes]
            row["tests"], row["held_up"] = self.marked(handed_in, key, limits or self.grader.limits)
            row["earned"] = round(sum(test["earned"] for test in row["tests"]), 3)
            row["seconds"] = round(time.perf_counter() - began, 1)
        except Refused as why:
            row["problem"] = str(why)
        except Exception as error:  # the grader's or the machine's fault; tried again next time
            row["problem"] = clean(f"could not be graded: {type(error).__name__}: {error}")
        return row

    def kept_row(self, submission: finding.SubmissionFile) -> dict | None:
        """The row from an earlier run, or from another shard's, if it is still true."""
        with suppress(Refused):
            return self.kept(submission, self.digests(submission, finding.contents(submission))[1])

    def report(self, row: dict) -> dict[str, str]:
        return reports.of_one(row)

    def digests(self, submission: finding.SubmissionFile, files: dict[str, bytes]) -> tuple[bytes, str]:
        """What decides this submission's inputs, and what its row depends on.

        Another student or other code has other inputs, so that what leaked once is of no use.
        """
        grader, data = self.grader, b"\0".join(files.values())
        key = hmac.digest(grader.secret, submission.name.encode() + b"\0" + data, "sha256")
        about = f"{grader.profile} {grader.missing} {grader.limits} {grader.attempts}".encode() + self.course_digest
        return key, hmac.digest(key, about, "sha256").hex()

    def kept(self, submission: finding.SubmissionFile, content: str) -> dict | None:
        with suppress(OSError, ValueError, RecursionError):
            row = json.loads(self.grader.place(submission.name).read_bytes())
            return row if is_sound(row) and row.get("content") == content else None

    def marked(self, handed_in: intake.Submission, key: bytes, limits: Limits) -> tuple[list[dict], bool]:
        """The tests, and whether the code was held up: by neighbours, since its own time had not run out."""
        grader = self.grader
        box = grader.profile, self.open_part, grader.lesson, limits
        session = Session(self.assignment, handed_in, limits, lambda: Box(*box))
        with torch.random.fork_rng(devices=[]):  # the same draws for the same file, and nobody knows them before
            torch.manual_seed(int.from_bytes(key[:7], "big"))
            tests = list(mark(session, handed_in.answers, key, grader.attempts))
        return tests, session.held_up


def lost(row: dict, how: set[str]) -> bool:
    """Whether points were lost in one of these ways."""
    return not how.isdisjoint(test["misconception"] for test in row["tests"])


def is_sound(row: object) -> bool:
    """Whether reports can be made of it: a row from a file or another process may be damaged."""
    try:
        texts = [row["name"], row["file"], row["profile"], *row["notes"], *row["missing"], row.get("problem") or ""]
        texts += [*row.get("code", ()), *row.get("strange", ()), *row.get("source", {}).values()]
        texts += [text for exercise, where in row.get("taken", ()) for text in (exercise, where)]
        numbers = [row["earned"], row["points"]]
        for test in row["tests"]:
            texts += [test[name] for name in ("id", "title", "part", "came")]
            texts += [test[name] or "" for name in ("asked", "hint", "misconception")]
            texts += [each["text"] for each in test.get("chosen", ())]
            numbers += [test["earned"], test["points"]]
        right = all(type(text) is str for text in texts) and row["points"] > 0
        return right and all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
