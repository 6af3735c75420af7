"""Where to find an exercise or a question by its id. A lesson's file or folder is imported when first asked for."""

from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from . import question_files
from .exercise import Exercise
from .questions import Question

LESSONS = tuple(n for n in range(1, 8) if find_spec(f".lesson{n}", __package__))  # those written so far


def exercises(lesson: int) -> dict[str, Exercise]:
    """The exercises of one lesson by id, in its order."""
    if lesson not in LESSONS:
        raise ValueError(f"the lessons with exercises are {', '.join(map(str, LESSONS))}; got {lesson!r}")
    return {each.id: each for each in import_module(f".lesson{lesson}", __package__).EXERCISES}


def exercise(exercise_id: str) -> Exercise:
    return find("exercise", exercise_id, exercises, LESSONS)


def question(question_id: str) -> Question:
    return find("question", question_id, question_files.questions, question_files.lessons())


def find(noun, wanted, of_lesson, lessons):
    lesson = int(wanted[0]) if isinstance(wanted, str) and wanted[:1].isdigit() else None
    known = of_lesson(lesson) if lesson in lessons else {}
    if wanted in known:
        return known[wanted]
    every = [each for number in lessons for each in of_lesson(number)]
    near = get_close_matches(str(wanted), every, n=1, cutoff=0.4)
    raise ValueError(
        f"there is no {noun} {wanted!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {every}")
    )
