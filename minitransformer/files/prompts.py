"""Soft prompts as files: one small safetensors file each, which says what it is and for whom.

A file holds the name of the hooks' class and what it was called with, as plain data. `load` finds the class among those
that are defined, calls it again, and fills in the tensors; nothing in a file is run.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode

from .. import expect
from ..hooks import Hooks
from ..model import Config, Transformer
from ..soft_prompts import plain_tensors
from .checkpoints import OwnFile, fill, fingerprint, read, write
from .schema import Source, fits, outlines

if TYPE_CHECKING:
    from ..history import History

ROOM = 2**24  # numbers that a class may always ask for while it is made again
FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
ARGUMENT = "argument."  # in front of the names of tensors that a class was called with


def save(
    hooks: Hooks,
    path: str | Path,
    model: Transformer | None = None,
    task: str | None = None,
    score: float | None = None,
    history: "History | None" = None,
) -> None:
    """Write a soft prompt in its plain form, with the fingerprint of the model that it was trained on or is given."""
    expect.path(path=path)
    expect.a(Transformer, **expect.given(model=model))
    tensors, arguments = plain_tensors(hooks), {}
    method, numbers = outline(hooks, arguments), sum(tensor.numel() for tensor in tensors.values())
    if model is not None:
        source = Source(path, "it was not written: save it with its own model, and in the shape that it was made in")
        again = made_again(method, arguments, model, numbers, source)
        fits(outlines(tensors), outlines(again.state_dict()), source)
    about = {
        "method": method,
        "parameters": numbers,
        "base": hooks.base if model is None else fingerprint(model),
        "task": task,
        "score": score,
        "history": None if history is None else history.digest(),
    }
    write(path, "soft prompt", tensors | arguments, about)


def load(path: str | Path, model: Transformer) -> Hooks:
    """The soft prompt in a file, ready to use and to train on; refused if it was made for another model."""
    expect.path(path=path)
    file, own = OwnFile(path, "soft prompt"), fingerprint(model)
    if file.about["base"] not in (None, own):
        raise ValueError(
            f"{path} was made for the model with fingerprint {file.about['base']}, this one has {own}; "
            "load it with its own model, or train it again on this one"
        )
    tensors = file.copies()
    arguments = {name: tensors.pop(name) for name in list(tensors) if name.startswith(ARGUMENT)}
    numbers = sum(tensor.numel() for tensor in tensors.values())
    method = file.about["method"]
    method = method if "called" in method else first_edition(method, tensors, file.source)
    hooks = made_again(method, arguments, model, numbers, file.source)
    fill(hooks, tensors, file.source)
    if numbers != file.about["parameters"]:
        raise file.source.wrong(f"should hold {file.about['parameters']} numbers and holds {numbers}")
    hooks.base = file.about["base"]
    return hooks


def inspect(path: str | Path) -> dict:
    """What a soft prompt's file says about it, without a model."""
    tensors, about = read(path, "soft prompt")
    return about | {"shapes": {name: list(tensor.shape) for name, tensor in tensors.items()}}


def outline(hooks: Hooks, tensors: dict[str, Tensor]) -> dict:
    """The class of these hooks and what it was called with, as plain data; tensors among it are put into `tensors`."""
    kind = type_before_parametrizations(hooks)
    positional, named = hooks.made_with

    def plain(value: object) -> object:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple | range):
            return [plain(each) for each in value]
        if isinstance(value, Hooks):
            return {"hooks": outline(value, tensors)}
        if isinstance(value, Config | Transformer):
            return {"the model's": "config" if isinstance(value, Config) else "self"}
        if isinstance(value, Tensor):
            name = f"{ARGUMENT}{len(tensors)}"
            tensors[name] = value.detach().clone()  # it may be one of the hooks' own tensors
            return {"tensor": name}
        raise ValueError(
            f"{kind.__name__} was called with a {type(value).__name__}, which a file cannot hold: expected numbers, "
            "texts, lists, tensors, a Config, a model or other hooks; compile_prefix(model, hooks) turns any soft "
            "prompt into a KeyValuePrefix"
        )

    called = {"positional": plain(positional), "named": {name: plain(value) for name, value in named.items()}}
    return {"name": kind.__name__, "called": called}


def made_again(
    method: Mapping, arguments: Mapping[str, Tensor], model: Transformer, numbers: int, source: Source
) -> Hooks:
    """The hooks that a file with so many numbers speaks of; their class gets no memory for many more."""
    try:
        with Room(ROOM + 256 * numbers):  # a prefix with all of its vectors in one layer begins with as many in each
            return build(method, arguments, model)
    except ValueError as error:
        raise source.wrong(f"does not fit: {error}") from None
    except Exception as error:  # whatever a class raises that is called with what stands in a file
        raise source.wrong(f"does not fit this model: {type(error).__name__}: {error}") from None


class Room(TorchFunctionMode):
    """Refuses to make tensors of more than so many numbers in all."""

    def __init__(self, numbers: int):
        super().__init__()
        self.left = numbers

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in FACTORIES and args:
            self.left -= math.prod(args[0] if isinstance(args[0], tuple | list) else args)
            if self.left < 0:
                raise ValueError("its class asks for far more numbers than the file holds")
        return function(*args, **(kwargs or {}))


def build(method: Mapping, tensors: Mapping[str, Tensor], model: Transformer) -> Hooks:
    """Hooks made again, by calling their class as it was called before."""

    def value(plain: object) -> object:
        match plain:
            case list():
                return [value(each) for each in plain]
            case {"hooks": inside}:
                return build(inside, tensors, model)
            case {"the model's": part}:
                return model.config if part == "config" else model
            case {"tensor": name}:
                return tensors[name]
        return plain

    called = method["called"]
    kind = find_method(method["name"])
    return kind(*map(value, called["positional"]), **{name: value(each) for name, each in called["named"].items()})


def find_method(name: str) -> type[Hooks]:
    """The class of this name that was defined last, in the package or by its user."""
    known = {kind.__name__: kind for kind in subclasses(Hooks) if not kind.__name__.startswith("Parametrized")}
    if name not in known:
        raise ValueError(f"it holds a {name}, a class that is not defined here: import or define it, then load again")
    return known[name]


def subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def first_edition(method: Mapping, tensors: Mapping[str, Tensor], source: Source) -> dict:
    """What the files of version 0.1 said of a method, as it is said now."""
    config = {"the model's": "config"}
    inside = below("hooks.", tensors)
    try:
        match method["name"]:
            case "PromptTuning":
                arguments = [len(tensors["vectors"]), config]
            case "PrefixTuning":
                arguments = [tensors["vectors"].shape[1], config, method["layers"]]
            case "KeyValuePrefix":
                layers = range(sum(name.startswith("keys.") for name in tensors))
                lengths = [tensors[f"keys.{layer}"].shape[1] for layer in layers]
                arguments = [lengths, config, 0.0, 0, [layer for layer in layers if f"bias{layer}" in tensors]]
            case "Gate":
                arguments = [{"hooks": first_edition(method["inside"], inside, source)}, config]
            case "Stack":
                parts = [(part, below(f"{place}.", inside)) for place, part in enumerate(method["inside"])]
                arguments = [{"hooks": first_edition(part, its, source)} for part, its in parts]
            case name:
                raise source.wrong(
                    f"does not fit: it holds a {name}, which version 0.1 of minitransformer did not write"
                )
    except (KeyError, IndexError, TypeError) as error:
        raise source.wrong(f"does not fit this model: it lacks {error}, which a {method['name']} has") from None
    return {"name": method["name"], "called": {"positional": arguments, "named": {}}}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
