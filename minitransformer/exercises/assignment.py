"""A lesson as an assignment: what is asked, what it is worth, and what is handed out ready made."""

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from . import catalogue, question_files
from .exercise import Exercise
from .questions import Question

LESSONS = Path(__file__).parents[2] / "lessons"
BOTH = {"PromptTuning", "PrefixTuning"}
SOFT_PROMPTS = {*BOTH, "KeyValuePrefix", "Gate", "compile_prefix", "reparametrise", "bake"}
GIVEN = {  # by lesson or by exercise: soft prompts by name, and whole files
    "2.2": {"PromptTuning"},
    "3": {"PromptTuning"},
    "4": {*SOFT_PROMPTS, "comparison"},
    "5.4": BOTH,
    "5.5": BOTH,
    "5.6": BOTH,
    "6": {*SOFT_PROMPTS, "comparison"},
    "7": SOFT_PROMPTS,
}


@dataclass(frozen=True)
class Assignment:
    """One lesson's exercises and questions, with what its locked cells say: imports, and answers' names."""

    lesson: int
    setup: str
    names: dict[str, str]

    @classmethod
    def of(cls, lesson: int) -> "Assignment":
        catalogue.exercises(lesson)  # an unknown lesson is refused here
        notebooks = [*LESSONS.glob(f"{lesson:02}_*.ipynb")]
        if len(notebooks) != 1:
            raise FileNotFoundError(f"expected lesson {lesson} at {LESSONS}: run this in a clone of the repository")
        cells = json.loads(notebooks[0].read_text(encoding="utf-8"))["cells"]
        tagged = [(tag, "".join(cell["source"])) for cell in cells for tag in cell["metadata"].get("tags", ())]
        checks = [ast.parse(text).body[0].value.args for tag, text in tagged if tag == "check"]
        setup = "\n".join(text for tag, text in tagged if tag == "setup")
        return cls(lesson, setup, {exercise.value: answer.id for exercise, answer in checks})

    @property
    def exercises(self) -> dict[str, Exercise]:
        return catalogue.exercises(self.lesson)

    @property
    def questions(self) -> dict[str, Question]:
        return question_files.questions(self.lesson) if self.lesson in question_files.lessons() else {}

    @property
    def points(self) -> int:
        return sum(each.points for each in self.exercises.values()) + len(self.questions)


def names_given(exercise: str) -> set[str]:
    """The names that an exercise may use; most were asked of the student before."""
    return GIVEN.get(exercise) or GIVEN.get(exercise[0], set())


def fingerprint() -> bytes:
    """Of everything that marks depend on: judges, questions and notebooks."""
    house = Path(__file__).parents[1]
    files = sorted([*house.rglob("*.py"), *house.rglob("*.toml"), *LESSONS.glob("*.ipynb")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()
