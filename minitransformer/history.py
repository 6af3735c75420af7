"""What happened while training, and how it is kept so that training can go on later."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from . import expect
from .files.checkpoints import fill, read, write


@dataclass
class History:
    """What happened at each step, as plain numbers."""

    loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)  # (step, score)
    seconds: float = field(default=0.0, compare=False)
    proof: dict = field(default_factory=dict)  # what `FreezeProof` found, where soft prompts were trained

    def __post_init__(self):
        expect.a(list, loss=self.loss, grad_norm=self.grad_norm, rate=self.rate, validation=self.validation)
        expect.a(dict, proof=self.proof)
        for each in (*self.loss, *self.grad_norm, *self.rate, self.seconds):
            expect.number(number=each)
        for pair in self.validation:
            if not isinstance(pair, tuple) or len(pair) != 2 or not all(map(expect.is_number, pair)):
                raise ValueError(f"validation must be pairs (step, score); got {expect.shown(pair)}: give two numbers")

    def note(self, loss: float, grad_norm: float, rate: float, seconds: float) -> None:
        expect.number(loss=loss, grad_norm=grad_norm, rate=rate, seconds=seconds)
        self.loss.append(loss)
        self.grad_norm.append(grad_norm)
        self.rate.append(rate)
        self.seconds = seconds

    def since_best(self) -> int:
        """How many scores ago the best one came."""
        scores = [score for _, score in self.validation]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    def digest(self) -> str:
        """Sixteen hex digits that tell two trainings apart; how long they took does not count."""
        numbers = {name: value for name, value in asdict(self).items() if name != "seconds"}
        return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:16]


def suspend(
    path: str | Path,
    learner: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: dict,
    history: History,
    best: dict[str, Tensor],
) -> None:
    """Write everything that training needs to go on later."""
    tensors = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    write(path, "training state", tensors, {"settings": settings, "history": asdict(history)})


def resume(
    path: str | Path | None, learner: nn.Module, optimizer: torch.optim.Optimizer, settings: dict
) -> tuple[History, dict[str, Tensor]]:
    """The history and the best parameters so far, with learner and optimizer put back where `suspend` left them."""
    if path is None or not Path(path).exists():
        return History(), {}
    tensors, about = read(path, "training state")
    if about["settings"] != settings:
        raise ValueError(
            f"{path} was begun with {about['settings']}, not {settings}; use the same, or remove that file"
        )
    parts: dict[str, dict[str, Tensor]] = {"learner": {}, "best": {}, "optimizer": {}}
    for key, tensor in tensors.items():
        part, name = key.split(".", 1)
        parts[part][name] = tensor
    fill(learner, parts["learner"], path)
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in parts["optimizer"].items():
        number, name = key.split(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    about["history"]["validation"] = [tuple(entry) for entry in about["history"]["validation"]]
    return History(**about["history"]), parts["best"]
