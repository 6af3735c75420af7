"""GGUF files, in which quantised models come in one piece: config, weights and tokenizer."""

import math
import mmap
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from .. import expect
from ..model import Config, Transformer
from ..optional import library
from .byte_pairs import BytePairs
from .checkpoints import config_from
from .llama import assemble, renamed
from .schema import GGUF_ABOUT, Outline, Source, finite

WEIGHT_NAMES = {  # our names -> theirs
    "unembedding.": "output.",
    "embedding.": "token_embd.",
    "blocks.": "blk.",
    "attention.norm.": "attn_norm.",
    "attention.query.": "attn_q.",
    "attention.key.": "attn_k.",
    "attention.value.": "attn_v.",
    "attention.output.": "attn_output.",
    "gate.": "ffn_gate.",
    "up.": "ffn_up.",
    "down.": "ffn_down.",
}
CONFIG_NAMES = {  # our names -> theirs
    "context": "llama.context_length",
    "width": "llama.embedding_length",
    "layers": "llama.block_count",
    "heads": "llama.attention.head_count",
    "hidden": "llama.feed_forward_length",
    "eps": "llama.attention.layer_norm_rms_epsilon",
}
TOKENIZER_NAMES = {
    "kind": "tokenizer.ggml.model",
    "cut": "tokenizer.ggml.pre",
    "end": "tokenizer.ggml.eos_token_id",
    "vocabulary": "tokenizer.ggml.tokens",
    "types": "tokenizer.ggml.token_type",
    "merges": "tokenizer.ggml.merges",
}
VOCAB, KV_HEADS, ROPE_BASE = "llama.vocab_size", "llama.attention.head_count_kv", "llama.rope.freq_base"
HEAD = ("llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length")
ADDED = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix")
CHAT = "tokenizer.chat_template"
NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))  # GGUF's kinds of values
STRING, ARRAY = 8, 9
SPECIAL = (3, 4)  # the types of tokens that stand for themselves in a text: control, user-defined


def gguf_name(name: str) -> str:
    """A weight's name in a GGUF file, from ours."""
    for ours, theirs in WEIGHT_NAMES.items():
        name = name.replace(ours, theirs)
    if name.startswith("norm."):
        return f"output_{name}"
    return name.replace(".norm.", ".ffn_norm.")


def from_gguf(path: str | Path, dtype: torch.dtype = torch.float32) -> tuple[Transformer, BytePairs | None]:
    """The model in a GGUF file, dequantised, and its tokenizer where the file holds one."""
    expect.path(path=path)
    gguf, source = library("gguf", "reading a GGUF file"), Source(path, "fetch it again")
    about, places, data = header(gguf, source)
    config = gguf_config(about, source, tied="output.weight" not in places)
    known = {*vars(gguf.Keys.Tokenizer).values()}
    unknown = [key for key in about if key.startswith("tokenizer.") and key not in known and CHAT not in key]
    if unknown:
        raise source.wrong(f"sets {unknown[0]}, which is not known here, so its tokens may be others")
    held = {name: Outline(torch.float32, place.shape) for name, place in places.items()}

    def read() -> dict[str, Tensor]:
        weights = {name: read_tensor(gguf, name, place, data, source) for name, place in places.items()}
        finite(weights, source)
        for layer in range(config.layers):
            for name, heads in ("attn_q", config.heads), ("attn_k", config.kv_heads):
                name = f"blk.{layer}.{name}.weight"
                weights[name] = halves(weights[name], heads)
        return weights

    return assemble(config, held, read, gguf_name, dtype, source), read_tokenizer(about, config, source)


@dataclass(frozen=True)
class Place:
    """Where a tensor stands in a file, and how."""

    kind: int
    shape: tuple[int, ...]
    start: int
    size: int  # bytes


class Header:
    """Reads a header from front to back; it believes no count that the file has no room for."""

    def __init__(self, data: memoryview, source: Source):
        self.data, self.source, self.at = data, source, 0

    def damaged(self, what: str) -> ValueError:
        return self.source.wrong(f"is damaged or is no GGUF file ({what})")

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise self.damaged(f"{size} bytes should stand at {self.at}, and it has {len(self.data)} in all")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, code: str) -> int | float | bool:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        start = self.at
        try:
            return str(self.take(self.number("Q")), "utf-8")
        except UnicodeDecodeError:
            raise self.damaged(f"the text at {start} is not in UTF-8") from None

    def value(self, kind: int) -> object:
        if kind == STRING:
            return self.text()
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind != ARRAY:
            raise self.damaged(f"a value at {self.at} is of the kind {kind}")
        inside, count = self.number("I"), self.number("Q")
        if inside == STRING and count <= (len(self.data) - self.at) // 8:
            return [self.text() for _ in range(count)]
        if inside not in NUMBERS:
            raise self.damaged(f"a list at {self.at} has {count} values of the kind {inside}")
        code = NUMBERS[inside]
        return list(struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize(f"<{code}"))))


def header(gguf: ModuleType, source: Source) -> tuple[dict, dict[str, Place], memoryview]:
    """What a file says of itself, where its tensors stand, and its bytes."""
    path = source.regular("a model in a GGUF file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
    read, about, tensors = Header(data, source), {}, []
    if read.take(4) != b"GGUF" or read.number("I") not in (2, 3):
        raise read.damaged(f"it should begin with GGUF and the version 2 or 3, and begins with {bytes(data[:8])}")
    counts = read.number("Q"), read.number("Q")
    for _ in range(counts[1]):
        name = read.text()
        if name in about:
            raise read.damaged(f"it says {name} twice")
        about[name] = read.value(read.number("I"))
    source.conforms(about, GGUF_ABOUT)
    for _ in range(counts[0]):
        name, dimensions = read.text(), read.number("I")
        if dimensions > 4:
            raise read.damaged(f"{name} has {dimensions} dimensions")
        shape = tuple(read.number("Q") for _ in range(dimensions))[::-1]
        tensors.append((name, shape, read.number("I"), read.number("Q")))
    return about, places(gguf, read, tensors, about.get("general.alignment", 32)), data


def places(gguf: ModuleType, read: Header, tensors: list[tuple], alignment: int) -> dict[str, Place]:
    """Where the tensors stand: one after the other, from the end of the header to the end of the file."""
    start = end = read.at + -read.at % alignment
    found: dict[str, Place] = {}
    for name, shape, kind, offset in sorted(tensors, key=lambda tensor: tensor[3]):
        if kind not in gguf.GGML_QUANT_SIZES or name in found:
            raise read.damaged(f"{name} is kept as {kind}, or is there twice")
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if not shape or 0 in shape or shape[-1] % block:
            raise read.damaged(f"{name} has the shape {shape}; expected rows of whole blocks of {block}")
        if start + offset != end:
            raise read.damaged(f"{name} should begin at {end} and begins at {start + offset}")
        found[name] = Place(kind, shape, end, math.prod(shape) // block * size)
        last = end + found[name].size
        end = last + -last % alignment
    if tensors and len(read.data) not in (last, end):
        raise read.damaged(f"it should have {end} bytes and has {len(read.data)}")
    return found


def halves(weight: Tensor, heads: int) -> Tensor:  # (heads * d, D)
    """GGUF keeps the two features that a Llama rotates together side by side; here they are half a head apart."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def gguf_config(about: dict, source: Source, tied: bool) -> Config:
    """The shape of the model; a setting that is not known here is refused, since it would change what is computed."""
    kind = about.get("general.architecture")
    if kind != "llama":
        raise source.wrong(f"holds a model of the kind {kind!r}; expected 'llama', the shape of this Transformer")
    unknown = sorted(
        key
        for key in about
        if key.startswith("llama.") and key not in {*CONFIG_NAMES.values(), VOCAB, KV_HEADS, ROPE_BASE, *HEAD}
    )
    if unknown:
        raise replace(source, remedy="fetch another model").wrong(
            f"sets {unknown[0]} to {about[unknown[0]]!r}, which this architecture does not have"
        )
    sizes = renamed(about, CONFIG_NAMES, source)
    more = {
        "vocab": about.get(VOCAB) or len(about.get("tokenizer.ggml.tokens", ())),
        "kv_heads": about.get(KV_HEADS, sizes["heads"]),
        "rope_base": about.get(ROPE_BASE, 10_000.0),
        "end": about.get("tokenizer.ggml.eos_token_id"),
        "tied": tied,
    }
    config = config_from(sizes | more, source)
    for key in HEAD:
        if about.get(key, config.head) != config.head:
            raise source.wrong(f"sets {key} to {about[key]}; here it is width / heads, {config.head}")
    return config


def read_tensor(gguf: ModuleType, name: str, place: Place, data: memoryview, source: Source) -> Tensor:
    numbers = np.frombuffer(data, np.uint8, place.size, place.start).reshape(*place.shape[:-1], -1)
    try:
        return torch.from_numpy(gguf.quants.dequantize(numbers, gguf.GGMLQuantizationType(place.kind)).copy())
    except NotImplementedError:
        kind = gguf.GGMLQuantizationType(place.kind).name
        raise source.wrong(f"keeps {name!r} as {kind}, which cannot be read here") from None


def read_tokenizer(about: dict, config: Config, source: Source) -> BytePairs | None:
    """The tokenizer that the file describes."""
    if not any(key.startswith("tokenizer.ggml.") for key in about):
        return None
    kind, cut, end, vocabulary, types, merges = renamed(about, TOKENIZER_NAMES, source).values()
    if kind != "gpt2":
        raise source.wrong(f"has a tokenizer of the kind {kind!r}; byte-level pairs, 'gpt2', are read here only")
    added = [key for key in ADDED if about.get(key)]
    if added:
        raise replace(source, remedy="fetch a model whose tokenizer adds nothing").wrong(
            f"sets {added[0]}, so every text gets something added, and a prompt and its answer cannot be encoded apart"
        )
    if not len(types) == len(set(vocabulary)) == len(vocabulary) == config.vocab:
        raise source.wrong(
            f"should name {config.vocab} different tokens and their types, and names {len(set(vocabulary))} and "
            f"{len(types)} types"
        )
    special = [token for token, kind in zip(vocabulary, types, strict=True) if kind in SPECIAL]
    try:
        return BytePairs.from_merges(vocabulary, merges, special, cut, end)
    except ValueError as error:
        raise source.wrong(f"has a tokenizer that cannot be read here: {error}") from None
