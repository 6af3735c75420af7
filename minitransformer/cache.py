"""What was already read: the keys and values of every layer, kept so that nothing is computed twice."""

import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from . import expect


class Cache:
    """The keys and values of what was already read. A cache of one row serves any number of rows.

    While gradients are recorded it grows by concatenation; otherwise by writing into room set aside: for `room` places
    behind those of the first step, and for as many as there are whenever it is used up.
    """

    def __init__(self, room: int = 0):
        expect.whole(0, room=room)
        self.room = room
        self.layers: dict[int, tuple[Tensor, Tensor, int]] = {}  # keys, values (B, G, room, d) and how many are used
        self.model: weakref.ref | None = None  # the one whose keys and values these are

    @property
    def started(self) -> bool:
        return bool(self.layers)

    def begin(self, model: torch.nn.Module) -> None:
        """Before a forward: what one model has read means nothing to another."""
        self.model = weakref.ref(model) if self.model is None else self.model
        if self.model() is not model:
            raise ValueError(
                "this cache holds keys and values of another model, which mean nothing to this one; "
                "start with a new Cache()"
            )

    def length(self, layer: int) -> int:
        return self.layers[layer][2] if layer in self.layers else 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:  # (B, G, n, d) -> (B, G, S, d)
        self.check(layer, keys, values)
        return self.put(layer, keys, values)

    def put(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The same for those who know that what they give fits."""
        if layer not in self.layers and (torch.is_grad_enabled() or not self.room):
            self.layers[layer] = keys, values, keys.shape[2]
            return keys, values
        *old, used = self.layers.get(layer, (keys, values, 0))
        total = used + keys.shape[2]
        if torch.is_grad_enabled():
            kept = [tensor[:, :, :used].expand(len(keys), -1, -1, -1) for tensor in old]
            old = [torch.cat(pair, 2) for pair in zip(kept, (keys, values), strict=True)]
        else:
            rows, room = old[0].shape[::2]
            if not used or rows < keys.shape[0] or room < total:
                old = [self.moved(tensor[:, :, :used], keys.shape[0], total + (used or self.room)) for tensor in old]
            for tensor, new in zip(old, (keys, values), strict=True):
                tensor.narrow(2, used, total - used).copy_(new)
        self.layers[layer] = *old, total
        return old[0].narrow(2, 0, total), old[1].narrow(2, 0, total)

    @staticmethod
    def moved(tensor: Tensor, rows: int, room: int) -> Tensor:
        """A copy with room for more rows, which are the same, and for more places, which are empty."""
        roomy = tensor.new_empty(rows, tensor.shape[1], room, tensor.shape[3])
        roomy[:, :, : tensor.shape[2]] = tensor
        return roomy

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows: with these, by their numbers."""
        for layer, (keys, values, used) in self.layers.items():
            self.layers[layer] = keys[rows, :, :used], values[rows, :, :used], used

    def check(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Refuse what cannot be one layer's keys and values, or cannot stand behind those that are here."""
        expect.whole(0, layer=layer)
        expect.a(Tensor, keys=keys, values=values)
        like = self.layers[layer][0] if layer in self.layers else keys
        same = keys.shape == values.shape and keys.dim() == 4 and keys.shape[1::2] == like.shape[1::2]
        if not same or keys.dtype != like.dtype:
            came = f"{keys.dtype} {tuple(keys.shape)} and {values.dtype} {tuple(values.shape)}"
            raise ValueError(
                f"keys and values must be two tensors (B, G, n, d) of the same shape, and here of type {like.dtype}, "
                f"with G, d = {tuple(like.shape[1::2])}; got {came}: give those that one model makes"
            )
        if layer in self.layers and len(like) not in (1, len(keys)):
            raise ValueError(
                f"this cache holds {len(like)} rows and cannot go on with {len(keys)}; start a new Cache()"
            )
