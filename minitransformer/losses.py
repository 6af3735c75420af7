"""How wrong the model is, as a loss to train on and as an accuracy to report."""

import torch
import torch.nn.functional as F
from torch import Tensor

from . import expect
from .cache import Cache
from .hooks import NO_HOOKS, Hooks
from .model import Transformer
from .products import multiply
from .shortcuts import Places, hidden_at, lead_there
from .tokenizer import IGNORED, check_targets

Batch = tuple[Tensor, Tensor]  # tokens and targets, both (B, T)


def loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks = NO_HOOKS) -> Tensor:
    """Mean cross-entropy at the targets; the logits are computed nowhere else.

    A batch that is still in the processor's memory is checked there, and the model's device need not wait.
    """
    places = check(model, tokens, targets, hooks)
    return cross_entropy(wanted_logits(model, tokens, places, hooks, Cache()), targets, places)


def shared_loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> Tensor:
    """The same loss and gradients as `loss` for less work: what stands in front is run once, and not for every row.

    A step without text puts its keys and values into a cache of one row; every row of the batch goes on from there.
    """
    places = check(model, tokens, targets, hooks)
    cache = front(model, tokens, places, hooks)
    return cross_entropy(wanted_logits(model, tokens, places, hooks, cache), targets, places)


def front(model: Transformer, tokens: Tensor, places: Places, hooks: Hooks) -> Cache:
    """What stands in front of every text, read once: a cache of one row."""
    cache = Cache()
    if hooks.lengthens():
        model.hidden(tokens[:1, :0].to(places.wanted.device), hooks, cache)
    return cache


def check(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> Places:
    """Where the targets are; what cannot be a batch for this model is refused."""
    expect.a(Transformer, model=model)
    check_targets(tokens, targets, model.config.vocab)
    model.check(tokens, hooks)
    return Places.of(targets != IGNORED, model.embedding.weight.device)


def wanted_logits(model: Transformer, tokens: Tensor, places: Places, hooks: Hooks, cache: Cache) -> Tensor:  # (W, V)
    """Logits at the wanted places alone, one row for each."""
    tokens = tokens.to(places.wanted.device, non_blocking=True)
    if not lead_there(model, hooks):
        return model.logits(model.hidden(tokens, hooks, cache).flatten(0, 1)[places.wanted])
    text_alone = cache.started or not hooks.lengthens()
    if places.are_all or not text_alone:
        hidden = model.read(tokens, hooks, cache).flatten(0, 1)[places.wanted]
    else:
        hidden = hidden_at(model, tokens, places, hooks, cache)
    return multiply(hidden, model.table)


def cross_entropy(logits: Tensor, targets: Tensor, places: Places) -> Tensor:
    return F.cross_entropy(logits, wanted_targets(targets, places))


def wanted_targets(targets: Tensor, places: Places) -> Tensor:  # (B, T) -> (W)
    return targets.to(places.wanted.device, non_blocking=True).flatten()[places.wanted]


def accuracy(model: Transformer, batch: Batch, hooks: Hooks = NO_HOOKS) -> float:
    """The share of rows whose greedily generated answer is exactly the target, end token included.

    One forward decides it: as long as every earlier token was right, the generated text is the target's own.
    """
    return loss_and_accuracy(model, batch, hooks)[1]


@torch.no_grad()
def loss_and_accuracy(model: Transformer, batch: Batch, hooks: Hooks = NO_HOOKS) -> tuple[float, float]:
    """Both from one forward."""
    tokens, targets = pair(batch)
    places = check(model, tokens, targets, hooks)
    cache = front(model, tokens, places, hooks) if hooks.same_for_all() else Cache()
    logits = wanted_logits(model, tokens, places, hooks, cache)
    if not logits.isfinite().all():
        raise ValueError("the logits must be finite to have a best one; got NaN or infinite ones: train it again")
    wrong = logits.argmax(-1) != wanted_targets(targets, places)
    rows = places.wanted // targets.shape[1]
    right = (len(tokens) - len(rows[wrong].unique())) / len(tokens)
    return cross_entropy(logits, targets, places).item(), right


def pair(batch: Batch) -> Batch:
    """Tokens and targets; what is no such pair is refused."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(f"a batch must be a pair (tokens, targets); got {expect.shown(batch)}: see tokenizer.batch")
    return tuple(batch)


def check_shareable(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> None:
    """Refuse hooks that change the text itself: only what stands in front of it is the same in every row."""
    with torch.no_grad():
        plain = loss(model, tokens, targets, hooks)
        apart = (plain - shared_loss(model, tokens, targets, hooks)).abs()
    if apart > 3 * torch.finfo(model.embedding.weight.dtype).eps ** 0.5:  # .001 in float32, .26 in bfloat16
        raise ValueError(
            "hooks may put vectors in front of the text, but these change the text's own vectors: the loss is "
            f"{apart:.2g} off when what stands in front is run once for all rows; leave the text as it is"
        )
