"""Training, of a whole model or of soft prompts on a frozen one: the same function."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .checkpoints import fill, read, write
from .hooks import NO_HOOKS, Hooks
from .model import Cache, Transformer
from .tokenizer import IGNORED

Batch = tuple[Tensor, Tensor]


@dataclass
class History:
    """What happened at each step, as plain numbers."""

    loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)  # (step, score)
    seconds: float = field(default=0.0, compare=False)

    def note(self, loss: float, grad_norm: float, rate: float, seconds: float) -> None:
        if not math.isfinite(loss):
            raise ValueError(f"the loss became {loss} at step {len(self.loss)}; try a learning rate below {rate:.2g}")
        self.loss.append(loss)
        self.grad_norm.append(grad_norm)
        self.rate.append(rate)
        self.seconds = seconds


def freeze(model: nn.Module) -> nn.Module:
    """Turn the gradients of every parameter off, and clear those left from earlier training: they would lie."""
    for parameter in model.parameters():
        parameter.requires_grad_(False).grad = None
    return model


def loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks = NO_HOOKS) -> Tensor:
    """Mean cross-entropy at the targets; the logits are computed nowhere else."""
    return target_loss(model, model.hidden(tokens, hooks), targets)


def shared_loss(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks) -> Tensor:
    """The same loss and gradients as `loss` for less work: the virtual tokens' own stream is run once, not once a row.

    A step without text puts their keys and values into a cache of one row; every row of the batch goes on from there.
    """
    cache = Cache()
    model.hidden(tokens[:1, :0], hooks, cache)
    return target_loss(model, model.hidden(tokens, hooks, cache), targets)


def target_loss(model: Transformer, hidden: Tensor, targets: Tensor) -> Tensor:
    wanted = targets != IGNORED
    return F.cross_entropy(model.logits(hidden[wanted]), targets[wanted])


@torch.no_grad()
def accuracy(model: Transformer, batch: Batch, hooks: Hooks = NO_HOOKS) -> float:
    """The share of rows whose greedily generated answer is exactly the target, end token included.

    One forward decides it: as long as every earlier token was right, the generated text is the target's own.
    """
    tokens, targets = batch
    cache = Cache()
    model.hidden(tokens[:1, :0], hooks, cache)
    right = model(tokens, hooks, cache).argmax(-1) == targets
    return (right | (targets == IGNORED)).all(1).float().mean().item()


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
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train the hooks' parameters on the frozen model, or the model itself where there are no hooks.

    `validate` is called every `every` steps; with a `checkpoint` path the state is saved as often, and training that
    finds one there goes on from it as if it had never stopped.
    """
    learner, step_loss = (model, loss) if hooks is None else (hooks, shared_loss)
    if hooks is not None:
        freeze(model)
    parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(
            "there is nothing to train: every parameter is frozen; pass hooks= that own parameters, "
            "or thaw the model with model.requires_grad_(True)"
        )
    optimizer = torch.optim.AdamW(parameters, lr=peak, weight_decay=weight_decay, fused=True)
    settings = dict(steps=steps, peak=peak, warmup=warmup, weight_decay=weight_decay, clip=clip)
    history = History()
    if checkpoint is not None and Path(checkpoint).exists():
        history = resume(checkpoint, learner, optimizer, settings)
    first, began = len(history.loss), time.perf_counter() - history.seconds
    with tqdm(total=steps, initial=first, disable=not progress, unit="step", dynamic_ncols=True) as bar:
        for step, (tokens, targets) in enumerate(islice(batches, first, steps), first):
            rate = learning_rate(step, steps, peak, warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = step_loss(model, tokens, targets, hooks or NO_HOOKS)
            value.backward()
            norm = nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            history.note(value.item(), norm.item(), rate, time.perf_counter() - began)
            if (step + 1) % every == 0 or step + 1 == steps:
                if validate is not None:
                    history.validation.append((step + 1, validate()))
                if checkpoint is not None:
                    suspend(checkpoint, learner, optimizer, settings, history)
            pace = tokens.numel() * (step + 1) / history.seconds
            bar.set_postfix_str(f"loss {value:.3f}, {pace:,.0f} tokens/s", refresh=False)
            bar.update()
    return history


def suspend(path: str | Path, learner: nn.Module, optimizer: torch.optim.Optimizer, settings: dict, history: History):
    """Write everything that training needs to go on later."""
    tensors = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    write(path, "training state", tensors, {"settings": settings, "history": asdict(history)})


def resume(path: str | Path, learner: nn.Module, optimizer: torch.optim.Optimizer, settings: dict) -> History:
    """Put learner and optimizer back where `suspend` left them, and return the history until then."""
    tensors, about = read(path, "training state")
    if about["settings"] != settings:
        raise ValueError(f"{path} was begun with {about['settings']}, not {settings}; use the same, or another path")
    learned = {key.removeprefix("learner."): value for key, value in tensors.items() if key.startswith("learner.")}
    fill(learner, learned, path)
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".")
            state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return History(**about["history"])
