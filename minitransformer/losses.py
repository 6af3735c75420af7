"""How wrong the model is, as a loss to train on and as an accuracy to report."""

import torch
import torch.nn.functional as F
from torch import Tensor

from . import expect
from .cache import Cache
from .hooks import NO_HOOKS, Hooks
from .model import Transformer
from .shortcuts import hidden_at, lead_there
from .tokenizer import IGNORED, check_targets

Batch = tuple[Tensor, Tensor]  # tokens and targets, both (B, T)


def loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks = NO_HOOKS) -> Tensor:
    """Mean cross-entropy at the targets; the logits are computed nowhere else."""
    expect.a(Transformer, model=model)
    expect.a(Hooks, hooks=hooks)
    check_targets(tokens, targets, model.config.vocab)
    wanted = targets != IGNORED
    return F.cross_entropy(wanted_logits(model, tokens, wanted, hooks), targets[wanted])


def shared_loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> Tensor:
    """The same loss and gradients as `loss` for less work: what stands in front is run once, and not for every row.

    A step without text puts its keys and values into a cache of one row; every row of the batch goes on from there.
    """
    expect.a(Transformer, model=model)
    expect.a(Hooks, hooks=hooks)
    if not hooks.lengthens():
        return loss(model, tokens, targets, hooks)
    check_targets(tokens, targets, model.config.vocab)
    wanted, cache = targets != IGNORED, Cache()
    model.hidden(tokens[:1, :0], hooks, cache)
    return F.cross_entropy(wanted_logits(model, tokens, wanted, hooks, cache), targets[wanted])


def wanted_logits(
    model: Transformer, tokens: Tensor, wanted: Tensor, hooks: Hooks, cache: Cache | None = None
) -> Tensor:  # -> (W, V)
    """Logits at the wanted places alone, (B, T) of them, one row of the result for each."""
    cache = Cache() if cache is None else cache
    reads_text_alone = cache.started or not hooks.lengthens()
    if reads_text_alone and not wanted.all() and lead_there(model, hooks):
        model.check(tokens, hooks, cache)
        return model.logits(hidden_at(model, tokens, wanted, hooks, cache))
    return model.logits(model.hidden(tokens, hooks, cache)[wanted])


@torch.no_grad()
def accuracy(model: Transformer, batch: Batch, hooks: Hooks = NO_HOOKS) -> float:
    """The share of rows whose greedily generated answer is exactly the target, end token included.

    One forward decides it: as long as every earlier token was right, the generated text is the target's own.
    """
    tokens, targets = on_device_of(model, batch)
    check_targets(tokens, targets, model.config.vocab)
    wanted = targets != IGNORED
    right = wanted.logical_not()
    logits = wanted_logits(model, tokens, wanted, hooks)
    if not logits.isfinite().all():
        raise ValueError("the logits must be finite to have a best one; got NaN or infinite ones: train it again")
    right[wanted] = logits.argmax(-1) == targets[wanted]
    return right.all(1).sum().item() / len(tokens)


def on_device_of(model: Transformer, batch: Batch) -> Batch:
    """Tokens and targets where the model is; what is no such pair is refused."""
    expect.a(Transformer, model=model)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(f"a batch must be a pair (tokens, targets); got {expect.shown(batch)}: see tokenizer.batch")
    tokens, targets = batch
    expect.a(Tensor, tokens=tokens, targets=targets)
    return tokens.to(model.embedding.weight.device), targets.to(model.embedding.weight.device)


def check_shareable(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> None:
    """Refuse hooks that change the text itself: only what stands in front of it is the same in every row."""
    with torch.no_grad():
        plain = loss(model, tokens, targets, hooks)
        apart = (plain - shared_loss(model, tokens, targets, hooks)).abs().item()
    if apart > 3 * torch.finfo(model.embedding.weight.dtype).eps ** 0.5:  # .001 in float32, .26 in bfloat16
        raise ValueError(
            "hooks may put vectors in front of the text, but these change the text's own vectors: the loss is "
            f"{apart:.2g} off when what stands in front is run once for all rows; leave the text as it is"
        )
