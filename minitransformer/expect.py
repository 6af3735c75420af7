"""What a public name can't mean is refused where it is given: each function says what was expected, what came, and what
to do. What may be None goes through `given`: `expect.whole(1, **given(top_k=top_k))`.
"""

import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import index
from os import PathLike

from torch import Tensor

SEEDS = -(2**63), 2**63 - 1
HOW = {  # to come by one
    "Transformer": "pretrained()[0] is one, and Transformer(Config(…)) makes one",
    "Config": "model.config is one",
    "Hooks": "PromptTuning(4, model.config) makes one",
    "Recorder": "Recorder() makes one, and model(tokens, recorder) fills it",
    "Cache": "Cache() makes one",
    "Tokenizer": "Phrasebook().tokenizer() is one",
    "Phrasebook": "Phrasebook() is one",
    "Random": "random.Random(0) is one",
    "Task": "comparison.skill_task makes one",
    "Trace": "gradients.Trace(hooks) is one",
    "Plane": "gradients.principal_plane(model.embedding.weight) is one",
    "Step": "gradients.record_step makes one",
    "Frame": "gradients.film makes them",
    "Alone": "distributed.Alone() is one process by itself",
    "Module": "a model is one, and hooks are",
    "Tensor": "torch.tensor(…) makes one",
}


def given(**values: object) -> dict[str, object]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def a(kind: type, /, **values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, kind):
            wanted = getattr(kind, "__name__", str(kind))
            how = HOW.get(wanted, f"give a {wanted}")
            article = "an" if wanted[0] in "AEIOU" else "a"
            raise ValueError(f"{name} must be {article} {wanted}; got {shown(value)}: {how}")


def whole(least: int, most: int | None = None, /, **values: object) -> None:
    """Whole numbers; True and 2.0 are none."""
    for name, value in values.items():
        if type(value) is not int or value < least or (most is not None and value > most):
            span = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"{name} must be a whole number {span}; got {shown(value)}: give one such number")


def number(least: float = -math.inf, most: float = math.inf, /, **values: object) -> None:
    """Finite numbers."""
    for name, value in values.items():
        if not is_number(value) or not least <= value <= most:
            span = "" if (least, most) == (-math.inf, math.inf) else f" from {least:g} to {most:g}"
            span = span.replace(" to inf", " upwards")
            raise ValueError(f"{name} must be a finite number{span}; got {shown(value)}: give one such number")


def positive(**values: object) -> None:
    """Finite numbers above 0."""
    for name, value in values.items():
        if not is_number(value) or value <= 0:
            raise ValueError(f"{name} must be a finite number above 0; got {shown(value)}: give one such number")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def text(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} must be a text that is not empty; got {shown(value)}: give one in quotes")


def flag(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False; got {shown(value)}: choose one of them")


def function(**values: object) -> None:
    for name, value in values.items():
        if not callable(value):
            raise ValueError(f"{name} must be a function; got {shown(value)}: give its name, without calling it")


def one_of(known: Iterable[str], /, **values: object) -> None:
    known = [*known]
    for name, value in values.items():
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {shown(value)}: choose one of them")


def path(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, str | PathLike) or not str(value):
            raise ValueError(f"{name} must be the path of a file or folder; got {shown(value)}: give a text or a Path")


def methods(*wanted: str, **values: object) -> None:
    """Any object that has these, of whatever class."""
    for name, value in values.items():
        if missing := [each for each in wanted if not hasattr(value, each)]:
            raise ValueError(
                f"{name} must have {', '.join(wanted)}; got {shown(value)} without {missing[0]}: "
                f"{HOW.get(name.capitalize(), 'give another')}"
            )


def several(**values: object) -> None:
    """A row of things, of which there is at least one; a text is no row of letters here."""
    for name, value in values.items():
        if not isinstance(value, Collection) or isinstance(value, str | bytes) or not len(value):
            raise ValueError(f"{name} must be a list that is not empty; got {shown(value)}: put what you mean in [ ]")


def table(**values: object) -> None:
    """Lines that are equally long."""
    several(**values)
    for name, value in values.items():
        for line in value:
            several(**{f"each line of {name}": line})
            if isinstance(line, Mapping) or len(line) != len(next(iter(value))):
                raise ValueError(f"{name} must be lists of one length; got {shown(value)}: make them equally long")


def different(known: Collection[int], /, **values: Sequence[int]) -> None:
    """Different whole numbers among these."""
    for name, value in values.items():
        fits = isinstance(value, Collection) and not isinstance(value, str | bytes)
        if not fits or any(type(each) is not int or each not in known for each in value) or len({*value}) < len(value):
            raise ValueError(
                f"{name} must be different numbers from {min(known)} to {max(known)}; got {shown(value)}: "
                "give a list of them"
            )


def tensor(shape: Sequence[int | None], /, **values: object) -> None:
    """Finite numbers in a tensor of this shape, in which None may be any length."""
    for name, value in values.items():
        a(Tensor, **{name: value})
        pairs = zip(shape, value.shape, strict=False)
        fits = value.dim() == len(shape) and all(want in (None, own) for want, own in pairs)
        if not fits or not value.is_floating_point():
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise ValueError(
                f"{name} must be a tensor of floating-point numbers of shape ({wanted}); got {value.dtype} "
                f"{tuple(value.shape)}: give one for this model's shape"
            )
        if not value.isfinite().all():
            raise ValueError(f"{name} must be finite; got NaN or infinite numbers in it: look where they come from")


def ids(vocab: int, name: str, value: Iterable[int]) -> list[int]:
    """Token ids below `vocab`, as plain numbers."""
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise ValueError(f"{name} must be a list of token ids; got {shown(value)}: make it with tokenizer.encode(text)")
    value = [*value]
    for each in value:
        if not is_index(each) or not 0 <= index(each) < vocab:
            raise ValueError(
                f"{name} must be token ids from 0 to {vocab - 1}; got {shown(each)} among them: "
                "make them with the model's own tokenizer, tokenizer.encode(text)"
            )
    return [*map(index, value)]


def is_index(value: object) -> bool:
    """Whether it is a whole number, or one of NumPy's or torch's."""
    try:
        return index(value) is not None and not isinstance(value, bool)
    except TypeError:
        return False


def shown(value: object) -> str:
    """What came, in few words."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself, not called"
    if isinstance(value, Tensor):
        return f"a tensor, {value.dtype} {tuple(value.shape)}"
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        words = repr(value)
        return words if len(words) <= 60 else f"{words[:60]}…"
    return f"a {type(value).__name__}"
