"""What a lesson's file remembers that is never graded: checks, predictions, and the answers of its warm-up.

`{"exercises": {"2.1": {"earned": 2, "named": ["prompt-behind-the-text"]}}, "predictions": {"2.p1": false},
"warm_up": {"asked": ["1.q6", …], "answers": {"1.q6": [{"answer": "a", "student": ""}]}}}`, where a prediction is true
if it was near. A file is written by many hands: what cannot be read is passed over, and the rest counts.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from .answers import Given, attempt
from .display import valid_unicode

NO_IDEA = ("raises", "no-sense")  # what a check says of code that stops: that names no misconception


@dataclass(frozen=True)
class Tried:
    """The most that an exercise earned, and the misconceptions that its checks named on the way."""

    earned: int
    named: tuple[str, ...]


class Practice:
    """What one lesson's file says beside the answers, and how that changes."""

    def __init__(self, content: dict):
        self.content = content

    @property
    def exercises(self) -> dict[str, Tried]:
        tried = {}
        for name, each in read(self.content, "exercises").items():
            with suppress(TypeError, KeyError):
                if type(each["earned"]) is int:
                    tried[name] = Tried(each["earned"], tuple(word for word in each["named"] if type(word) is str))
        return tried

    @property
    def predictions(self) -> dict[str, bool]:
        """Whether each first guess was near."""
        return {name: near for name, near in read(self.content, "predictions").items() if type(near) is bool}

    @property
    def asked(self) -> list[str]:
        """The questions of the warm-up, once they are chosen."""
        asked = read(self.content, "warm_up").get("asked")
        return [each for each in asked if type(each) is str] if type(asked) is list else []

    @property
    def answers(self) -> dict[str, list[Given]]:
        """All attempts at the questions of the warm-up, in order."""
        return {name: attempts(tried) for name, tried in read(self.content, "warm_up", "answers").items()}

    def add_check(self, exercise: str, earned: int, named: Sequence[str]) -> None:
        before = self.exercises.get(exercise, Tried(0, ()))
        known = dict.fromkeys([*before.named, *(name for name in named if name not in NO_IDEA)])
        part(self.content, "exercises")[exercise] = {"earned": max(earned, before.earned), "named": list(known)}

    def add_prediction(self, prediction: str, near: bool) -> None:
        """Only the first guess is a prediction: the others were made by someone who has seen the measurement."""
        if prediction not in self.predictions:
            part(self.content, "predictions")[prediction] = near

    def ask(self, questions: Sequence[str], before: Sequence[str]) -> None:
        """Choose the questions of the warm-up, unless another notebook did so since it was `before`."""
        if self.asked == list(before):
            part(self.content, "warm_up")["asked"] = list(questions)

    def add_answer(self, question: str, given: Given) -> None:
        tried = part(self.content, "warm_up", "answers")
        entry = {"answer": valid_unicode(given.text), "student": valid_unicode(given.student)}
        tried[question] = [*(tried[question] if type(tried.get(question)) is list else ()), entry]


def read(content: dict, *names: str) -> dict:
    """The table of this name; an empty one where there is none."""
    for name in names:
        content = content.get(name)
        if type(content) is not dict:
            return {}
    return content


def part(content: dict, *names: str) -> dict:
    """The table of this name, made where there is none."""
    for name in names:
        if type(content.get(name)) is not dict:
            content[name] = {}
        content = content[name]
    return content


def attempts(tried: object) -> list[Given]:
    given = []
    for each in tried if type(tried) is list else ():
        with suppress(TypeError, KeyError):
            given.append(attempt(each))
    return given
