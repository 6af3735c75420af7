"""The model that a student's code drives, while the real one is the judge's, in another process.

It looks like a `Transformer`, and each forward and backward asks the judge, who counts and looks at his own. What
becomes of the weights here is told along, and becomes true there: a model that is said to be frozen is a frozen one.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from minitransformer import Cache, Config, Hooks, Transformer
from minitransformer.hooks import NO_HOOKS, SITES, lengthened


class Line:
    """Where to ask: a copy of a model has the same one."""

    def __init__(self, served: Callable):
        self.ask = served

    def __deepcopy__(self, memo):
        return self


class ServedModel(Transformer):
    """Has the judge's weights only where they are handed out; without them its parts refuse to be used alone."""

    def __init__(self, config: Mapping, served: Callable, weights: Mapping[str, np.ndarray] | None = None):
        super().__init__(Config(**config))
        self.line = Line(served)
        self.handed_out = list(weights or {})
        if weights:
            self.load_state_dict({name: torch.from_numpy(weight.copy()) for name, weight in weights.items()})
            return
        for weight in self.parameters():
            weight.requires_grad_(False).zero_()
        for part in (self.embedding, self.norm, *self.blocks.modules()):
            part.register_forward_pre_hook(refuse)

    def hidden(self, tokens: Tensor, hooks: Hooks = NO_HOOKS, cache: Cache | None = None) -> Tensor:
        self.check(tokens)
        question, cache = {"tokens": tokens, "keep": cache is not None}, Cache() if cache is None else cache
        inputs = in_front(hooks, self.config, len(tokens), cache) | was_read(cache)
        hidden, *kept = Asked.apply(self, question, [*inputs], *inputs.values(), *self.told())
        for layer, pair in enumerate(zip(kept[::2], kept[1::2], strict=True)):
            cache.layers[layer] = *pair, pair[0].shape[2]
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        return Asked.apply(self, {}, ["hidden"], hidden, *self.told())[0]

    def told(self) -> list[Tensor]:
        """The weights of which the judge hears."""
        return [attrgetter(name)(self) for name in self.handed_out]

    def standing(self) -> dict:
        """What has become of the weights since they were handed out."""
        weights = dict(zip(self.handed_out, self.told(), strict=True))
        return {
            "trainable": [name for name, weight in weights.items() if weight.requires_grad],
            "with gradient": [name for name, weight in weights.items() if weight.grad is not None],
            "values": weights,
        }


class Asked(torch.autograd.Function):
    """A forward that the judge computes, and its backward: the gradients that are wanted here."""

    @staticmethod
    def forward(ctx, model, question, names, *inputs):
        ctx.model, ctx.question, ctx.names = model, question, names
        given = inputs[: len(names)]
        ctx.save_for_backward(*given)
        came = model.line.ask("forward", question, dict(zip(names, given, strict=True)), model.standing())
        return tuple(torch.from_numpy(each) for each in came)

    @staticmethod
    @once_differentiable
    def backward(ctx, *slopes):
        model, every = ctx.model, [*ctx.names, *ctx.model.handed_out]
        wanted = [name for name, needed in zip(every, ctx.needs_input_grad[3:], strict=True) if needed]
        given = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        came = model.line.ask("backward", ctx.question, given, model.standing(), wanted, slopes)
        return None, None, None, *(torch.from_numpy(came[name]) if name in came else None for name in every)


def in_front(hooks: Hooks, config: Config, rows: int, cache: Cache) -> dict[str, Tensor]:
    """What these hooks put in front of the text, and where; they run here, so their parameters get their gradients."""
    if watched := [site for site in SITES if hooks.watches(site)]:
        raise ValueError(
            f"while an answer is checked the model works in another process: hooks can put vectors in front of a text "
            f"there, and cannot watch {', '.join(watched)}; leave them out"
        )
    stream, keys = torch.empty(rows, 0, config.width), torch.empty(rows, config.kv_heads, 0, config.head)
    added = {}
    if not cache.started:
        hooks.fits(config)
        added["embed"] = lengthened(hooks.embed, stream)
    for layer in range(config.layers):
        if not cache.length(layer):
            added[f"context {layer}"] = lengthened(hooks.context, layer, stream)
            pair = lengthened(hooks.keys_values, layer, keys, keys.clone())
            added |= {f"{name} {layer}": each for name, each in zip(("keys", "values"), pair, strict=True)}
    biases = {f"bias {layer}": hooks.bias(layer) for layer in range(config.layers)}
    return {name: each for name, each in added.items() if each.shape[-2]} | {
        name: each for name, each in biases.items() if each is not None
    }


def was_read(cache: Cache) -> dict[str, Tensor]:
    """The keys and values in a cache: they go along, so that a copy of a cache is a cache."""
    return {
        f"read {name} {layer}": each[:, :, :used]
        for layer, (*pair, used) in cache.layers.items()
        for name, each in zip(("keys", "values"), pair, strict=True)
    }


def refuse(*_) -> None:
    raise RuntimeError("the model's parts are in another process while an answer is checked: use the model as a whole")
