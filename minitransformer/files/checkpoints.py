"""Safetensors files with what they mean in their metadata, written whole or not at all, checked while they are read."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .. import expect
from ..model import Config, Transformer
from ..tokenizer import Tokenizer

FORMAT = "minitransformer 1"


def write(path: str | Path, kind: str, tensors: Mapping[str, Tensor], about: Mapping) -> None:
    """Tensors, and what they mean, in one file."""
    metadata = {"format": FORMAT, "kind": kind, "about": json.dumps(about, ensure_ascii=False)}
    write_whole(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata))


def write_whole(path: str | Path, data: bytes) -> None:
    """Write one file, all of it or none of it: a crash leaves what was there before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def read(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict]:
    """The tensors of a file of this kind and what it says about them; refused if damaged, foreign or not finite."""
    tensors, metadata = tensors_of(path, f"a {kind} written by minitransformer")
    if metadata.get("format") != FORMAT:
        came = metadata.get("format", "no format at all")
        raise ValueError(f"{path} was not written by this minitransformer: expected {FORMAT!r}, got {came!r}")
    if metadata["kind"] != kind:
        raise ValueError(f"{path} holds a {metadata['kind']}, not a {kind}")
    return tensors, json.loads(metadata["about"])


def tensors_of(path: str | Path, expected: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of any safetensors file; refused if damaged or not finite."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}; expected {expected}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or is no safetensors file ({error}); write or fetch it again") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{path} holds NaN or infinite numbers in {name!r}; it cannot be used: train it again")
    return tensors, metadata


def fingerprint(model: Transformer) -> str:
    """Sixteen hex digits that change with any bit of the model; a soft prompt names its model by them."""
    expect.a(Transformer, model=model)
    digest = hashlib.sha256(repr(model.config).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def save_model(path: str | Path, model: Transformer, tokenizer: Tokenizer, card: Mapping | None = None) -> None:
    """The model, its tokenizer and its card (how it came to be, how it scores) in one file."""
    about = {"config": asdict(model.config), "vocabulary": tokenizer.vocabulary, "card": dict(card or {})}
    write(path, "model", model.state_dict(), about)


def load_model(path: str | Path) -> tuple[Transformer, Tokenizer, dict]:
    """The model, its tokenizer and its card."""
    tensors, about = read(path, "model")
    model = Transformer(Config(**about["config"]))
    fill(model, tensors, path)
    return model, Tokenizer(about["vocabulary"]), about["card"]


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Copy the tensors into the module; names and shapes must be the same."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    came = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != came:
        odd = sorted(set(expected.items()) ^ set(came.items()))[0][0]
        raise ValueError(
            f"{path} does not fit: {odd!r} should be {expected.get(odd, 'absent')} and is {came.get(odd, 'absent')}"
        )
    module.load_state_dict(tensors)
