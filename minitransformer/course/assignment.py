"""A lesson as an assignment: what is asked and what it is worth."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from . import catalogue, lesson_text
from .exercise import Exercise
from .questions import Question


@dataclass(frozen=True)
class Assignment:
    """One lesson's exercises and questions, with its imports and the names of its answers."""

    lesson: int
    setup: str
    names: dict[str, str]

    @classmethod
    def of(cls, lesson: int) -> "Assignment":
        catalogue.exercises(lesson)  # an unknown lesson is refused here
        return cls(lesson, lesson_text.setup(lesson), lesson_text.answer_names(lesson))

    @property
    def exercises(self) -> dict[str, Exercise]:
        return catalogue.exercises(self.lesson)

    @property
    def questions(self) -> dict[str, Question]:
        return catalogue.questions(self.lesson)

    @property
    def points(self) -> int:
        return sum(each.points for each in (*self.exercises.values(), *self.questions.values()))


def course_digest() -> bytes:
    """A digest of everything that marks depend on: the package, the questions and the lessons' texts."""
    package = Path(__file__).parents[1]
    files = sorted([*package.rglob("*.py"), *package.rglob("*.toml"), *lesson_text.sources().values()])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()
