"""A lecturer's week: thirty students hand in through two course systems; marks, corrections, other weights, exports.

Nothing is run: what the students' code earned is made up, as `grade` writes it into results.json.
"""

import csv
import io
import json
import math
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from minitransformer.commands import combine_marks
from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import finding

FIRST = "Anna Ben Chloé Dmitri Eva Farid Grace Hans Ines José Kim Lena Mika Nora Otto".split()  # noqa: SIM905
LAST = ["Lee", "O'Neill"]
STUDENTS = [
    {"id": f"s{1000 + n}", "name": f"{first} {last}", "email": f"s{1000 + n}@uni.example", "canvas": str(70_000 + n)}
    for n, (first, last) in enumerate((first, last) for last in LAST for first in FIRST)
]
DUE = {2: datetime(2026, 11, 6, 23, 59), 3: datetime(2026, 11, 13, 23, 59)}
COURSE = """
title = "Soft prompts"

[roster]
file = "students.csv"

[late]
free_days = 1
lost_per_day = 0.1
last_day = 3

[lessons.2]
due = 2026-11-06T23:59:00

[lessons.3]
due = 2026-11-13T23:59:00
weight = 2.0
extensions = { s1004 = 2026-11-20T23:59:00 }
"""


def zipped(path: Path, files: dict[str, datetime]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, when in files.items():
            archive.writestr(zipfile.ZipInfo(name, when.timetuple()[:6]), "{}")
    return path


def moodle_name(number: int, file: str = "lesson.ipynb") -> str:
    return f"{STUDENTS[number]['name']}_{4_000_000 + number}_assignsubmission_file_/{file}"


def canvas_name(number: int, version: int = 0, late: bool = False) -> str:
    first, last = STUDENTS[number]["name"].split()
    short = "".join(sign for sign in f"{last}{first}".lower() if sign.isalpha())
    again = f"-{version}" if version else ""
    return f"{short}{'_LATE' * late}_{STUDENTS[number]['canvas']}_{9000 + number}_lesson{again}.ipynb"


@pytest.fixture
def week(tmp_path) -> Path:
    with open(tmp_path / "students.csv", "w", encoding="utf-8-sig", newline="") as file:
        rows = csv.DictWriter(file, STUDENTS[0], delimiter=";")
        rows.writeheader()
        rows.writerows(STUDENTS)
    (tmp_path / "course.toml").write_text(COURSE, encoding="utf-8")
    early = {number: DUE[2] - timedelta(hours=number) for number in range(30)}
    early[3] = DUE[2] + timedelta(minutes=10)  # a day late: it is free
    early[5] = DUE[2] + timedelta(days=1, hours=1)  # two days late: one is free
    early[6] = DUE[2] + timedelta(days=9)  # later than anything is taken
    files = {moodle_name(number): when for number, when in early.items() if number not in (8, 9)}  # two hand in nothing
    files[moodle_name(7, "essay.pdf")] = early[7]
    del files[moodle_name(7)]
    graded(tmp_path / "graded2", 2, zipped(tmp_path / "moodle.zip", files))
    files = {canvas_name(number): DUE[3] - timedelta(days=1) for number in range(30) if number != 8}
    files[canvas_name(11, version=2)] = DUE[3] - timedelta(hours=2)  # again
    del files[canvas_name(4)]
    files[canvas_name(4, late=True)] = DUE[3] + timedelta(days=5)  # within an extension
    graded(tmp_path / "graded3", 3, zipped(tmp_path / "canvas.zip", files))
    return tmp_path


def share(number: int, item: int) -> float:
    """What a student earns of an item, made up."""
    return ((number * 7 + item * 3) % 5) / 4


def graded(out: Path, lesson: int, archive: Path) -> None:
    """As `grade` leaves it, with made-up marks."""
    out.mkdir()
    assignment, rows = Assignment.of(lesson), []
    for submission in finding.find_submissions([archive]):
        number = whose(submission.name)
        row = {"name": submission.name, "lesson": lesson, "tests": [], "points": assignment.points, "earned": 0.0}
        row |= {"handed_in": submission.handed_in()}
        if submission.files[0].suffix == ".pdf":
            row["problem"] = "expected a notebook (.ipynb), a .py, or a zip of them"
        else:
            items = [*assignment.exercises.values(), *assignment.questions.values()]
            row["tests"] = [
                {"id": each.id, "earned": each.points * share(number, place), "points": each.points}
                for place, each in enumerate(items)
            ]
            row["earned"] = sum(test["earned"] for test in row["tests"])
        rows.append(row)
    (out / "results.json").write_text(json.dumps(rows), encoding="utf-8")


def whose(name: str) -> int:
    name = name.rpartition("/")[2]
    return next(
        number for number, each in enumerate(STUDENTS) if name.startswith(each["name"]) or name.endswith(each["canvas"])
    )


def expected(number: int, lesson: int, items: dict[str, float] | None = None) -> float:
    """The mark by hand: what was earned, without what being late costs."""
    assignment = Assignment.of(lesson)
    every = [*assignment.exercises.values(), *assignment.questions.values()]
    earned = [each.points * share(number, place) for place, each in enumerate(every)]
    earned = [(items or {}).get(each.id, value) for each, value in zip(every, earned, strict=True)]
    lost = {(2, 5): 0.1}.get((lesson, number), 0)
    if (lesson, number) in {(2, 6), (2, 7), (2, 8), (2, 9), (3, 8)}:
        return 0.0
    return sum(earned) * (1 - lost)


def combined(week: Path) -> dict[str, dict[str, str]]:
    combine_marks(week / "course.toml", [week / "graded2", week / "graded3"], week / "marks")
    return {row["id"]: row for row in table(week / "marks" / "gradebook.csv")}


def table(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))]


def test_every_student_is_there_once_with_the_right_marks(week):
    book = combined(week)
    assert [*book] == [each["id"] for each in STUDENTS]
    for number, each in enumerate(STUDENTS):
        row, marks = book[each["id"]], []
        for lesson in 2, 3:
            assert math.isclose(float(row[f"lesson {lesson}"]), expected(number, lesson), abs_tol=0.011), (each, lesson)
            marks.append(expected(number, lesson) / Assignment.of(lesson).points)
        assert math.isclose(float(row["percent"]), 100 * (marks[0] + 2 * marks[1]) / 3, abs_tol=0.06)
    assert "not handed in" in book["s1008"]["notes"] and "not handed in" in book["s1009"]["notes"]
    assert "expected a notebook" in book["s1007"]["notes"]
    assert "2 days late" in book["s1005"]["notes"] and "too late" in book["s1006"]["notes"]
    assert not book["s1000"]["notes"]


def test_marks_are_changed_by_hand_and_stay_changed(week):
    item, text = "2.1", next(each.id for each in Assignment.of(3).questions.values())
    (week / "overrides.csv").write_text(
        "student,lesson,item,points,who,why\n"
        f"s1000,2,{item},0,Dr. Roe,copied\ns1001,3,{text},1,Dr. Roe,a good reason\n",
        encoding="utf-8",
    )
    before = (week / "overrides.csv").read_bytes()
    for _ in range(2):
        book = combined(week)
        assert math.isclose(float(book["s1000"]["lesson 2"]), expected(0, 2, {item: 0.0}), abs_tol=0.011)
        assert math.isclose(float(book["s1001"]["lesson 3"]), expected(1, 3, {text: 1.0}), abs_tol=0.011)
        assert "Dr. Roe" in book["s1000"]["notes"] and "copied" in book["s1000"]["notes"]
    assert (week / "overrides.csv").read_bytes() == before


def test_another_weight_and_fewer_items_change_the_marks_without_running_anything(week):
    combined(week)
    skipped = "2.1"
    text = (week / "course.toml").read_text(encoding="utf-8").replace("weight = 2.0", "weight = 1.0")
    text = text.replace("[lessons.2]\n", f'[lessons.2]\nskip = ["{skipped}"]\n')
    (week / "course.toml").write_text(text, encoding="utf-8")
    book, points = combined(week), Assignment.of(2).points - Assignment.of(2).exercises[skipped].points
    for number, each in enumerate(STUDENTS):
        second = expected(number, 2, {skipped: 0.0})
        assert math.isclose(float(book[each["id"]]["lesson 2"]), second, abs_tol=0.011)
        percent = 100 * (second / points + expected(number, 3) / Assignment.of(3).points) / 2
        assert math.isclose(float(book[each["id"]]["percent"]), percent, abs_tol=0.06)


def test_moodle_and_canvas_get_files_that_they_import_as_they_are(week):
    book = combined(week)
    moodle = {row["Email address"]: row for row in table(week / "marks" / "moodle.csv")}
    assert [*moodle] == [each["email"] for each in STUDENTS]
    points, *canvas = table(week / "marks" / "canvas.csv")
    assert points["Student"].strip() == "Points Possible" and [row["ID"] for row in canvas] == [
        each["canvas"] for each in STUDENTS
    ]
    assert {"Student", "ID", "SIS User ID", "SIS Login ID", "Section"} <= points.keys()
    for each, row in zip(STUDENTS, canvas, strict=True):
        for lesson in 2, 3:
            assert (
                row[f"Lesson {lesson}"]
                == moodle[each["email"]][f"Lesson {lesson}"]
                == book[each["id"]][f"lesson {lesson}"]
            )
            assert float(points[f"Lesson {lesson}"]) == Assignment.of(lesson).points


def test_who_is_not_in_the_roster_is_named_and_costs_nobody_anything(week, capsys):
    rows = json.loads((week / "graded2" / "results.json").read_text(encoding="utf-8"))
    rows.append(rows[0] | {"name": "a stranger 4999999"})
    (week / "graded2" / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    assert len(combined(week)) == 30
    assert "a stranger 4999999" in capsys.readouterr().out
