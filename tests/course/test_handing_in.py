"""A lesson in every form in which people hand it in, graded by the command: solved earns everything, blank nothing.

The exports are made by their own programs: nbconvert, and where they are installed jupytext and nbgrader.
Lesson 1 is quick; `GRADING=1` takes all.
"""

import json
import os
import subprocess
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from minitransformer.course import catalogue
from minitransformer.course.assignment import Assignment

ROOT = Path(__file__).parents[2]
LESSONS = [*catalogue.lessons()] if "GRADING" in os.environ else [1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can shut students' code in")


def path_of(lesson: int, folder: str = "") -> Path:
    return next(Path(ROOT, "lessons", folder).glob(f"{lesson:02}_*.ipynb"))


def run(*words: str | Path, folder: Path) -> None:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # nbgrader calls alembic by its name
    surroundings = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "PATH": tools}
    ended = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=surroundings, capture_output=True, text=True, check=False
    )
    if "no safe place to run students' code here" in ended.stderr:
        pytest.skip("no isolation profile that gives grades works on this machine")
    assert ended.returncode == 0 and "leaked" not in ended.stderr, ended.stdout + ended.stderr


def without_outputs(book: NotebookNode) -> NotebookNode:
    """As Jupyter saves it before anything has run, so that nothing but its code can count."""
    book.metadata.language_info = {"name": "python", "file_extension": ".py"}
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return book


def colab(book: NotebookNode) -> NotebookNode:
    """As Colab saves it: names of its own, titles, and lines that only a notebook understands."""
    first = (
        "!pip install -q minitransformer\nfrom google.colab import drive\ndrive.mount('/content/drive')\n%cd /content"
    )
    cells = [nbformat.v4.new_code_cell(first), *book.cells]
    for number, cell in enumerate(cells):
        cell.pop("id", None)
        cell.metadata = {"id": f"Xy{number:010}", "colab": {"base_uri": "https://localhost:8080/"}}
        if cell.cell_type == "code":
            magic = "%%time\n" if number % 3 == 2 else "" if number % 3 else "%matplotlib inline\n"
            cell.source = f'{magic}# @title Cell {number} {{ display-mode: "form" }}\n{cell.source}'
            cell.metadata["cellView"] = "form"
    about = {
        "colab": {"provenance": [], "toc_visible": True},
        "language_info": {"name": "python"},
        "accelerator": "GPU",
    }
    return NotebookNode(cells=cells, metadata=about, nbformat=4, nbformat_minor=0)


def released(source: Path, folder: Path, *options: str) -> NotebookNode:
    """What nbgrader gives to students."""
    path = folder / "source" / "lesson" / source.name
    path.parent.mkdir(parents=True)
    path.write_bytes(source.read_bytes())
    (folder / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'x'\n")
    run("nbgrader", "generate_assignment", "lesson", "--create", *options, folder=folder)
    return nbformat.read(folder / "release" / "lesson" / source.name, 4)


def filled(book: NotebookNode, solved: NotebookNode) -> NotebookNode:
    """The same with the solved exercises and the answers written into its cells."""
    sources = {cell.id: cell.source for cell in solved.cells}
    for cell in book.cells:
        if "exercise" in cell.id or "question" in cell.id:
            cell.source = sources[cell.id]
    return book


def handed_in(lesson: int, folder: Path, scratch: Path) -> dict[str, bool]:
    """Fill the folder with a lesson in every form; which are there, and whether they are solved."""
    programs = {"script": ("nbconvert", "--to", "script", "--output")}
    if find_spec("jupytext"):
        programs |= {form: ("jupytext", "--to", f"py:{form}", "-o") for form in ("percent", "light")}
    releases = {}
    if find_spec("nbgrader"):
        releases["nbgrader"] = released(path_of(lesson), scratch / "kept", "--ClearSolutions.enabled=False")
        releases["nbgrader's own blanks"] = released(path_of(lesson), scratch / "cleared")
    made = {}
    for word, place in ("solved", "solutions"), ("blank", ""):
        path = path_of(lesson, place)
        plain = without_outputs(nbformat.read(path, 4))
        nbformat.write(plain, scratch / f"{word}.ipynb")
        books = {"notebook": plain, "Colab": colab(nbformat.read(scratch / f"{word}.ipynb", 4))}
        for form, book in releases.items():
            books[form] = filled(deepcopy(book), plain) if place else book
        for form in (*books, *programs):
            made[f"{form} {word}"] = bool(place)
            (folder / f"{form} {word}").mkdir()
        for form, book in books.items():
            (folder / f"{form} {word}" / path.name).write_text(nbformat.v4.writes(book), encoding="utf-8")
        for form, words in programs.items():
            name = path.stem if form == "script" else f"{path.stem}.py"
            run(*words, folder / f"{form} {word}" / name, scratch / f"{word}.ipynb", folder=scratch)
    return made


def graded(folder: Path, lesson: int, out: Path) -> dict[str, float]:
    """What each student earned, by the command that a teacher calls."""
    run(
        "minitransformer",
        "grade",
        folder,
        "--lesson",
        str(lesson),
        "--out",
        out,
        "--profile",
        "auto",
        folder=out.parent,
    )
    rows = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["earned"] for row in rows}


@pytest.mark.parametrize("lesson", LESSONS)
def test_solved_earns_everything_and_blank_nothing_in_every_form(lesson, tmp_path):
    class_folder, scratch = tmp_path / "class", tmp_path / "scratch"
    class_folder.mkdir()
    scratch.mkdir()
    made = handed_in(lesson, class_folder, scratch)
    expected = {name: Assignment.of(lesson).points if solved else 0 for name, solved in made.items()}
    assert graded(class_folder, lesson, tmp_path / "out") == expected
