"""Training, of a whole model or of soft prompts on a frozen one: the same function.

Its parts stand in files of their own: the learning rate in `schedule.py`, the best parameters and the end in
`stopping.py`, what happened in `history.py`, the evidence in `freezing.py`, several processes in `distributed.py`.
"""

import time
from collections.abc import Callable, Iterable, Sized
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import expect
from .adamw import AdamW
from .distributed import Alone, team
from .freezing import FreezeProof, NoProof, freeze
from .history import History, resume, suspend
from .hooks import Hooks
from .losses import Batch, check_shareable, loss, pair, shared_loss
from .model import Transformer
from .schedule import Schedule
from .stopping import Stopping


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
    until: float | None = None,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    on_step: Callable[[int], None] | None = None,
    progress: bool = True,
    by: Alone | None = None,
) -> History:
    """Train the hooks' parameters on the frozen model, or the model itself where there are no hooks.

    `validate` gives a score every `every` steps; the best-scoring parameters are kept, and training stops when a score
    reaches `until`, or after `patience` scores without a better one. With a `checkpoint` path the state is saved as
    often, and training that finds one there goes on from it as if it had never stopped. `on_step(step)` may look at
    parameters and gradients.
    Under torchrun its processes share each batch, unless they are told to train each `by=Alone()`.
    """
    expect.a(Transformer, model=model)
    expect.a(Hooks, **expect.given(hooks=hooks))
    expect.number(0, weight_decay=weight_decay)
    expect.positive(clip=clip)
    expect.whole(1, every=every)
    expect.function(**expect.given(validate=validate, on_step=on_step))
    expect.path(**expect.given(checkpoint=checkpoint))
    expect.a(Alone, **expect.given(by=by))
    check_enough(batches, steps)
    learner, by = model if hooks is None else hooks, team() if by is None else by
    if hooks is not None:
        freeze(model)
    parameters, schedule = trainable(learner), Schedule(steps, peak, warmup)
    optimizer = AdamW(parameters, weight_decay)
    settings = dict(steps=steps, peak=peak, warmup=warmup, weight_decay=weight_decay, clip=clip)
    history, best = resume(checkpoint, learner, optimizer, settings)
    first = len(history.loss)
    by.begin((model, learner), first)
    proof = NoProof() if hooks is None else FreezeProof(model, hooks)
    stopping = Stopping(learner, history, validate and partial(by.from_first, validate), patience, best, until)
    with Progress(steps, history, quiet=by.rank > 0 or not progress) as bar:
        last = first if stopping.due else steps  # it may have come to its end before
        for step, batch in enumerate(islice(batches, first, last), first):
            tokens, targets = pair(batch)
            if step == first and hooks is not None:
                check_shareable(model, tokens, targets, hooks)
            rate = schedule.rate(step)
            optimizer.zero_grad()
            value = backward(model, tokens, targets, hooks, parameters, by)
            norm = nn.utils.clip_grad_norm_(parameters, clip)
            value, norm = torch.stack((value.detach(), norm)).tolist()  # here alone the device is waited for
            stopping.check(step, rate, loss=value, gradient=norm)
            optimizer.step(rate)
            history.note(value, norm, rate, bar.seconds)
            proof.note(tokens, targets)
            if on_step is not None:
                on_step(step)
            bar.advance(tokens.numel())
            if (step + 1) % every == 0 or step + 1 == steps:
                stopping.look(step + 1)
                if checkpoint is not None and by.rank == 0:
                    suspend(checkpoint, learner, optimizer, settings, history, stopping.best)
                if stopping.due:
                    break
    stopping.restore()
    if hooks is not None:
        hooks.base = proof.before
    if hooks is not None and len(history.loss) > first:
        history.proof = proof.conclude()
    optimizer.zero_grad()
    if len(history.loss) < steps and not stopping.due:
        raise ValueError(too_few(len(history.loss), steps))
    return history


def check_enough(batches: Iterable[Batch], steps: int) -> None:
    """Refuse batches that are known to be too few; those of which nobody knows are counted while they come."""
    expect.whole(1, steps=steps)
    if not isinstance(batches, Iterable) or isinstance(batches, str | bytes | Tensor):
        raise ValueError(f"batches must be pairs (tokens, targets); got {expect.shown(batches)}: see Batches")
    if isinstance(batches, Sized) and len(batches) < steps:
        raise ValueError(too_few(len(batches), steps))


def too_few(batches: int, steps: int) -> str:
    return (
        f"{steps} steps need {steps} batches; got {batches}: repeat them with itertools.cycle(batches), or train "
        f"for {batches or 'fewer'} steps"
    )


def trainable(learner: nn.Module) -> list[nn.Parameter]:
    """What the optimizer gets; a ValueError where there is nothing to train."""
    parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad and parameter.numel()]
    if not parameters:
        raise ValueError(
            "there is nothing to train: every parameter is frozen, or of length 0; pass hooks= that own parameters, "
            "or thaw the model with model.requires_grad_(True)"
        )
    return parameters


def backward(
    model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks | None, parameters: list[nn.Parameter], by: Alone
) -> Tensor:
    """The loss of this batch, shared by all processes; after it, the parameters have its gradient."""
    mine, weight = by.share(tokens, targets)
    device = model.embedding.weight.device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        value = weight * (loss(model, *mine) if hooks is None else shared_loss(model, *mine, hooks))
    value.backward()
    return by.add_up(value, weight, parameters)


class Progress:
    """A bar with the loss and the pace, and the seconds since training began, those before a break included."""

    def __init__(self, steps: int, history: History, quiet: bool):
        done = len(history.loss)
        self.history, self.began = history, time.perf_counter() - history.seconds
        self.bar = tqdm(total=steps, initial=done, disable=quiet, unit="step", dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def advance(self, tokens: int) -> None:
        pace = tokens * len(self.history.loss) / self.history.seconds
        score = f"score {self.history.validation[-1][1]:.3g}, " if self.history.validation else ""
        self.bar.set_postfix_str(f"loss {self.history.loss[-1]:.3f}, {score}{pace:,.0f} tokens/s", refresh=False)
        self.bar.update()
