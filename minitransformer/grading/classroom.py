"""A whole class: every submission ends in a row, whatever it does; what is done already is not done again."""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..checkpoints import write_whole
from . import course, intake, isolation, likeness, reports
from .box import Box, Limits, NoChild
from .marking import mark


def grade(
    paths: list[str | Path], lesson: int, out: str | Path, *, profile: str = "auto",
    secret: str | Path | None = None, processes: int | None = None, limits: Limits | None = None,
    shard: tuple[int, int] = (1, 1), progress: bool = True,
) -> list[dict]:  # fmt: skip
    """Grade every submission under these paths and write all reports to `out`; return one row for each.

    `secret` is a file that tells the hidden inputs; where none is named, one is made in `out`. `shard=(2, 5)` takes
    the second of five parts of the class.
    """
    out, paths = Path(out), [Path(path) for path in paths]
    if missing := [str(path) for path in paths if not os.path.lexists(path)]:
        raise FileNotFoundError(f"there is nothing at {', '.join(missing)}; expected notebooks, .py, zips or folders")
    if any(out.resolve().is_relative_to(path.resolve()) for path in paths):
        raise ValueError(f"the reports would stand among the submissions: name an --out outside of them; got {out}")
    assignment, chosen = course.Assignment.of(lesson), isolation.choose(profile)
    (out / "rows").mkdir(parents=True, exist_ok=True)
    key = kept_secret(Path(secret) if secret else out / "secret")
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        os.chmod(folder, 0o755)
        opened = course.build(lesson, Path(folder, "open"))
        desk = Desk(assignment, chosen, opened, limits or Limits(), key, out, course.fingerprint())
        work = [found for place, found in enumerate(named(paths)) if place % shard[1] == shard[0] - 1]
        rows = list(tqdm(desk.rows(work, processes or os.cpu_count() or 1), total=len(work), disable=not progress,
                         unit="submission", dynamic_ncols=True))  # fmt: skip
    rows = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    reports.write(rows, assignment, out, isolation.gives_grades(chosen))
    return rows


def named(paths: list[Path]) -> Iterator[intake.Found]:
    """Submissions whose names differ, whatever the files are called."""
    seen: dict[str, int] = {}
    for found in intake.find(paths):
        name = intake.clean(found.name, 120)
        seen[name] = seen.get(name, 0) + 1
        yield replace(found, name=f"{name} ({seen[name]})" if seen[name] > 1 else name)


@dataclass(frozen=True)
class Desk:
    """Where submissions are graded one by one, by as many processes as there are."""

    assignment: course.Assignment
    profile: str
    course: Path
    limits: Limits
    key: bytes
    out: Path
    fingerprint: bytes

    def rows(self, work: list[intake.Found], workers: int) -> Iterator[tuple[int, dict]]:
        """Judges share torch's one stream of random numbers, so they run in processes and not in threads."""
        if min(workers, len(work)) <= 1:
            yield from ((place, self.row(found)) for place, found in enumerate(work))
            return
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = {pool.submit(self.row, found): place for place, found in enumerate(work)}
            yield from ((futures[future], future.result()) for future in as_completed(futures))

    def row(self, found: intake.Found) -> dict:
        """The row of one submission: graded now, or kept from an earlier run in which everything was the same."""
        began, assignment = time.perf_counter(), self.assignment
        result = {"name": found.name, "lesson": assignment.lesson, "profile": self.profile}
        result |= {"earned": 0.0, "points": assignment.points, "items": []}
        try:
            data = intake.content(found)
            # another student, other code: other inputs, so that what leaked once is of no use
            key = hmac.digest(self.key, found.name.encode() + b"\0" + data, hashlib.sha256)
            about = f"{self.profile} {self.limits}".encode() + self.fingerprint
            result["content"] = hmac.digest(key, about, hashlib.sha256).hex()
            path = self.out / "rows" / f"{hashlib.sha256(found.name.encode()).hexdigest()[:24]}.json"
            if path.exists() and (kept := json.loads(path.read_bytes()))["content"] == result["content"]:
                return kept
            handed_in = intake.read(found.member or found.path.name, data, assignment)
            result |= {"notes": handed_in.notes, "code": likeness.shingles(handed_in)}
            result["strange"] = likeness.strange(handed_in)

            def open_box(seconds: float) -> Box:
                return Box(self.profile, self.course, self.limits, seconds)

            result |= mark(assignment, handed_in, open_box, self.limits, key)
        except intake.Refused as why:
            return result | {"problem": str(why)}
        except (Exception, NoChild) as error:  # the grader's or the machine's fault; tried again next time
            return result | {"problem": intake.clean(f"could not be graded: {type(error).__name__}: {error}")}
        result["seconds"] = round(time.perf_counter() - began, 1)
        write_whole(path, json.dumps(result, indent=1).encode())
        return result


def kept_secret(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_bytes()
