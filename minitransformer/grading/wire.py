"""What crosses the boundary: a length, a JSON header, the raw bytes of its arrays. Nothing in it can act."""

import json
import math
import struct

import numpy as np

ARRAYS = ("bool", "int64", "float32", "float64")
LENGTHS = struct.Struct("!II")  # of the header, and of the arrays
LONGEST = 1 << 20  # header


class Garbled(ValueError):
    """These bytes are no message."""


def packed(number: int, kind: str, value: object) -> bytes:
    arrays: list[bytes] = []
    header = json.dumps([number, kind, lowered(value, arrays)]).encode()
    return b"".join((LENGTHS.pack(len(header), sum(map(len, arrays))), header, *arrays))


def lowered(value: object, arrays: list[bytes]) -> object:
    if type(value) is np.ndarray:
        arrays.append(value.tobytes())
        return {"array": [value.dtype.name, value.shape]}
    if type(value) is dict:
        return {"dict": {key: lowered(part, arrays) for key, part in value.items()}}
    if type(value) in (list, tuple):
        return {type(value).__name__: [lowered(part, arrays) for part in value]}
    return value


def unpacked(header: bytes, data: bytes) -> tuple[int, str, object]:
    """Number, kind and value; every type, shape and count is checked, and every byte is used."""
    try:
        number, kind, tree = json.loads(header)
        value, end = lifted(tree, data, 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        raise Garbled(f"no message: {type(error).__name__}") from None
    if type(number) is not int or type(kind) is not str or end != len(data):
        raise Garbled("no message: expected a number, a kind and as many bytes as announced")
    return number, kind, value


def lifted(tree: object, data: bytes, start: int) -> tuple[object, int]:
    if type(tree) is int and abs(tree) >= 1 << 63:
        raise Garbled("a number of more than 64 bits")
    if type(tree) is not dict:
        if type(tree) is list:
            raise Garbled("a list without its name")
        return tree, start
    ((kind, inside),) = tree.items()
    if kind == "array":
        return array(*inside, data, start)
    names, parts = (list(inside), inside.values()) if kind == "dict" else (None, inside)
    found = []
    for part in parts:
        value, start = lifted(part, data, start)
        found.append(value)
    made = {"list": list, "tuple": tuple, "dict": lambda values: dict(zip(names, values, strict=True))}
    return made[kind](found), start


def array(name: str, shape: list, data: bytes, start: int) -> tuple[np.ndarray, int]:
    whole = all(type(size) is int and 0 <= size < 1 << 31 for size in shape)
    if name not in ARRAYS or len(shape) > 8 or not whole:
        raise Garbled("an array of an unknown type or shape")
    end = start + math.prod(shape) * np.dtype(name).itemsize
    if end > len(data):
        raise Garbled("an array without its bytes")
    if name == "bool":  # any byte may come, and only 0 and 1 are truths
        return (np.frombuffer(data[start:end], np.uint8) != 0).reshape(shape), end
    return np.frombuffer(data[start:end], name).reshape(shape).copy(), end
