"""What happened while training, and how it is kept so that training can go on later."""

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor, nn

from . import expect
from .adamw import AdamW, at_rest
from .files.checkpoints import OwnFile, contents, read
from .files.schema import fits, outlines
from .files.whole import write_whole

KIND = "training state"


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
    optimizer: AdamW,
    settings: dict,
    history: History,
    best: dict[str, Tensor],
) -> None:
    """Write everything that training needs to go on later; the state before it is kept beside it."""
    tensors = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for place, state in optimizer.state.items():
        tensors |= {f"optimizer.{place}.{name}": tensor for name, tensor in state.items()}
    idle = [place for place in range(len(optimizer.parameters)) if place not in optimizer.state]
    about = {"settings": settings, "history": asdict(history), "without_gradient": idle}
    state = contents(path, KIND, tensors, about, "remove it, and train with a lower learning rate, peak=")
    if whole(path):
        write_whole(previous(path), Path(path).read_bytes())
    write_whole(path, state)


def whole(path: str | Path) -> bool:
    """Whether there is a state that is not broken."""
    try:
        return bool(read(path, KIND))
    except (ValueError, FileNotFoundError):
        return False


def previous(path: str | Path) -> Path:
    """Where the state before the last one is kept."""
    return Path(f"{path}.previous")


def forget(path: str | Path) -> None:
    """Remove the states of a training that came to its end."""
    for state in Path(path), previous(path):
        state.unlink(missing_ok=True)


def resume(
    path: str | Path | None, learner: nn.Module, optimizer: AdamW, settings: dict
) -> tuple[History, dict[str, Tensor]]:
    """The history and the best parameters so far, with learner and optimizer put back where `suspend` left them.

    Where the last state is damaged, a warning says so, and the one before it is used.
    """
    if path is None or not Path(path).exists():
        return History(), {}
    about, parts = last_whole(path, learner, optimizer)
    if about["settings"] != settings:
        raise ValueError(
            f"{path} was begun with {about['settings']}, not {settings}; use the same, or remove that file"
        )
    learner.load_state_dict(parts["learner"])
    for key, tensor in parts["optimizer"].items():
        place, name = key.split(".")
        device = optimizer.parameters[int(place)].device
        optimizer.state.setdefault(int(place), {})[name] = tensor.to(device)
    about["history"]["validation"] = [tuple(entry) for entry in about["history"]["validation"]]
    return History(**about["history"]), parts["best"]


def last_whole(path: str | Path, learner: nn.Module, optimizer: AdamW) -> tuple[dict, dict]:
    try:
        return read_state(path, learner, optimizer)
    except ValueError as error:
        try:
            state = read_state(previous(path), learner, optimizer)
        except (ValueError, FileNotFoundError):
            raise error from None
        warnings.warn(f"{error}. Training goes on from {previous(path)}, the state before it.", stacklevel=4)
        return state


def read_state(path: str | Path, learner: nn.Module, optimizer: AdamW) -> tuple[dict, dict[str, dict[str, Tensor]]]:
    """What a state says of itself, and its tensors: all of them, and no others, for this learner and optimizer."""
    file = OwnFile(path, KIND)
    history, own = file.about["history"], outlines(learner.state_dict())
    steps = {len(history[name]) for name in ("loss", "grad_norm", "rate")}
    if len(steps) > 1 or any(step > max(steps) for step, _ in history["validation"]):
        raise file.source.wrong(
            f"should tell of as many losses as norms, rates and steps, and tells of {sorted(steps)}"
        )
    wanted = {f"learner.{name}": outline for name, outline in own.items()}
    if history["validation"]:
        wanted |= {f"best.{name}": outline for name, outline in own.items()}
    idle = file.about.get("without_gradient", ())  # the first format did not tell
    for place, parameter in enumerate(optimizer.parameters):
        if place not in idle:
            at_start = outlines(at_rest(parameter))
            wanted |= {f"optimizer.{place}.{name}": outline for name, outline in at_start.items()}
    fits(file.outlines, wanted, file.source, exact=True)
    parts: dict[str, dict[str, Tensor]] = {"learner": {}, "best": {}, "optimizer": {}}
    for key, tensor in file.copies().items():
        part, name = key.split(".", 1)
        parts[part][name] = tensor
        if name.endswith(".step") and part == "optimizer" and tensor.item() not in range(1, max(steps) + 1):
            raise file.source.wrong(
                f"should hold a number of steps up to {max(steps)} in {key!r} and holds {tensor.item()}"
            )
    return file.about, parts
