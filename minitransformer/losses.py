"""How wrong the model is, as a loss to train on and as an accuracy to report."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .cache import Cache
from .hooks import NO_HOOKS, Hooks
from .model import Transformer
from .tokenizer import IGNORED

Batch = tuple[Tensor, Tensor]  # tokens and targets, both (B, T)


def loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks = NO_HOOKS) -> Tensor:
    """Mean cross-entropy at the targets; the logits are computed nowhere else."""
    return target_loss(model, model.hidden(tokens, hooks), targets)


def shared_loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> Tensor:
    """The same loss and gradients as `loss` for less work: the virtual tokens' own stream is run once, not once a row.

    A step without text puts their keys and values into a cache of one row; every row of the batch goes on from there.
    What only adds keys and values, as prefixes do, has no such stream, and nothing is won by sharing it.
    """
    if not has_stream(hooks):
        return loss(model, tokens, targets, hooks)
    cache = Cache()
    model.hidden(tokens[:1, :0], hooks, cache)
    return target_loss(model, model.hidden(tokens, hooks, cache), targets)


def has_stream(hooks: Hooks) -> bool:
    """Whether virtual tokens may enter at the embedding layer and run through the blocks on their own."""
    return type(hooks).embed is not Hooks.embed


def target_loss(model: Transformer, hidden: Tensor, targets: Tensor) -> Tensor:
    wanted = targets != IGNORED
    return F.cross_entropy(model.logits(hidden[wanted]), targets[wanted])


@torch.no_grad()
def accuracy(model: Transformer, batch: Batch, hooks: Hooks = NO_HOOKS) -> float:
    """The share of rows whose greedily generated answer is exactly the target, end token included.

    One forward decides it: as long as every earlier token was right, the generated text is the target's own.
    """
    tokens, targets = (part.to(model.embedding.weight.device) for part in batch)
    wanted = targets != IGNORED
    right = wanted.logical_not()
    right[wanted] = model.logits(model.hidden(tokens, hooks)[wanted]).argmax(-1) == targets[wanted]
    return right.all(1).sum().item() / len(tokens)


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
