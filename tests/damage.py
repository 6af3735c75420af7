"""Files that went wrong, made of a good one: flipped bits, cut ends, changed headers; and what has to come of them.

Whatever is loaded of a damaged file must be what was saved, or an error must say what was expected, what came, and what
to do. Nothing here is drawn without a seed.
"""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load, save

from minitransformer import BytePairs, Hooks, Tokenizer, Transformer
from minitransformer.files.checkpoints import digest

ODD = [None, -1, 10**7, 10**8, 2**70, 1.5, float("nan"), "x", [], {}, True, [[1]]]
CAME = re.compile(
    r"expected|should|lacks|holds|has|damaged|fit|describes|sets|keeps|names|promises|says|written|begun|say"
)
TO_DO = re.compile(r"again|fetch|load|train|remove|pass|expected")


def outcomes(load_it: Callable, path: Path, right: object, variants: Iterator[tuple[str, bytes]], target=None) -> int:
    """Write each variant over the file, load it, and refuse what is neither right nor a clear error."""
    good, seen = path.read_bytes(), 0
    for name, data in variants:
        if data == good:
            continue
        path.write_bytes(data)
        seen += 1
        try:
            got = load_it()
        except (ValueError, FileNotFoundError) as error:
            what, _, to_do = str(error).partition("; ")
            to_do = to_do or what.rpartition(": ")[2]
            assert str(target or path) in what and CAME.search(what) and TO_DO.search(to_do), f"{name}: {error}"
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
        else:
            assert plain(got) == right, f"{name} was taken for what it is not"
    path.write_bytes(good)
    return seen


def plain(loaded: object) -> object:
    """What was loaded, to compare: every number and its type."""
    if isinstance(loaded, tuple):
        return [plain(each) for each in loaded]
    if isinstance(loaded, Transformer | Hooks):
        numbers = {name: (tensor.dtype, tensor.tolist()) for name, tensor in loaded.state_dict().items()}
        return type(loaded).__name__, getattr(loaded, "config", None), numbers
    if isinstance(loaded, Tokenizer):
        return loaded.vocabulary
    return (loaded.pairs.to_str(), loaded.end) if isinstance(loaded, BytePairs) else loaded


def bytes_changed(data: bytes, flips: int, until: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Bits flipped, up to some place, ends cut off, and a header that claims more than there is."""
    drawn = random.Random(0)
    for _ in range(flips):
        place, bit = drawn.randrange(until or len(data)), drawn.randrange(8)
        yield f"bit {bit} at {place}", data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    for size in {0, 7, 8, len(data) - 1, *(drawn.randrange(len(data)) for _ in range(6))}:
        yield f"cut at {size}", data[:size]
    yield "longer", data + bytes(8)
    for size in 10**9, 2**63:
        yield f"a header of {size}", size.to_bytes(8, "little") + data[8:]
    yield "lists in lists", (100_000).to_bytes(8, "little") + b"[" * 100_000


def sealed(tensors: dict, metadata: dict) -> bytes:
    """A safetensors file whose sum is right, where it has one."""
    if "sha256" in metadata:
        rest = {name: text for name, text in metadata.items() if name != "sha256"}
        metadata = rest | {"sha256": digest(tensors, rest)}
    return save(tensors, metadata)


def opened(data: bytes) -> tuple[dict, dict]:
    size = 8 + int.from_bytes(data[:8], "little")
    return load(data), json.loads(data[8:size]).get("__metadata__", {})


def tensors_changed(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Tensors missing, renamed, renumbered, resized, of another type, not finite, or one more."""
    tensors, metadata = opened(data)
    for name, tensor in tensors.items():
        rest = {other: each for other, each in tensors.items() if other != name}
        other = re.sub(r"\d+", "7", name) if re.search(r"\d", name) else f"0.{name}"
        changed = {f"missing {name}": rest, f"renamed {name}": rest | {f"{name}x": tensor}}
        changed[f"renumbered {name}"] = rest | {other: tensor}
        for what, odd in {
            "longer": torch.cat((tensor.reshape(-1), tensor.reshape(-1))),
            "one dimension more": tensor[None],
            "empty": tensor.new_empty(0),
            "whole numbers": tensor.to(torch.int32),
            "complex": tensor.to(torch.complex64),
            "8 bits": tensor.to(torch.float8_e4m3fn),
            "not finite": torch.where(torch.arange(tensor.numel()).view(tensor.shape) == 0, torch.nan, tensor),
        }.items():
            changed[f"{what} {name}"] = rest | {name: odd}
        for what, odd in changed.items():
            yield what, sealed(odd, metadata)
    yield "one more", sealed(tensors | {"learner.a.b": torch.zeros(2)}, metadata)
    yield "none", sealed({}, metadata)


def about_changed(data: bytes, free: Callable[[tuple, object], bool]) -> Iterator[tuple[str, bytes]]:
    """Each value that the metadata speak of replaced by odd ones, or gone; what is `free` to be so is passed over."""
    tensors, metadata = opened(data)
    for what, about in json_changed(json.loads(metadata["about"]), free):
        yield what, sealed(tensors, metadata | {"about": json.dumps(about)})
    text = metadata["about"]
    for what, odd in {"lists in lists": "[" * 100_000, "twice": f"{text[:-1]},{text[1:]}", "text": "hello"}.items():
        yield what, sealed(tensors, metadata | {"about": odd})
    for name in metadata:
        rest = {other: each for other, each in metadata.items() if other != name}
        yield f"no {name}", save(tensors, rest)
        yield f"odd {name}", save(tensors, rest | {name: "odd"})


def json_changed(whole: object, free: Callable[[tuple, object], bool] = lambda path, value: False) -> Iterator:
    for path in paths(whole):
        for value in [*ODD, "gone"]:
            if free(path, value) or (value == "gone" and not path):
                continue
            copied = at = copy.deepcopy([whole])
            steps = [0, *path]
            for step in steps[:-1]:
                at = at[step]
            if value == "gone":
                del at[steps[-1]]
            elif repr(at[steps[-1]]) == repr(value):
                continue
            else:
                at[steps[-1]] = value
            yield f"{'.'.join(map(str, path))} = {value!r}", copied[0]


def paths(value: object, before: tuple = ()) -> Iterator[tuple]:
    yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inside in list(items)[:8]:
        yield from paths(inside, (*before, step))
