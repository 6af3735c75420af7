"""A lesson's text, `lessons/source/NN_name.py`: its cells, what they are for, and the solutions that stand in them.

The text is the one place of a solution: the notebooks are made from it, and `reference` gives judges and learners what
it defines.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROLES = ("setup", "exercise", "check", "question")  # what a cell's marker may say: # %% exercise="1.1"
MARKER = re.compile(r"^# %%(.*)$", re.MULTILINE)
ABOUT = re.compile(r'(\w+)="([^"]*)"')
CHECK = re.compile(r'check\("([^"]+)", (\w+)\)')


def lessons_folder() -> Path:
    """What people open: beside the package in a clone, inside it where it was installed from a wheel."""
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


def setup(lesson: int) -> str:
    """The imports that every exercise of this lesson may rely on."""
    return "\n".join(each.source for each in code(lesson) if each.role == "setup")


def answer_names(lesson: int) -> dict[str, str]:
    """For each exercise the name that its check asks for: check("2.1", Prompt)."""
    return dict(CHECK.fullmatch(each.source).groups() for each in code(lesson) if each.role == "check")


def solution(exercise: str) -> str:
    """The cell in which an exercise is solved."""
    found = [
        each.source for each in code(int(exercise.split(".")[0])) if (each.role, each.about) == ("exercise", exercise)
    ]
    if len(found) != 1:
        raise ValueError(
            f"the text of the lesson should have one cell marked exercise={exercise!r}; it has {len(found)}"
        )
    return found[0]


@cache
def reference(exercise: str) -> object:
    """What the text's own solution defines: the function or class that is right."""
    lesson = int(exercise.split(".")[0])
    scope: dict[str, object] = {"__name__": f"solution_{exercise.replace('.', '_')}"}
    exec(compile(setup(lesson), f"<setup of lesson {lesson}>", "exec"), scope)
    exec(compile(solution(exercise), f"<solution {exercise}>", "exec"), scope)
    return scope[answer_names(lesson)[exercise]]
