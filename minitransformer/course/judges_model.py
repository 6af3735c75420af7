"""The judge's side of a `ServedModel`: the model itself, what it was asked, and what became of it meanwhile."""

from dataclasses import asdict

import torch
from torch import Tensor

from ..cache import Cache
from ..hooks import Hooks
from ..model import Transformer
from .plain_data import plain

MOST_PLACES = 8192  # in one forward, virtual ones counted: no exercise needs a tenth of it


class JudgesModel:
    """Answers a student's code from another process: it can be driven, and not reached."""

    OPEN = ("forward", "backward")

    def __init__(self, model: Transformer, handed_out: bool = False):
        self.model, self.handed_out = model, handed_out
        self.began = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        self.read: list[list[int]] = []  # rows and places of each time that it ran
        self.in_front = 0  # virtual places that went through the blocks, over all rows
        self.seen: list[dict[str, int]] = []  # what the weights were like at each request

    @property
    def given(self) -> tuple[dict, dict | None]:
        """What the student's side gets of it: its shape, and its weights where these are handed out."""
        return asdict(self.model.config), plain(self.began) if self.handed_out else None

    def forward(self, question: dict, inputs: dict, standing: dict) -> list[Tensor]:
        self.take(standing)
        self.seen.append(self.facts())
        with torch.no_grad():
            return self.run(question, as_tensors(inputs))

    def backward(self, question: dict, inputs: dict, standing: dict, wanted: list, slopes: list) -> dict:
        """The gradients wanted, where there are any: the forward is run once more, so nothing is kept between."""
        self.take(standing)
        weights, inputs = dict(self.model.named_parameters()) if self.handed_out else {}, as_tensors(inputs)
        self.seen.append(self.facts([name for name in wanted if name in weights]))
        for name, each in (weights | inputs).items():
            each.requires_grad_(name in wanted)
        with torch.enable_grad():
            pairs = zip(self.run(question, inputs), map(torch.from_numpy, slopes), strict=True)
            results, slopes = zip(*(pair for pair in pairs if pair[0].requires_grad), strict=True)
        leaves = [(weights | inputs)[name] for name in wanted]
        gradients = torch.autograd.grad(results, leaves, slopes, allow_unused=True)
        self.take(standing)
        return {name: each for name, each in zip(wanted, gradients, strict=True) if each is not None}

    def run(self, question: dict, inputs: dict[str, Tensor]) -> list[Tensor]:
        """The hidden states with what is then in the cache, or logits of hidden states."""
        if "tokens" not in question:
            bounded(inputs["hidden"].numel() // self.model.config.width)
            return [self.model.logits(inputs["hidden"])]
        tokens, cache = torch.from_numpy(question["tokens"]), Cache()
        bounded(max(len(tokens), len(tokens) * (tokens.shape[1] + sum(each.shape[-2] for each in inputs.values()))))
        for layer in range(self.model.config.layers):
            if f"read keys {layer}" in inputs:
                keys, values = (inputs[f"read {name} {layer}"] for name in ("keys", "values"))
                cache.layers[layer] = keys, values, keys.shape[2]
        hidden = self.model.hidden(tokens, InFront(inputs), cache)
        self.read.append(list(tokens.shape))
        self.in_front += inputs["embed"].shape[:2].numel() if "embed" in inputs else 0
        kept = [each[:, :, :used] for *pair, used in cache.layers.values() for each in pair]
        return [hidden, *(kept if question["keep"] else [])]

    def take(self, standing: dict) -> None:
        """Become what the student's code made of it."""
        for name, weight in self.model.named_parameters() if self.handed_out else ():
            value = torch.from_numpy(standing["values"][name])
            if value.shape != weight.shape:
                raise ValueError(f"{name} has shape {tuple(weight.shape)}; now it is {tuple(value.shape)}")
            weight.data = value.to(weight.dtype).clone()
            weight.requires_grad_(name in standing["trainable"])
            weight.grad = torch.zeros_like(weight) if name in standing["with gradient"] else None

    def weights_after(self, standing: dict) -> dict[str, Tensor]:
        self.take(standing)
        return {name: weight.detach().clone() for name, weight in self.model.named_parameters()}

    def facts(self, asked_for: list[str] = ()) -> dict[str, int]:
        """How many weights there are, take gradients (or just had one computed), have one, and are not as they were."""
        weights = dict(self.model.named_parameters())
        return {
            "weights": len(weights),
            "trainable": sum(weight.requires_grad or name in asked_for for name, weight in weights.items()),
            "gradients": sum(weight.grad is not None for weight in weights.values()),
            "changed": sum(not torch.equal(weight, self.began[name]) for name, weight in weights.items()),
        }


class InFront(Hooks):
    """Puts in front what the student's hooks, which are elsewhere, have put there."""

    def __init__(self, vectors: dict[str, Tensor]):
        super().__init__()
        self.vectors = vectors

    def joined(self, name: str, x: Tensor) -> Tensor:
        return torch.cat((self.vectors[name], x), -2) if name in self.vectors else x

    def embed(self, x):
        return self.joined("embed", x)

    def context(self, layer, x):
        return self.joined(f"context {layer}", x)

    def keys_values(self, layer, keys, values):
        return self.joined(f"keys {layer}", keys), self.joined(f"values {layer}", values)

    def bias(self, layer):
        return self.vectors.get(f"bias {layer}")


def as_tensors(arrays: dict) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def bounded(places: int) -> None:
    if places > MOST_PLACES:
        raise ValueError(f"the model reads at most {MOST_PLACES} places at once, virtual ones counted; got {places}")
