"""A decoder-only Transformer, Llama-shaped: RMSNorm, rotary positions, grouped queries, SwiGLU, tied embeddings.

Shape letters: B rows, T text tokens, P virtual tokens in front of them, S keys in all (cached + virtual + text),
D width, H query heads, G key/value heads, d width of a head, V vocabulary.

One rule gives every position and every mask: S keys sit at positions 0..S-1, the queries are the last of them,
and nobody sees what comes later. Plain text, prompts, prefixes and cached decoding all follow it.
"""

from dataclasses import dataclass, fields
from functools import cache as memoize

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cache import Cache
from .hooks import NO_HOOKS, Hooks


@dataclass(frozen=True)
class Config:
    """The shape of a model, checked at birth."""

    vocab: int
    context: int  # positions, virtual tokens counted
    width: int  # D
    layers: int
    heads: int  # H
    kv_heads: int  # G
    hidden: int  # width of the feed-forward
    rope_base: float = 10_000.0
    eps: float = 1e-5
    end: int | None = None  # the token that ends an answer

    def __post_init__(self):
        for field in fields(self)[:7]:
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ValueError(f"Config.{field.name} must be a whole number of at least 1; got {value!r}")
        for whole, part in ("width", "heads"), ("heads", "kv_heads"):
            if getattr(self, whole) % getattr(self, part):
                came = f"{whole}={getattr(self, whole)} and {part}={getattr(self, part)}"
                raise ValueError(f"Config.{whole} must be a multiple of {part}; got {came}: change one of them")
        if self.width // self.heads % 2:
            raise ValueError(f"a head must have an even width to rotate in pairs; got width / heads = {self.head}")
        if not (self.rope_base > 0 and self.eps > 0):
            raise ValueError(f"Config.rope_base and .eps must be positive; got {self.rope_base} and {self.eps}")
        if self.end is not None and not 0 <= self.end < self.vocab:
            raise ValueError(f"Config.end must be a token id from 0 to {self.vocab - 1}, or None; got {self.end!r}")

    @property
    def head(self) -> int:  # d
        return self.width // self.heads


class Step:
    """One forward on its way up: who hooks in, what was read before, where everyone stands and whom everyone sees."""

    def __init__(self, hooks: Hooks, cache: Cache, cosine: Tensor, sine: Tensor):
        self.hooks, self.cache, self.cosine, self.sine = hooks, cache, cosine, sine
        self.entry = NO_HOOKS if cache.started else hooks  # what lengthens does so at a sequence's first step
        self.mask = memoize(self.mask)  # the same for all layers of the same length

    def mask(self, queries: int, total: int) -> Tensor:  # (T, S), added to the scores
        """Query i sees key j when ones(T, S).tril(S - T) says so; of what it does not see, the exponential is zero."""
        return self.sine.new_full((queries, total), -torch.inf).triu(total - queries + 1)

    def rotate(self, x: Tensor, total: int) -> Tensor:
        """Turn each pair (i, i + d/2) by an angle that grows with its position; x has the last of `total` positions."""
        if total > len(self.sine):
            raise ValueError(
                f"{total} positions are needed, virtual tokens included, but the context holds {len(self.sine)}; "
                "shorten the text or the soft prompt, or ask for fewer new tokens"
            )
        here = slice(total - x.shape[2], total)
        return x * self.cosine[here] + x.roll(x.shape[3] // 2, -1) * self.sine[here]


class Attention(nn.Module):
    """Every position asks a question of the earlier ones and gathers what their values answer."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        self.config, self.layer = config, layer
        self.norm = nn.RMSNorm(config.width, config.eps)
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.kv_heads * config.head, bias=False)
        self.value = nn.Linear(config.width, config.kv_heads * config.head, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, step: Step) -> Tensor:  # (B, T, D) -> (B, T, D)
        normed = self.norm(x)
        context = step.entry.context(self.layer, x)  # (B, P+T, D)
        context = normed if context is x else self.norm(context)
        queries = split(self.query(normed), self.config.heads)  # (B, H, T, d)
        keys, values = split(self.key(context), self.config.kv_heads), split(self.value(context), self.config.kv_heads)
        keys, values = step.entry.keys_values(self.layer, keys, values)  # (B, G, P+T, d)
        for site, seen in ("queries", queries), ("keys", keys), ("values", values):
            step.hooks.watch(site, self.layer, seen)
        total = step.cache.length(self.layer) + keys.shape[2]  # S
        queries, keys = step.rotate(queries, total), step.rotate(keys, total)
        keys, values = step.cache.extend(self.layer, keys, values)  # (B, G, S, d)
        mixed = self.attend(queries, keys, values, step)
        return self.output(mixed.transpose(1, 2).flatten(2))  # (B, H, T, d) -> (B, T, D)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, step: Step) -> Tensor:  # -> (B, H, T, d)
        """One fused call; or the same written out, for those who watch the weights."""
        mask = step.mask(queries.shape[2], keys.shape[2])
        if (bias := step.hooks.bias(self.layer)) is not None:
            mask = mask + F.pad(bias, (0, keys.shape[2] - bias.shape[1]))[:, None, None]  # (1 or B, 1, T, S)
        if not step.hooks.watches("weights"):
            return F.scaled_dot_product_attention(queries, keys, values, mask, enable_gqa=True)
        shared_by = self.config.heads // self.config.kv_heads
        keys, values = keys.repeat_interleave(shared_by, 1), values.repeat_interleave(shared_by, 1)  # (B, H, S, d)
        scores = queries @ keys.transpose(2, 3) / self.config.head**0.5  # (B, H, T, S)
        weights = (scores + mask).softmax(-1)
        step.hooks.watch("weights", self.layer, weights)
        return weights @ values


class Block(nn.Module):
    """Attention moves information between positions; the feed-forward works on each position alone."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        self.layer = layer
        self.attention = Attention(config, layer)
        self.norm = nn.RMSNorm(config.width, config.eps)
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor, step: Step) -> Tensor:  # (B, T, D) -> (B, T, D)
        watch = step.hooks.watch
        watch("input", self.layer, x)
        attention = self.attention(x, step)
        watch("attention", self.layer, attention)
        x = x + attention
        feed_forward = self.feed_forward(self.norm(x))
        watch("feed_forward", self.layer, feed_forward)
        x = x + feed_forward
        watch("output", self.layer, x)
        return x

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Transformer(nn.Module):
    """tokens (B, T) -> logits (B, T, V), whatever the hooks put in front of them."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.eps)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:  # what writes into the stream starts smaller, the more blocks write
                writes = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * config.layers) ** 0.5 if writes else 0.02)
        speed = config.rope_base ** (-torch.arange(0, config.head, 2) / config.head)  # (d/2)
        angle = torch.arange(config.context)[:, None] * speed
        self.register_buffer("cosine", angle.cos().repeat(1, 2), persistent=False)  # (context, d)
        self.register_buffer("sine", torch.cat((-angle.sin(), angle.sin()), 1), persistent=False)

    def forward(self, tokens: Tensor, hooks: Hooks = NO_HOOKS, cache: Cache | None = None) -> Tensor:
        logits = self.logits(self.hidden(tokens, hooks, cache))  # (B, T, V)
        hooks.watch("logits", None, logits)
        return logits

    def hidden(self, tokens: Tensor, hooks: Hooks = NO_HOOKS, cache: Cache | None = None) -> Tensor:
        """Everything but the logits, (B, T) -> (B, T, D), for those who need logits at a few positions only."""
        self.check(tokens)
        step = Step(hooks, Cache() if cache is None else cache, self.cosine, self.sine)
        step.entry.fits(self.config)
        x = step.entry.embed(self.embedding(tokens))  # (B, P+T, D)
        hooks.watch("embedding", None, x)
        for block in self.blocks:
            x = block(x, step)
        return self.norm(x[:, x.shape[1] - tokens.shape[1] :])  # (B, T, D)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embedding.weight)

    def check(self, tokens: Tensor) -> None:
        if tokens.dim() != 2 or tokens.dtype != torch.long:
            raise ValueError(f"tokens must be a LongTensor (rows, tokens); got {tokens.dtype} {tuple(tokens.shape)}")
        if tokens.numel() and not 0 <= tokens.min() <= tokens.max() < self.config.vocab:
            wrong = tokens[(tokens < 0) | (tokens >= self.config.vocab)][0]
            raise ValueError(f"token ids run from 0 to {self.config.vocab - 1}; got {wrong}: use its own tokenizer")


def split(x: Tensor, heads: int) -> Tensor:  # (B, T, heads * d) -> (B, heads, T, d)
    return x.unflatten(2, (heads, -1)).transpose(1, 2)
