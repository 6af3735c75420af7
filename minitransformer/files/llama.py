"""Checkpoints of Llama's shape that others trained, into the same `Transformer`; what does not fit it is refused."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..model import Config, Transformer
from .byte_pairs import BytePairs

WEIGHT_NAMES = {  # our names -> theirs
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
    "tie_word_embeddings": (True, False),
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

    Weights that are kept in this dtype stay on the disk until they are needed; others are converted.
    """
    folder = Path(folder)
    config = llama_config(folder / "config.json")
    weights = read_weights(folder)
    same = weights.pop("lm_head.weight", None)
    if same is not None and not torch.equal(same, weights.get("model.embed_tokens.weight", same.new_empty(0))):
        raise ValueError(f"{folder} reads and writes words with different tables; here they are one and the same")
    model = assemble(config, weights, llama_name, dtype, folder)
    tokenizer = folder / "tokenizer.json"
    return model, BytePairs.from_file(tokenizer, config.end) if tokenizer.is_file() else None


def assemble(
    config: Config, weights: Mapping[str, Tensor], name: Callable[[str], str], dtype: torch.dtype, path: str | Path
) -> Transformer:
    """A model made of these weights themselves, not of copies, where they already have its dtype."""
    if dtype not in (torch.float32, torch.bfloat16):
        raise ValueError(f"a model is loaded as torch.float32 or torch.bfloat16; got {dtype}")
    with torch.device("meta"):  # nothing is drawn at random only to be thrown away
        model = Transformer(config)
    places = {name(ours): (ours, tensor) for ours, tensor in model.state_dict().items()}
    odd = sorted(weights.keys() - places.keys())
    if odd:
        reason = "there are no biases" if odd[0].endswith("bias") else "this architecture has no place for it"
        raise ValueError(f"{path} holds {odd[0]!r}, and {reason}: the model would not say what it was trained to say")
    loaded = {}
    for theirs, (ours, place) in places.items():
        if theirs not in weights:
            raise ValueError(f"{path} lacks {theirs!r}; fetch it again, with all its parts")
        weight = weights[theirs]
        if weight.shape != place.shape:
            raise ValueError(
                f"{path} does not fit: {theirs!r} should be {tuple(place.shape)} and is {tuple(weight.shape)}"
            )
        if not weight.is_floating_point() or weight.itemsize < 2:
            raise ValueError(f"{path} keeps {theirs!r} as {weight.dtype}; expected float32, bfloat16 or float16")
        if not weight.isfinite().all():
            raise ValueError(f"{path} holds NaN or infinite numbers in {theirs!r}; fetch it again")
        loaded[ours] = weight.to(dtype)
    model.load_state_dict(loaded, assign=True)
    small = Transformer(replace(config, vocab=1, layers=1, hidden=1, end=None))  # its tables of angles are the same
    model.cosine, model.sine = small.cosine.to(dtype), small.sine.to(dtype)
    return model


def llama_config(path: Path) -> Config:
    """The shape of the model, with everything that this architecture would compute differently refused."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a folder with config.json and safetensors files")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        about.get("model_type")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is damaged or is no model's configuration ({error}); fetch it again") from None
    rotary = about.get("rope_parameters") or {}  # newer files say here what older ones said in two places
    if rotary.get("rope_type", "default") != "default":
        about = about | {"rope_scaling": rotary}
    for key, (wanted, unsaid) in ONLY.items():
        if about.get(key, unsaid) != wanted:
            raise ValueError(f"{path} has {key} {about.get(key, unsaid)!r}; this architecture has {wanted!r} only")
    sizes = renamed(about, CONFIG_NAMES, path)
    more = {
        "kv_heads": about.get("num_key_value_heads") or sizes["heads"],
        "rope_base": rotary.get("rope_theta", about.get("rope_theta", 10_000.0)),
        "end": one_end(about.get("eos_token_id"), path),
    }
    config = config_from(sizes | more, path)
    if about.get("head_dim") not in (None, config.head):
        raise ValueError(f"{path} has head_dim {about['head_dim']}; here it is width / heads, {config.head}")
    return config


def renamed(about: dict, names: dict[str, str], path: Path) -> dict:
    """What a file says under its own names, under ours."""
    lacking = [theirs for theirs in names.values() if theirs not in about]
    if lacking:
        raise ValueError(f"{path} does not say {', '.join(lacking)}; fetch it again")
    return {ours: about[theirs] for ours, theirs in names.items()}


def config_from(sizes: dict, path: Path) -> Config:
    try:
        return Config(**sizes)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} describes no model that can be: {error}") from None


def one_end(end: int | list[int] | None, path: Path) -> int | None:
    if isinstance(end, list):
        if len(end) != 1:
            raise ValueError(f"{path} ends answers with any of the tokens {end}; here one token ends them")
        return end[0]
    return end


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, or of the several that an index names; memory-mapped."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return read_tensors(folder / "model.safetensors")
    try:
        wanted = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        parts = sorted(set(wanted.values()))
        outside = [part for part in parts if Path(part).name != part]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is damaged or is no index of weights ({error!r}); fetch it again") from None
    if outside:
        raise ValueError(f"{index} names {outside[0]!r}, which is not a file of its own folder")
    weights: dict[str, Tensor] = {}
    for part in parts:
        weights |= read_tensors(folder / part)
    lacking = sorted(wanted.keys() - weights.keys())
    if lacking:
        raise ValueError(f"{index} promises {lacking[0]!r}, which {wanted[lacking[0]]} does not hold; fetch it again")
    return weights


def read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected the weights of a model, as safetensors")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or is no safetensors file ({error}); fetch it again") from None
