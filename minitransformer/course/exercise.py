"""An exercise and how it is judged: through calls that pass plain data only.

`call(*plain) -> plain` asks the student's object. In a notebook it is a plain call; in a grader it goes to another
process. The judge is the same for both. With `call(*plain, served=mine)` the student's side may ask back while it
works: `mine`, an object of the judge, answers what its class lists in `OPEN`.
"""

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np

from .plain_data import Plain, plain

Call = Callable[..., Plain]
Judge = Callable[[Call, np.random.Generator], None]
ID = re.compile(r"[1-9][0-9]*\.[1-9][0-9]*")


class Misconception(Exception):
    """Why an answer is wrong: a name, a message to the student, and a detail: where it differs, and how."""

    def __init__(self, name: str, message: str, detail: str = ""):
        super().__init__(f"{name}: {message}")
        self.name, self.message, self.detail = name, message, detail


class NotWritten(Exception):
    """The answer is still blank."""


@dataclass(frozen=True)
class Part:
    """One thing an answer must do, and what that is worth."""

    name: str
    points: int
    judge: Judge


@dataclass(frozen=True)
class Exercise:
    """`ask` runs beside the student's object, and `parts` judge what it returned.

    Where the judge serves an object, `ask` has a parameter `served`: a function, `served(method, *plain) -> plain`.

    `provides` names what students may import from the library here although the grader hides it otherwise, since
    another exercise asks for it: soft prompts, and modules.
    """

    id: str
    title: str
    ask: Callable[..., object]
    parts: tuple[Part, ...]
    hints: tuple[str, str, str]
    provides: tuple[type | Callable | ModuleType, ...] = ()

    def __post_init__(self):
        names = [part.name for part in self.parts]
        if not ID.fullmatch(self.id):
            raise ValueError(f"an exercise's id is its lesson, a dot and its number, as in '2.1'; got {self.id!r}")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"exercise {self.id} needs parts with different names; got {names}")
        if len(self.hints) != 3:
            raise ValueError(f"exercise {self.id} needs three hints, from a nudge to nearly all; got {len(self.hints)}")

    @property
    def lesson(self) -> int:
        return int(self.id.split(".")[0])

    @property
    def number(self) -> int:
        return int(self.id.split(".")[1])

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)


@dataclass(frozen=True)
class Finding:
    """The result of one part; `misconception` is None where it is right."""

    part: Part
    misconception: Misconception | None = None
    written: bool = True

    @property
    def right(self) -> bool:
        return self.written and self.misconception is None

    @property
    def earned(self) -> int:
        return self.part.points if self.right else 0


@dataclass(frozen=True)
class Outcome:
    exercise: Exercise
    findings: tuple[Finding, ...]

    @property
    def earned(self) -> int:
        return sum(finding.earned for finding in self.findings)

    @property
    def written(self) -> bool:
        return any(finding.written for finding in self.findings)

    @property
    def passed(self) -> bool:
        return all(finding.right for finding in self.findings)


def judge(exercise: Exercise, call: Call, seed: int) -> Outcome:
    """Judge every part, each with fresh inputs drawn from the seed and the part's place."""
    findings = [judge_part(part, call, np.random.default_rng([seed, n])) for n, part in enumerate(exercise.parts)]
    return Outcome(exercise, tuple(findings))


def judge_part(part: Part, call: Call, rng: np.random.Generator) -> Finding:
    try:
        part.judge(call, rng)
    except NotWritten:
        return Finding(part, written=False)
    except Misconception as misconception:
        return Finding(part, misconception)
    except Exception as error:  # an answer so odd that the judge failed on it: no pass, and no crash either
        odd = Misconception("no-sense", "the check could make no sense of what your code gave back", repr(error))
        return Finding(part, odd)
    return Finding(part)


def in_process(exercise: Exercise, answer: object) -> Call:
    """Ask the student's object in this very process: for practice, not for marks."""

    def call(*inputs: Plain, served: object = None) -> Plain:
        beside = {} if served is None else {"served": partial(answered, served)}
        try:
            returned = exercise.ask(answer, *map(plain, inputs), **beside)
        except Exception as error:
            if is_blank(error):
                raise NotWritten from None
            message = f"your code stopped with {type(error).__name__}: {error}"
            raise Misconception("raises", message, last_line(error)) from None
        try:
            return plain(returned)
        except TypeError as error:
            raise Misconception("wrong-type", f"what your code gave back is no data: {error}") from None

    return call


def answered(served: object, method: str, *inputs: Plain) -> Plain:
    """What an object of the judge answers to a request; a ValueError where this is none of its open methods."""
    if type(method) is not str or method not in served.OPEN:
        raise ValueError(f"the judge answers {', '.join(served.OPEN)}; got {str(method)[:50]!r}")
    return plain(getattr(served, method)(*map(plain, inputs)))


def is_blank(error: Exception) -> bool:
    """Whether this is the mark of an unwritten exercise (nbgrader's has no text), not a missing operation's."""
    return isinstance(error, NotImplementedError) and (not str(error) or "not written yet" in str(error))


def last_line(error: Exception) -> str:
    """The line of the student's code at which it happened; in a notebook their files are cells."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    return f"at line {frames[-1].lineno}: {frames[-1].line}" if frames and frames[-1].line else ""
