"""GGUF files, in which quantised models come in one piece: config, weights and tokenizer."""

from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from ..model import Config, Transformer
from ..optional import library
from .byte_pairs import BytePairs
from .llama import assemble, config_from, renamed

WEIGHT_NAMES = {  # our names -> theirs
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
VOCAB, KV_HEADS, ROPE_BASE = "llama.vocab_size", "llama.attention.head_count_kv", "llama.rope.freq_base"
HEAD = ("llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length")
ADDED = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix")
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
    gguf, path = library("gguf", "reading a GGUF file"), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a model in a GGUF file")
    try:
        reader = gguf.GGUFReader(path)
        about = {key: field.contents() for key, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"{path} is damaged or is no GGUF file ({error}); fetch it again") from None
    config = gguf_config(about, path)
    weights = {tensor.name: read_tensor(gguf, tensor, path) for tensor in reader.tensors}
    for layer in range(config.layers):
        for name, heads in ("attn_q", config.heads), ("attn_k", config.kv_heads):
            name = f"blk.{layer}.{name}.weight"
            if name in weights and weights[name].shape[0] == heads * config.head:
                weights[name] = halves(weights[name], heads)
    return assemble(config, weights, gguf_name, dtype, path), read_tokenizer(about, path)


def halves(weight: Tensor, heads: int) -> Tensor:  # (heads * d, D)
    """GGUF keeps the two features that a Llama rotates together side by side; here they are half a head apart."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def gguf_config(about: dict, path: Path) -> Config:
    """The shape of the model; a setting that is not known here is refused, since it would change what is computed."""
    kind = about.get("general.architecture")
    if kind != "llama":
        raise ValueError(f"{path} holds a model of the kind {kind!r}; expected 'llama', the shape of this Transformer")
    unknown = sorted(
        key
        for key in about
        if key.startswith("llama.") and key not in {*CONFIG_NAMES.values(), VOCAB, KV_HEADS, ROPE_BASE, *HEAD}
    )
    if unknown:
        raise ValueError(f"{path} sets {unknown[0]} to {about[unknown[0]]!r}, which this architecture does not have")
    sizes = renamed(about, CONFIG_NAMES, path)
    more = {
        "vocab": about.get(VOCAB) or len(about.get("tokenizer.ggml.tokens", ())),
        "kv_heads": about.get(KV_HEADS, sizes["heads"]),
        "rope_base": about.get(ROPE_BASE, 10_000.0),
        "end": about.get("tokenizer.ggml.eos_token_id"),
    }
    config = config_from(sizes | more, path)
    for key in HEAD:
        if about.get(key, config.head) != config.head:
            raise ValueError(f"{path} sets {key} to {about[key]}; here it is width / heads, {config.head}")
    return config


def read_tensor(gguf: ModuleType, tensor, path: Path) -> Tensor:
    try:
        return torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
    except NotImplementedError:
        kind = tensor.tensor_type.name
        raise ValueError(f"{path} keeps {tensor.name!r} as {kind}, which cannot be read here; fetch another") from None


def read_tokenizer(about: dict, path: Path) -> BytePairs | None:
    """The tokenizer that the file describes."""
    kind = about.get("tokenizer.ggml.model")
    if kind is None:
        return None
    if kind != "gpt2":
        raise ValueError(f"{path} has a tokenizer of the kind {kind!r}; byte-level pairs, 'gpt2', are read here only")
    added = [key for key in ADDED if about.get(key)]
    if added:
        raise ValueError(
            f"{path} sets {added[0]}, so every text gets something added, and a prompt and its answer cannot be "
            "encoded apart; only tokenizers that add nothing are supported"
        )
    vocabulary, types = about["tokenizer.ggml.tokens"], about["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(vocabulary, types, strict=True) if kind in SPECIAL]
    cut, end = about.get("tokenizer.ggml.pre", "gpt-2"), about.get("tokenizer.ggml.eos_token_id")
    return BytePairs.from_merges(vocabulary, about["tokenizer.ggml.merges"], special, cut, end)
