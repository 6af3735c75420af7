"""What was already read: the keys and values of every layer, kept so that nothing is computed twice."""

import torch
from torch import Tensor


class Cache:
    """The keys and values of what was already read. A cache of one row serves any number of rows.

    While gradients are recorded it grows by concatenation; otherwise by writing into room set aside.
    """

    def __init__(self):
        self.layers: dict[int, tuple[Tensor, Tensor, int]] = {}  # keys, values (B, G, room, d) and how many are used

    @property
    def started(self) -> bool:
        return bool(self.layers)

    def length(self, layer: int) -> int:
        return self.layers[layer][2] if layer in self.layers else 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:  # (B, G, n, d) -> (B, G, S, d)
        if layer not in self.layers:
            self.layers[layer] = keys, values, keys.shape[2]
            return keys, values
        *old, used = self.layers[layer]
        rows, room, total = len(old[0]), old[0].shape[2], used + keys.shape[2]
        if rows not in (1, len(keys)):
            raise ValueError(f"this cache holds {rows} rows and cannot go on with {len(keys)}; start a new Cache()")
        if torch.is_grad_enabled() or rows < len(keys) or room < total:
            spare = 0 if torch.is_grad_enabled() else total
            kept = [t[:, :, :used].expand(len(keys), -1, -1, -1) for t in old]
            empty = keys.new_empty(*keys.shape[:2], spare, keys.shape[3])
            old = [torch.cat((a, b, empty), 2) for a, b in zip(kept, (keys, values), strict=True)]
        else:
            old[0][:, :, used:total], old[1][:, :, used:total] = keys, values
        self.layers[layer] = old[0], old[1], total
        return old[0][:, :, :total], old[1][:, :, :total]
