"""Whose is what: folders, zips and the names that course systems give become one submission for each student.

Zips are opened with care, and zips in zips to a bounded depth. Nothing is unpacked to disk.
What a course system knows by a number is one student wherever it lies; of others only what lies in one folder is.
"""

import io
import os
import re
import stat
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .. import catalogue, lesson_text
from ..display import clean
from .cells import Refused

LARGEST, LARGEST_CLASS, MOST, DEEPEST, DEEPEST_FOLDER = 8 << 20, 1 << 30, 5000, 3, 30
MOST_BESIDE = 1000  # files side by side, among which helpers are looked for
LEADS_OUT = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")
MOODLE = re.compile(r"(?P<who>.+?)_(?P<id>\d{4,})_assignsubmission_[a-z]+_?(?P<file>.*)")
BLACKBOARD = re.compile(r".+?_(?P<who>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<file>.*)|\.\w+)?")
CANVAS = re.compile(  # two numbers, of the student and of the file; a date in two parts is none
    r"(?P<who>[^\W_](?:[^\W_]|[-'’.])*)(?i:_LATE)?_(?!20\d\d_[01]\d[0-3]\d_)(?P<id>\d{3,})_\d{4,}_(?P<file>.+?)"
    r"(?:-(?P<when>\d{1,3}))?(?P<suffix>\.\w+)?"
)
ATTEMPT = re.compile(r"(?:attempt|submission|try|version|v)[ _-]?(?P<when>\d+)", re.IGNORECASE)
NO_NAME = re.compile(  # what a student calls a file, and nobody calls a student
    r"lesson|copy|draft|final|untitled|version|solution|attempt|exercise|answer|helper|util|notes|scratch|backup"
    r"|(?<![^\W\d_])(?:hw|homework|assignment|submission|abgabe|sheet|task|project|notebook|main|tools?)(?![^\W\d_])"
    r"|\bold\b|\bnew\b|\d\d_|v\d|\(\d+\)|checkpoint", re.IGNORECASE)  # fmt: skip
MAIN, ASIDE = (".ipynb", ".py"), re.compile(r"answers-lesson\d+\.json")
IMPORTS = re.compile(
    r"\b(?:from[ \t]+\.?(\w+)[ \t]+import\b|import[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*))"
    r"|%run[ \t]+(?:-\w+[ \t]+)*(?:\./)?(\w+)"
)


@dataclass(frozen=True)
class File:
    """A file on disk, or in a zip there: `inside` are its names in zip after zip. `parts` is where it was found.

    `when` are the times of the file on disk and of what is in it; `called` is what the student called it, where a
    course system gave it a longer name.
    """

    parts: tuple[str, ...]
    path: Path
    inside: tuple[str, ...] = ()
    when: tuple = ()
    called: str = ""

    @property
    def name(self) -> str:
        return self.called or self.given_name

    @property
    def given_name(self) -> str:
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

    def handed_in(self) -> dict:
        """When, as the course system's name or zip says, in the course's own time; and whether it was called late.

        The time of a file on disk is when it was copied there, and tells nothing.
        """
        parts = [part for file in self.files for part in file.parts]
        named = [match["when"] for part in parts if (match := BLACKBOARD.fullmatch(part))]
        times = [datetime.strptime(when, "%Y-%m-%d-%H-%M-%S") for when in named]
        zipped = [file.when[-1] for file in self.files if file.inside and file.when[-1][0] > 1980]  # 1980: not kept
        with suppress(ValueError):  # a zip may hold any numbers
            times = times or [datetime(*when) for when in zipped]
        when = max(times).isoformat() if times else None
        return {"when": when, "late": any("_late_" in part.lower() and CANVAS.fullmatch(part) for part in parts)}


class Owned(NamedTuple):
    """A file and whose it is: `place` is what an attempt lies in, `known` whom a course system means."""

    who: str
    file: File
    place: tuple[str, ...]
    attempt: str = ""
    known: str = ""
    version: int = 0
    note: str = ""


def find_submissions(paths: list[Path]) -> list[SubmissionFile]:
    """One for each student under these paths, in order and under names that differ; hidden files are none."""
    people: dict[tuple, list[Owned]] = defaultdict(list)
    folders = files_by_folder(paths)
    for folder, files in folders.items():
        for each in owned(files):
            each = each._replace(place=(str(folder), *each.place))
            people[("", each.known) if each.known else (folder, each.who)].append(each)
    made, names = [], set()
    for (folder, who), all_of_one in people.items():
        readable = [each for each in all_of_one if each.file.suffix in MAIN] or all_of_one
        last = max({each[2:4] for each in readable}, key=lambda attempt: attempt_order(attempt, all_of_one))
        chosen = last_versions([each for each in all_of_one if each[2:4] == last])
        clash = folder and any(other != folder and name == who for other, name in people)
        name = clean(f"{apart(folder, [*folders])}/{who}" if clash else chosen[-1].who, 120)
        while name in names:
            name += " again"
        names.add(name)
        aside = [each.file.given_name for each in all_of_one if each not in chosen]
        notes = [f"the last attempt counts; left aside: {', '.join(aside[:5])}"] if aside else []
        notes += dict.fromkeys(each.note for each in chosen if each.note)
        files = tuple(each.file for each in chosen)
        made.append(SubmissionFile(name, files, tuple(clean(note) for note in notes)))
    return made


def files_by_folder(paths: list[Path]) -> dict[Path, list[File]]:
    """The files under each path that is a folder, and those of the other paths by the folder that they lie in."""
    found: dict[Path, dict[tuple, File]] = defaultdict(dict)
    for path in paths:
        folder = path.absolute() if is_folder(path) else path.absolute().parent
        found[folder] |= {(file.path.absolute(), file.inside): file for file in listed(path)}
    return {folder: [*files.values()] for folder, files in found.items()}


def apart(folder: Path, folders: list[Path]) -> str:
    """A folder's name, as long as it takes to tell it from the others."""
    return folder.relative_to(os.path.commonpath([each.parent for each in folders])).as_posix()


def attempt_order(attempt: tuple, all_of_one: list[Owned]) -> tuple:
    """By the number or the time in its name, else by the files' times, else by name."""
    place, name = attempt
    return [int(each) for each in re.findall(r"\d+", name)], max(
        each.file.when for each in all_of_one if each[2:4] == attempt), place, name  # fmt: skip


def last_versions(attempt: list[Owned]) -> list[Owned]:
    """Without the earlier ones of files that were handed in again under the same name."""
    last = {each.file.called: each.version for each in sorted(attempt, key=lambda each: each.version)}
    return [each for each in attempt if not each.file.called or each.version == last[each.file.called]]


def is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def listed(path: Path) -> Iterator[File]:
    """Every file under a path, and in its zips, with where it was found; of a file named alone also what it needs."""
    top = path if is_folder(path) else None
    for each in sorted(under(top)) if top else [path]:
        yield from in_zip(File(each.relative_to(top or path.parent).parts, each, when=(each.lstat().st_mtime,)))
    if not top and path.suffix.lower() in MAIN:
        yield from (File((each.name,), each) for each in path.parent.glob("answers-lesson*.json"))
        beside = [File((each.name,), each) for each in sorted(path.parent.glob("*.py")) if each.name != path.name]
        yield from helpers(beside, [File((path.name,), path)])


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
            parts, inside = (*file.parts, *(within or ("nameless",))), (*file.inside, info.filename)
            each = File(parts, file.path, inside, (*file.when, info.date_time))
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


def owned(files: list[File], depth: int = 0) -> Iterator[Owned]:
    """Whose each file is, and of which attempt: what a course system's name says, else the folder or zip it lies in."""
    groups: dict[str, list[File]] = defaultdict(list)
    for file in files:
        groups[file.parts[depth]].append(file)
    loose = []
    for part, inside in groups.items():
        named, alone, place = by_name(part), len(inside[0].parts) == depth + 1, inside[0].parts[:depth]
        above = "".join(f"{stem(each)}/" for each in place)
        if named:
            for file in inside:
                mine = replace(file, called=named.file) if alone else file
                attempt = named.attempt + within(file, depth + 1)
                yield Owned(above + named.who, mine, place, attempt, named.who, named.version)
        elif alone:
            loose += inside
        elif one_person(inside, depth + 1):
            zips = {zip_of(file) for file in inside}
            for file in inside:
                attempt = zip_of(file) if len(zips - {()}) > 1 else ()
                yield Owned(above + stem(part), file, (*place, part, *attempt), within(file, depth + 1))
        else:
            yield from owned(inside, depth + 1)
    yield from owned_by_name(loose)


def owned_by_name(loose: list[File]) -> Iterator[Owned]:
    """Files that lie side by side belong to whom their names say; a helper, and answers, to whom they can."""
    mains = [file for file in loose if file.suffix in MAIN]
    imported = helpers(mains, mains)
    students = dict.fromkeys(stem(file.parts[-1]) for file in mains if file not in imported)
    asides = [file for file in loose if ASIDE.fullmatch(file.name)]
    note = ""
    if asides and len(students) > 1:
        note = f"{asides[0].name} lies beside several submissions, so it was not read: put it into its student's folder"
    for file in loose:
        whose = [stem(file.parts[-1])]
        if file in asides:
            whose = [*students] if len(students) == 1 else []
        elif file in imported:
            whose = [*(stem(user.parts[-1]) for user in imported[file]), *(students.keys() & whose)]
        for who in whose:
            above = "".join(f"{stem(each)}/" for each in file.parts[:-1])
            yield Owned(above + who, file, file.parts[:-1], note=note)


def helpers(candidates: list[File], mains: list[File]) -> dict[File, list[File]]:
    """The modules among these that others beside them import, and that answer nothing; with those that do.

    What holds an answer is somebody's submission: importing it must not bring it along.
    """
    modules = {stem(file.parts[-1]): file for file in candidates if file.suffix == ".py"}
    users: dict[File, list[File]] = defaultdict(list)
    if modules and len(mains) <= MOST_BESIDE:
        for main in mains:
            for name in modules.keys() & imported_by(text_of(main)) - {stem(main.parts[-1])}:
                users[modules[name]].append(main)
    return {file: used for file, used in users.items() if not answers_in(text_of(file))}


def text_of(file: File) -> str:
    try:
        return content(file).decode("utf-8", "replace")
    except Refused:
        return ""


def imported_by(text: str) -> set[str]:
    return {name for found in IMPORTS.findall(text) for each in found for name in re.findall(r"\w+", each)}


def answers_in(text: str) -> bool:
    """Whether a module defines what an exercise asks for, or answers a question."""
    return bool(answering().search(text))


@cache
def answering() -> re.Pattern:
    names = "|".join({name for lesson in catalogue.lessons() for name in lesson_text.answer_names(lesson).values()})
    return re.compile(rf"\b(?:def|class)[ \t]+(?:{names})\b|^(?:{names})\b[^=\n]*=|\b(?:quiz|answer)\(", re.MULTILINE)


def one_person(files: list[File], depth: int) -> bool:
    """Whether all these lie in one student's folder: at most one has a name that could be a student's."""
    if any(by_name(part) for file in files for part in file.parts[depth:]):
        return False
    books = [file for file in files if file.suffix == ".ipynb"] or [file for file in files if file.suffix == ".py"]
    names = {(*file.parts[depth:-1], stem(file.parts[-1])) for file in books}
    zips = {zip_of(file)[depth:] for file in files} - {()}
    strangers, of_strangers = ([each for each in many if not any(map(NO_NAME.search, each))] for many in (names, zips))
    return (len(zips) < 2 or not of_strangers) and (len(names) < 2 or len(strangers) < 2)


def zip_of(file: File) -> tuple[str, ...]:
    """The innermost zip that a file lies in."""
    return file.parts[: 1 + max((n for n, part in enumerate(file.parts[:-1]) if is_zip(part)), default=-1)]


class Named(NamedTuple):
    who: str
    attempt: str
    file: str
    version: int = 0


def by_name(part: str) -> Named | None:
    """What a name says that Moodle, Blackboard or Canvas gave."""
    part = unicodedata.normalize("NFC", part)
    if match := MOODLE.fullmatch(part):
        return Named(f"{match['who']} {match['id']}", "", match["file"])
    if match := BLACKBOARD.fullmatch(part):
        return Named(match["who"], match["when"], match["file"] or "")
    if (match := CANVAS.fullmatch(part)) and not NO_NAME.search(match["who"]):
        file = match["file"] + (match["suffix"] or "")
        return Named(f"{match['who']} {match['id']}", "", file, int(match["when"] or 0))
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
            name = "/".join(file.parts[-2:]) if file.name == "__init__.py" else file.name
            found[name if name not in found else "/".join(file.parts)] = content(file)
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
