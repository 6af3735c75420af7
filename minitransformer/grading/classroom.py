"""A whole class: every submission ends in a row, whatever it does; what is done already is not done again."""

import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..checkpoints import write_whole
from . import intake, isolation, reports
from .course import Assignment, build
from .marking import mark


def grade(
    paths: Iterable[str | Path], lesson: int, out: str | Path, *, profile: str = "auto",
    secret: str | Path | None = None, processes: int | None = None, limits: isolation.Limits | None = None,
    shard: tuple[int, int] = (1, 1), progress: bool = True,
) -> list[dict]:  # fmt: skip
    """Grade every submission under these paths and write all reports to `out`; return one row for each.

    `secret` is a file that tells the hidden inputs; where none is named, one is made in `out`. `shard=(2, 5)` takes
    the second of five parts of the class.
    """
    out, paths = Path(out), [Path(path) for path in paths]
    missing = [str(path) for path in paths if not os.path.lexists(path)]
    if missing:
        raise FileNotFoundError(f"there is nothing at {', '.join(missing)}; expected notebooks, .py, zips or folders")
    if any(out.resolve().is_relative_to(path.resolve()) for path in paths):
        raise ValueError(f"the reports would stand among the submissions: name an --out outside of them; got {out}")
    assignment, chosen, limits = Assignment.of(lesson), isolation.choose(profile), limits or isolation.Limits()
    (out / "rows").mkdir(parents=True, exist_ok=True)
    key, done = kept_secret(Path(secret) if secret else out / "secret"), {}
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        os.chmod(folder, 0o755)
        course = build(assignment, Path(folder, "open"))
        todo = [(found, slot) for slot, found in enumerate(named(paths)) if slot % shard[1] == shard[0] - 1]
        work = [(found, assignment.lesson, chosen.name, course, limits, key, out) for found, _ in todo]
        workers = min(processes or os.cpu_count() or 1, len(work))
        with tqdm(total=len(work), disable=not progress, unit="submission", dynamic_ncols=True) as bar:
            for number, row in rows(work, workers):
                done[number] = row
                bar.update()
    graded = [done[number] for number in sorted(done)]
    reports.write(graded, assignment, out, chosen.counts)
    return graded


def named(paths: list[Path]) -> Iterable[intake.Found]:
    """Submissions whose names differ, whatever the files are called."""
    seen: dict[str, int] = {}
    for found in intake.find(paths):
        name = reports.clean(found.name, 120)
        seen[name] = seen.get(name, 0) + 1
        name += f" ({seen[name]})" if seen[name] > 1 else ""
        yield replace(found, name=name)


def rows(work: list[tuple], workers: int) -> Iterable[tuple[int, dict]]:
    """Judges share torch's one stream of random numbers, so they run in processes and not in threads."""
    if workers <= 1:
        yield from ((number, row(*each)) for number, each in enumerate(work))
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = {pool.submit(row, *each): number for number, each in enumerate(work)}
        for future in as_completed(futures):
            yield futures[future], future.result()


def row(found, lesson: int, profile: str, course: Path, limits, key: bytes, out: Path) -> dict:
    """The row of one submission: graded now, or kept from an earlier run in which everything was the same."""
    began, assignment = time.perf_counter(), Assignment.of(lesson)
    result = {"name": found.name, "lesson": lesson, "profile": isolation.PROFILES[profile].label()}
    result |= {"earned": 0.0, "points": assignment.points}
    try:
        data = intake.content(found)
        about = f"{found.name} {profile} {limits} {assignment}".encode() + (course / "fingerprint").read_bytes()
        # another student, other code: other inputs, so that what leaked once is of no use
        mine = hmac.digest(key, found.name.encode() + b"\0" + data, hashlib.sha256)
        result["content"] = hmac.digest(mine, about, hashlib.sha256).hex()
        path = out / "rows" / f"{hashlib.sha256(found.name.encode()).hexdigest()[:24]}.json"
        if path.exists() and (kept := json.loads(path.read_text(encoding="utf-8")))["content"] == result["content"]:
            return kept
        submission = intake.read(found.member or found.path.name, data, assignment)
        result |= {"notes": submission.notes, "code": shingles(submission)}
        result |= mark(assignment, submission, isolation.PROFILES[profile], course, limits, mine)
    except intake.Refused as why:
        return result | {"problem": str(why)}
    except (Exception, isolation.NoChild) as error:  # the grader's or the machine's fault; tried again next time
        why = f"could not be graded: {type(error).__name__}: {error}"
        return result | {"problem": why, "again": True}
    result["seconds"] = round(time.perf_counter() - began, 1)
    write_whole(path, json.dumps(result, indent=1).encode())
    return result


def kept_secret(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_bytes()


def shingles(submission: intake.Submission) -> list[str]:
    """Eight words or signs in a row, for finding what two students have in common."""
    text = "\n".join(source for owner, source in submission.pieces if owner)
    words = re.findall(r"\w+|[^\w\s]", re.sub(r"#.*|\"\"\".*?\"\"\"", "", text))
    parts = {" ".join(words[n : n + 8]) for n in range(len(words) - 7)}
    return sorted(hashlib.sha256(part.encode()).hexdigest()[:8] for part in parts)
