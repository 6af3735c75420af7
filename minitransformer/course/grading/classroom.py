"""A whole class: every submission gets a row, whatever it does; one that is graded already is not graded again."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm.auto import tqdm

from ..assignment import Assignment
from ..isolation import GRADED, Limits, choose
from . import finding, reports
from .grader import OUT_OF_TIME, Grader, is_sound, lost
from .workers import Bounds, Died, Workers

SHORTEST_SECRET = 16  # bytes
FOR_INTAKE_AND_JUDGES = 120.0  # seconds for one submission, beside those of the student's code


def grade(
    paths: list[str | Path], lesson: int, out: str | Path, *, profile: str = "auto",
    secret: str | Path | None = None, processes: int | None = None, limits: Limits | None = None,
    shard: tuple[int, int] = (1, 1), attempts: int | None = None, progress: bool = True,
    absent: Callable[[list[str]], list[str]] = lambda names: [],
) -> list[dict]:  # fmt: skip
    """Grade every submission under these paths and write all reports to `out`; return one row for each.

    The hidden inputs are drawn from `secret`, a file; where none is named, one is made in `out`. `shard=(2, 5)` takes
    the second of five parts of the class; what others have graded in `out` is in the reports, too.
    Of each question's `attempts`, so many count: the last of them. `absent` tells, given the names of all submissions,
    who has handed in nothing.
    """
    if attempts is not None and attempts < 1:
        raise ValueError(f"attempts is how many of each question's attempts count, at least 1; got {attempts}")
    out, paths, secret = Path(out), [Path(path) for path in paths], Path(secret or Path(out, "secret"))
    if missing := [str(path) for path in paths if not os.path.lexists(path)]:
        raise FileNotFoundError(f"there is nothing at {', '.join(missing)}; expected notebooks, .py, zips or folders")
    if any(out.resolve().is_relative_to(path.resolve()) for path in paths):
        raise ValueError(f"the reports would stand among the submissions: name an --out outside of them; got {out}")
    assignment, limits, chosen = Assignment.of(lesson), limits or Limits(), choose(profile, (*paths, out))
    with reports.writing(out):
        (out / "rows").mkdir(parents=True, exist_ok=True)
    remove_unfinished(out)
    grader = Grader(lesson, chosen.name, chosen.missing, limits, secret_bytes(secret), out / "rows", attempts)
    submissions = finding.find_submissions(paths)
    mine = [place % shard[1] == shard[0] - 1 for place in range(len(submissions))]
    at_once = max(1, min(processes or os.cpu_count() or 1, sum(mine)))
    bounds = Bounds(seconds=limits.start + limits.patience * limits.whole + FOR_INTAKE_AND_JUDGES)
    bar = tqdm(total=sum(mine), disable=not progress, unit="submission", dynamic_ncols=True)
    with bar, says_how_far(bar), Workers(grader.prepare, bounds) as workers:
        rows = class_rows(workers, grader, submissions, mine, at_once, bar)
        written = [row for row in rows if row]
        own, counts = pages(workers, written, at_once), chosen.name in GRADED
        reports.write(written, assignment, out, counts, own, absent([row["name"] for row in rows if row]))
    return [row for row, own in zip(rows, mine, strict=True) if own]


def class_rows(
    workers: Workers,
    grader: Grader,
    submissions: list[finding.SubmissionFile],
    mine: list[bool],
    at_once: int,
    bar: tqdm,
) -> list[dict | None]:
    """A row for each submission; for those of other shards only if it has been graded before."""
    rows: list[dict | None] = [None] * len(submissions)

    def take(places: list[int], at_once: int, task: str = "grade_one") -> Iterator[int]:
        jobs = [(task if mine[place] else "kept_row", submissions[place]) for place in places]
        for job, result in workers.results(jobs, at_once):
            place = places[job]
            row = row_of(result, submissions[place], grader)
            if row:
                row["handed_in"] = submissions[place].handed_in()
            rows[place] = row if mine[place] or (row and not row.get("problem")) else None
            yield place

    again = []
    for place in take([*range(len(rows))], at_once):
        if mine[place] and may_do_better_alone(rows[place]):
            again.append(place)
        else:
            keep(rows[place], grader)
            bar.update(mine[place])
    for place in take(sorted(again), 1, "grade_alone"):  # alone: what was lost because of neighbours is not lost now
        keep(rows[place], grader)
        bar.update()
    return rows


def row_of(result: bytes | Died, submission: finding.SubmissionFile, grader: Grader) -> dict | None:
    """What came of one submission; a row in any case, or None where another shard's is not there."""
    why = result.why if isinstance(result, Died) else "its row is damaged"
    with suppress(ValueError, RecursionError, TypeError):
        row = json.loads(result)
        if row is None or is_sound(row):
            return row
    return grader.empty_row(submission.name) | {"problem": f"could not be graded: {why}"}


def may_do_better_alone(row: dict) -> bool:
    """Whether this submission lost something that neighbours or the machine may have cost it."""
    failed = row.get("problem", "").startswith("could not be graded")
    return failed or lost(row, {"stopped"}) or (row.get("held_up", False) and lost(row, OUT_OF_TIME))


def keep(row: dict | None, grader: Grader) -> None:
    """Write the row down for later runs, unless a later run should try again."""
    if row and not row.get("problem") and not lost(row, OUT_OF_TIME):
        place, data = grader.place(row["name"]), json.dumps(row, indent=1).encode()
        if not place.exists() or place.read_bytes() != data:
            reports.put(place, data)


def pages(workers: Workers, rows: list[dict], at_once: int) -> Iterator[tuple[dict, dict[str, str]]]:
    """Each row with its own reports; a report that cannot be made says so, and the others are made."""
    for place, result in workers.results([("report", row) for row in rows], at_once):
        if isinstance(result, Died):
            why = f"your marks stand, but this report could not be made: {result.why}"
            yield rows[place], reports.of_one(rows[place] | {"tests": [], "notes": [], "problem": why})
        else:
            yield rows[place], json.loads(result)


@contextmanager
def says_how_far(bar: tqdm) -> Iterator[None]:
    """A Ctrl-C ends in one line."""
    try:
        yield
    except KeyboardInterrupt:
        bar.leave = False
        raise KeyboardInterrupt(f"stopped: {bar.n} of {bar.total} graded; run the same command to go on") from None


def secret_bytes(path: Path, otherwise: str = "everything is graded with it") -> bytes:
    """What tells the hidden inputs; made where there is nothing, by whoever comes first.

    `otherwise` is what a new one changes.
    """
    if not os.path.lexists(path):
        with reports.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
        try:
            with open(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(made, path)
        finally:
            made.unlink(missing_ok=True)
    data = path.read_bytes()
    if len(data.strip()) < SHORTEST_SECRET:
        raise ValueError(
            f"the secret in {path} is too short to hide anything: expected at least {SHORTEST_SECRET} bytes, got "
            f"{len(data.strip())}; remove the file, and a new secret is made and {otherwise}"
        )
    return data


def remove_unfinished(out: Path) -> None:
    """Files that a run was writing when it was ended; not those that another run is writing now."""
    for path in [*out.glob(".*.unfinished"), *out.glob("*/.*.unfinished")]:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 60:
                path.unlink()
