"""What was handed in: found, opened with suspicion, and cut down to exercise cells and answers. Nothing is run here."""

import ast
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .course import Assignment

LARGEST, LARGEST_CLASS, LONGEST, MEMBERS = 8 << 20, 1 << 30, 400_000, 2000
FOR_ALL = "for all exercises"
MAGIC = re.compile(r"^([ \t]*)[!%?].*$", re.MULTILINE)


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
            name, zipped = str(each.relative_to(top).with_suffix("")), each.suffix == ".zip"
            yield from members(name, each) if zipped and stat.S_ISREG(each.lstat().st_mode) else [Found(name, each)]


def walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path)) if entry.name != ".ipynb_checkpoints" else ()
        elif not entry.name.startswith("."):
            yield Path(entry.path)


def members(name: str, path: Path) -> Iterator[Found]:
    """One row for each notebook or file in a zip; a row of its own for what is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield Found(name, path, problem="this is no zip, or a broken one")
        return
    if not infos or len(infos) > MEMBERS or sum(info.file_size for info in infos) > LARGEST_CLASS:
        yield Found(name, path, problem="expected a zip of 1 to 2000 files, together at most 1 GiB")
        return
    for info in infos:
        inside = PurePosixPath(info.filename.replace("\\", "/"))
        safe = "/".join(part for part in inside.with_suffix("").parts if part not in ("..", "/"))
        yield Found(name if len(infos) == 1 else f"{name}/{safe}", path, info.filename, oddity(info, inside))


def oddity(info: zipfile.ZipInfo, inside: PurePosixPath) -> str | None:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "a link or a device in a zip"
    if inside.is_absolute() or ".." in inside.parts or re.match(r"[A-Za-z]:", info.filename):
        return "a path that leads out of the zip"
    if info.file_size > LARGEST or info.file_size > 200 * max(info.compress_size, 1):
        return "a file that unpacks to more than it may: an archive bomb"
    return "a file with a password" if info.flag_bits & 1 else None


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
            data = (zipfile.ZipFile(file).open(found.member) if found.member else file).read(LARGEST + 1)  # noqa: SIM115
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
    cells = statements(text) if name.endswith(".py") else notebook_cells(text)
    clean = [parsed(source) for _, source in cells]
    made, chosen = Submission(), {}
    for exercise, answer in assignment.names.items():
        mark = f"exercise-{exercise.replace('.', '-')}"
        places = [n for n, (cell, _) in enumerate(cells) if cell == mark]
        places = places or [n for n, (_, tree) in enumerate(clean) if answer in defined(tree)]
        chosen |= {places[-1]: exercise} if places else {}
    for n, ((cell, handed_in), (source, tree)) in enumerate(zip(cells, clean, strict=True)):
        made.answers |= answers(tree)
        if n in chosen or cell == FOR_ALL:
            made.pieces.append((chosen.get(n), source))
            if source != handed_in:
                made.notes.append(f"lines that start with ! or % were left out of exercise {chosen.get(n)}")
    if not chosen and not made.answers:
        made.notes.append(f"nothing of lesson {assignment.lesson} was found in this file: is it the right one?")
    return made


def notebook_cells(text: str) -> list[tuple[str, str]]:
    """The name and the source of each code cell."""
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell.get("cell_type") == "code"]
        names = [cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", cell.get("id")) for cell in cells]
        sources = ["".join(cell["source"]).encode("utf-8", "replace").decode() for cell in cells]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused("this is no notebook, or a damaged one: its JSON cannot be read as cells") from None
    return list(zip(map(str, names), sources, strict=True))


def statements(text: str) -> list[tuple[str, str]]:
    """A file's imports, definitions and constants, for all to use; what it calls is only looked at for answers."""
    source, tree = parsed(text)
    if tree is None:
        raise Refused("this is no Python: run it once yourself, and hand it in again")
    cells = []
    for node in tree.body:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        tools = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        constant = isinstance(node, ast.Assign) and not any(isinstance(each, ast.Call) for each in ast.walk(node.value))
        lines = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
        cells.append((FOR_ALL if tools or constant else "", lines))
    return cells


def parsed(source: str) -> tuple[str, ast.Module | None]:
    """What Python can read of it: as it is, or without the lines that only a notebook understands; else no tree."""
    for text in (source, MAGIC.sub(r"\1pass", source)) if len(source) <= LONGEST else ():
        with suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            return text, ast.parse(text)
    return source, None


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


def clean(text: str, longest: int = 400) -> str:
    """A student's text, fit for a terminal, XML and a page: no control signs, no halves of characters, not too long."""
    kept = "".join(sign if sign.isprintable() else " " for sign in text[:longest])
    return kept.encode("utf-8", "replace").decode()
