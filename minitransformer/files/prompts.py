"""Soft prompts as files: one small safetensors file each, which says what it is and for whom."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..hooks import Hooks, Stack
from ..model import Config, Transformer
from ..soft_prompts import Gate, KeyValuePrefix, PrefixTuning, PromptTuning, kind, plain_tensors
from .checkpoints import fill, fingerprint, read, write

if TYPE_CHECKING:
    from ..history import History


def save(
    hooks: Hooks,
    path: str | Path,
    model: Transformer | None = None,
    task: str | None = None,
    score: float | None = None,
    history: "History | None" = None,
) -> None:
    """Write a soft prompt in its plain form, with the fingerprint of the model that it was trained on or is given."""
    tensors = plain_tensors(hooks)
    about = {
        "method": outline(hooks),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "base": hooks.base if model is None else fingerprint(model),
        "task": task,
        "score": score,
        "history": None if history is None else history.digest(),
    }
    write(path, "soft prompt", tensors, about)


def load(path: str | Path, model: Transformer) -> Hooks:
    """The soft prompt in a file, ready to use and to train on; refused if it was made for another model."""
    tensors, about = read(path, "soft prompt")
    own = fingerprint(model)
    if about["base"] not in (None, own):
        raise ValueError(
            f"{path} was made for the model with fingerprint {about['base']}, this one has {own}; "
            "load it with its own model, or train it again on this one"
        )
    hooks = build(about["method"], tensors, model.config, path)
    hooks.base = about["base"]
    return hooks


def inspect(path: str | Path) -> dict:
    """What a soft prompt's file says about it, without a model."""
    tensors, about = read(path, "soft prompt")
    return about | {"shapes": {name: list(tensor.shape) for name, tensor in tensors.items()}}


def outline(hooks: Hooks) -> dict:
    """What `build` needs to know to make these hooks again."""
    match kind(hooks):
        case "PromptTuning" | "KeyValuePrefix" as name:
            return {"name": name}
        case "PrefixTuning" as name:
            return {"name": name, "layers": list(hooks.layers)}
        case "Gate" as name:
            return {"name": name, "inside": outline(hooks.hooks)}
        case "Stack" as name:
            return {"name": name, "inside": [outline(part) for part in hooks.hooks]}
        case name:
            raise ValueError(
                f"a file can hold PromptTuning, PrefixTuning, KeyValuePrefix, Gate and Stack; got {name}: "
                "compile_prefix(model, hooks) turns any soft prompt into a KeyValuePrefix"
            )


def build(method: dict, tensors: dict[str, Tensor], config: Config, path: str | Path) -> Hooks:
    """Hooks made again from their outline and their tensors."""
    inside = below("hooks.", tensors)
    try:
        match method["name"]:
            case "PromptTuning":
                hooks = PromptTuning(len(tensors["vectors"]), config)
            case "PrefixTuning":
                hooks = PrefixTuning(tensors["vectors"].shape[1], config, method["layers"])
            case "KeyValuePrefix":
                layers = range(config.layers)
                keys, values = ([tensors[f"{part}.{layer}"] for layer in layers] for part in ("keys", "values"))
                biases = [tensors.get(f"bias{layer}") for layer in layers]
                hooks = KeyValuePrefix.from_keys_values(config, keys, values, biases)
            case "Gate":
                hooks = Gate(build(method["inside"], inside, config, path), config)
            case "Stack":
                parts = enumerate(method["inside"])
                hooks = Stack(*(build(part, below(f"{place}.", inside), config, path) for place, part in parts))
            case name:
                raise ValueError(f"{path} holds a {name}, which this minitransformer does not know")
    except KeyError as missing:
        raise ValueError(f"{path} does not fit this model: it lacks {missing}") from None
    fill(hooks, tensors, path)
    return hooks


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
