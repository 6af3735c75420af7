"""Whatever is handed in: no undeserved point, no deserved point lost, nothing left behind, and on to the next one.

All cases are graded once, in one command over one folder; it takes minutes:
`GRADING=1 python -m pytest tests/course/test_grading_hostile.py`.
"""

import csv
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import box_cases
import cases

from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import Limits, grade
from minitransformer.course.isolation import GRADED, leftovers, problem

POINTS = Assignment.of(1).points
LIMITS = Limits(call=4, whole=40, memory=3 << 30, processes=48, file=32 << 20)
PLACES = ("/", "/tmp", "/var/tmp", "/dev/shm", "/home", "/root", str(Path.home()))
working = [name for name in GRADED if not problem(name)]
pytestmark = pytest.mark.skipif(not working, reason="no isolation profile that gives grades works on this machine")


@pytest.fixture(scope="session")
def graded(tmp_path_factory, temporary):
    """Every case, and an honest submission after every fifth; rows by name, and where the reports are."""
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("out")
    listening = socket.create_server(("127.0.0.1", 0))
    repository = str(Path(__file__).parents[2])
    port = str(listening.getsockname()[1])
    for number, (name, (exercise, source, _)) in enumerate(cases.CODE.items()):
        cells = cases.HONEST | {exercise: source.replace("PORT", port).replace("REPOSITORY", repository)}
        (folder / f"{number:02}-{name}.ipynb").write_text(cases.notebook(cells, {"1.q3": "zz"}), encoding="utf-8")
        if number % 5 == 0:
            (folder / f"{number:02}-~honest.ipynb").write_text(cases.GOOD)
    for name, (make, _) in cases.FILES.items():
        make(folder / name)
    (folder / "=HYPERLINK(1)<script>.ipynb").write_text(cases.GOOD)
    before = {str(path) for place in PLACES for path in Path(place).glob("*")}
    watched = stamps()
    rows = grade([folder], 1, out, profile=os.environ.get("GRADING_PROFILE", "auto"), limits=LIMITS, processes=2)
    after = {str(path) for place in PLACES for path in Path(place).glob("*")}
    listening.setblocking(False)
    yield {"rows": {row["name"]: row for row in rows}, "out": out, "new": after - before, "listening": listening,
           "changed": stamps() ^ watched, "alive": still_running(), "left": [*temporary.iterdir()]}  # fmt: skip
    listening.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="session", params=working if os.environ.get("GRADING") == "all" else working[:1])
def boxed(request, tmp_path_factory, temporary):
    """The attacks on the box, their honest twins, and after every fifth one an honest submission; for each profile."""
    folder, out, planted = map(tmp_path_factory.mktemp, ("class", "out", "neighbours"))
    (planted / "neighbour.py").write_text(cases.HONEST["1.2"])
    for path in (planted, *planted.parents[:3]):  # as somebody may have left them
        path.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stands_for = {"PLANTED": planted, "REPOSITORY": Path(__file__).parents[2], "PORT": listening.getsockname()[1]}
        for number, (name, (attack, _)) in enumerate(box_cases.CASES.items()):
            cells = cases.HONEST | attack
            for word, meant in stands_for.items():
                cells = {exercise: cell.replace(word, str(meant)) for exercise, cell in cells.items()}
            (folder / f"{number:02}-{name}.ipynb").write_text(cases.notebook(cells, {}), encoding="utf-8")
            if number % 5 == 0:
                (folder / f"{number:02}-~honest.ipynb").write_text(cases.GOOD)
        rows = grade([folder], 1, out, profile=request.param, limits=LIMITS, processes=2)
    return {"rows": {row["name"]: row for row in rows}, "left": [*temporary.iterdir()], "alive": still_running()}


@pytest.fixture(scope="session")
def temporary(tmp_path_factory):
    """Where graders keep what is temporary: by this folder we know theirs from others' on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder := tmp_path_factory.mktemp("temporary")))
        yield folder


@pytest.mark.parametrize("name", box_cases.CASES)
def test_the_box_holds_and_lets_honest_work_be_done(boxed, name):
    row = row_of(boxed, name)
    assert not row.get("problem"), row["problem"]
    assert cases.marks(row) == cases.POINTS | box_cases.CASES[name][1], row


def test_those_who_come_after_an_attack_on_the_box_are_graded_right(boxed):
    honest = [row for name, row in boxed["rows"].items() if name.endswith("~honest")]
    assert len(honest) > 6 and {row["earned"] for row in honest} == {8}
    assert boxed["alive"] == boxed["left"] == []


def stamps() -> set[tuple[str, int]]:
    """The files that must not change: the package's and the tests'."""
    here = Path(__file__).parents[2]
    return {(str(path), path.stat().st_mtime_ns) for name in ("minitransformer", "tests/course/hostile")
            for path in (here / name).rglob("*.py")}  # fmt: skip


def still_running() -> list[str]:
    """Students' code of this run, by the folder from which it was started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(part.startswith(os.environ["TMPDIR"]) for part in process.cmdline()):
                found.append(" ".join(process.cmdline()))
    return found


def row_of(graded, name: str) -> dict:
    (row,) = [row for key, row in graded["rows"].items() if key.split("-", 1)[-1] == name or key == name]
    return row


@pytest.mark.parametrize("name", cases.CODE)
def test_it_earns_what_it_deserves_in_time(graded, name):
    exercise, _, points = cases.CODE[name]
    row = row_of(graded, name)
    assert not row.get("problem"), row["problem"]
    assert cases.marks(row) == cases.POINTS | {exercise: points}, row
    assert row["seconds"] <= LIMITS.whole + 2
    assert row["points"] == POINTS


@pytest.mark.parametrize("name", cases.FILES)
def test_a_file_that_cannot_be_read_gets_a_row_with_one_line(graded, name):
    stem = name.rsplit(".", 1)[0]
    (row,) = [row for key, row in graded["rows"].items() if key == stem]
    assert row["earned"] == 0 and row["points"] == POINTS
    assert cases.FILES[name][1] in row["problem"] and "\n" not in row["problem"]


def test_every_submission_ends_in_one_row(graded):
    honest = [name for name in graded["rows"] if name.endswith("~honest")]
    assert len(graded["rows"]) == len(cases.CODE) + len(cases.FILES) + len(honest) + 1


def test_those_who_come_after_are_graded_right(graded):
    honest = [row for name, row in graded["rows"].items() if name.endswith("~honest")]
    assert len(honest) > 8 and {row["earned"] for row in honest} == {8}


def test_nothing_is_left_running_and_nothing_written_outside(graded):
    assert graded["alive"] == graded["left"] == []
    assert not [path for path in graded["new"] if cases.MARK in path or leftovers.PREFIX in path or "climbed" in path]
    assert not {path for path in graded["new"] if path.endswith(("results.json", "gradebook.csv", "conftest.py"))}
    assert graded["changed"] == set()


def test_nobody_called_home(graded):
    with pytest.raises(BlockingIOError):
        graded["listening"].accept()


def test_reports_carry_no_hidden_input_no_formula_and_no_script(graded):
    texts = [path.read_text(encoding="utf-8") for path in graded["out"].rglob("*.html")]
    assert len(texts) > 60 and not any("LEAK" in text or "<script>" in text for text in texts)
    with open(graded["out"] / "gradebook.csv", newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert "'=HYPERLINK(1)<script>" in {line[0] for line in table}
    assert len(table) == len(graded["rows"]) + 1
