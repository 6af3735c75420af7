"""What crosses the boundary: plain data as JSON beside its arrays, in one safetensors block. Nothing in it can act."""

import json
import struct

import numpy as np
from safetensors.numpy import load, save

LENGTH = struct.Struct("!I")  # of the block that follows
ARRAYS = ("bool", "int64", "float32", "float64")


class Garbled(ValueError):
    """These bytes are no message."""


def packed(message: list) -> bytes:
    arrays: dict[str, np.ndarray] = {}

    def put_aside(array: np.ndarray) -> dict[str, str]:
        arrays[name := str(len(arrays))] = array.copy()  # in order: safetensors writes memory as it lies
        return {"array": name}

    tree = json.dumps(message, default=put_aside).encode()
    data = save(arrays | {"tree": np.frombuffer(tree, np.uint8)})
    return LENGTH.pack(len(data)) + data


def unpacked(data: bytes) -> list:
    """The message, its tuples now lists; every type, shape and count of bytes was checked on the way."""
    try:
        arrays = load(data)
        tree = arrays.pop("tree").tobytes()
        if not {array.dtype.name for array in arrays.values()} <= set(ARRAYS):
            raise ValueError("an array of another type")
        # any byte may come for a truth
        arrays = {
            name: it.view(np.uint8).astype(bool) if it.dtype == bool else it.copy() for name, it in arrays.items()
        }
        return json.loads(tree, object_hook=lambda it: arrays[it["array"]] if it.keys() == {"array"} else it)
    except Exception as error:  # these bytes may be wrong in every way there is
        raise Garbled(f"no message: {type(error).__name__}") from None
