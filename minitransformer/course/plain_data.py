"""What may pass between a student's code and its judge: plain data, and no code; and what both make of it."""

from dataclasses import dataclass

import numpy as np
import torch

from minitransformer import Config, Transformer, freeze

ARRAYS = ("bool", "int64", "float32", "float64")  # the types of numbers that arrays may hold; smaller ones are widened
SCALARS = (bool, int, float, str, type(None))

Plain = np.ndarray | bool | int | float | str | None | list | tuple | dict


@dataclass(frozen=True)
class NotFinite:
    """In place of a plain number that is NaN or infinite and came from a student's process: nobody can compare it."""

    text: str


def plain(value: object) -> Plain:
    """A copy of the value as plain data: tensors become arrays; a TypeError for everything that is not data."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind in (torch.Tensor, torch.nn.Parameter):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    elif isinstance(value, np.generic):
        return plain(value.item())
    elif kind in (list, tuple):
        return kind(plain(part) for part in value)
    elif kind is dict and all(type(key) is str for key in value):
        return {key: plain(part) for key, part in value.items()}
    if type(value) is not np.ndarray:
        raise TypeError(f"expected tensors, numbers, text, or lists of them; got a {kind.__name__}")
    wide = {"f": "float32", "i": "int64", "u": "int64"}.get(value.dtype.kind)
    if wide and value.dtype.itemsize < np.dtype(wide).itemsize:  # as exact, and of a type that may pass
        value = value.astype(wide)
    if value.dtype.name not in ARRAYS:
        raise TypeError(f"expected numbers of type {', '.join(ARRAYS)}; got {value.dtype.name}")
    return value.copy()


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    """Fresh tensors for a student's function to work on."""
    return [torch.from_numpy(array.copy()) for array in arrays]


def rebuilt(config: dict[str, int], weights: dict[str, np.ndarray]) -> Transformer:
    """A frozen model of this shape with these weights."""
    model = Transformer(Config(**config))
    model.load_state_dict({name: torch.from_numpy(weight.copy()) for name, weight in weights.items()})
    return freeze(model)


def tiny(seed: int, width: int) -> Transformer:
    """A small model with random weights drawn from the seed, larger than usual so that its loss is no constant."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(Config(vocab=17, context=32, width=width, layers=2, heads=2, kv_heads=1, hidden=16))
    for weight in model.parameters():
        if weight.dim() == 2:
            weight.data.mul_(10)
    return model
