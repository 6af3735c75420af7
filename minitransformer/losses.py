"""How wrong the model is, as a loss to train on and as an accuracy to report."""

import torch
import torch.nn.functional as F
from torch import Tensor

from . import expect
from .cache import Cache
from .hooks import NO_HOOKS, Hooks
from .model import Transformer
from .tokenizer import IGNORED, check_targets

Batch = tuple[Tensor, Tensor]  # tokens and targets, both (B, T)


def loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks = NO_HOOKS) -> Tensor:
    """Mean cross-entropy at the targets; the logits are computed nowhere else."""
    expect.a(Transformer, model=model)
    check_targets(tokens, targets, model.config.vocab)
    return target_loss(model, model.hidden(tokens, hooks), targets)


def shared_loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> Tensor:
    """The same loss and gradients as `loss` for less work: the virtual tokens' own stream is run once, not once a row.

    A step without text puts their keys and values into a cache of one row; every row of the batch goes on from there.
    What only adds keys and values, as prefixes do, has no such stream, and nothing is won by sharing it.
    """
    expect.a(Transformer, model=model)
    if not has_stream(hooks):
        return loss(model, tokens, targets, hooks)
    check_targets(tokens, targets, model.config.vocab)
    cache = Cache()
    model.hidden(tokens[:1, :0], hooks, cache)
    return target_loss(model, model.hidden(tokens, hooks, cache), targets)


def has_stream(hooks: Hooks) -> bool:
    """Whether virtual tokens may enter at the embedding layer and run through the blocks on their own."""
    expect.a(Hooks, hooks=hooks)
    return type(hooks).embed is not Hooks.embed


def target_loss(model: Transformer, hidden: Tensor, targets: Tensor) -> Tensor:
    wanted = targets != IGNORED
    return F.cross_entropy(model.logits(hidden[wanted]), targets[wanted])


@torch.no_grad()
def accuracy(model: Transformer, batch: Batch, hooks: Hooks = NO_HOOKS) -> float:
    """The share of rows whose greedily generated answer is exactly the target, end token included.

    One forward decides it: as long as every earlier token was right, the generated text is the target's own.
    """
    tokens, targets = on_device_of(model, batch)
    check_targets(tokens, targets, model.config.vocab)
    wanted = targets != IGNORED
    right = wanted.logical_not()
    logits = model.logits(model.hidden(tokens, hooks)[wanted])
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
        apart = (plain - shared_loss(model, tokens, targets, hooks)).abs().item() if has_stream(hooks) else 0.0
    if apart > 3 * torch.finfo(model.embedding.weight.dtype).eps ** 0.5:  # .001 in float32, .26 in bfloat16
        raise ValueError(
            "hooks may put vectors in front of the text, but these change the text's own vectors: the loss is "
            f"{apart:.2g} off when what stands in front is run once for all rows; leave the text as it is"
        )
