"""Soft prompts as folders that HF PEFT reads and writes: what it is, as JSON, and one tensor of a row a virtual token.

The rows of a prompt are its vectors, (P, D). The rows of a prefix are the keys and the values of layer after layer,
(P, 2·L·G·d), keys as they stand in a cache: turned to their positions 0..P-1, with the text beginning at P.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ..hooks import Hooks
from ..model import Config, Transformer
from ..soft_prompts import KeyValuePrefix, PromptTuning, compile_prefix
from .checkpoints import fingerprint, tensors_of, write_whole

ABOUT, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PREFIX, PROMPT = "PREFIX_TUNING", "PROMPT_TUNING"


def export_peft(hooks: Hooks, model: Transformer, folder: str | Path, base_model: str | None = None) -> None:
    """Write soft prompts as a folder that PEFT loads; `base_model` is the name or path of the model, for its records.

    PEFT knows prompts and prefixes. What is not a plain prompt is written as the keys and values that it amounts to.
    """
    about, rows = as_peft(hooks, model)
    own = fingerprint(model)
    if hooks.base not in (None, own):
        raise ValueError(
            f"this soft prompt was made for the model with fingerprint {hooks.base}, this one has {own}; "
            "export it with its own model"
        )
    (Path(folder) / ABOUT).unlink(missing_ok=True)  # it tells that the folder is whole: it goes first and comes last
    write_whole(Path(folder) / TENSORS, save({"prompt_embeddings": rows}, {"format": "pt", "base": own}))
    about |= {"base_model_name_or_path": base_model, "inference_mode": True}
    write_whole(Path(folder) / ABOUT, (json.dumps(about, indent=2) + "\n").encode())


def import_peft(folder: str | Path, model: Transformer) -> Hooks:
    """The soft prompts in such a folder, ready to use and to train on; refused if they do not fit the model."""
    path, own = Path(folder) / TENSORS, fingerprint(model)
    about = read_about(Path(folder) / ABOUT)
    tensors, metadata = tensors_of(path, "a soft prompt in PEFT's format, not in the older one that can run code")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if list(shapes) != ["prompt_embeddings"] or len(shapes["prompt_embeddings"]) != 2:
        raise ValueError(f"{path} should hold one tensor, 'prompt_embeddings', of a row a virtual token; got {shapes}")
    if metadata.get("base", own) != own:
        raise ValueError(
            f"{path} was made for the model with fingerprint {metadata['base']}, this one has {own}; "
            "import it with its own model, or train it again on this one"
        )
    rows, config = tensors["prompt_embeddings"].float().to(model.embedding.weight.device), model.config
    check(about, rows, config, folder)
    if about["peft_type"] == PROMPT:
        hooks = PromptTuning.from_vectors(model, rows)
    else:
        pairs = rows.unflatten(1, (config.layers, 2, config.kv_heads, config.head)).permute(1, 2, 3, 0, 4)
        keys, values = turned(pairs[:, 0], model, -1), pairs[:, 1]  # (L, G, P, d)
        hooks = KeyValuePrefix.from_keys_values(config, list(keys), list(values))
    hooks.base = metadata.get("base")
    return hooks.to(model.embedding.weight.dtype)


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
    return expected(name, len(rows), config) | extra, rows.detach().float().cpu().contiguous()


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
    keys, values = (torch.stack([tensor.float() for tensor in part]) for part in (prefix.keys, prefix.values))
    return torch.stack((turned(keys, model), values), 1).permute(3, 0, 1, 2, 4).flatten(1)  # (L, 2, G, P, d) before


def turned(keys: Tensor, model: Transformer, way: int = 1) -> Tensor:
    """Keys at positions 0..P-1, turned as the model turns them, or back."""
    here = slice(keys.shape[-2])
    cosine, sine = model.cosine[here].float(), model.sine[here].float()
    return keys * cosine + way * keys.roll(keys.shape[-1] // 2, -1) * sine


def expected(name: str, length: int, config: Config) -> dict:
    """What PEFT's configuration says of a soft prompt that fits this model."""
    about = {"peft_type": name, "task_type": "CAUSAL_LM", "num_virtual_tokens": length}
    about |= {"num_layers": config.layers, "num_transformer_submodules": 1}
    if name == PROMPT:
        return about | {"num_attention_heads": config.heads, "token_dim": config.width}
    return about | {"num_attention_heads": config.kv_heads, "token_dim": config.kv_heads * config.head}


def check(about: dict, rows: Tensor, config: Config, folder: str | Path) -> None:
    """Refuse what is for another model, or no soft prompt, or not the one that the configuration speaks of."""
    if about.get("peft_type") not in (PREFIX, PROMPT):
        raise ValueError(f"{folder} should hold a {PROMPT} or a {PREFIX}; got {about.get('peft_type')}")
    wanted = expected(about["peft_type"], len(rows), config)
    for place, (key, value) in enumerate(wanted.items()):
        if about.get(key) != value and (place < 3 or about.get(key) is not None):  # only three must be there
            raise ValueError(
                f"{folder} does not fit: for this model and its tensor, {ABOUT} should say "
                f"{key} {json.dumps(value)} and says {json.dumps(about.get(key))}"
            )
    width = wanted["token_dim"] * (1 if about["peft_type"] == PROMPT else 2 * config.layers)
    if rows.shape[1] != width or not 0 < len(rows) < config.context:
        raise ValueError(
            f"{folder} does not fit: for this model expected 1 to {config.context - 1} rows of {width} numbers, "
            f"got {tuple(rows.shape)}"
        )


def read_about(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a folder as PEFT's save_pretrained writes it")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); write or fetch it again") from None
    if type(about) is not dict:
        raise ValueError(f"{path} should hold PEFT's configuration, names with values; got {json.dumps(about)[:40]}")
    return about
