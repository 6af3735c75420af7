"""Whole submissions, graded where students' code is shut in: what they earn, and what the reports say.

It needs an isolation profile that works here, and minutes:
`GRADING=1 python -m pytest tests/course/test_grading_class.py`.
"""

import csv
import json
import sys
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases

from minitransformer.course import catalogue
from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import Limits, grade
from minitransformer.course.isolation import GRADED, problem

POINTS = Assignment.of(1).points
LESSONS = Path(__file__).parents[2] / "lessons"
working = [name for name in GRADED if not problem(name)]
pytestmark = pytest.mark.skipif(not working, reason="no isolation profile that gives grades works on this machine")


@pytest.fixture(scope="session")
def small_class(tmp_path_factory):
    """One solved, one blank, one half done, one that cannot be read; graded once."""
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("out")
    (folder / "blank.ipynb").write_bytes(next(LESSONS.glob("01_*.ipynb")).read_bytes())
    (folder / "solved.ipynb").write_bytes(next(LESSONS.glob("solutions/01_*.ipynb")).read_bytes())
    half = {"1.1": cases.HONEST["1.1"], "1.2": "def visible(queries, keys):\n    return torch.ones(queries, keys, "
            "dtype=torch.bool).tril()\n"}  # fmt: skip
    (folder / "half.ipynb").write_text(cases.notebook(half, {"1.q3": "a", "1.q4": "§", "1.q1": "c a d e b"}))
    (folder / "broken.ipynb").write_text("{")
    rows = grade([folder], 1, out, limits=Limits(call=30), processes=1, progress=False)
    return folder, out, {row["name"]: row for row in rows}


def test_solved_earns_all_blank_nothing_and_half_its_part(small_class):
    *_, rows = small_class
    assert {name: (row["earned"], row["points"]) for name, row in rows.items() if name != "half"} == {
        "solved": (POINTS, POINTS), "blank": (0, POINTS), "broken": (0, POINTS)}  # fmt: skip
    half = rows["half"]
    assert cases.marks(half) == {"1.1": 2, "1.2": 1, "1.3": 0}
    parts = {f"{test['id']} {test['part']}": test for test in half["tests"]}
    assert parts["1.2 more keys than queries"]["misconception"] == "wrong-corner"
    assert {test["came"] for test in half["tests"] if test["id"] == "1.3"} == {"not written yet"}
    credit = {test["id"]: test["earned"] for test in half["tests"] if test["asked"]}
    assert credit["1.q3"] == 1 and credit["1.q4"] == 0 and 0 < credit["1.q1"] < 1
    assert half["earned"] == pytest.approx(3 + sum(credit.values()), abs=1e-3)


def test_a_second_run_grades_nothing_again_and_says_the_same(small_class):
    folder, out, rows = small_class
    kept = {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    again = grade([folder], 1, out, limits=Limits(call=30), processes=1, progress=False)
    assert {row["name"]: row for row in again} == rows
    assert {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()} == kept


def test_every_report_is_there_and_can_be_read_by_its_reader(small_class):
    _, out, rows = small_class
    with open(out / "gradebook.csv", newline="", encoding="utf-8") as file:
        book = list(csv.DictReader(file))
    assert [(line["student"], float(line["earned"])) for line in book] == [(n, r["earned"]) for n, r in rows.items()]
    suites = xml.parse(out / "junit.xml").getroot()
    assert {suite.get("name"): int(suite.get("failures")) for suite in suites}["solved"] == 0
    scope = json.loads(Path(out, f"students/{rows['half']['file']}.gradescope.json").read_text())
    assert sum(test["score"] for test in scope["tests"]) == pytest.approx(scope["score"], abs=1e-2)
    assert sum(test["max_score"] for test in scope["tests"]) == POINTS
    assert {test["status"] for test in scope["tests"]} == {"passed", "failed"}
    page = Path(out, f"students/{rows['half']['file']}.html").read_text(encoding="utf-8")
    assert "wrong-corner" in page and "Hint:" in page and "isolation" in page.lower() and "http" not in page
    teacher = (out / "teacher.html").read_text(encoding="utf-8")
    assert "1.2 wrong-corner" in teacher and "damaged" in teacher
    assert "solved" in (out / "summary.txt").read_text() and working[0] in (out / "summary.txt").read_text()


def test_one_submission_alone_is_told_what_lost_which_points(small_class, tmp_path):
    folder, *_ = small_class
    grade([folder / "half.ipynb"], 1, tmp_path, progress=False)
    text = (tmp_path / "summary.txt").read_text()
    assert "0 of 1  1.2 who may see whom: more keys than queries: [wrong-corner]" in text and "Hint:" in text


@pytest.mark.parametrize("lesson", catalogue.lessons())
def test_solved_notebooks_earn_everything_and_untouched_ones_nothing(lesson, tmp_path):
    paths = [next(LESSONS.glob(f"{folder}{lesson:02}_*.ipynb")) for folder in ("solutions/", "")]
    for path, name in zip(paths, ("solved", "untouched"), strict=True):
        (tmp_path / f"{name}.ipynb").write_bytes(path.read_bytes())
    rows = grade(sorted(tmp_path.glob("*.ipynb")), lesson, tmp_path / "out", processes=1, progress=False)
    assert [row["earned"] for row in rows] == [rows[0]["points"], 0]
