"""What crosses the boundary: plain data as JSON beside its arrays, in one safetensors block. No code crosses.

What a block unpacks to is bounded before anything of it is unpacked, and each array can be named once. In an
array a number may be NaN or infinite, and judges look there; of a plain number that is, only `odd(text)` arrives.
"""

import json
import math
from collections.abc import Callable

import numpy as np
from safetensors.numpy import load, save

ARRAYS = {"bool": np.uint8, "int64": np.int64, "float32": np.float32, "float64": np.float64}  # and how they are read
PARTS, DEPTH, HEADER, ROWS = 200_000, 50, 4 << 20, 1 << 20  # of lists and dicts; of arrays' names; where one is empty
OPENS, CLOSES = b"[{", b"]}"
OTHERS = bytes({*range(256)} - {*OPENS, *CLOSES})


def packed(message: list) -> bytes:
    arrays = {}

    def put_aside(array: np.ndarray) -> dict[str, str]:
        arrays[name := str(len(arrays))] = array.copy()  # in order: safetensors writes memory as it lies
        return {"array": name}

    tree = json.dumps(message, default=put_aside).encode()
    return save(arrays | {"tree": np.frombuffer(tree, np.uint8)})


def unpacked(data: bytes, odd: Callable[[str], object] = float) -> list:
    """The message, its tuples now lists; every type, shape and count of bytes was checked on the way."""
    try:
        if int.from_bytes(data[:8], "little") > HEADER:
            raise ValueError("too many arrays")
        arrays = load(data)
        tree = arrays.pop("tree").tobytes()  # a truth may be any byte: each becomes one or zero
        check_size(tree)
        arrays = {name: array.view(ARRAYS[array.dtype.name]).astype(array.dtype) for name, array in arrays.items()}
        if any(array.size == 0 and max(array.shape) > ROWS for array in arrays.values()):
            raise ValueError("an array of nothing, and more rows of it than anyone can go through")

        def taken(it: dict) -> object:  # each array once: who names it again finds it gone
            return arrays.pop(it["array"]) if it.keys() == {"array"} else it

        def finite(text: str) -> object:
            return number if math.isfinite(number := float(text)) else odd(text)

        return json.loads(tree, object_hook=taken, parse_float=finite, parse_constant=odd)
    except Exception as error:  # these bytes may be wrong in every way there is
        raise ValueError(f"this is no message: {type(error).__name__}") from None


def check_size(tree: bytes) -> None:
    """How many parts the JSON has and how deep they lie, by its signs: before it is read."""
    if (tree := tree.replace(b"\\\\", b"").replace(b'\\"', b"")).count(b'"') > 4 * PARTS:
        raise ValueError("too many texts")
    signs = b"".join(tree.split(b'"')[::2])  # what stands outside of texts
    if signs.count(b",") + signs.count(b"[") + signs.count(b"{") > PARTS:
        raise ValueError("too many parts")
    depth = 0
    for sign in signs.translate(None, delete=OTHERS):
        depth += (sign in OPENS) - (sign in CLOSES)
        if depth > DEPTH:
            raise ValueError("too deep")
