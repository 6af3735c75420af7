"""Soft prompts as folders that HF PEFT reads and writes: what it is, as JSON, and one tensor of a row a virtual token.

The rows of a prompt are its vectors, (P, D). The rows of a prefix are the keys and the values of layer after layer,
(P, 2·L·G·d), keys as they stand in a cache: turned to their positions 0..P-1, with the text beginning at P.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from .. import expect
from ..hooks import Hooks
from ..model import Config, Transformer
from ..soft_prompts import KeyValuePrefix, PromptTuning, compile_prefix
from .checkpoints import Opened, digest, fingerprint, packed
from .schema import PEFT_CONFIG, Outline, Source, fits
from .whole import write_whole

ABOUT, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PREFIX, PROMPT = "PREFIX_TUNING", "PROMPT_TUNING"


def export_peft(hooks: Hooks, model: Transformer, folder: str | Path, base_model: str | None = None) -> None:
    """Write soft prompts as a folder that PEFT loads; `base_model` is the name or path of the model, for its records.

    PEFT knows prompts and prefixes. What is not a plain prompt is written as the keys and values that it amounts to.
    """
    expect.a(Hooks, hooks=hooks)
    expect.a(Transformer, model=model)
    expect.path(folder=folder)
    about, rows = as_peft(hooks, model)
    own = fingerprint(model)
    if hooks.base not in (None, own):
        raise ValueError(
            f"this soft prompt was made for the model with fingerprint {hooks.base}, this one has {own}; "
            "export it with its own model"
        )
    source = Source(Path(folder) / TENSORS, "it was not written, and what stood there is still there: train it again")
    tensors, metadata = {"prompt_embeddings": rows}, {"base": own, "format": "pt"}
    data = packed(tensors, metadata | {"sha256": digest(tensors, metadata)}, source)
    about |= {"base_model_name_or_path": base_model, "inference_mode": True}
    description, text = Path(folder) / ABOUT, (json.dumps(about, indent=2) + "\n").encode()
    if description.is_file() and description.read_bytes() != text:
        description.unlink()  # it tells that the folder is whole: it goes first and comes last
    write_whole(source.path, data)
    write_whole(description, text)


def import_peft(folder: str | Path, model: Transformer) -> Hooks:
    """The soft prompts in such a folder, ready to use and to train on; refused if they do not fit the model."""
    expect.path(folder=folder)
    own, config = fingerprint(model), model.config
    about = read_about(Path(folder) / ABOUT)
    file = Opened(
        Source(Path(folder) / TENSORS), "a soft prompt in PEFT's format, not in the older one that can run code"
    )
    shapes = {name: outline.shape for name, outline in file.outlines.items()}
    if list(shapes) != ["prompt_embeddings"] or len(shapes["prompt_embeddings"]) != 2:
        raise file.source.wrong(f"should hold one tensor, 'prompt_embeddings', of a row a virtual token; got {shapes}")
    base = file.metadata.get("base")
    if base not in (None, own):
        raise ValueError(
            f"{file.source.path} was made for the model with fingerprint {base}, this one has {own}; "
            "import it with its own model, or train it again on this one"
        )
    check(about, file.outlines["prompt_embeddings"].shape, config, folder)
    wanted = Outline(torch.float32, shapes["prompt_embeddings"])
    fits(file.outlines, {"prompt_embeddings": wanted}, file.source)
    rows = file.copies()["prompt_embeddings"].to(model.embedding.weight.device)
    if about["peft_type"] == PROMPT:
        hooks = PromptTuning.from_vectors(model, rows)
    else:
        pairs = (
            rows.to(torch.promote_types(rows.dtype, torch.float32))
            .unflatten(1, (config.layers, 2, config.kv_heads, config.head))
            .permute(1, 2, 3, 0, 4)
        )
        keys, values = turned(pairs[:, 0], model, -1), pairs[:, 1]  # (L, G, P, d)
        hooks = KeyValuePrefix.from_keys_values(config, list(keys), list(values))
    hooks.base = base
    return hooks.to(rows.dtype)


def as_peft(hooks: Hooks, model: Transformer) -> tuple[dict, Tensor]:
    """What PEFT's configuration has to say about these hooks, and their rows."""
    config = model.config
    hooks.fits(config)
    if only_embeds(hooks):
        nothing = model.embedding.weight.new_empty(1, 0, config.width)
        name, rows, extra = PROMPT, hooks.embed(nothing)[0], {"prompt_tuning_init": "RANDOM"}
    else:
        name, rows, extra = PREFIX, prefix_rows(compile_prefix(model, hooks), model), {"prefix_projection": False}
    if not 0 < len(rows) < config.context:
        raise ValueError(f"PEFT wants 1 to {config.context - 1} virtual tokens, so that text has room; got {len(rows)}")
    return expected(name, len(rows), config) | extra, rows.detach().cpu().contiguous()


def only_embeds(hooks: Hooks) -> bool:
    """Whether these hooks are a prompt: vectors at the embedding layer, and nothing anywhere else."""
    changed = {name for name in vars(Hooks) if getattr(type(hooks), name) is not getattr(Hooks, name)}
    return "embed" in changed and not changed & {"context", "keys_values", "bias", "watch"}


def prefix_rows(prefix: KeyValuePrefix, model: Transformer) -> Tensor:  # (P, 2·L·G·d)
    lengths = [keys.shape[1] for keys in prefix.keys]
    if len(set(lengths)) > 1:
        raise ValueError(f"PEFT's prefix has one length for all layers; got {lengths}: tune it on every layer")
    layers = range(model.config.layers)
    if any(bias is not None and bias.any() for bias in map(prefix.bias, layers)):
        raise ValueError("PEFT's prefix has no room for a Gate's strength; export what is inside the Gate")
    keys, values = (torch.stack(list(part)) for part in (prefix.keys, prefix.values))
    keys = turned(keys, model)  # in 32 bits at least, or turning them there and back would cost bits
    return torch.stack((keys, values.to(keys.dtype)), 1).permute(3, 0, 1, 2, 4).flatten(1)  # (L, 2, G, P, d) before


def turned(keys: Tensor, model: Transformer, way: int = 1) -> Tensor:
    """Keys at positions 0..P-1, turned as the model turns them, or back."""
    here = slice(keys.shape[-2])
    exact = torch.promote_types(keys.dtype, torch.float32)
    keys, cosine, sine = keys.to(exact), model.cosine[here].to(exact), model.sine[here].to(exact)
    return keys * cosine + way * keys.roll(keys.shape[-1] // 2, -1) * sine


def expected(name: str, length: int, config: Config) -> dict:
    """What PEFT's configuration says of a soft prompt that fits this model."""
    about = {"peft_type": name, "task_type": "CAUSAL_LM", "num_virtual_tokens": length}
    about |= {"num_layers": config.layers, "num_transformer_submodules": 1}
    if name == PROMPT:
        return about | {"num_attention_heads": config.heads, "token_dim": config.width}
    return about | {"num_attention_heads": config.kv_heads, "token_dim": config.kv_heads * config.head}


def check(about: dict, shape: tuple[int, int], config: Config, folder: str | Path) -> None:
    """Refuse what is for another model, or no soft prompt, or not the one that the configuration speaks of."""
    source = Source(folder, "import it with its own model, or write or fetch it again")
    if about.get("peft_type") not in (PREFIX, PROMPT):
        raise source.wrong(f"should hold a {PROMPT} or a {PREFIX}; got {about.get('peft_type')}")
    wanted = expected(about["peft_type"], shape[0], config)
    for place, (key, value) in enumerate(wanted.items()):
        if about.get(key) != value and (place < 3 or about.get(key) is not None):  # only three must be there
            raise source.wrong(
                f"does not fit: for this model and its tensor, {ABOUT} should say "
                f"{key} {json.dumps(value)} and says {json.dumps(about.get(key))}"
            )
    width = wanted["token_dim"] * (1 if about["peft_type"] == PROMPT else 2 * config.layers)
    if shape[1] != width or not 0 < shape[0] < config.context:
        raise source.wrong(
            f"does not fit: for this model expected 1 to {config.context - 1} rows of {width} numbers, got {shape}"
        )


def read_about(path: Path) -> dict:
    source = Source(path)
    text = source.regular("a folder as PEFT's save_pretrained writes it").read_bytes()
    about = source.parsed(text, "no description of a soft prompt")
    if type(about) is not dict:
        raise source.wrong(f"should hold PEFT's configuration, names with values; got {json.dumps(about)[:40]}")
    source.conforms(about, PEFT_CONFIG)
    return about
