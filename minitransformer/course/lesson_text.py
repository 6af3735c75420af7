"""A lesson's text, `lessons/source/NN_name.py`: its cells, what they are for, and the solutions that stand in them.

The text is the one place of a solution: the notebooks are made from it, and `reference` gives judges and learners what
it defines.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROLES = ("setup", "exercise", "check", "question")  # what a cell's marker may say: # %% exercise="1.1"
MARKER = re.compile(r"^# %%(.*)$", re.MULTILINE)
ABOUT = re.compile(r'(\w+)="([^"]*)"')
CHECK = re.compile(r'check\("([^"]+)", (\w+)\)')
PREDICTION = re.compile(r'^predict\("([^"]+)"', re.MULTILINE)
BUILDS_ON = re.compile(r"builds on\*\*:(.*?)(?:\n\s*\n|\Z)", re.DOTALL)
EARLIER = re.compile(r"lessons?\s+(\d+(?:(?:,|\s+and|\s+to)\s+\d+)*)(?:\s*\(([^)]*)\))?")
INSTEAD = re.compile(r"^ *### INSTEAD\n(?:.*\n)*?(?= *### END SOLUTION)", re.MULTILINE)


def lessons_folder() -> Path:
    """The folder of notebooks and texts: beside the package in a clone, inside the course where it was installed."""
    places = Path(__file__).parents[2] / "lessons", Path(__file__).with_name("lessons")
    for place in places:
        if (place / "source").is_dir():
            return place
    raise FileNotFoundError(f"there are no lessons at {places[0]}: run this in a clone, or install the package again")


@dataclass(frozen=True)
class Cell:
    """One cell: a piece of text, or code with at most one role and what that is about."""

    source: str
    is_text: bool = False
    role: str = ""
    about: str = ""


def sources() -> dict[int, Path]:
    """The text of each lesson, by the lesson's number."""
    return {int(path.name[:2]): path for path in sorted(lessons_folder().glob("source/[0-9][0-9]_*.py"))}


def lesson_of(exercise: str) -> int:
    return int(exercise.split(".")[0])


def source_of(lesson: int) -> Path:
    known = sources()
    if lesson not in known:
        raise ValueError(f"the lessons with a text are {', '.join(map(str, known))}; got {lesson!r}")
    return known[lesson]


def cells(path: Path) -> list[Cell]:
    """The cells of a file in the percent format, in order."""
    _, *parts = MARKER.split(path.read_text(encoding="utf-8"))
    return [cell(marker.strip(), text.strip("\n"), path) for marker, text in zip(parts[::2], parts[1::2], strict=True)]


def cell(marker: str, source: str, path: Path) -> Cell:
    if marker == "[markdown]":
        return Cell("\n".join(line[2:] for line in source.split("\n")), is_text=True)
    roles = ABOUT.findall(marker)
    if len(roles) > 1 or not {role for role, _ in roles} <= set(ROLES) or ABOUT.sub("", marker).strip():
        raise ValueError(f"{path.name}: a cell is one of {', '.join(ROLES)}, or nothing; got {marker!r}")
    return Cell(source, False, *(roles[0] if roles else ()))


@cache
def code(lesson: int) -> list[Cell]:
    """The cells of this lesson that have a role."""
    return [each for each in cells(source_of(lesson)) if each.role]


@cache
def sections(lesson: int) -> dict[str, int]:
    """The section in which each exercise, question and prediction stands; nothing for a lesson without a text."""
    found, section = {}, 0
    for each in cells(source_of(lesson)) if lesson in sources() else ():
        if each.is_text:
            section += len(re.findall(r"^## ", each.source, re.MULTILINE))
        elif each.role in ("exercise", "question"):
            found[each.about] = section
        else:
            found |= dict.fromkeys(PREDICTION.findall(each.source), section)
    return found


def predictions(lesson: int) -> list[str]:
    """The predictions that this lesson asks for, in order."""
    return [each for each in sections(lesson) if re.fullmatch(r"\d+\.p\d+", each)]


@cache
def title(lesson: int) -> str:
    """What the first line calls the lesson, without its number."""
    first = cells(source_of(lesson))[0].source.split("\n")[0] if lesson in sources() else ""
    return first.partition("·")[2].strip() or f"Lesson {lesson}"


@cache
def builds_on(lesson: int) -> dict[int, str]:
    """The earlier lessons that the first lines name, each with what is needed of it, in words."""
    head = cells(source_of(lesson))[0].source if lesson in sources() else ""
    line, found = BUILDS_ON.search(head), {}
    for numbers, words in EARLIER.findall(line[1]) if line else ():
        ends = [int(each) for each in re.findall(r"\d+", numbers)]
        named = range(ends[0], ends[-1] + 1) if " to" in numbers else ends
        found |= {each: f"{found.get(each, '')} {words}".strip() for each in named if each < lesson}
    return found


def setup(lesson: int) -> str:
    """The imports that every exercise of this lesson may rely on."""
    return "\n".join(each.source for each in code(lesson) if each.role == "setup")


def answer_names(lesson: int) -> dict[str, str]:
    """For each exercise the name that its check asks for: check("2.1", Prompt)."""
    return dict(CHECK.fullmatch(each.source).groups() for each in code(lesson) if each.role == "check")


def solution(exercise: str) -> str:
    """The cell in which an exercise is solved, without the broken program that students find there."""
    cells = [each.source for each in code(lesson_of(exercise)) if (each.role, each.about) == ("exercise", exercise)]
    if len(cells) != 1:
        raise ValueError(f"the lesson's text should have one cell marked exercise={exercise!r}; it has {len(cells)}")
    return INSTEAD.sub("", cells[0])


def changed(exercise: str, *texts: str) -> str:
    """The solution with a mistake in it: each first text of a pair, which stands there once, becomes the second."""
    cell = solution(exercise)
    for old, new in zip(texts[::2], texts[1::2], strict=True):
        if cell.count(old) != 1:
            raise ValueError(f"{old!r} should be once in the solution of {exercise}, not {cell.count(old)} times")
        cell = cell.replace(old, new)
    return cell


def defined(exercise: str, cell: str, **names: object) -> object:
    """The function or class that this cell defines for an exercise, after the lesson's imports and these names."""
    lesson = lesson_of(exercise)
    scope = {"__name__": f"solution_{exercise.replace('.', '_')}"}
    exec(compile(setup(lesson), f"<setup of lesson {lesson}>", "exec"), scope)
    scope |= names
    exec(compile(cell, f"<solution {exercise}>", "exec"), scope)
    return scope[answer_names(lesson)[exercise]]


@cache
def reference(exercise: str) -> object:
    """What the text's own solution defines: the function or class that is right."""
    return defined(exercise, solution(exercise))


def with_mistakes(changes: Mapping[str, list[tuple[str, ...]]], **names: object) -> dict[str, list]:
    """For each exercise its known wrong answers, (misconception, answer), from (misconception, old text, new, …).

    The new texts may use these names.
    """
    return {
        exercise: [
            (misconception, defined(exercise, changed(exercise, *texts), **names)) for misconception, *texts in rows
        ]
        for exercise, rows in changes.items()
    }
