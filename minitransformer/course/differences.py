"""The one place where an answer is compared with what is right: type, then shape, then finite, then tolerance."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from . import catalogue
from .exercise import Misconception
from .lesson_text import lesson_of
from .plain_data import NotFinite, Plain, plain


@dataclass(frozen=True)
class Suspect:
    """What a known mistake gives for the same inputs: an answer equal to this value gets its name and message."""

    name: str
    value: object
    message: str

    def at(self, place: int) -> "Suspect":
        """The same, where only one part of the answer is compared."""
        return Suspect(self.name, self.value[place], self.message)


def agree(got: Plain, expected: object, what: str, *suspects: Suspect, tolerance: float = 1e-5) -> None:
    """Raise a Misconception unless they agree; it has a suspect's name if the answer equals that suspect's value.

    `expected` may be a tensor. `what` names the thing compared: "the attention weights".
    """
    wrong = difference(got, plain(expected), what, tolerance)
    if wrong is None:
        return
    for suspect in suspects:
        if looks_like(got, plain(suspect.value), tolerance):
            raise Misconception(suspect.name, suspect.message, wrong.detail)
    raise wrong


def left_alone(now: Sequence[Plain], before: Sequence[Plain], message: str) -> None:
    """Raise a Misconception unless what was given is as it was."""
    pairs = zip(now, before, strict=False)
    if len(now) != len(before) or any(difference(one, plain(other), "it", 0.0) for one, other in pairs):
        raise Misconception("input-changed", message)


def suspects(exercise: str, value: Callable[[object], object], messages: Mapping[str, str]) -> list[Suspect]:
    """The known wrong answers with these names, each with what it gives here: `value(answer)`."""
    known = []
    for name, answer in catalogue.known_answers(lesson_of(exercise), "wrong")[exercise]:
        with suppress(Exception):  # an answer that fails for these inputs gives nothing to compare with
            if name in messages:
                known.append(Suspect(name, value(answer), messages[name]))
    return known


def unpack(got: Plain, count: int, what: str) -> list[Plain]:
    """The parts of an answer that should be a tuple of `count`."""
    if type(got) not in (tuple, list) or len(got) != count:
        others = f"{len(got)} of them" if type(got) in (tuple, list) else type_in_words(got)
        raise Misconception("wrong-type", f"expected {count} things, {what}; got {others}")
    return list(got)


def difference(got: Plain, expected: Plain, what: str, tolerance: float) -> Misconception | None:
    if type(got) is NotFinite:
        return Misconception("not-finite", f"{what} should be finite; yours is NaN or infinite")
    if type_in_words(got) != type_in_words(expected):
        types = f"{what} should be {type_in_words(expected)}; yours is {type_in_words(got)}"
        return Misconception("wrong-type", types)
    if type(expected) is not np.ndarray and type(expected) is not float:
        detail = f"expected {expected!r}, got {got!r}"
        return None if got == expected else Misconception("different-values", f"{what}: not the right value", detail)
    if np.shape(got) != np.shape(expected):
        return Misconception("wrong-shape", f"{what} should have shape {np.shape(expected)}; yours has {np.shape(got)}")
    odd = ~np.isfinite(got) & np.isfinite(expected)
    if np.any(odd):
        return Misconception("not-finite", f"{what} should be finite; {np.sum(odd)} of yours are NaN or infinite")
    with np.errstate(invalid="ignore"):
        close = np.isclose(got, expected, tolerance, tolerance, equal_nan=True)
    if np.all(close):
        return None
    place = tuple(int(index) for index in np.argwhere(~close)[0])
    where = f" at {list(place)}" if place else ""
    detail = f"expected {np.asarray(expected)[place]:.4g}{where}, got {np.asarray(got)[place]:.4g}"
    share = f" in {np.sum(~close)} of {np.size(close)} places" if place else ""
    return Misconception("different-values", f"{what}: not the right value{share}", detail)


def looks_like(got: Plain, value: Plain, tolerance: float) -> bool:
    """Whether these are the same numbers, whatever their type."""
    if not numeric(got) or not numeric(value):
        return type(got) is type(value) and type(got) is str and got == value
    return np.shape(got) == np.shape(value) and np.allclose(
        np.asarray(got, float), np.asarray(value, float), tolerance, tolerance, equal_nan=True
    )


def numeric(value: Plain) -> bool:
    return type(value) in (np.ndarray, bool, int, float)


def type_in_words(value: Plain) -> str:
    """The type in words; all floating-point arrays are of one kind, whatever their precision."""
    if type(value) is np.ndarray:
        names = {"b": "a tensor of True and False", "i": "a tensor of whole numbers", "f": "a tensor of real numbers"}
        return names[value.dtype.kind]
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "text", type(None): "None"}
    return names.get(type(value), f"a {type(value).__name__}")
