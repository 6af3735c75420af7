"""AdamW as torch computes it, without torch's compiler.

`torch.optim.AdamW` imports the compiler when it is made: a second of every process, before the first step. The function
behind it, which is public as well, does not.
"""

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


class AdamW:
    """A step moves a number by rate · mean of its gradients / √(mean of their squares): about the rate, however small.

    In both means an older gradient counts less, by 0.9 and 0.999 a step. `weight_decay` also draws each number towards
    zero. The numbers are those of `torch.optim.AdamW`, to the last bit.
    """

    def __init__(self, parameters: list[nn.Parameter], weight_decay: float):
        self.parameters, self.weight_decay = parameters, weight_decay
        self.state: dict[int, dict[str, Tensor]] = {}  # by a parameter's place in the list; none before its first step

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move those parameters that have a gradient."""
        moved = [place for place, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for place in moved:
            if place not in self.state:
                self.state[place] = at_rest(self.parameters[place])
        parameters, states = [self.parameters[place] for place in moved], [self.state[place] for place in moved]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )


def at_rest(parameter: nn.Parameter) -> dict[str, Tensor]:
    """The mean gradient, the mean square of it, and how many steps were taken; named as in a state of torch."""
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }
