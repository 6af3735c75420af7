"""The same question in several random worlds: a mistake is named when it explains what came back in all of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from . import catalogue
from .differences import difference, looks_like
from .exercise import Misconception
from .lesson_text import lesson_of, reference
from .plain_data import Plain, plain

Value = Callable[[object, object], object]  # value(answer, world): what this answer gives in this world


def agree_in_all(
    exercise: str,
    got: Sequence[Plain],
    worlds: Sequence[object],
    value: Value,
    what: str,
    messages: Mapping[str, str],
    tolerance: float = 1e-5,
) -> None:
    """Raise a Misconception unless the answers agree with the reference in each world.

    It has the name of the first known mistake that gives the same in every world.
    """
    found = (
        difference(each, plain(value(reference(exercise), world)), what, tolerance)
        for each, world in zip(got, worlds, strict=True)
    )
    wrong = next((each for each in found if each), None)
    if wrong is None:  # known mistakes take their time, and a right answer needs none
        return
    for name, answer in catalogue.known_answers(lesson_of(exercise), "wrong")[exercise]:
        if name in messages and explains(lambda world, answer=answer: value(answer, world), got, worlds, tolerance):
            raise Misconception(name, messages[name], wrong.detail)
    raise wrong


def explains(value: Callable[[object], object], got: Sequence[Plain], worlds: Sequence[object], tolerance) -> bool:
    with suppress(Exception):  # an answer that fails in a world gives nothing to compare with
        pairs = zip(got, worlds, strict=True)
        return all(looks_like(each, plain(value(world)), tolerance) for each, world in pairs)
    return False
