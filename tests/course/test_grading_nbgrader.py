"""nbgrader takes the notebooks as they are: its own release and its own marks. Optional: pip install nbgrader."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from minitransformer.course.catalogue import exercises

pytestmark = pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
ROOT = Path(__file__).parents[2]
LESSONS = ROOT / "lessons"


def nbgrader(folder: Path, *words: str) -> None:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it calls alembic by its name
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1", "PATH": tools}
    command = [sys.executable, "-m", "nbgrader", *words]
    ended = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def course(folder: Path, **places: str) -> None:
    """A course of one lesson, whose notebooks lie in these places."""
    for place, notebook in places.items():
        path = folder / place.replace("__", "/") / "lesson" / Path(notebook).name
        path.parent.mkdir(parents=True)
        path.write_bytes((LESSONS / notebook).read_bytes())
    (folder / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'x'\n")


@pytest.mark.parametrize("name", [path.name for path in sorted(LESSONS.glob("0*.ipynb"))])
def test_every_lesson_is_released_as_it_is(name, tmp_path):
    course(tmp_path, source=name)
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create", "--ClearSolutions.enabled=False")
    released = (tmp_path / "release/lesson" / name).read_text(encoding="utf-8")
    assert "is not written yet" in released


def test_the_first_lesson_is_released_from_its_solution_and_graded(tmp_path):
    from nbgrader.api import Gradebook

    name = "01_tokens_become_vectors.ipynb"
    solved = f"solutions/{name}"
    course(tmp_path, source=solved, submitted__solved=solved, submitted__untouched=name)
    nbgrader(tmp_path, "generate_assignment", "lesson", "--create")
    released = (tmp_path / "release/lesson" / name).read_text(encoding="utf-8")
    assert "table[tokens]" not in released and "NotImplementedError" in released
    nbgrader(tmp_path, "autograde", "lesson", "--create")
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        scores = {who: book.find_submission("lesson", who).score for who in ("solved", "untouched")}
    assert scores == {"solved": sum(each.points for each in exercises(1).values()), "untouched": 0}
