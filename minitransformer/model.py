"""A decoder-only Transformer, Llama-shaped: RMSNorm, rotary positions, grouped queries, SwiGLU, no biases.

Shape letters: B rows, T text tokens, P virtual tokens in front of them, S keys in all (cached + virtual + text),
D width, H query heads, G key/value heads, d width of a head, V vocabulary.

One rule gives every position and every mask: S keys stand at positions 0..S-1, the queries are the last of them, and
nobody sees what comes later. Plain text, prompts, prefixes and cached decoding all follow it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import expect
from .cache import Cache
from .hooks import NO_HOOKS, Hooks, lengthened


@dataclass(frozen=True)
class Config:
    """The shape of a model; one that cannot be is refused."""

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
    tied: bool = field(default=True, repr=False)  # one table of words, read and written; in no older fingerprint

    def __post_init__(self):
        expect.whole(1, **{size.name: getattr(self, size.name) for size in fields(self)[:7]})
        expect.flag(tied=self.tied)
        expect.positive(rope_base=self.rope_base, eps=self.eps)
        expect.whole(0, self.vocab - 1, **expect.given(end=self.end))
        for whole, part in ("width", "heads"), ("heads", "kv_heads"):
            if getattr(self, whole) % getattr(self, part):
                came = f"{whole}={getattr(self, whole)} and {part}={getattr(self, part)}"
                raise ValueError(f"Config.{whole} must be a multiple of {part}; got {came}: change one of them")
        if self.width // self.heads % 2:
            raise ValueError(f"a head must have an even width to rotate in pairs; got width / heads = {self.head}")

    @property
    def head(self) -> int:  # d
        return self.width // self.heads


def visible(queries: int, keys: int, device: torch.device | None = None) -> Tensor:  # (T, S)
    """True where a query may look: the queries are the last of the keys, and nobody sees what comes later."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def attend(
    queries: Tensor,  # (B, H, T, d)
    keys: Tensor,  # (B, G, S, d)
    values: Tensor,  # (B, G, S, d)
    mask: Tensor | None,  # (T, S); None where everything is seen
    bias: Tensor | None = None,  # (1 or B, 1, 1, S)
    watch: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:  # (B, H, T, d)
    """softmax(Q Kᵀ / √d + bias) V over what the mask shows: one fused call, or written out to watch the weights."""
    if watch is None:
        if bias is not None:
            mask = bias if mask is None else torch.where(mask, bias, -torch.inf)
        return F.scaled_dot_product_attention(queries, keys, values, mask, enable_gqa=True)
    shared_by = queries.shape[1] // keys.shape[1]  # so many query heads share one key/value head
    keys, values = keys.repeat_interleave(shared_by, 1), values.repeat_interleave(shared_by, 1)  # (B, H, S, d)
    scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5  # (B, H, T, S)
    scores = scores if bias is None else scores + bias
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    return watch(scores.softmax(-1)) @ values


class Attention(nn.Module):
    """Every position compares its query with the keys up to its own place, and mixes their values accordingly."""

    def __init__(self, config: Config, layer: int):
        super().__init__()
        self.config, self.layer = config, layer
        self.norm = nn.RMSNorm(config.width, config.eps)
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.kv_heads * config.head, bias=False)
        self.value = nn.Linear(config.width, config.kv_heads * config.head, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, hooks: Hooks, cache: Cache, rotate: Callable) -> Tensor:  # (B, T, D) -> (B, T, D)
        layer, before = self.layer, cache.length(self.layer)
        queries, keys, values = self.project(x, hooks, first_step=before == 0)
        total = before + keys.shape[2]  # S
        queries, keys = rotate(queries, total), rotate(keys, total)
        keys, values = cache.extend(layer, keys, values)  # (B, G, S, d)
        mask = visible(x.shape[1], total, x.device) if x.shape[1] > 1 else None  # one query, the last, sees all keys
        bias = padded(hooks.bias(layer), total)
        watch = partial(hooks.see, "weights", layer) if hooks.watches("weights") else None
        mixed = attend(queries, keys, values, mask, bias, watch)
        return self.output(mixed.transpose(1, 2).flatten(2))  # (B, H, T, d) -> (B, T, D)

    def project(self, x: Tensor, hooks: Hooks, first_step: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, d) from `x` itself, keys and values (B, G, P+T, d) from its context; not rotated yet."""
        heads, kv_heads, adding = self.config.heads, self.config.kv_heads, hooks if first_step else NO_HOOKS
        normed, context = self.norm(x), lengthened(adding.context, self.layer, x)  # (B, P+T, D)
        context = normed if context is x else self.norm(context)
        queries = split_heads(self.query(normed), heads)
        keys, values = split_heads(self.key(context), kv_heads), split_heads(self.value(context), kv_heads)
        keys, values = lengthened(adding.keys_values, self.layer, keys, values)
        named = zip(("queries", "keys", "values"), (queries, keys, values), strict=True)
        return tuple(hooks.see(site, self.layer, value) for site, value in named)


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

    def forward(self, x: Tensor, hooks: Hooks, cache: Cache, rotate: Callable) -> Tensor:  # (B, T, D) -> (B, T, D)
        x = hooks.see("input", self.layer, x)
        x = x + hooks.see("attention", self.layer, self.attention(x, hooks, cache, rotate))
        x = x + hooks.see("feed_forward", self.layer, self.feed_forward(self.norm(x), hooks))
        return hooks.see("output", self.layer, x)

    def feed_forward(self, x: Tensor, hooks: Hooks) -> Tensor:
        return self.down(hooks.see("hidden", self.layer, F.silu(self.gate(x)) * self.up(x)))


class Transformer(nn.Module):
    """tokens (B, T) -> logits (B, T, V), whatever the hooks put in front of them."""

    def __init__(self, config: Config):
        super().__init__()
        expect.a(Config, config=config)
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.eps)
        if not config.tied:
            self.unembedding = nn.Linear(config.width, config.vocab, bias=False)
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
        return hooks.see("logits", None, logits)

    def hidden(self, tokens: Tensor, hooks: Hooks = NO_HOOKS, cache: Cache | None = None) -> Tensor:
        """Everything but the logits, (B, T) -> (B, T, D), for those who need logits at a few positions only."""
        self.check(tokens, hooks, cache)
        return self.read(tokens, hooks, Cache() if cache is None else cache)

    def read(self, tokens: Tensor, hooks: Hooks, cache: Cache) -> Tensor:
        """The same for those who know that what they give fits together."""
        x = self.embedding(tokens)
        if not cache.started:
            hooks.fits(self.config)
            x = lengthened(hooks.embed, x)  # (B, P+T, D)
        x = hooks.see("embedding", None, x)
        for block in self.blocks:
            x = block(x, hooks, cache, self.rotate)
        return self.norm(x[:, x.shape[1] - tokens.shape[1] :])  # (B, T, D)

    def rotate(self, x: Tensor, total: int) -> Tensor:  # (B, heads, n, d), the last n of `total` positions
        """Turn each pair (i, i + d/2) by an angle that grows with its position."""
        cosine, sine = self.angles(x.shape[2], total)
        return x * cosine + x.roll(x.shape[3] // 2, -1) * sine

    def angles(self, last: int, total: int) -> tuple[Tensor, Tensor]:  # (last, d) each
        """Cosine and sine, with its sign, at the last places of `total` positions."""
        if total > self.config.context:
            raise ValueError(
                f"{total} positions are needed, virtual tokens included, but the context holds {self.config.context}; "
                "shorten the text or the soft prompt, or ask for fewer new tokens"
            )
        return self.cosine[total - last : total], self.sine[total - last : total]

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.table)

    @property
    def table(self) -> Tensor:  # (V, D)
        """What the last vector is compared with: a row for each word, those of the embedding if they are tied."""
        return self.embedding.weight if self.config.tied else self.unembedding.weight

    def check(self, tokens: Tensor, hooks: Hooks = NO_HOOKS, cache: Cache | None = None) -> None:
        """Refuse what this model cannot read, or go on from."""
        expect.a(Tensor, tokens=tokens)
        expect.a(Hooks, hooks=hooks)
        if tokens.dim() != 2 or tokens.dtype != torch.long:
            raise ValueError(f"tokens must be a LongTensor (rows, tokens); got {tokens.dtype} {tuple(tokens.shape)}")
        if tokens.numel() and not 0 <= tokens.min() <= tokens.max() < self.config.vocab:
            wrong = tokens[(tokens < 0) | (tokens >= self.config.vocab)][0]
            raise ValueError(f"token ids run from 0 to {self.config.vocab - 1}; got {wrong}: use its own tokenizer")
        if cache is not None:
            expect.a(Cache, cache=cache)
            cache.begin(self)


def split_heads(x: Tensor, heads: int) -> Tensor:  # (B, T, heads * d) -> (B, heads, T, d)
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def padded(bias: Tensor | None, total: int) -> Tensor | None:  # (1 or B, up to S) -> (1 or B, 1, 1, S)
    """Log-strengths of the first keys, with 0 for all others."""
    return None if bias is None else F.pad(bias, (0, total - bias.shape[1]))[:, None, None]
