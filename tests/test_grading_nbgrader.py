"""nbgrader takes the notebooks as they are: its own release and its own marks. Optional: pip install nbgrader."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from minitransformer.exercises.catalogue import exercises

pytestmark = pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
ROOT = Path(__file__).parent.parent


def nbgrader(folder: Path, *words: str) -> None:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it calls alembic by its name
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1", "PATH": tools}
    command = [sys.executable, "-m", "nbgrader", *words]
    ended = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_first_lesson_is_released_and_graded_by_nbgrader(tmp_path):
    from nbgrader.api import Gradebook

    name = "01_tokens_become_vectors.ipynb"
    for place, source in ("source/lesson1", "solutions/"), ("submitted/solved/lesson1", "solutions/"), (
        "submitted/untouched/lesson1", ""):  # fmt: skip
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / name).write_bytes((ROOT / "lessons" / f"{source}{name}").read_bytes())
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'x'\n")
    nbgrader(tmp_path, "generate_assignment", "lesson1", "--create")
    released = (tmp_path / "release/lesson1" / name).read_text(encoding="utf-8")
    assert "table[tokens]" not in released and "NotImplementedError" in released
    nbgrader(tmp_path, "autograde", "lesson1", "--create")
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        scores = {who: book.find_submission("lesson1", who).score for who in ("solved", "untouched")}
    assert scores == {"solved": sum(each.points for each in exercises(1).values()), "untouched": 0}
