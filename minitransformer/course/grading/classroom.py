"""A whole class: every submission gets a row, whatever it does; one that is graded already is not graded again."""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ...files.checkpoints import write_whole
from ..assignment import Assignment, course_digest
from ..display import clean
from ..isolation import GRADED, Box, Limits, choose, write_open_part
from . import intake, reports, similarity
from .marking import Session, mark


def grade(
    paths: list[str | Path], lesson: int, out: str | Path, *, profile: str = "auto",
    secret: str | Path | None = None, processes: int | None = None, limits: Limits | None = None,
    shard: tuple[int, int] = (1, 1), progress: bool = True,
) -> list[dict]:  # fmt: skip
    """Grade every submission under these paths and write all reports to `out`; return one row for each.

    The hidden inputs are drawn from `secret`, a file; where none is named, one is made in `out`. `shard=(2, 5)` takes
    the second of five parts of the class.
    """
    out, paths, secret = Path(out), [Path(path) for path in paths], Path(secret or Path(out, "secret"))
    if missing := [str(path) for path in paths if not os.path.lexists(path)]:
        raise FileNotFoundError(f"there is nothing at {', '.join(missing)}; expected notebooks, .py, zips or folders")
    if any(out.resolve().is_relative_to(path.resolve()) for path in paths):
        raise ValueError(f"the reports would stand among the submissions: name an --out outside of them; got {out}")
    assignment, chosen = Assignment.of(lesson), choose(profile, (*paths, out))
    (out / "rows").mkdir(parents=True, exist_ok=True)
    if not secret.exists():
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.touch(0o600)
        secret.write_text(secrets.token_hex(32))
    work = [file for place, file in enumerate(intake.find_submissions(paths)) if place % shard[1] == shard[0] - 1]
    workers = max(1, min(processes or os.cpu_count() or 1, len(work)))
    # processes and not threads: torch's random numbers, which judges draw, are one stream for all threads
    alone = dict(max_workers=workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))
    with tempfile.TemporaryDirectory(prefix="course-") as folder, ProcessPoolExecutor(**alone) as pool:
        os.chmod(folder, 0o755)
        box = chosen.name, write_open_part(lesson, Path(folder, "open")), lesson, limits or Limits()
        grader = Grader(assignment, box, secret.read_bytes(), course_digest(), out, chosen.missing)
        rows = (pool.map if workers > 1 else map)(grader.grade_one, work)
        rows = list(tqdm(rows, total=len(work), disable=not progress, unit="submission", dynamic_ncols=True))
    reports.write(rows, assignment, out, chosen.name in GRADED)
    return rows


@dataclass(frozen=True)
class Grader:
    """Grades submissions one by one; every process of a pool has a copy of it."""

    assignment: Assignment
    box: tuple[str, Path, int, Limits]
    secret: bytes
    course_digest: bytes
    out: Path
    missing: tuple[str, ...]

    def grade_one(self, submission: intake.SubmissionFile) -> dict:
        """The row of one submission: graded now, or kept from an earlier run in which everything was the same."""
        began, (profile, _, lesson, limits) = time.perf_counter(), self.box
        row = dict(name=submission.name, lesson=lesson, profile=profile, missing=[*self.missing], earned=0.0, tests=[])
        row["points"] = self.assignment.points
        try:
            data = intake.content(submission)
            # another student, other code: other inputs, so that what leaked once is of no use
            key = hmac.digest(self.secret, submission.name.encode() + b"\0" + data, "sha256")
            row["content"] = hmac.digest(key, f"{profile} {limits}".encode() + self.course_digest, "sha256").hex()
            path = self.out / "rows" / f"{hashlib.sha256(submission.name.encode()).hexdigest()[:24]}.json"
            if path.exists() and (kept := json.loads(path.read_bytes()))["content"] == row["content"]:
                return kept
            handed_in = intake.read_submission(submission.member or submission.path.name, data, self.assignment)
            row |= similarity.traces("\n".join(source for _, source in handed_in.pieces)) | {"notes": handed_in.notes}
            session = Session(self.assignment, handed_in, limits, lambda: Box(*self.box))
            row["tests"] = list(mark(session, handed_in.answers, key))
            row["earned"] = round(sum(test["earned"] for test in row["tests"]), 3)
            row["seconds"] = round(time.perf_counter() - began, 1)
            write_whole(path, json.dumps(row, indent=1).encode())
        except intake.Refused as why:
            row["problem"] = str(why)
        except Exception as error:  # the grader's or the machine's fault; tried again next time
            row["problem"] = clean(f"could not be graded: {type(error).__name__}: {error}")
        return row
