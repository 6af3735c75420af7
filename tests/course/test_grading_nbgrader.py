"""nbgrader takes the notebooks as they are: its own release and its own marks. Optional: pip install nbgrader."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "lessons"))

from notebooks import notebook

from minitransformer.course import answers
from minitransformer.course.catalogue import exercises, questions
from minitransformer.course.lesson_text import sources

pytestmark = pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
ROOT = Path(__file__).parents[2]


def nbgrader(folder: Path, *words: str) -> None:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it calls alembic by its name
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1", "PATH": tools}
    command = [sys.executable, "-m", "nbgrader", *words]
    ended = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def course(folder: Path, **places: nbformat.NotebookNode) -> None:
    """A course of one lesson, whose notebooks lie in these places."""
    for place, book in places.items():
        path = folder / place.replace("__", "/") / "lesson" / "lesson.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(book, path)
    (folder / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'x'\n")


@pytest.mark.parametrize("source", sources().values(), ids=lambda path: path.stem)
def test_every_lesson_is_released_as_it_is(source, tmp_path):
    blank = notebook(source, solved=False)
    course(tmp_path, source=blank)
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create", "--ClearSolutions.enabled=False")
    released = nbformat.read(tmp_path / "release/lesson/lesson.ipynb", 4)
    assert [cell.source for cell in released.cells] == [cell.source for cell in blank.cells]
    assert any("### BEGIN SOLUTION" in cell.source for cell in released.cells)


def test_the_first_lesson_is_released_from_its_solution_and_graded_with_the_answers_that_were_clicked(tmp_path):
    from nbgrader.api import Gradebook

    solved, blank = (notebook(sources()[1], each) for each in (True, False))
    course(tmp_path, source=solved, submitted__solved=solved, submitted__untouched=blank, submitted__clicked=blank)
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
