"""Two shorter ways through the model's blocks, to the same numbers: past the padding, and for one token at a time.

`model.py` is how a Transformer is read; nothing here is needed to understand it. Both ways are taken only where nobody
watches and where the model is made of this package's own parts. `plain_products()` closes them.

Shape letters as in `model.py`; N places of a batch (B, T) that are computed, W of them that are asked for.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import model as textbook
from . import products
from .cache import Cache
from .hooks import NO_HOOKS, SITES, Hooks
from .model import Attention, Block, Transformer, attend, padded, split_heads, visible
from .products import PreparedLinear, fastest, fits, together

PARTS = {Transformer, Block, Attention, nn.ModuleList, nn.Embedding, nn.RMSNorm, nn.Linear, PreparedLinear}
METHODS = {part: dict(vars(part)) for part in (Transformer, Block, Attention)}  # as `model.py` has them


def lead_there(model: Transformer, hooks: Hooks) -> bool:
    """Whether the shorter ways lead to what the model computes, and nobody wants to see what is on the long one."""
    unwatched = products.wanted and not any(map(hooks.watches, SITES))
    return unwatched and as_written() and all(map(untouched, model.modules()))


def as_written() -> bool:
    """Whether `model.py` is as we know it: somebody may have put another function in the place of one of its own."""
    same = textbook.visible is visible and textbook.attend is attend
    return same and all(vars(part) == methods for part, methods in METHODS.items())


def untouched(module: nn.Module) -> bool:
    """Whether it is one of this package's parts, with no other method in its place and nobody called on the way."""
    called = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return type(module) in PARTS and not any(called) and not any(hasattr(type(module), name) for name in vars(module))


class Places(NamedTuple):
    """Which places of a batch are asked for, and which are needed to compute them; all as indices.

    Nothing behind a row's last wanted place can matter to it.
    """

    shape: torch.Size  # B, T
    wanted: Tensor  # (W) of B·T
    needed: Tensor  # (N) of B·T
    kept: Tensor  # (W) of N: where the wanted ones stand among those needed

    @classmethod
    def of(cls, wanted: Tensor, device: torch.device) -> "Places":  # (B, T), of truth values
        """Found where the mask is: while it is at hand, a model on another device need not wait."""
        needed = wanted.flip(1).cumsum(1).flip(1) > 0
        found = (mask.nonzero().squeeze(1) for mask in (wanted.flatten(), needed.flatten(), wanted[needed]))
        return cls(wanted.shape, *(places.to(device, non_blocking=True) for places in found))

    @property
    def are_all(self) -> bool:
        return len(self.wanted) == self.shape.numel()


def hidden_at(model: Transformer, tokens: Tensor, places: Places, hooks: Hooks, cache: Cache) -> Tensor:  # -> (W, D)
    """The hidden states at the wanted places of a text; what stands in front of it was read before.

    In the last block nothing but the wanted places is computed; attention alone is computed for whole rows.
    """
    x = model.embedding(tokens.flatten()[places.needed])  # (N, D)
    for block in model.blocks[:-1]:
        x = through(block, x, places, places.needed, slice(None), hooks, cache, model.rotate)
    return model.norm(through(model.blocks[-1], x, places, places.wanted, places.kept, hooks, cache, model.rotate))


def through(
    block: Block, x: Tensor, places: Places, asking: Tensor, kept, hooks: Hooks, cache: Cache, rotate: Callable
) -> Tensor:
    """A block on the places that are needed, (N, D), to those of them that ask for its output, which are kept."""
    attention, normed, rows = block.attention, block.attention.norm(x), places.shape
    queries = split_heads(spread(attention.query(normed[kept]), asking, rows), attention.config.heads)
    keys, values = (
        split_heads(spread(project(normed), places.needed, rows), attention.config.kv_heads)
        for project in (attention.key, attention.value)
    )
    total = cache.length(attention.layer) + rows[1]  # S
    keys, values = cache.extend(attention.layer, rotate(keys, total), values)
    bias = padded(hooks.bias(attention.layer), total)
    mask = visible(rows[1], total, x.device)
    mixed = attend(rotate(queries, total), keys, values, mask, bias)  # (B, H, T, d)
    x = x[kept] + attention.output(mixed.transpose(1, 2).flatten(2).flatten(0, 1)[asking])
    return x + block.feed_forward(block.norm(x), NO_HOOKS)


def spread(x: Tensor, places: Tensor, shape: torch.Size) -> Tensor:  # (N, width) -> (B, T, width)
    """Each to its place in the batch, and zeros elsewhere."""
    return x.new_zeros(shape.numel(), x.shape[1]).index_copy(0, places, x).unflatten(0, shape)


class OneToken:
    """One token more for every row of a batch, after what is in the cache, to the logits of the next: (B) -> (B, V)."""

    def __init__(self, model: Transformer):
        self.model, self.norm = model, lean(model.norm)
        self.layers = [Weights.of(block) for block in model.blocks]

    def read(self, tokens: Tensor, hooks: Hooks, cache: Cache) -> Tensor:
        config, before = self.model.config, None
        heads, kv_heads = config.heads, config.kv_heads
        x = F.embedding(tokens, self.model.embedding.weight)  # (B, D)
        product = fastest(len(x)) if fits(x, self.model.embedding.weight) else F.linear
        for layer, weights in enumerate(self.layers):
            total = cache.length(layer) + 1  # S
            if total != before:  # a prefix may be longer in some layers
                (cosine, sine), before = self.model.angles(1, total), total
            projected = product(weights.norm(x), weights.query_key_value)
            projected = projected.view(len(x), heads + 2 * kv_heads, 1, config.head)
            turned, values = projected.split((heads + kv_heads, kv_heads), 1)
            turned = torch.addcmul(turned * cosine, turned.roll(config.head // 2, -1), sine)
            queries, keys = turned.split((heads, kv_heads), 1)
            keys, values = cache.put(layer, keys, values)  # (B, G, S, d)
            mixed = attend(queries, keys, values, None, padded(hooks.bias(layer), total))  # (B, H, 1, d)
            x = x + product(mixed.flatten(1), weights.output)
            gate, up = product(weights.second_norm(x), weights.gate_up).chunk(2, 1)
            x = x + product(F.silu(gate) * up, weights.down)
        return product(self.norm(x), self.model.table)


def lean(norm: nn.RMSNorm) -> Callable[[Tensor], Tensor]:  # (B, D) -> (B, D)
    """The same in three operations; torch takes ten for it on a processor. x √D / √(|x|² + D eps), times its weight."""
    weight, width = norm.weight, len(norm.weight)
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return norm
    scaled, least = weight * width**0.5, weight.new_tensor(width * norm.eps).sqrt()
    return lambda x: x / torch.hypot(torch.linalg.vector_norm(x, dim=1, keepdim=True), least) * scaled


class Weights(NamedTuple):
    """Those of one block, where products with the same vector are one product."""

    norm: Callable
    query_key_value: Tensor  # (D + 2·G·d, D)
    output: Tensor
    second_norm: Callable
    gate_up: Tensor  # (2·hidden, D)
    down: Tensor

    @classmethod
    def of(cls, block: Block) -> "Weights":
        attention = block.attention
        return cls(
            lean(attention.norm),
            together(attention.query.weight, attention.key.weight, attention.value.weight),
            attention.output.weight,
            lean(block.norm),
            together(block.gate.weight, block.up.weight),
            block.down.weight,
        )
