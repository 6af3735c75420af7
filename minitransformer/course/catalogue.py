"""Where to find a lesson, an exercise or a question. What exists is found by looking into the folders `lessonN`.

A lesson's folder holds its judges (every module that defines `EXERCISES`), what runs beside students' code (`ask*.py`),
its questions (`*.toml`), its puzzles of one line (`puzzles*.py`), answers that are known to be wrong or right
(`wrong_*.py`, `right_*.py`), and pictures (`plots*.py`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .exercise import Exercise
from .question_files import read_questions
from .questions import Question

COURSE = Path(__file__).parent
FOLDER = re.compile(r"lesson([1-9][0-9]*)")


@cache
def lessons() -> tuple[int, ...]:
    """The numbers of the lessons that have a folder."""
    names = [FOLDER.fullmatch(path.name) for path in COURSE.iterdir() if path.is_dir()]
    return tuple(sorted(int(name[1]) for name in names if name))


def folder(lesson: int) -> Path:
    if lesson not in lessons():
        raise ValueError(f"the lessons are {', '.join(map(str, lessons()))}; got {lesson!r}")
    return COURSE / f"lesson{lesson}"


def modules(lesson: int, kind: str = "") -> list[ModuleType]:
    """The modules of a lesson's folder whose names begin with `kind`; without one, those that may hold exercises."""
    paths = sorted(folder(lesson).glob(f"{kind}*.py"))
    paths = [
        path for path in paths if kind or not path.stem.startswith(("__init__", "ask", "wrong_", "right_", "plots"))
    ]
    return [import_module(f".{path.parent.name}.{path.stem}", __package__) for path in paths]


@cache
def exercises(lesson: int) -> dict[str, Exercise]:
    """The exercises of one lesson by id, in the order of their numbers."""
    every = [each for module in modules(lesson) for each in getattr(module, "EXERCISES", ())]
    ordered = {each.id: each for each in sorted(every, key=lambda each: each.number)}
    if len(ordered) < len(every) or any(each.lesson != lesson for each in every):
        ids = ", ".join(each.id for each in every)
        raise ValueError(f"lesson {lesson} needs exercises with ids {lesson}.1, {lesson}.2, …, each once; got {ids}")
    return ordered


@cache
def questions(lesson: int) -> dict[str, Question]:
    """The questions of one lesson by id, in the order of their numbers."""
    return read_questions(sorted(folder(lesson).glob("*.toml")), lesson)


@cache
def puzzles(lesson: int) -> dict[str, object]:
    """The puzzles of one lesson by id, in their order."""
    return {each.id: each for module in modules(lesson, "puzzles") for each in module.PUZZLES}


def known_answers(lesson: int, kind: str) -> dict[str, list]:
    """The known answers of a lesson, `wrong` ones (name, answer) or `right` ones, by exercise."""
    known: dict[str, list] = {}
    for module in modules(lesson, f"{kind}_"):
        for exercise_id, answers in module.ANSWERS.items():
            known.setdefault(exercise_id, []).extend(answers)
    return known


def exercise(exercise_id: str) -> Exercise:
    return look_up("exercise", exercise_id, exercises)


def question(question_id: str) -> Question:
    return look_up("question", question_id, questions)


def look_up(noun: str, wanted: object, of_lesson: Callable[[int], Mapping[str, object]]):
    lesson = str(wanted).partition(".")[0]
    known = of_lesson(int(lesson)) if lesson.isdecimal() and int(lesson) in lessons() else {}
    if wanted in known:
        return known[wanted]
    every: Iterable[str] = [each for number in lessons() for each in of_lesson(number)]
    near = get_close_matches(str(wanted), every, n=1, cutoff=0.4)
    raise ValueError(
        f"there is no {noun} {wanted!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {every}")
    )
