"""What files have to hold: names, types, number types and sizes, checked before anything is built or allocated.

Models, soft prompts, training states, PEFT's folders, Hugging Face's and GGUF files all come through here, and what is
written is checked by the same rules. `lessons/FILES.md` describes the formats.
"""

import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..model import Config

LARGEST, LONGEST = 2**24, 2**20  # of a size of a model, and of its context, whose angles no tensor of a file speaks of
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Source:
    """A file or folder, and what to do where it is not as it should be."""

    path: str | Path
    remedy: str = "write or fetch it again"

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{self.path} {what}; {self.remedy}")

    def regular(self, expected: str) -> Path:
        """The path of a file that is there, and is neither a folder nor a pipe nor a device."""
        path = Path(self.path)
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path}; expected {expected}")
        if not path.is_file():
            raise ValueError(f"{path} is no regular file; expected {expected}: {self.remedy}")
        return path

    def parsed(self, text: str | bytes, what: str) -> object:
        """A JSON text; one that says a name twice is refused, since readers differ in which one they take."""
        try:
            return json.loads(text, object_pairs_hook=each_once)
        except (ValueError, RecursionError) as error:
            raise self.wrong(f"is damaged or is {what} ({error})") from None

    def conforms(self, value: object, rule: "Rule", name: str = "") -> None:
        try:
            rule(value, name)
        except (Mismatch, RecursionError) as error:
            raise self.wrong(f"is damaged or does not fit: {error}") from None


def each_once(pairs: list[tuple[str, object]]) -> dict:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"{max(names, key=names.count)!r} stands there twice")
    return dict(pairs)


# Rules look at one value of a JSON text. They are functions: of the value, and of its name for the error.

Rule = Callable[[object, str], None]


class Mismatch(ValueError):
    """A value is not what its rule says."""


def rule(words: str, holds: Callable[[object], bool]) -> Rule:
    def check(value: object, name: str) -> None:
        if not holds(value):
            raise Mismatch(f"{name or 'it'} should be {words} and is {reprlib.repr(value)}")

    return check


def whole(least: int = 0, most: int = 2**53) -> Rule:
    return rule(f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most)


def number(least: float = -1e12, most: float = 1e12) -> Rule:
    return rule(
        f"a number from {least:g} to {most:g}", lambda value: type(value) in (int, float) and least <= value <= most
    )


def one_of(*values: object) -> Rule:
    words = " or ".join(map(repr, values))
    return rule(words, lambda value: any(type(value) is type(each) and value == each for each in values))


def like(pattern: str, words: str) -> Rule:
    return rule(words, lambda value: type(value) is str and re.fullmatch(pattern, value) is not None)


def maybe(inside: Rule) -> Rule:
    return lambda value, name: None if value is None else inside(value, name)


def list_of(inside: Rule, least: int = 0) -> Rule:
    def check(value: object, name: str) -> None:
        if type(value) is not list or len(value) < least:
            raise Mismatch(f"{name or 'it'} should be a list of at least {least} and is {reprlib.repr(value)}")
        for place, each in enumerate(value):
            inside(each, f"{name}[{place}]")

    return check


def row_of(*inside: Rule) -> Rule:
    """A list of so many values, each with a rule of its own."""

    def check(value: object, name: str) -> None:
        if type(value) is not list or len(value) != len(inside):
            raise Mismatch(f"{name or 'it'} should be a list of {len(inside)} and is {reprlib.repr(value)}")
        for place, (each, its_rule) in enumerate(zip(value, inside, strict=True)):
            its_rule(each, f"{name}[{place}]")

    return check


def table(needed: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None, others: Rule | None = None) -> Rule:
    """Names with values; names that are not known are refused, or follow the rule for `others`."""
    known = {**needed, **(optional or {})}

    def check(value: object, name: str) -> None:
        if type(value) is not dict:
            raise Mismatch(f"{name or 'it'} should be names with values and is {reprlib.repr(value)}")
        for key in needed:
            if key not in value:
                raise Mismatch(f"{name or 'it'} should say {key!r} and lacks it")
        for key, each in value.items():
            if key not in known and others is None:
                raise Mismatch(f"{name or 'it'} says {key!r}, which is not known here; expected {', '.join(known)}")
            known.get(key, others)(each, f"{name}.{key}" if name else key)

    return check


def anything(value: object, name: str) -> None:
    """No rule."""


TEXT = rule("a text", lambda value: type(value) is str)
FLAG = rule("true or false", lambda value: type(value) is bool)
FINITE = rule("a finite number", lambda value: type(value) in (int, float) and math.isfinite(value))
LOSS = rule("a number, finite or not", lambda value: type(value) in (int, float))  # a norm may overflow and be clipped
PLAIN = rule(
    "a number, a text, true, false or nothing", lambda value: type(value) in (int, float, str, bool, type(None))
)


def flat(value: object) -> list:
    return value if type(value) is list else [value]


END_TOKENS = rule(
    "a token id, a list of them, or nothing",
    lambda value: value is None or all(type(each) is int and each >= 0 for each in flat(value)),
)
FINGERPRINT = like("[0-9a-f]{16}", "sixteen hex digits")

SIZES = dict.fromkeys(("vocab", "width", "layers", "heads", "kv_heads", "hidden"), whole(1, LARGEST))
CONFIG = table(
    {**SIZES, "context": whole(1, LONGEST)},
    {"rope_base": number(1e-6), "eps": number(1e-30, 1), "end": maybe(whole()), "tied": FLAG},
)


def argument(value: object, name: str) -> None:
    """What a class was called with, as `prompts.outline` writes it."""
    if type(value) is list:
        list_of(argument)(value, name)
    elif type(value) is dict:
        arguments = {"hooks": method, "the model's": one_of("config", "self"), "tensor": TEXT}
        table({}, arguments)(value, name)
        rule("one of " + ", ".join(arguments), lambda value: len(value) == 1)(value, name)
    else:
        PLAIN(value, name)


def method(value: object, name: str) -> None:
    """A class of hooks: as it is written now, or as version 0.1 wrote it."""
    called = table({"positional": list_of(argument), "named": table({}, others=argument)})
    if type(value) is dict and "called" in value:
        table({"name": TEXT, "called": called})(value, name)
    else:
        inside = method if type(value) is dict and type(value.get("inside")) is dict else list_of(method)
        table({"name": TEXT}, {"layers": list_of(whole(0, LARGEST)), "inside": inside})(value, name)


HISTORY = table(
    {
        "loss": list_of(FINITE),
        "grad_norm": list_of(LOSS),
        "rate": list_of(number(0)),
        "validation": list_of(row_of(whole(1), LOSS)),
        "seconds": number(0),
        "proof": table({}, others=anything),
    }
)
ABOUT = {  # what the files of this package say of themselves, by their kind
    "model": table({"config": CONFIG, "vocabulary": list_of(TEXT, 1), "card": table({}, others=anything)}),
    "soft prompt": table(
        {
            "method": method,
            "parameters": whole(),
            "base": maybe(FINGERPRINT),
            "task": maybe(TEXT),
            "score": maybe(FINITE),
            "history": maybe(FINGERPRINT),
        }
    ),
    "training state": table(
        {"settings": table({}, others=anything), "history": HISTORY}, {"without_gradient": list_of(whole())}
    ),
}

LLAMA_CONFIG = table(  # config.json of Hugging Face; what it says beside this is looked at in llama.py, or not used
    {},
    {
        "vocab_size": whole(1, LARGEST),
        "max_position_embeddings": whole(1, LONGEST),
        "hidden_size": whole(1, LARGEST),
        "num_hidden_layers": whole(1, LARGEST),
        "num_attention_heads": whole(1, LARGEST),
        "num_key_value_heads": maybe(whole(1, LARGEST)),
        "intermediate_size": whole(1, LARGEST),
        "head_dim": maybe(whole(1, LARGEST)),
        "rms_norm_eps": number(1e-30, 1),
        "rope_theta": number(1e-6),
        "rope_parameters": maybe(table({}, {"rope_theta": number(1e-6), "rope_type": TEXT}, others=anything)),
        "eos_token_id": END_TOKENS,
        "tie_word_embeddings": FLAG,
    },
    others=anything,
)
INDEX = table(
    {"weight_map": table({}, others=like(r"[^/\\\0]{1,200}", "the name of a file beside it"))}, others=anything
)
PEFT_CONFIG = table(  # adapter_config.json
    {},
    {
        "peft_type": maybe(TEXT),
        "task_type": maybe(TEXT),
        "num_virtual_tokens": maybe(whole(0, LARGEST)),
        "num_layers": maybe(whole(0, LARGEST)),
        "num_transformer_submodules": maybe(whole(0, LARGEST)),
        "num_attention_heads": maybe(whole(0, LARGEST)),
        "token_dim": maybe(whole(0, LARGEST)),
        "prefix_projection": maybe(FLAG),
        "inference_mode": maybe(FLAG),
        "base_model_name_or_path": maybe(TEXT),
    },
    others=anything,
)
GGUF_ABOUT = table(
    {},
    {
        "general.architecture": TEXT,
        "general.alignment": one_of(*(2**power for power in range(3, 17))),
        "llama.context_length": whole(1, LONGEST),
        "llama.embedding_length": whole(1, LARGEST),
        "llama.block_count": whole(1, LARGEST),
        "llama.attention.head_count": whole(1, LARGEST),
        "llama.attention.head_count_kv": whole(1, LARGEST),
        "llama.feed_forward_length": whole(1, LARGEST),
        "llama.vocab_size": whole(1, LARGEST),
        "llama.attention.layer_norm_rms_epsilon": number(1e-30, 1),
        "llama.rope.freq_base": number(1e-6),
        "tokenizer.ggml.model": TEXT,
        "tokenizer.ggml.pre": TEXT,
        "tokenizer.ggml.tokens": list_of(TEXT, 1),
        "tokenizer.ggml.token_type": list_of(whole(1, 6)),
        "tokenizer.ggml.merges": list_of(like("[^ ]+ [^ ]+", "two pieces with a space between")),
        "tokenizer.ggml.eos_token_id": whole(),
        "tokenizer.ggml.add_bos_token": FLAG,
        "tokenizer.ggml.add_eos_token": FLAG,
        "tokenizer.ggml.add_space_prefix": FLAG,
    },
    others=anything,
)


@dataclass(frozen=True)
class Outline:
    """A tensor that is not read yet."""

    dtype: torch.dtype
    shape: tuple[int, ...]


def outlines(tensors: Mapping[str, Tensor]) -> dict[str, Outline]:
    return {name: Outline(tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


def fits(came: Mapping[str, Outline], wanted: Mapping[str, Outline], source: Source, exact: bool = False) -> None:
    """Names and shapes must be the same; a floating-point type may be another floating-point type, unless `exact`."""
    for name in sorted(wanted.keys() | came.keys()):
        if name not in wanted or name not in came or wanted[name].shape != came[name].shape:
            should, is_ = (part[name].shape if name in part else "absent" for part in (wanted, came))
            raise source.wrong(f"does not fit: {name!r} should be {should} and is {is_}")
        should, is_ = wanted[name].dtype, came[name].dtype
        if should != is_ and (exact or not (should.is_floating_point and is_.is_floating_point)):
            raise source.wrong(f"does not fit: {name!r} should hold {should} and holds {is_}")


def finite(tensors: Mapping[str, Tensor], source: Source) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise source.wrong(f"holds NaN or infinite numbers in {name!r}")


def sketch(config: Config, tensors: int, source: Source) -> dict[str, Outline]:
    """The weights of a model of this shape; nothing is allocated, and not more layers are named than there can be."""
    if config.layers > tensors:
        raise source.wrong(
            f"describes a model of {config.layers} layers; expected at most {tensors}, as it holds {tensors} tensors"
        )
    return {name: Outline(torch.float32, shape) for name, shape in weight_shapes(config).items()}


def weight_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The weights that a Transformer of this shape has."""
    width, hidden, kv = config.width, config.hidden, config.kv_heads * config.head
    block = {
        "attention.norm.weight": (width,),
        "attention.query.weight": (width, width),
        "attention.key.weight": (kv, width),
        "attention.value.weight": (kv, width),
        "attention.output.weight": (width, width),
        "norm.weight": (width,),
        "gate.weight": (hidden, width),
        "up.weight": (hidden, width),
        "down.weight": (width, hidden),
    }
    blocks = {f"blocks.{layer}.{name}": shape for layer in range(config.layers) for name, shape in block.items()}
    tables = dict.fromkeys(["embedding.weight"] + ["unembedding.weight"] * (not config.tied), (config.vocab, width))
    return tables | blocks | {"norm.weight": (width,)}
