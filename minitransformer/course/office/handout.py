"""What students get: blank notebooks of the lessons that count, scripts that set everything up, and when what is due.

No solution, key or teacher's text is among it. The package, which the scripts install, holds the checks.
"""

import json
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...files.schema import Source
from ..lesson_text import lessons_folder
from .roster import Student
from .settings import Course

UNIX = """#!/bin/sh
# Sets everything up the first time, in .venv beside this file, and opens the notebooks.
cd "$(dirname "$0")" || exit 1
if ! [ -x .venv/bin/minitransformer ]; then
    python3 -m venv .venv && .venv/bin/python -m pip install -q {install} || {{
        echo "It could not be set up: see above. Is Python 3.11 or newer there, and a network?" >&2
        exit 1
    }}
fi
if [ "$(id -u)" = 0 ]; then set -- --allow-root "$@"; fi # in a container
exec .venv/bin/python -m jupyterlab . "$@"
"""
WINDOWS = """# Sets everything up the first time, in .venv beside this file, and opens the notebooks.
Set-Location $PSScriptRoot
if (-not (Test-Path .venv\\Scripts\\minitransformer.exe)) {{
    py -3 -m venv .venv
    .venv\\Scripts\\python -m pip install -q {install}
    if ($LASTEXITCODE -ne 0) {{
        Write-Error "It could not be set up: see above. Is Python 3.11 or newer there, and a network?"
        exit 1
    }}
}}
.venv\\Scripts\\python -m jupyterlab . @args
"""
README = """# {title}

You need Python 3.11 or newer. Open `start.sh` (Linux), `start.command` (macOS) or `start.ps1` (Windows: right click,
*Run with PowerShell*). The first time it sets everything up, which takes some minutes. Then work through the notebooks;
each exercise is checked where you write it.

| notebook | due |
|---|---|
{lessons}

In a terminal, `sh start.sh --no-browser --port 8888` does not open a browser: on another machine, open the address that
it prints. In this folder, `.venv/bin/python -m pytest --submission {first}` tells you your points so far.
Hand in the notebook, saved, and the file `answers-lesson….json` beside it.
"""


def hand_out(
    course: Course,
    folder: Path,
    install: str,
    students: Sequence[Student] = (),
    wheel: Path | None = None,
    secret: bytes = b"",
) -> int:
    """Write the bundle into a new folder, or one for each student into folders with their ids; return how many.

    All of it is there afterwards, or nothing. In a student's own bundle the questions have an order and numbers that
    are drawn from the student's id and the secret.
    """
    if folder.exists():
        raise Source(folder, "name a new folder, or remove it").wrong("is there already; nothing was written")
    for student in students:
        if student.id != Path(student.id).name or student.id in (".", ".."):
            raise ValueError(f"the id {student.id!r} cannot be the name of a folder; expected one such as s1004")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        whole = Path(made, "whole")
        for student in students or [None]:
            write_bundle(course, whole / student.id if student else whole, install, student, wheel, secret)
        whole.chmod(0o755)
        whole.rename(folder)
    return len(students) or 1


def write_bundle(
    course: Course, folder: Path, install: str, student: Student | None, wheel: Path | None, secret: bytes
) -> None:
    folder.mkdir(parents=True)
    notebooks = {number: notebook_of(number) for number in sorted(course.lessons)}
    for notebook in notebooks.values():
        (folder / notebook.name).write_bytes(own(notebook.read_bytes(), student and student.in_notebook(secret)))
    if wheel:
        shutil.copy(wheel, folder)
        install = wheel.name
    for name in "start.sh", "start.command":
        script = folder / name
        script.write_text(UNIX.format(install=f'"{install}"'), encoding="utf-8", newline="\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    (folder / "start.ps1").write_text(WINDOWS.format(install=f'"{install}"'), encoding="utf-8", newline="\r\n")
    rows = [f"| `{notebook.name}` | {due(course, number, student)} |" for number, notebook in notebooks.items()]
    text = README.format(
        title=course.title or "Soft prompts", lessons="\n".join(rows), first=next(iter(notebooks.values())).name
    )
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")


def notebook_of(number: int) -> Path:
    (found,) = lessons_folder().glob(f"{number:02}_*.ipynb")
    return found


def due(course: Course, number: int, student: Student | None) -> str:
    lesson = course.lessons[number]
    when = lesson.extensions.get(student.id, lesson.due) if student else lesson.due
    return when.strftime("%A %d %B %Y, %H:%M %Z") if when else ""


def own(notebook: bytes, name: str | None) -> bytes:
    """The notebook; a student's own says whose it is behind its imports, which draws the order and the numbers."""
    if name is None:
        return notebook
    book = json.loads(notebook)
    place = next(
        n for n, cell in enumerate(book["cells"]) if "minitransformer.course import" in "".join(cell["source"])
    )
    cell = {"cell_type": "code", "execution_count": None, "id": "whose-notebook", "metadata": {}, "outputs": []}
    cell["source"] = [f"from minitransformer.course import student\n\nstudent({name!r})"]
    book["cells"].insert(place + 1, cell)
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()
