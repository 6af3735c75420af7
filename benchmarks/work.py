"""A piece of work: who does it, what they must say alike before anyone is timed, and what is aimed at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from minitransformer import Config, Transformer, freeze, from_gguf
from minitransformer.base import SIZES as BASES
from minitransformer.optional import smollm2

Says = dict[str, Any]  # a loss, a gradient norm, logits, tokens: numbers and tensors by name


@dataclass(frozen=True)
class Competitor:
    """Something to be timed, and how what it returned is put in comparable numbers."""

    run: Callable[[], Any]
    says: Callable[[Any], Says] = lambda result: {}


@dataclass(frozen=True)
class Peer:
    """Somebody else's work, made when it is its turn: where that fails, or it computes something else, it is left out.

    Ours is no Peer: where that fails, the run ends.
    """

    make: Callable[[], Competitor]


Competitors = Mapping[str, Competitor | Peer]


@dataclass(frozen=True)
class Target:
    """`of` takes at most so many times what `against` takes, or at most so much where nobody is named; by size."""

    of: str
    against: str | None
    most: Mapping[str, float]


@dataclass(frozen=True)
class Work:
    """One thing that several can do. The first competitor that is not left out is the one that ratios refer to."""

    name: str
    size: str
    competitors: Competitors
    alike: tuple[tuple[str, ...], ...] = ()  # groups that must say the same
    witnesses: Competitors = field(default_factory=dict)  # members of those groups that nobody times
    targets: tuple[Target, ...] = ()
    unit: str = "s"
    timed: bool = True  # or each run returns its own number


TOLERANCES = {  # absolute and relative
    "loss": (1e-4, 0.0),
    "gradient norm": (0.0, 1e-3),
    "logits": (1e-3, 0.0),
    "tokens": (0.0, 0.0),
    "reached": (0.0, 0.0),
}


def agree(work: Work) -> tuple[dict[str, Competitor], dict[str, str]]:
    """Run everyone once and compare what they say: who is to be timed, and of each other one why it is left out.

    In each group ours is right, or the first one where nobody is ours. A SystemExit where two of ours disagree.
    """
    ready: dict[str, Competitor] = {}
    said: dict[str, Says] = {}
    left_out: dict[str, str] = {}
    everyone = {**work.witnesses, **work.competitors}
    peers = {name for name, who in everyone.items() if isinstance(who, Peer)}
    for name, who in everyone.items():
        try:
            ready[name] = who.make() if name in peers else who
            said[name] = ready[name].says(ready[name].run())
        except (Exception, SystemExit) as error:
            if name not in peers:
                raise
            left_out[name] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    for group in work.alike:
        first = next((name for name in group if name not in peers), group[0])
        for name in group:
            if name == first or name in left_out:
                continue
            why = left_out[first] if first in left_out else difference(said[first], said[name])
            if why and name not in peers:
                raise SystemExit(f"{work.size}, {work.name}: {first} and {name} {why}; nothing was timed")
            if why:
                left_out[name] = f"{first} and {name} {why}" if first in said else f"nothing shows it right: {why}"
    return {name: ready[name] for name in work.competitors if name not in left_out}, left_out


def difference(one: Says, other: Says) -> str:
    """What two disagree about, in words, or nothing."""
    shared = [key for key in one if key in other]
    wrong = [key for key in shared if apart(one[key], other[key], *TOLERANCES[key])]
    if wrong:
        return f"disagree about the {wrong[0]}{describe(one[wrong[0]], other[wrong[0]])}"
    return "" if shared else "disagree about the work"


def apart(a: Any, b: Any, absolute: float, relative: float) -> bool:
    a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    return a.shape != b.shape or not torch.allclose(a, b, rtol=relative, atol=absolute)


def describe(a: Any, b: Any) -> str:
    a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    if a.shape != b.shape:
        return f": shapes {tuple(a.shape)} and {tuple(b.shape)}"
    return f": {a.item():.6g} and {b.item():.6g}" if a.dim() == 0 else f": up to {(a - b).abs().max():.3g} apart"


@dataclass(frozen=True)
class Size:
    """A model and the batches that it is tried on."""

    name: str
    config: Config | None  # none: SmolLM2, as its file has it
    rows: int = 32
    width: int = 64  # tokens a row in training
    virtual: int = 10  # tokens of a soft prompt
    read: int = 16  # tokens read before decoding
    new: int = 64  # tokens decoded
    batches: tuple[int, ...] = (1, 16)  # rows decoded at once
    without: tuple[str, ...] = ()  # kinds of work that are not for this size
    decoders: bool = False  # whether programs that only decode are rivals here

    @cached_property
    def model(self) -> Transformer:
        """Frozen; weights so large that everything in it shows in the logits; answers that never end."""
        if self.config is None:
            model, _ = from_gguf(smollm2())
            model.config = replace(model.config, end=None)
            return freeze(model)
        model = Transformer(self.config)
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = 1 + 0.1 * noise if noise.dim() == 1 else 1.5 * noise * noise.shape[1] ** -0.5
        return freeze(model)

    def tokens(self, rows: int, width: int) -> Tensor:
        return torch.randint(self.model.config.vocab, (rows, width), generator=torch.Generator().manual_seed(1))


def shape(width: int, layers: int, heads: int, kv_heads: int, hidden: int, vocab: int = 1024, context: int = 256):
    return Config(vocab, context, width, layers, heads, kv_heads, hidden)


NOT_LARGE = ("pretraining", "fine-tuning", "prefix", "soft-decoding", "tenants", "memory", "growth", "crowds")
SIZES = {
    "toy": Size("toy", shape(16, 2, 4, 2, 24, vocab=50, context=64), 4, 8, 3, 4, 5, decoders=True),
    "S": Size("S", shape(128, 4, 4, 2, 352)),
    "M": Size("M", shape(256, 6, 8, 4, 704), without=("tenants", "growth", "crowds")),
    "base": Size(  # the shape of the base that ships, of a batch of translations to train it on, and of an answer
        "base", Config(vocab=2919, **BASES["base"]), 32, 34, 4, 12, 16, without=("growth", "crowds", "memory")
    ),
    "SmolLM2": Size("SmolLM2", None, rows=4, new=32, batches=(1,), without=NOT_LARGE, decoders=True),
}
