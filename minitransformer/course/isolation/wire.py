"""What crosses the boundary: plain data as JSON beside its arrays, in one safetensors block. No code crosses."""

import json

import numpy as np
from safetensors.numpy import load, save

ARRAYS = {"bool": np.uint8, "int64": np.int64, "float32": np.float32, "float64": np.float64}  # and how they are read


def packed(message: list) -> bytes:
    arrays = {}

    def put_aside(array: np.ndarray) -> dict[str, str]:
        arrays[name := str(len(arrays))] = array.copy()  # in order: safetensors writes memory as it lies
        return {"array": name}

    tree = json.dumps(message, default=put_aside).encode()
    return save(arrays | {"tree": np.frombuffer(tree, np.uint8)})


def unpacked(data: bytes) -> list:
    """The message, its tuples now lists; every type, shape and count of bytes was checked on the way."""
    try:
        arrays = load(data)
        tree = arrays.pop("tree").tobytes()  # a truth may be any byte: each becomes one or zero
        arrays = {name: array.view(ARRAYS[array.dtype.name]).astype(array.dtype) for name, array in arrays.items()}
        return json.loads(tree, object_hook=lambda it: arrays[it["array"]] if it.keys() == {"array"} else it)
    except Exception as error:  # these bytes may be wrong in every way there is
        raise ValueError(f"this is no message: {type(error).__name__}") from None
