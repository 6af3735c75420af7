"""Checkpoints of Llama's shape that others trained, into the same `Transformer`; what does not fit it is refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .. import expect
from ..model import Config, Transformer
from ..products import prepare
from .byte_pairs import BytePairs
from .checkpoints import Opened, config_from
from .schema import INDEX, LLAMA_CONFIG, Outline, Source, fits, sketch

WEIGHT_NAMES = {  # our names -> theirs
    "unembedding.": "lm_head.",
    "embedding.": "model.embed_tokens.",
    "blocks.": "model.layers.",
    "attention.norm.": "input_layernorm.",
    "attention.query.": "self_attn.q_proj.",
    "attention.key.": "self_attn.k_proj.",
    "attention.value.": "self_attn.v_proj.",
    "attention.output.": "self_attn.o_proj.",
    "gate.": "mlp.gate_proj.",
    "up.": "mlp.up_proj.",
    "down.": "mlp.down_proj.",
}
CONFIG_NAMES = {  # our names -> theirs in config.json
    "vocab": "vocab_size",
    "context": "max_position_embeddings",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "eps": "rms_norm_eps",
}
ONLY = {  # what this architecture has one of, and what config.json means where it says nothing
    "model_type": ("llama", None),
    "hidden_act": ("silu", "silu"),
    "attention_bias": (False, False),
    "mlp_bias": (False, False),
    "rope_scaling": (None, None),
    "quantization_config": (None, None),
}


def llama_name(name: str) -> str:
    """A weight's name in Hugging Face's Llama, from ours."""
    for ours, theirs in WEIGHT_NAMES.items():
        name = name.replace(ours, theirs)
    if name.startswith("norm."):
        return f"model.{name}"
    block, _, rest = name.rpartition(".norm.")
    return f"{block}.post_attention_layernorm.{rest}" if block else name


def from_huggingface(folder: str | Path, dtype: torch.dtype = torch.float32) -> tuple[Transformer, BytePairs | None]:
    """The model in a folder of `config.json` and safetensors files, and its tokenizer where the folder holds one.

    Weights that are kept in this dtype stay on the disk until they are needed, but for large ones that are read faster
    when they lie otherwise (`products.py`); others are converted.
    """
    expect.path(folder=folder)
    folder = Path(folder)
    source = Source(folder, "fetch it again, with all its parts")
    config = llama_config(folder / "config.json")
    files = open_weights(folder)
    held = {name: outline for file in files for name, outline in file.outlines.items()}
    again = held.pop("lm_head.weight", None) if config.tied else None
    if again not in (None, held.get("model.embed_tokens.weight")):
        raise two_tables(source)

    def read() -> dict[str, Tensor]:
        weights = {name: tensor for file in files for name, tensor in file.tensors().items()}
        same = weights.pop("lm_head.weight", None) if config.tied else None
        if same is not None and not torch.equal(same, weights["model.embed_tokens.weight"]):
            raise two_tables(source)
        return weights

    model = assemble(config, held, read, llama_name, dtype, source)
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        return model, None
    pairs = BytePairs.from_file(tokenizer, config.end)
    if pairs.highest >= config.vocab:
        raise Source(tokenizer, "fetch it again, with its own model").wrong(
            f"should name tokens from 0 to {config.vocab - 1}, as the model has them, and names {pairs.highest}"
        )
    return model, pairs


def two_tables(source: Source) -> ValueError:
    return source.wrong("says that words are read and written with one table, and holds two different ones")


def assemble(
    config: Config,
    held: Mapping[str, Outline],
    read: Callable[[], Mapping[str, Tensor]],
    name: Callable[[str], str],
    dtype: torch.dtype,
    source: Source,
) -> Transformer:
    """A model made of the weights that `read` gives, all finite; `held` outlines them, `name` gives them their names.

    They are taken themselves, not copied, where they already have the dtype.
    """
    if dtype not in (torch.float64, torch.float32, torch.bfloat16):
        raise ValueError(f"a model is loaded as torch.float64, torch.float32 or torch.bfloat16; got {dtype}")
    shapes = sketch(config, len(held), source)
    wanted = {name(ours): outline for ours, outline in shapes.items()}
    if odd := sorted(held.keys() - wanted.keys()):
        reason = "there are no biases" if odd[0].endswith("bias") else "this architecture has no place for it"
        raise replace(source, remedy="fetch a model of Llama's shape").wrong(
            f"holds {odd[0]!r}, and {reason}: the model would not say what it was trained to say"
        )
    if lacking := [theirs for theirs in wanted if theirs not in held]:
        raise source.wrong(f"lacks {lacking[0]!r}")
    fits(held, wanted, source)
    rounded = [theirs for theirs in held if held[theirs].dtype == torch.float64 != dtype]
    if rounded:
        raise ValueError(
            f"{source.path} keeps {rounded[0]!r} as torch.float64; pass dtype=torch.float64, or {dtype} would round it"
        )
    weights = read()
    with torch.device("meta"):  # nothing is drawn at random only to be thrown away
        model = Transformer(config)
    model.load_state_dict({ours: weights[name(ours)].to(dtype) for ours in shapes}, assign=True)
    small = Transformer(replace(config, vocab=1, layers=1, hidden=1, end=None))  # its tables of angles are the same
    model.cosine, model.sine = small.cosine.to(dtype), small.sine.to(dtype)
    prepare(model)
    return model


def llama_config(path: Path) -> Config:
    """The shape of the model, with everything that this architecture would compute differently refused."""
    source = Source(path, "fetch it again")
    text = source.regular("a folder with config.json and safetensors files").read_bytes()
    about = source.parsed(text, "no model's configuration")
    source.conforms(about, LLAMA_CONFIG)
    rotary = about.get("rope_parameters") or {}  # newer files say here what older ones said in two places
    if rotary.get("rope_type", "default") != "default":
        about = about | {"rope_scaling": rotary}
    for key, (wanted, unsaid) in ONLY.items():
        came = about.get(key, unsaid)
        if came != wanted:
            raise ValueError(f"{path} has {key} {came!r}; this architecture has {wanted!r} only: fetch another model")
    sizes = renamed(about, CONFIG_NAMES, source)
    more = {
        "kv_heads": about.get("num_key_value_heads") or sizes["heads"],
        "rope_base": rotary.get("rope_theta", about.get("rope_theta", 10_000.0)),
        "tied": about.get("tie_word_embeddings", False),
        "end": one_end(about.get("eos_token_id"), path),
    }
    config = config_from(sizes | more, source)
    if about.get("head_dim") not in (None, config.head):
        raise source.wrong(f"has head_dim {about['head_dim']}; here it is width / heads, {config.head}")
    return config


def renamed(about: dict, names: dict[str, str], source: Source) -> dict:
    """What a file says under its own names, under ours."""
    lacking = [theirs for theirs in names.values() if theirs not in about]
    if lacking:
        raise source.wrong(f"does not say {', '.join(lacking)}")
    return {ours: about[theirs] for ours, theirs in names.items()}


def one_end(end: int | list[int] | None, path: Path) -> int | None:
    if isinstance(end, list):
        if len(end) != 1:
            raise ValueError(
                f"{path} ends answers with any of the tokens {end}; here one token ends them: expected one number"
            )
        return end[0]
    return end


def open_weights(folder: Path) -> list[Opened]:
    """One safetensors file, or the several that an index names."""
    index = Source(folder / "model.safetensors.index.json", "fetch it again")
    if not index.path.exists():
        return [open_part(folder / "model.safetensors")]
    about = index.parsed(index.regular("an index of weights").read_bytes(), "no index of weights")
    index.conforms(about, INDEX)
    wanted = about["weight_map"]
    files = {part: open_part(folder / part) for part in sorted(set(wanted.values()))}
    held = [(name, part) for part, file in files.items() for name in file.outlines]
    lacking = sorted(wanted.keys() - dict(held).keys())
    if lacking:
        raise index.wrong(f"promises {lacking[0]!r}, which {wanted[lacking[0]]} does not hold")
    if len(dict(held)) < len(held):
        raise index.wrong("names files that hold the same tensor")
    return list(files.values())


def open_part(path: Path) -> Opened:
    return Opened(Source(path, "fetch it again"), "the weights of a model, as safetensors")
