"""Freezing a model, and the evidence: gradient flows through it and lands on the soft prompt only."""

from torch import Tensor, nn

from . import expect
from .files.checkpoints import fingerprint
from .hooks import Hooks, Recorder, Stack
from .losses import loss
from .model import Transformer
from .products import prepare


def freeze(model: nn.Module) -> nn.Module:
    """Turn the gradients of every parameter off, and clear those that earlier training has left."""
    expect.a(nn.Module, model=model)
    for parameter in model.parameters():
        parameter.requires_grad_(False).grad = None
    prepare(model)
    return model


class NoProof:
    """For the training of a whole model, of which nothing is to stay as it was."""

    def note(self, tokens: Tensor, targets: Tensor) -> None:
        """There is nothing to keep."""


class FreezeProof:
    """Evidence that training touched the soft prompts and nothing else, gathered while it runs."""

    def __init__(self, model: Transformer, hooks: Hooks):
        self.model, self.hooks, self.before = model, hooks, fingerprint(model)
        self.reached: dict[str, Tensor] = {}  # for each of the hooks' parameters: which rows ever had a gradient

    def note(self, tokens: Tensor, targets: Tensor) -> None:
        """After a backward pass on this batch: which rows of the soft prompts it reached."""
        self.row = tokens[:1], targets[:1]  # to look at once more in the end
        for name, parameter in self.hooks.named_parameters():
            if parameter.grad is not None:
                rows = (parameter.grad != 0).any(-1).flatten()
                self.reached[name] = rows | self.reached.get(name, rows)

    def conclude(self) -> dict:
        """The facts as plain numbers; a RuntimeError where one of them speaks against the freeze."""
        recorder = Recorder(("output",), gradients=True)
        loss(self.model, *self.row, Stack(self.hooks, recorder)).backward()
        inside = [layer for _, layer in recorder.values if recorder.grad("output", layer) is not None]
        names = [name for name, _ in self.hooks.named_parameters()]
        unreached = [name for name in names if name not in self.reached or not self.reached[name].all()]
        facts = {
            "base_parameters": sum(1 for _ in self.model.parameters()),
            "base_gradients": sum(parameter.grad is not None for parameter in self.model.parameters()),
            "base_unchanged": fingerprint(self.model) == self.before,
            "prompt_rows": sum(len(rows) for rows in self.reached.values()),
            "prompt_rows_reached": sum(int(rows.sum()) for rows in self.reached.values()),
            "layers_with_gradient_inside": inside,
        }
        if facts["base_gradients"] or not facts["base_unchanged"] or unreached or not inside:
            raise RuntimeError(f"the training did not keep to the soft prompts: {facts}; rows not reached: {unreached}")
        return facts
