"""Which parameters are kept, and when training is long enough."""

import math
from collections.abc import Callable

from torch import Tensor, nn

from . import expect
from .history import History


class Stopping:
    """Keeps the parameters with the best validation score, and says when it is enough, or no better one has come."""

    def __init__(
        self,
        learner: nn.Module,
        history: History,
        validate: Callable[[], float] | None = None,
        patience: int | None = None,
        best: dict[str, Tensor] | None = None,
        until: float | None = None,
    ):
        self.learner, self.history, self.validate, self.patience = learner, history, validate, patience
        self.until = until
        expect.whole(1, **expect.given(patience=patience))
        expect.number(**expect.given(until=until))
        if until is not None and validate is None:
            raise ValueError(f"until={until} is a score to reach, and nothing gives scores: pass validate= as well")
        self.best, self.last_good = best or {}, {}

    def check(self, step: int, rate: float, **numbers: float) -> None:
        """Before a step is taken: stop where a number is not finite, with the parameters that were good before."""
        for name, number in numbers.items():
            if not math.isfinite(number):
                self.give_up(f"the {name} became {number} at step {step}", f"try a learning rate below {rate:.2g}")
        self.last_good = self.copy()

    def look(self, step: int) -> None:
        """Measure after this many steps, and keep the parameters if they are the best so far."""
        if self.validate is None:
            return
        score = self.validate()
        if not expect.is_number(score):
            self.give_up(
                f"the score became {expect.shown(score)} at step {step}",
                "let validate return a finite number, such as accuracy(model, batch, hooks)",
            )
        self.history.validation.append((step, score))
        if self.history.since_best() == 0:
            self.best = self.copy()

    def copy(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.learner.state_dict().items()}

    @property
    def due(self) -> bool:
        """Whether the score is as good as it was to be, or `patience` scores have come without a better one."""
        good = self.until is not None and any(score >= self.until for _, score in self.history.validation)
        return good or (self.patience is not None and self.history.since_best() >= self.patience)

    def restore(self) -> None:
        """Put the best parameters back, where any were kept."""
        if self.best:
            self.learner.load_state_dict(self.best)

    def give_up(self, why: str, remedy: str) -> None:
        kept = self.best or self.last_good
        if kept:
            self.learner.load_state_dict(kept)
        raise ValueError(
            f"{why}; training has stopped with the {'best' if self.best else 'last good'} parameters: {remedy}"
        )
