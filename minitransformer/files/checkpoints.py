"""Safetensors files with what they mean in their metadata, written whole or not at all, checked while they are read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .. import expect
from ..model import Config, Transformer
from ..products import prepare
from ..tokenizer import END, Tokenizer
from .schema import ABOUT, DTYPES, Outline, Source, finite, fits, outlines, sketch
from .whole import write_whole

FORMAT, FIRST_FORMAT = "minitransformer 2", "minitransformer 1"  # the first one had no sum of what it holds
ENTRIES = {FORMAT: {"format", "kind", "about", "sha256"}, FIRST_FORMAT: {"format", "kind", "about"}}


def write(path: str | Path, kind: str, tensors: Mapping[str, Tensor], about: Mapping) -> None:
    """Tensors, and what they mean, in one file; refused if it could not be read again."""
    write_whole(path, contents(path, kind, tensors, about))


def contents(
    path: str | Path,
    kind: str,
    tensors: Mapping[str, Tensor],
    about: Mapping,
    remedy: str = "mend it, or train it again",
) -> bytes:
    """What `write` writes: the same bytes for the same tensors and meaning."""
    source = Source(path, f"it was not written, and what stood there is still there: {remedy}")
    about = json.loads(json.dumps(about, default=lambda value: f"no data but a {type(value).__name__}"))
    source.conforms(about, ABOUT[kind], "what it says")
    metadata = {"format": FORMAT, "kind": kind, "about": json.dumps(about, ensure_ascii=False, sort_keys=True)}
    return packed(tensors, metadata | {"sha256": digest(tensors, metadata)}, source)


def packed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], source: Source) -> bytes:
    """A safetensors file. The library writes metadata in an order that changes; here they are sorted."""
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values():
            raise source.wrong(
                f"would hold {name!r} as {tensor.dtype}; expected {', '.join(map(str, DTYPES.values()))}"
            )
    finite(tensors, source)
    own = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    data = save(own, dict(metadata))
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:size])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # numbers begin at multiples of 8
    return len(text).to_bytes(8, "little") + text + data[size:]


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """A sum over all that a file holds: a bit that changed on its way is noticed."""
    total = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


class Opened:
    """A safetensors file of which the header is read; its tensors are read when what they should be is known."""

    def __init__(self, source: Source, expected: str):
        self.source, path = source, source.regular(expected)
        try:
            self.file = safe_open(path, "pt")
            self.metadata = self.file.metadata() or {}
            slices = {name: self.file.get_slice(name) for name in self.file.keys()}  # noqa: SIM118
            kinds = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
        except (SafetensorError, ValueError, OverflowError) as error:
            raise source.wrong(f"is damaged or is no safetensors file ({error})") from None
        for name, (kind, _) in kinds.items():
            if kind not in DTYPES:
                raise source.wrong(f"keeps {name!r} as {kind}; expected {', '.join(DTYPES)}")
        self.outlines = {name: Outline(DTYPES[kind], shape) for name, (kind, shape) in kinds.items()}

    def tensors(self) -> dict[str, Tensor]:
        """All of them, finite; they stay on the disk until they are needed."""
        tensors = {name: self.file.get_tensor(name) for name in self.outlines}
        finite(tensors, self.source)
        return tensors

    def copies(self) -> dict[str, Tensor]:
        """Copies of them, since the file may be replaced; refused where the file keeps a sum and it is not right."""
        metadata, tensors = self.metadata.copy(), self.tensors()
        if metadata.pop("sha256", None) not in (None, digest(tensors, metadata)):
            raise self.source.wrong("is damaged: what it holds is not what was written, by the sum that it keeps")
        return {name: tensor.clone() for name, tensor in tensors.items()}


class OwnFile(Opened):
    """A file of this package, of one kind."""

    def __init__(self, path: str | Path, kind: str):
        super().__init__(Source(path, f"write or train this {kind} again"), f"a {kind} written by minitransformer")
        came = self.metadata.get("format", "no format at all")
        if came not in ENTRIES:
            raise ValueError(
                f"{path} was not written by this minitransformer: expected {FORMAT!r} or {FIRST_FORMAT!r}, got "
                f"{came!r}; write it again, or read it with the version that wrote it"
            )
        if self.metadata.keys() != ENTRIES[came]:
            raise self.source.wrong(f"should say {sorted(ENTRIES[came])} and says {sorted(self.metadata)}")
        if self.metadata["kind"] != kind:
            raise self.source.wrong(f"holds a {self.metadata['kind']}, not a {kind}")
        self.about = self.source.parsed(self.metadata["about"], "no description of what it holds")
        self.source.conforms(self.about, ABOUT[kind], "what it says")


def read(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict]:
    """The tensors of a file of this kind and what it says about them; refused if damaged, foreign or not finite."""
    file = OwnFile(path, kind)
    return file.copies(), file.about


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
    source = Source(path, "it was not written: give the tokenizer that the model was trained with")
    same_words(model.config, tokenizer.vocabulary, source)
    write(path, "model", model.state_dict(), about)


def load_model(path: str | Path) -> tuple[Transformer, Tokenizer, dict]:
    """The model, its tokenizer and its card."""
    file = OwnFile(path, "model")
    config = config_from(file.about["config"], file.source)
    fits(file.outlines, sketch(config, len(file.outlines), file.source), file.source)
    same_words(config, file.about["vocabulary"], file.source)
    model = Transformer(config)
    fill(model, file.copies(), file.source)
    model.cosine, model.sine = (table.to(model.embedding.weight.dtype) for table in (model.cosine, model.sine))
    prepare(model)
    return model, Tokenizer(file.about["vocabulary"]), file.about["card"]


def config_from(sizes: Mapping, source: Source) -> Config:
    try:
        return Config(**sizes)
    except (ValueError, TypeError) as error:
        raise source.wrong(f"describes no model that can be: {error}") from None


def same_words(config: Config, vocabulary: list[str], source: Source) -> None:
    """A model and its tokenizer must speak of the same tokens."""
    if len(vocabulary) != config.vocab or len(set(vocabulary)) != config.vocab:
        raise source.wrong(
            f"should name {config.vocab} different tokens, as the model has them, and names "
            f"{len(set(vocabulary))} in {len(vocabulary)} places"
        )
    if END not in vocabulary or config.end not in (None, vocabulary.index(END)):
        place = vocabulary.index(END) if END in vocabulary else "absent"
        raise source.wrong(f"should end answers with token {config.end}, {END!r}, and {END!r} is {place}")


def fill(module: nn.Module, tensors: Mapping[str, Tensor], source: Source) -> None:
    """Put the tensors into the module, with the types of numbers that they have; names and shapes must be the same."""
    own = module.state_dict(keep_vars=True)
    fits(outlines(tensors), outlines(own), source)
    for name, tensor in tensors.items():
        own[name].data = tensor
