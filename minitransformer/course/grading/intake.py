"""What was handed in: found, opened with care, and cut down to exercise cells and answers. Nothing is run here."""

import ast
import json
import os
import re
import stat
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..answers import Given
from ..assignment import Assignment
from ..display import clean, valid_unicode

LARGEST, LARGEST_CLASS, LONGEST = 8 << 20, 1 << 30, 400_000
FOR_ALL = "for all exercises"
MAGIC = re.compile(r"^([ \t]*)[!%?].*$", re.MULTILINE)
LEADS_OUT = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


class Refused(ValueError):
    """What was handed in cannot be read, in one line."""


@dataclass(frozen=True)
class SubmissionFile:
    """One submission on disk, not opened yet; `member` is its name inside a zip."""

    name: str
    path: Path
    member: str | None


@dataclass(frozen=True)
class Submission:
    """What counts: pieces of code in order, each for an exercise or for all of them, and the answers to questions."""

    pieces: list[tuple[str | None, str]] = field(default_factory=list)
    answers: dict[str, Given] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_submissions(paths: list[Path]) -> list[SubmissionFile]:
    """Everything under these paths but hidden files, in order and under names that differ."""
    files: dict[str, SubmissionFile] = {}
    for path in paths:
        top = path.parent if path.is_symlink() or not path.is_dir() else path
        for each in sorted(path.rglob("*")) if top == path else [path]:
            inside, within = each.relative_to(top), members(each)
            hidden = top == path and "/." in f"/{inside}"
            for member in () if hidden else within:
                part = f"/{member.rpartition('.')[0]}" if within[1:] else ""
                name = clean(f"{inside.with_suffix('')}{part}", 120)
                while name in files:
                    name += " again"
                files[name] = SubmissionFile(name, each, member)
    return [*files.values()]


def members(path: Path) -> list[str | None]:
    """The files in a zip; no name inside for another file, or a zip that is none; nothing for a folder."""
    mode = path.lstat().st_mode
    with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        if path.suffix == ".zip" and stat.S_ISREG(mode):
            with zipfile.ZipFile(path) as archive:
                infos = [each for each in archive.infolist() if not each.is_dir() and "__MACOSX" not in each.filename]
            if 0 < len(infos) <= 2000 and sum(each.file_size for each in infos) <= LARGEST_CLASS:
                return [each.filename for each in infos]
    return [] if stat.S_ISDIR(mode) else [None]


def content(submission: SubmissionFile) -> bytes:
    """The bytes of one submission, at most LARGEST of them."""
    try:
        handle = os.open(submission.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise Refused("it cannot be opened, or it is a link: hand in the file itself") from None
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused("it is no file: hand in a notebook or a .py")
        if submission.path.suffix == ".zip" and not submission.member:
            raise Refused("this is no zip, or a broken one: expected 1 to 2000 files, together at most 1 GiB")
        if (submission.member or submission.path.name).rpartition(".")[2] not in ("ipynb", "py"):
            raise Refused("expected a notebook (.ipynb), a .py, or a zip of them")
        data = unzipped(file, submission.member) if submission.member else file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Refused(f"it is larger than {LARGEST >> 20} MiB: clear the outputs, and hand it in again")
    return data


def unzipped(file: IO[bytes], member: str) -> bytes:
    """One file in a zip."""
    try:
        archive = zipfile.ZipFile(file)
        info = archive.getinfo(member)
        if LEADS_OUT.search(member):
            raise Refused("a path that leads out of the zip")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise Refused("a link or a device in a zip")
        if info.file_size > min(LARGEST, 200 * max(info.compress_size, 1)):
            raise Refused("a file that unpacks to more than it may: an archive bomb")
        return archive.read(info)
    except Refused:
        raise
    except Exception:  # a zip may be wrong in every way there is
        raise Refused("this file cannot be unpacked: it is broken, or has a password") from None


def read_submission(name: str, data: bytes, assignment: Assignment) -> Submission:
    """The pieces and the answers that a file holds."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8: save it as UTF-8, and hand it in again") from None
    handed_in = statements(text) if name.endswith(".py") else notebook_cells(text)
    cells, owners, made = [(cell, *parsed(source)) for cell, source in handed_in], {}, Submission()
    for exercise, answer in assignment.names.items():
        own = [n for n, (cell, _, _) in enumerate(cells) if cell == f"exercise-{exercise.replace('.', '-')}"]
        own = own or [n for n, (*_, body) in enumerate(cells) if answer in {getattr(x, "name", 0) for x in body or ()}]
        owners |= dict.fromkeys(own[-1:], exercise)
    for n, (cell, source, body) in enumerate(cells):
        made.answers.update(quiz_answers(body or []))
        if n in owners or cell == FOR_ALL:
            made.pieces.append((owners.get(n), source))
            if source != handed_in[n][1]:
                made.notes.append(f"lines that start with ! or % were left out of exercise {owners.get(n)}")
    if not owners and not made.answers:
        made.notes.append(f"nothing of lesson {assignment.lesson} was found in this file: is it the right one?")
    return made


def notebook_cells(text: str) -> list[tuple[str, str]]:
    """The name and the source of each code cell."""
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell.get("cell_type") == "code"]
        names = [cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", cell.get("id")) for cell in cells]
        return [(str(name), valid_unicode("".join(cell["source"]))) for name, cell in zip(names, cells, strict=True)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused("this is no notebook, or a damaged one: its JSON cannot be read as cells") from None


def statements(text: str) -> list[tuple[str, str]]:
    """A file's imports, definitions and constants, for all to use; its calls are not run, only searched for answers."""
    _, body = parsed(text)
    if body is None:
        raise Refused("this is no Python: run it once yourself, and hand it in again")
    tools, cells = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef, []
    for it in body:  # each imported name by itself: one that is away must not cost the others
        single = isinstance(it, ast.ImportFrom) and [ast.ImportFrom(it.module, [name], it.level) for name in it.names]
        constant = isinstance(it, ast.Assign) and not any(isinstance(each, ast.Call) for each in ast.walk(it))
        for part in single or [it]:
            cells.append((FOR_ALL if constant or isinstance(it, tools) else "", ast.unparse(part)))
    return cells


def parsed(source: str) -> tuple[str, list[ast.stmt] | None]:
    """What Python can read of it: as it is, or without the lines that only a notebook understands; else nothing."""
    for text in (source, MAGIC.sub(r"\1pass", source)) if len(source) <= LONGEST else ():
        with suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            return text, ast.parse(text).body
    return source, None


def quiz_answers(body: list[ast.stmt]) -> dict[str, Given]:
    """The answers that stand as texts: quiz("2.q1", answer="b")."""
    answers = {}
    for call in (each for statement in body for each in ast.walk(statement) if isinstance(each, ast.Call)):
        parts = [*call.args, *(named.value for named in call.keywords if named.arg == "answer")]
        texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if getattr(call.func, "id", "") in ("quiz", "answer") and len(texts) == 2 and texts[1].strip():
            answers[texts[0]] = Given(texts[1][:200])
    return answers
