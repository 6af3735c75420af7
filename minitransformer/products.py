"""Matrix products with weights that nobody trains, by the faster of two libraries: the same numbers in less time.

torch brings two libraries for products on a processor, and `nn.Linear` always takes the same one. Which is faster
depends on the processor, so it is measured, once. The model knows nothing of this: `prepare` gives its linear layers
another class, with the same parameters. `plain_products()` switches it off, and so does the environment variable
MINITRANSFORMER_PRODUCTS=plain.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

ROWS = 64  # with fewer, calling the other library costs more than it saves
CLEARLY = 0.8  # of the time: so that the choice is the same tomorrow


def prepare(model: nn.Module) -> None:
    """Let the linear layers of a model use the faster library wherever their weights get no gradient."""
    for layer in model.modules():
        if type(layer) is nn.Linear and layer.bias is None:
            layer.__class__ = PreparedLinear


class PreparedLinear(nn.Linear):
    """A linear layer without a bias; where its weight gets a gradient, it does what every other one does."""

    def forward(self, x: Tensor) -> Tensor:
        learns = self.weight.requires_grad and torch.is_grad_enabled()
        if learns or x.numel() < ROWS * self.in_features or not usable(x, self.weight):
            return super().forward(x)
        return Product.apply(x, self.weight)

    def _get_name(self) -> str:  # shown as what it is to a reader
        return "Linear"


class Product(torch.autograd.Function):
    """x Wᵀ, with a gradient for x alone."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:  # (…, I), (O, I) -> (…, O)
        return by_onednn(x, weight)

    @staticmethod
    def setup_context(context, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        context.save_for_backward(inputs[1])
        context.save_for_forward(inputs[1])

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        (weight,) = context.saved_tensors
        return Product.apply(gradient, weight.T), None

    @staticmethod
    def jvp(context, direction: Tensor, _: None) -> Tensor:
        (weight,) = context.saved_tensors
        return by_onednn(direction, weight)


def by_onednn(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def flops(x: tuple[int, ...], weight: tuple[int, ...], *_, **__) -> int:
    """Two for each number of each product: torch's counter does not know this operator."""
    return 2 * math.prod(x) * weight[0]


if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # not every build of torch has it
    register_flop_formula(torch.ops.mkldnn._linear_pointwise)(flops)


def usable(x: Tensor, weight: Tensor) -> bool:
    """Whether the other library can multiply these, and is worth it on this processor."""
    numbers = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    fits = numbers and x.shape[-1] == weight.shape[1] and not torch.is_autocast_enabled("cpu")
    return wanted and fits and onednn_is_faster()


@cache
def onednn_is_faster() -> bool:
    """Measured in a few milliseconds: the best of several runs each, one after the other."""
    if os.environ.get("MINITRANSFORMER_PRODUCTS") == "plain" or not torch.backends.mkldnn.is_available():
        return False
    x = weight = torch.ones(256, 256)
    best = {multiply: float("inf") for multiply in (F.linear, by_onednn)}
    try:
        for _ in range(8):
            for multiply in best:
                best[multiply] = min(best[multiply], seconds(multiply, x, weight))
    except (AttributeError, RuntimeError):  # it is not a public part of torch, and may be gone
        return False
    return best[by_onednn] < CLEARLY * best[F.linear]


def seconds(multiply: Callable, x: Tensor, weight: Tensor) -> float:
    with torch.no_grad():
        began = time.perf_counter()
        multiply(x, weight)
        return time.perf_counter() - began


wanted = True


@contextmanager
def plain_products() -> Iterator[None]:
    """In here every product is the one that `nn.Linear` takes."""
    global wanted
    before, wanted = wanted, False
    try:
        yield
    finally:
        wanted = before
