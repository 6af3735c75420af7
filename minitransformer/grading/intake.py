"""What was handed in: found, opened with suspicion, and cut down to exercise cells and answers. Nothing is run here."""

import ast
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .course import Assignment, one_by_one

LARGEST, LARGEST_CLASS, LONGEST_CELL, MEMBERS = 8 << 20, 1 << 30, 100_000, 2000
MAGIC = re.compile(r"^\s*[!%?].*$", re.MULTILINE)


class Refused(ValueError):
    """What was handed in cannot be read, in one line."""


@dataclass(frozen=True)
class Found:
    """One submission on disk, not opened yet; `member` is its name inside a zip."""

    name: str
    path: Path
    member: str | None = None
    problem: str | None = None


@dataclass
class Submission:
    """What counts: pieces of code in order, each for an exercise or for all of them, and the answers to questions."""

    pieces: list[tuple[str | None, str]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find(paths: list[Path]) -> Iterator[Found]:
    """Every submission under these paths, in order of name; what is none gets a row that says why."""
    for path in paths:
        top = path if path.is_dir() and not path.is_symlink() else path.parent
        for each in sorted(walk(path)) if top is path else [path]:
            name = str(each.relative_to(top).with_suffix(""))
            yield from members(name, each) if each.suffix == ".zip" and regular(each) else [Found(name, each)]


def walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path)) if entry.name != ".ipynb_checkpoints" else ()
        elif not entry.name.startswith("."):
            yield Path(entry.path)


def regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def members(name: str, path: Path) -> Iterator[Found]:
    """One row for each notebook or file in a zip; a row of its own for what is refused."""
    try:
        if path.stat().st_size > LARGEST_CLASS:
            raise Refused("the zip is larger than 1 GiB")
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
        if len(infos) > MEMBERS or sum(info.file_size for info in infos) > LARGEST_CLASS:
            raise Refused("the zip unpacks to more than 2000 files or 1 GiB")
        if not infos:
            raise Refused("the zip is empty")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield Found(name, path, problem=str(error) if isinstance(error, Refused) else "this is no zip, or a broken one")
        return
    for info in infos:
        inside = PurePosixPath(info.filename.replace("\\", "/"))
        odd = inside.is_absolute() or ".." in inside.parts or re.match(r"[A-Za-z]:", info.filename)
        what = "a path that leads out of the zip" if odd else None
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            what = "a link or a device in a zip"
        elif info.file_size > LARGEST or info.file_size > 200 * max(info.compress_size, 1):
            what = "a file that unpacks to more than it may: an archive bomb"
        elif info.flag_bits & 1:
            what = "a file with a password"
        safe = "/".join(part for part in inside.with_suffix("").parts if part not in ("..", "/"))
        yield Found(name if len(infos) == 1 else f"{name}/{safe}", path, info.filename, what)


def content(found: Found) -> bytes:
    """The bytes of one submission, at most LARGEST of them."""
    if found.problem:
        raise Refused(found.problem)
    try:
        handle = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise Refused("it cannot be opened, or it is a link: hand in the file itself") from None
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused("it is no file: hand in a notebook or a .py")
        if (found.member or found.path.name).rpartition(".")[2] not in ("ipynb", "py"):
            raise Refused("expected a notebook (.ipynb), a .py, or a zip of them")
        try:
            if found.member:
                with zipfile.ZipFile(file) as archive, archive.open(found.member) as inside:
                    data = inside.read(LARGEST + 1)
            else:
                data = file.read(LARGEST + 1)
        except Exception:  # a zip may be wrong in every way there is
            raise Refused("this file cannot be unpacked") from None
    if len(data) > LARGEST:
        raise Refused(f"it is larger than {LARGEST >> 20} MiB: clear the outputs, and hand it in again")
    return data


def read(name: str, data: bytes, assignment: Assignment) -> Submission:
    """The pieces and the answers that a file holds."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8: save it as UTF-8, and hand it in again") from None
    if "\0" in text:
        raise Refused("it holds zero bytes: it is no text")
    made = Submission()
    if name.endswith(".py"):
        from_file(text, assignment, made)
    else:
        from_notebook(text, assignment, made)
    if not any(owner for owner, _ in made.pieces) and not made.answers:
        made.notes.append(f"nothing of lesson {assignment.lesson} was found in this file: is it the right one?")
    return made


def from_notebook(text: str, assignment: Assignment, made: Submission) -> None:
    """The exercise cells only: the last with the exercise's name on it, or else the last that defines its answer."""
    try:
        cells = [cell for cell in json.load(io.StringIO(text))["cells"] if cell.get("cell_type") == "code"]
        sources = ["".join(cell["source"]).encode("utf-8", "replace").decode() for cell in cells]
        marks = [str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", cell.get("id"))) for cell in cells]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused("this is no notebook, or a damaged one: its JSON cannot be read as cells") from None
    trees = [parsed(source, made) for source in sources]
    for tree in trees:
        made.answers |= answers(tree)
    chosen = {}
    for exercise, name in assignment.names.items():
        mark = f"exercise-{exercise.replace('.', '-')}"
        places = [n for n, each in enumerate(marks) if each == mark]
        places = places or [n for n, tree in enumerate(trees) if name in defined(tree)]
        chosen |= {places[-1]: exercise} if places else {}
    made.pieces = [(chosen[n], without_magic(sources[n], chosen[n], made)) for n in sorted(chosen)]


def from_file(text: str, assignment: Assignment, made: Submission) -> None:
    """The answers by their names; every other import, definition and constant is theirs to use."""
    tree = parsed(text, made)
    made.answers = answers(tree)
    if tree is None:
        made.notes.append("the file is no Python: nothing in it could be read")
        return
    exercises = {name: exercise for exercise, name in assignment.names.items()}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            made.pieces += [(None, line) for line in one_by_one(node)]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1
            source = "\n".join(text.splitlines()[first : node.end_lineno])
            made.pieces.append((exercises.get(node.name), source))
        elif isinstance(node, ast.Assign) and all(isinstance(part, ast.Name) for part in node.targets):
            constant = not any(isinstance(part, ast.Call) for part in ast.walk(node.value))
            made.pieces += [(None, ast.unparse(node))] if constant else []


def parsed(source: str, made: Submission) -> ast.Module | None:
    if len(source) > LONGEST_CELL:
        made.notes.append(f"a cell of more than {LONGEST_CELL} characters was passed over")
        return None
    for text in source, MAGIC.sub("pass", source):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
    return None


def without_magic(source: str, exercise: str, made: Submission) -> str:
    """Shell lines are for the notebook; in a cell that does not parse with them they go, and that is said."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        if MAGIC.search(source):
            made.notes.append(f"lines that start with ! or % were left out of exercise {exercise}")
            return MAGIC.sub(lambda line: re.match(r"\s*", line[0])[0] + "pass", source)
    return source


def defined(tree: ast.Module | None) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)} if tree else set()


def answers(tree: ast.Module | None) -> dict[str, str]:
    """The answers that stand as texts: quiz("1.q1", answer="b")."""
    found = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("quiz", "answer"):
            given = [*node.args, *(named.value for named in node.keywords if named.arg == "answer")]
            texts = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if len(texts) == 2 and texts[1].strip():
                found[texts[0]] = texts[1][:200]
    return found
