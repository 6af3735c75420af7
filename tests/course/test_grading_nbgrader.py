"""nbgrader takes the notebooks as they are: its own release and its own marks. Optional: pip install nbgrader.

A whole round with its own commands takes minutes: `-m weekly`.
"""

import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import small_class
from notebooks import notebook

from minitransformer.course import answers, grading
from minitransformer.course.assignment import Assignment
from minitransformer.course.catalogue import exercises, questions
from minitransformer.course.lesson_text import sources

pytestmark = pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
ROOT = Path(__file__).parents[2]
ENGINES = Path(grading.__file__).parent / "engines"
CONFIG = ENGINES / "nbgrader_config.py"


def run(folder: Path, *words: str | Path) -> str:
    """What a command said, which had to succeed; it works in this folder and has its home there."""
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # nbgrader calls alembic by its name
    more = {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "JUPYTER_PLATFORM_DIRS": "1", "PATH": tools}
    command = [sys.executable, *words]
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | more | {"HOME": str(folder)}, capture_output=True, text=True
    )
    if "no safe place to run students' code here" in ended.stderr:
        pytest.skip("no isolation profile that gives grades works on this machine")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def nbgrader(folder: Path, *words: str) -> str:
    return run(folder, "-m", "nbgrader", *words)


def course(folder: Path, *more: str, **places: nbformat.NotebookNode) -> None:
    """A course of one lesson, whose notebooks lie in these places; the ready configuration, with `more` below it."""
    for place, book in places.items():
        path = folder / place.replace("__", "/") / "lesson" / "lesson.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(book, path)
    folder.mkdir(exist_ok=True)
    (folder / CONFIG.name).write_text("\n".join([CONFIG.read_text(encoding="utf-8"), *more]), encoding="utf-8")


@pytest.mark.parametrize("source", sources().values(), ids=lambda path: path.stem)
def test_every_lesson_is_released_as_it_is(source, tmp_path):
    blank = notebook(source, solved=False)
    course(tmp_path, source=blank)
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create")
    released = nbformat.read(tmp_path / "release/lesson/lesson.ipynb", 4)
    assert [cell.source for cell in released.cells] == [cell.source for cell in blank.cells]
    assert any("### BEGIN SOLUTION" in cell.source for cell in released.cells)


def test_the_first_lesson_is_released_from_its_solution_and_graded_with_the_answers_that_were_clicked(tmp_path):
    from nbgrader.api import Gradebook

    solved, blank = (notebook(sources()[1], each) for each in (True, False))
    submitted = {"submitted__solved": solved, "submitted__untouched": blank, "submitted__clicked": blank}
    course(tmp_path, "c.ClearSolutions.enabled = True", source=solved, **submitted)
    for question in questions(1).values():
        answers.keep(tmp_path / "submitted/clicked/lesson" / answers.file_name(1), question.id, question.answer, "")
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create")
    released = (tmp_path / "release/lesson/lesson.ipynb").read_text(encoding="utf-8")
    assert "table[tokens]" not in released and "NotImplementedError" in released
    nbgrader(tmp_path, "autograde", "lesson", "--create")
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        scores = {who: book.find_submission("lesson", who).score for who in ("solved", "untouched", "clicked")}
    of_exercises, of_questions = (sum(each.points for each in of.values()) for of in (exercises(1), questions(1)))
    assert scores == {"solved": of_exercises + of_questions, "untouched": 0, "clicked": of_questions}


class Round(NamedTuple):
    """A lesson that was released, handed in by eight students, and graded."""

    teacher: Path
    students: Path
    log: str  # of the autograder


@pytest.fixture(scope="module")
def whole_round(tmp_path_factory) -> Round:
    """Everything by nbgrader's commands: release, fetch, submit, collect, autograde. Four hand in by e-mail."""
    teacher, students = tmp_path_factory.mktemp("teacher"), tmp_path_factory.mktemp("students")
    exchange = f"c.Exchange.root = {str(tmp_path_factory.mktemp('exchange'))!r}"
    course(teacher, exchange, source=small_class.blank())
    course(students, exchange)
    nbgrader(teacher, "generate_assignment", "lesson", "--create")
    nbgrader(teacher, "release_assignment", "lesson")
    nbgrader(students, "fetch_assignment", "lesson")
    mine = students / "lesson" / "lesson.ipynb"
    for student, book in small_class.of(nbformat.read(mine, 4)).items():
        if student in ("ada", "ben", "cem", "dora"):
            nbformat.write(book, mine)
            nbgrader(students, "submit", "lesson", f"--CourseDirectory.student_id={student}")
        else:
            course(teacher, exchange, **{f"submitted__{student}": book})
    nbgrader(teacher, "collect", "lesson")
    return Round(teacher, students, nbgrader(teacher, "autograde", "lesson", "--create"))


def exported(folder: Path) -> dict[str, float]:
    """Each student's points, as nbgrader exports them."""
    nbgrader(folder, "export")
    with open(folder / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


def graded(folder: Path, out: Path, *words: str | Path) -> dict[str, float]:
    """What each student earned, by the command that a teacher calls."""
    run(folder, "-m", "minitransformer", "grade", "submitted", "--lesson", "2", "--out", out, *words)
    rows = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["earned"] for row in rows}


EARNED = {"ada": 22, "ben": 9.333, "cem": 0, "dora": 0, "eve": 10, "finn": 13, "gita": 22, "hugo": 19}


@pytest.fixture(scope="module")
def on_one(whole_round, tmp_path_factory) -> Path:
    """The reports of the same class, graded by the grader on one machine."""
    out = tmp_path_factory.mktemp("one") / "graded"
    assert graded(whole_round.teacher, out) == EARNED
    return out


@pytest.mark.weekly
def test_a_class_has_the_same_marks_on_one_machine_in_shards_on_two_and_through_nbgrader(whole_round, on_one, tmp_path):
    secret = "--secret", on_one / "secret"
    shards = [graded(whole_round.teacher, tmp_path / n, *secret, "--shard", f"{n}/2") for n in "12"]
    assert sorted(len(shard) for shard in shards) == [4, 4]
    assert shards[0] | shards[1] == exported(whole_round.teacher) == EARNED


@pytest.mark.weekly
def test_nbgrader_takes_every_cell_s_points_without_a_warning_and_its_feedback_says_why(whole_round):
    assert "Missing grade cell check-2-1" in whole_round.log and "should be: 4.0, got: 100.0" in whole_round.log
    assert "full" not in whole_round.log and "ERROR" not in whole_round.log
    nbgrader(whole_round.teacher, "generate_feedback", "lesson")
    page = (whole_round.teacher / "feedback/ben/lesson/lesson.html").read_text(encoding="utf-8")
    assert "[not-in-eval-mode]" in page and "public checks pass" in page


@pytest.mark.weekly
@pytest.mark.parametrize("lesson", sources())
def test_every_lesson_as_solved_earns_everything_through_nbgrader_and_as_handed_out_nothing(lesson, tmp_path):
    solved, blank = (notebook(sources()[lesson], each) for each in (True, False))
    course(tmp_path, source=blank, submitted__solved=solved, submitted__blank=blank)
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create")
    nbgrader(tmp_path, "autograde", "lesson", "--create")
    assert exported(tmp_path) == {"solved": Assignment.of(lesson).points, "blank": 0}


@pytest.mark.weekly
def test_code_that_puts_its_own_check_in_the_place_of_ours_deceives_nbgrader_and_not_the_grader(tmp_path):
    """What GRADING.md says of nbgrader's autograder, and what is to be done."""
    code = "def check(exercise, answer):\n    return 4.0 if exercise == '2.1' else 3.0\n"
    code += "\n\nPrompt, question_points = 0, float"
    cheating = small_class.filled(small_class.blank(), {"2.1": code}, {})
    course(tmp_path, source=small_class.blank(), submitted__ida=cheating)
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create")
    nbgrader(tmp_path, "autograde", "lesson", "--create")
    assert exported(tmp_path) == {"ida": 12}
    assert graded(tmp_path, tmp_path / "graded") == {"ida": 0}
    run(tmp_path, ENGINES / "nbgrader_marks.py", "graded/results.json", "lesson")
    assert exported(tmp_path) == {"ida": 0}


@pytest.mark.weekly
def test_the_grader_s_marks_stand_in_nbgrader_s_gradebook_cell_for_cell_without_its_autograder(on_one, tmp_path):
    from nbgrader.api import Gradebook

    course(tmp_path, source=small_class.blank())
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create")
    run(tmp_path, ENGINES / "nbgrader_marks.py", on_one / "results.json", "lesson")
    assert exported(tmp_path) == EARNED
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        (notebook,) = book.find_submission("lesson", "ben").notebooks
        marks = {grade.cell.name: grade.score for grade in notebook.grades}
    assert marks == {"check-2-1": 2, "check-2-2": 3, "check-2-3": 0, "points-2": 4.333}


@pytest.mark.weekly
def test_nbgrader_tells_a_student_before_handing_in_what_is_missing_and_what_was_changed(whole_round):
    mine = "lesson/lesson.ipynb"

    def told(student: str) -> str:
        return nbgrader(whole_round.teacher / "submitted" / student, "validate", mine)

    assert "passes all the tests" in told("ada") and "TEST CELL(S) HAVE CHANGED" in told("dora")
    assert "[not-in-eval-mode]" in told("ben")
