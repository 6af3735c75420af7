"""Which parameters are kept, and when training is long enough."""

from collections.abc import Callable

from torch import Tensor, nn

from .history import History


class Stopping:
    """Keeps the parameters with the best validation score, and says when no better score has come for a while."""

    def __init__(
        self,
        learner: nn.Module,
        history: History,
        validate: Callable[[], float] | None = None,
        patience: int | None = None,
        best: dict[str, Tensor] | None = None,
    ):
        self.learner, self.history, self.validate, self.patience = learner, history, validate, patience
        self.best = best or {}

    def look(self, step: int) -> None:
        """Measure after this many steps, and keep the parameters if they are the best so far."""
        if self.validate is None:
            return
        self.history.validation.append((step, self.validate()))
        if self.history.since_best() == 0:
            self.best = {name: tensor.detach().clone() for name, tensor in self.learner.state_dict().items()}

    @property
    def due(self) -> bool:
        """Whether `patience` scores have come without a better one."""
        return self.patience is not None and self.history.since_best() >= self.patience

    def restore(self) -> None:
        """Put the best parameters back, where any were kept."""
        if self.best:
            self.learner.load_state_dict(self.best)
