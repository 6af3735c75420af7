"""Training, of a whole model or of soft prompts on a frozen one: the same function."""

import math
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from .distributed import Alone, team
from .freezing import FreezeProof, freeze
from .history import History, resume, suspend
from .hooks import NO_HOOKS, Hooks
from .losses import Batch, check_shareable, loss, shared_loss
from .model import Transformer


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Rises in a line over `warmup` steps, then falls along a cosine to a tenth of its peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.55 + 0.45 * math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train(
    model: Transformer,
    batches: Iterable[Batch],
    hooks: Hooks | None = None,
    *,
    steps: int = 150,
    peak: float = 3e-2,
    warmup: int = 10,
    weight_decay: float = 0.0,
    clip: float = 1.0,
    validate: Callable[[], float] | None = None,
    every: int = 25,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    on_step: Callable[[int], None] | None = None,
    progress: bool = True,
    by: Alone | None = None,
) -> History:
    """Train the hooks' parameters on the frozen model, or the model itself where there are no hooks.

    `validate` gives a score every `every` steps; the best-scoring parameters are kept, and after `patience` scores
    without a better one training stops. With a `checkpoint` path the state is saved as often, and training that finds
    one there goes on from it as if it had never stopped. `on_step(step)` may look at parameters and gradients.
    Under torchrun its processes share each batch, unless they are told to train each `by=Alone()`.
    """
    learner, by = model if hooks is None else hooks, team() if by is None else by
    if hooks is not None:
        freeze(model)
    parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad and parameter.numel()]
    if not parameters:
        raise ValueError(
            "there is nothing to train: every parameter is frozen, or of length 0; pass hooks= that own parameters, "
            "or thaw the model with model.requires_grad_(True)"
        )
    optimizer = torch.optim.AdamW(parameters, lr=peak, weight_decay=weight_decay, fused=True)
    settings = dict(steps=steps, peak=peak, warmup=warmup, weight_decay=weight_decay, clip=clip)
    history, best = History(), {}
    if checkpoint is not None and Path(checkpoint).exists():
        history, best = resume(checkpoint, learner, optimizer, settings)
    by.begin((model, learner), len(history.loss))
    proof = None if hooks is None else FreezeProof(model, hooks)
    step_loss, device = loss if hooks is None else shared_loss, model.embedding.weight.device
    first, began = len(history.loss), time.perf_counter() - history.seconds
    with tqdm(total=steps, initial=first, disable=by.rank > 0 or not progress, unit="step", dynamic_ncols=True) as bar:
        for step, batch in enumerate(islice(batches, first, steps), first):
            tokens, targets = (part.to(device) for part in batch)
            if proof is not None and step == first:
                check_shareable(model, tokens, targets, hooks)
            rate = learning_rate(step, steps, peak, warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            mine, weight = by.share(tokens, targets)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                value = weight * step_loss(model, *mine, hooks or NO_HOOKS)
            value.backward()
            value = by.add_up(value, weight, parameters)
            norm = nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            history.note(value.item(), norm.item(), rate, time.perf_counter() - began)
            if proof is not None:
                proof.note()
            if on_step is not None:
                on_step(step)
            pace = tokens.numel() * (step + 1) / history.seconds
            bar.set_postfix_str(f"loss {history.loss[-1]:.3f}, {pace:,.0f} tokens/s", refresh=False)
            bar.update()
            if (step + 1) % every == 0 or step + 1 == steps:
                if validate is not None:
                    history.validation.append((step + 1, by.from_first(validate)))
                    if history.since_best() == 0:
                        best = {name: tensor.detach().clone() for name, tensor in learner.state_dict().items()}
                if checkpoint is not None and by.rank == 0:
                    suspend(checkpoint, learner, optimizer, settings, history, best)
                if patience is not None and history.since_best() >= patience:
                    break
    if best:
        learner.load_state_dict(best)
    if proof is not None and len(history.loss) > first:
        hooks.base, history.proof = proof.before, proof.conclude(tokens, targets)
    optimizer.zero_grad()
    return history
