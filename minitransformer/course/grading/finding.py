"""Whose is what: folders, zips and the names that course systems give become one submission for each student.

Zips are opened with care, and zips in zips to a bounded depth. Nothing is unpacked to disk.
"""

import io
import os
import re
import stat
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..display import clean
from .cells import Refused

LARGEST, LARGEST_CLASS, MOST, DEEPEST, DEEPEST_FOLDER = 8 << 20, 1 << 30, 5000, 3, 30
LEADS_OUT = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")
MOODLE = re.compile(r"(?P<who>.+?)_(?P<id>\d{4,})_assignsubmission_[a-z]+_?(?P<file>.*)")
BLACKBOARD = re.compile(r".+?_(?P<who>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_.*|\.\w+)?")
CANVAS = re.compile(
    r"(?P<who>[^\W_]+)(?:_LATE)?_(?P<id>\d{3,})_\d{4,}_(?P<file>.+?)(?:-(?P<when>\d{1,3}))?(?P<suffix>\.\w+)?"
)
ATTEMPT = re.compile(r"(?:attempt|submission|try|version|v)[ _-]?(?P<when>\d+)", re.IGNORECASE)
NO_NAME = re.compile(  # what a student calls a file, and nobody calls a student
    r"lesson|copy|draft|final|untitled|version|solution|attempt|exercise|answer|helper|util|tool|notes|scratch|backup"
    r"|\bold\b|\bnew\b|\d\d_|v\d|\(\d+\)|checkpoint", re.IGNORECASE)  # fmt: skip
MAIN, ASIDE = (".ipynb", ".py"), re.compile(r"answers-lesson\d+\.json")


@dataclass(frozen=True)
class File:
    """A file on disk, or in a zip there: `inside` are its names in zip after zip. `parts` is where it was found."""

    parts: tuple[str, ...]
    path: Path
    inside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PurePosixPath(self.inside[-1]).name if self.inside else self.path.name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.parts[-1]).suffix.lower()


@dataclass(frozen=True)
class SubmissionFile:
    """One student's last attempt, not opened yet."""

    name: str
    files: tuple[File, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Person:
    files: dict[str, list[File]] = field(default_factory=lambda: defaultdict(list))  # by attempt


def find_submissions(paths: list[Path]) -> list[SubmissionFile]:
    """One for each student under these paths, in order and under names that differ; hidden files are none."""
    people: dict[str, Person] = defaultdict(Person)
    for path in paths:
        for who, attempt, file in owned([*listed(path)]):
            people[who].files[attempt].append(file)
    made, names = [], set()
    for who, person in people.items():
        name = clean(who, 120)
        while name in names:
            name += " again"
        names.add(name)
        last = max(person.files, key=lambda each: attempt_order(each, person.files[each]))
        aside = [file.name for attempt, files in person.files.items() if attempt != last for file in files]
        notes = [f"the last attempt counts; left aside: {', '.join(aside[:5])}"] if aside else []
        made.append(SubmissionFile(name, tuple(person.files[last]), tuple(clean(note) for note in notes)))
    return made


def attempt_order(attempt: str, files: list[File]) -> tuple:
    """By the number or the time in its name, else by the file's time, else by name."""
    times = [file.path.lstat().st_mtime for file in files]
    return [int(each) for each in re.findall(r"\d+", attempt)], max(times), attempt


def listed(path: Path) -> Iterator[File]:
    """Every file under a path, and in its zips, with where it was found."""
    top = path if path.is_dir() and not path.is_symlink() else None
    for each in sorted(under(top)) if top else [path]:
        yield from in_zip(File(each.relative_to(top or path.parent).parts, each))
    beside = () if top else path.parent.glob("answers-lesson*.json")
    yield from (File((each.name,), each) for each in beside if path.suffix.lower() in MAIN)


def under(top: Path) -> Iterator[Path]:
    """What is no folder, and each folder that lies too deep to look into; what is hidden is left out."""
    for folder, folders, files in os.walk(top):
        here = Path(folder)
        folders[:] = [name for name in folders if name[0] != "."]
        deeper = len(here.relative_to(top).parts) < DEEPEST_FOLDER
        yield from (here / name for name in files if name[0] != ".")
        yield from (here / name for name in folders if not deeper or (here / name).is_symlink())
        if not deeper:
            folders.clear()


def in_zip(file: File) -> Iterator[File]:
    """The files in a zip, or the file itself where it is none that can be opened."""
    try:
        inside = [*members(file, [MOST, LARGEST_CLASS])] if file.suffix == ".zip" else []
    except (Refused, OSError):
        inside = []
    yield from inside or [file]


def members(file: File, left: list[int], data: bytes | None = None) -> Iterator[File]:
    """`left` is how many files, and how many bytes, may still come out of the outermost zip."""
    with archive(file.path if data is None else data) as opened:
        infos = [each for each in opened.infolist() if not each.is_dir() and "__MACOSX" not in each.filename]
        left[0] -= len(infos)
        left[1] -= sum(each.file_size for each in infos)
        if min(left) < 0:
            raise Refused("a zip of too much")
        for info in infos:
            within = tuple(part for part in re.split(r"[/\\]", info.filename) if part not in ("", "."))
            if any(part.startswith(".") and part != ".." for part in within):
                continue
            each = File((*file.parts, *(within or ("nameless",))), file.path, (*file.inside, info.filename))
            found = []
            if each.suffix == ".zip" and len(each.inside) < DEEPEST:
                try:
                    found = [*members(each, left, member(opened, info.filename, LARGEST_CLASS // 8))]
                except Refused:
                    found = []
            yield from found or [each]


def archive(source: Path | bytes) -> zipfile.ZipFile:
    try:
        if isinstance(source, Path) and not stat.S_ISREG(source.lstat().st_mode):
            raise Refused("it is no file: hand in a notebook or a .py")
        return zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise Refused(f"this is no zip, or a broken one: expected 1 to {MOST} files, together at most 1 GiB") from None


def member(opened: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """One file in a zip."""
    try:
        info = opened.getinfo(name)
        if LEADS_OUT.search(name):
            raise Refused("a path that leads out of the zip")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise Refused("a link or a device in a zip")
        if info.file_size > min(largest, 200 * max(info.compress_size, 1)):
            raise Refused("a file that unpacks to more than it may: an archive bomb")
        with opened.open(info) as file:
            return file.read(largest + 1)
    except Refused:
        raise
    except Exception:  # a zip may be wrong in every way there is
        raise Refused("this file cannot be unpacked: it is broken, or has a password") from None


def owned(files: list[File], depth: int = 0) -> Iterator[tuple[str, str, File]]:
    """Whose each file is, and of which attempt: what a course system's name says, else the folder or zip it lies in."""
    groups: dict[str, list[File]] = defaultdict(list)
    for file in files:
        groups[file.parts[depth]].append(file)
    loose = []
    for part, inside in groups.items():
        named = by_name(part)
        above = "".join(f"{stem(each)}/" for each in inside[0].parts[:depth])
        if named:
            yield from ((above + named[0], named[1] + within(file, depth + 1), file) for file in inside)
        elif len(inside[0].parts) == depth + 1:
            loose += inside
        elif one_person(inside, depth + 1):
            yield from ((above + stem(part), within(file, depth + 1), file) for file in inside)
        else:
            yield from owned(inside, depth + 1)
    mains = {stem(file.parts[-1]) for file in loose if file.suffix in MAIN}
    for file in loose:
        above = "".join(f"{stem(each)}/" for each in file.parts[:-1])
        if not ASIDE.fullmatch(file.name):
            yield above + stem(file.parts[-1]), "", file
        elif len(mains) == 1:
            yield above + next(iter(mains)), "", file


def one_person(files: list[File], depth: int) -> bool:
    """Whether all these lie in one student's folder: at most one has a name that could be a student's."""
    if any(by_name(part) for file in files for part in file.parts[depth:]):
        return False
    books = [file for file in files if file.suffix == ".ipynb"] or [file for file in files if file.suffix == ".py"]
    names = {(*file.parts[depth:-1], stem(file.parts[-1])) for file in books}
    zips = {file.parts[: 1 + max(n for n, part in enumerate(file.parts) if is_zip(part))] for file in files
            if any(map(is_zip, file.parts[depth:-1]))}  # fmt: skip
    strangers = [name for name in names if not any(NO_NAME.search(part) for part in name)]
    return len(zips) < 2 and (len(names) < 2 or len(strangers) < 2)


def by_name(part: str) -> tuple[str, str] | None:
    """The student and the attempt in a name that Moodle, Blackboard or Canvas gave."""
    if match := MOODLE.fullmatch(part):
        return f"{match['who']} {match['id']}", ""
    if match := BLACKBOARD.fullmatch(part):
        return match["who"], match["when"]
    if (match := CANVAS.fullmatch(part)) and not NO_NAME.search(match["who"]):
        return f"{match['who']} {match['id']}", match["when"] or ""
    return None


def within(file: File, depth: int) -> str:
    """The attempt that a folder inside a student's folder stands for."""
    found = [ATTEMPT.fullmatch(part) for part in file.parts[depth:-1]]
    return " ".join(match["when"] for match in found if match)


def stem(part: str) -> str:
    path = PurePosixPath(part)
    return path.stem if path.suffix.lower() in (*MAIN, ".zip") or re.fullmatch(r"\.\w{1,5}", path.suffix) else part


def is_zip(part: str) -> bool:
    return part.lower().endswith(".zip")


def contents(submission: SubmissionFile) -> dict[str, bytes]:
    """The bytes of each file by its name; a refusal where none can be read."""
    found, refused = {}, []
    for file in submission.files:
        if file.suffix not in (*MAIN, ".json", ".zip"):
            refused.append("expected a notebook (.ipynb), a .py, or a zip of them")
            continue
        try:
            found[file.name if file.name not in found else "/".join(file.parts)] = content(file)
        except Refused as why:
            refused.append(str(why))
    if not any(PurePosixPath(name).suffix.lower() in MAIN for name in found):
        raise Refused((refused or ["expected a notebook (.ipynb), a .py, or a zip of them"])[0])
    return found


def content(file: File) -> bytes:
    """At most LARGEST bytes of one file, which must be one, and no link."""
    try:
        handle = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise Refused("it cannot be opened, or it is a link: hand in the file itself") from None
    with open(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused("it is no file: hand in a notebook or a .py")
        if not file.inside and file.suffix == ".zip":
            raise Refused(f"this is no zip, or a broken one: expected 1 to {MOST} files, together at most 1 GiB")
        data = opened.read(LARGEST + 1) if not file.inside else b""
    if file.inside and file.suffix == ".zip":
        raise Refused("a zip in a zip that cannot be opened, or lies too deep")
    for number, name in enumerate(file.inside):
        with archive(file.path if not number else data) as zipped:
            data = member(zipped, name, LARGEST if number == len(file.inside) - 1 else LARGEST_CLASS // 8)
    if len(data) > LARGEST:
        raise Refused(f"it is larger than {LARGEST >> 20} MiB: clear the outputs, and hand it in again")
    return data
