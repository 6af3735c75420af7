"""From one readable source to two notebooks: the student's, with blanks, and the solved one, executed."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

import one_click
from minitransformer.course import catalogue
from minitransformer.course.lesson_text import Cell, cells, lessons_folder

LESSONS = lessons_folder()
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py"},  # without it, nbconvert would write a .txt
}
REGION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION$", re.DOTALL | re.MULTILINE)
INSTEAD = re.compile(r"^ *### INSTEAD\n", re.MULTILINE)
PREDICTION = re.compile(r"^predict\((\"[^\"]+\"), .+\)", re.DOTALL | re.MULTILINE)
PUZZLE = re.compile(r"^(puzzle\(\"[^\"]+\", lambda [^:]*:) .+\)$", re.MULTILINE)
QUESTION_POINTS = re.compile(r"question_points\((\d+)\)")
NOISE = re.compile(r"0x[0-9a-f]{8,}|(?<![\w.])/(?:tmp|home|root|work|usr|var|opt)/")
QUIET = {
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "agg",
}


def notebook(source: Path, solved: bool) -> NotebookNode:
    """The notebook of one source, not yet executed."""
    book, used = [], {}
    for cell in cells(source):
        made = nbformat.v4.new_markdown_cell(cell.source) if cell.is_text else code_cell(cell, solved, source)
        name = made.metadata.pop("name", None) or "c" + hashlib.sha256(made.source.encode()).hexdigest()[:10]
        used[name] = used.get(name, 0) + 1
        made.id = name if used[name] == 1 else f"{name}-{used[name]}"
        book.append(made)
    if not solved and (where := one_click.repository()):
        cell = nbformat.v4.new_code_cell(one_click.CELL.format(repository=where), id="install")
        book.insert(1, cell)  # below the title
    return nbformat.v4.new_notebook(cells=book, metadata=METADATA)


def code_cell(cell: Cell, solved: bool, source: Path) -> NotebookNode:
    role, about, text, metadata = cell.role, cell.about, cell.source, {}
    name = f"{role}-{about}".replace(".", "-") if role else None
    if role == "exercise":
        text = text if solved else blanked(text, about, source)
        metadata = {"nbgrader": nbgrader(name, solution=True), "tags": ["exercise"]}
    elif role == "check":
        exercise = catalogue.exercise(about)
        if not re.fullmatch(rf'check\("{re.escape(about)}", \w+\)', text):
            raise ValueError(f"{source.name}: the check of {about} must read check({about!r}, name); got {text!r}")
        metadata = {"nbgrader": nbgrader(name, grade=True, points=exercise.points), "tags": ["check"]}
        if not solved:
            metadata["tags"].append("raises-exception")  # "run all" goes on after it
    elif role == "question":
        right = catalogue.question(about).answer
        if text != f'quiz("{about}")':
            raise ValueError(f"{source.name}: the question {about} must read quiz({about!r}); got {text!r}")
        text = f'quiz("{about}", answer={json.dumps(right if solved else "", ensure_ascii=False)})'
        metadata = {"tags": ["question"]}
    elif role == "setup":
        metadata = {"nbgrader": nbgrader(name, locked=True), "tags": ["setup"]}
    elif sum_of := QUESTION_POINTS.fullmatch(text):
        points = sum(each.points for each in catalogue.questions(int(sum_of[1])).values())
        name = f"points-{sum_of[1]}"
        metadata = {"nbgrader": nbgrader(name, grade=True, points=points)}  # its value is what nbgrader counts
    if not solved:
        text = PUZZLE.sub(r"\1 ...)", PREDICTION.sub(r"predict(\1, None)", text))
    made = nbformat.v4.new_code_cell(text, metadata=metadata)
    made.metadata["name"] = name
    return made


def nbgrader(name: str, solution: bool = False, grade: bool = False, locked: bool = False, points: int = 0) -> dict:
    about = {"schema_version": 3, "grade_id": name, "solution": solution, "grade": grade, "task": False}
    return about | {"locked": locked or grade} | ({"points": points} if grade else {})


def blanked(text: str, exercise_id: str, source: Path) -> str:
    """The solution's region says that it is not written yet, or holds what stands commented after ### INSTEAD."""
    if len(REGION.findall(text)) != text.count("### BEGIN SOLUTION") or not REGION.search(text):
        raise ValueError(f"{source.name}: exercise {exercise_id} needs ### BEGIN SOLUTION … ### END SOLUTION")

    def blank(region: re.Match) -> str:
        indent, body = region.groups()
        if not indent:
            raise ValueError(f"{source.name}: exercise {exercise_id} must be blank inside a function, not at its edge")
        inside = f'{indent}raise NotImplementedError("Exercise {exercise_id} is not written yet")\n'
        if INSTEAD.search(body):
            inside = re.sub(r"^( *)# ?", r"\1", INSTEAD.split(body)[1], flags=re.MULTILINE)
        return f"{indent}### BEGIN SOLUTION\n{inside}{indent}### END SOLUTION"

    return REGION.sub(blank, text)


def executed(book: NotebookNode) -> NotebookNode:
    """Run in a fresh kernel and an empty folder; what the outputs keep is the same each time."""
    surroundings = os.environ | QUIET
    surroundings.pop("JPY_SESSION_NAME", None)  # where we are started by a notebook, answers are not kept beside it
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            book,
            timeout=600,
            kernel_name="python3",
            config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"}),  # no network at all
            resources={"metadata": {"path": folder}},
            record_timing=False,
            coalesce_streams=True,
            store_widget_state=False,
        )
        client.execute(env=surroundings)
    book.metadata = METADATA
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if worth_keeping(output, cell)]
    return book


def worth_keeping(output: NotebookNode, cell: NotebookNode) -> bool:
    """Progress bars go, since they tell the time; warnings, paths and addresses are errors."""
    if output.output_type == "stream" and output.name == "stderr":
        left = re.sub(r"\r?[^\r\n]*\d+%\|[^\r\n]*", "", output.text).strip()
        if left:
            raise ValueError(f"the cell {cell.id} warns; a lesson does not:\n{cell.source}\n{left}")
        return False
    data = output.get("data", {})
    if "application/vnd.jupyter.widget-view+json" in data:
        return False
    said = " ".join(str(data.get(kind, "")) for kind in ("text/plain", "text/html")) + output.get("text", "")
    if noise := NOISE.search(said):
        raise ValueError(f"the cell {cell.id} shows {noise[0]!r}, which differs from one machine to the next:\n{said}")
    return True


def errors(book: NotebookNode) -> list[tuple[NotebookNode, str]]:
    """The cells that ended in an error, with what it said."""
    return [
        (cell, output.evalue)
        for cell in book.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]


def stray_errors(book: NotebookNode) -> list[str]:
    """In a student's notebook: what went wrong other than the check of an exercise, blank or to repair, naming it."""
    stray = []
    for cell, said in errors(book):
        exercise_id = cell.id.removeprefix("check-").replace("-", ".")
        if not said.startswith((f"Exercise {exercise_id} is not written yet", f"Exercise {exercise_id}: 0 of ")):
            stray.append(f"{cell.id}: {said}")
    return stray


def kinds_alone(book: NotebookNode) -> None:
    """Leave of the outputs what is the same on every machine: which cells show text, and which show pictures.

    Another processor rounds otherwise; after some training steps even the nearest word of a vector may be another.
    """
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            if "text" in output:
                output.text = "text"
            output.update({"data": dict.fromkeys(output.get("data", ()), ""), "metadata": {}})


def text_of(book: NotebookNode) -> str:
    return nbformat.writes(book, version=4) + "\n"


def drift(built: NotebookNode, kept: NotebookNode) -> list[str]:
    """Where a kept notebook differs from what its source makes now."""
    if [cell.id for cell in built.cells] != [cell.id for cell in kept.cells]:
        return ["the cells are not the same"]
    found = []
    for new, old in zip(built.cells, kept.cells, strict=True):
        for key in ("source", "metadata", "outputs"):
            if new.get(key) != old.get(key):
                found.append(f"cell {new.id}: its {key} changed")
    return found
