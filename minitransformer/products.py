"""Matrix products with weights that nobody trains: the same numbers in less time.

torch brings two libraries for products on a processor, and `nn.Linear` always takes the same one. Which is faster
depends on the processor, so it is measured, once. So is the way in which large weights should lie in memory. The model
knows nothing of this: `prepare` gives its linear layers another class, with the same parameters. `plain_products()`
switches the other library off; the environment variable MINITRANSFORMER_PRODUCTS=plain switches all of it off.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

ROWS = 64  # with fewer, calling the other library costs more than it saves
CLEARLY = 0.8  # of the time: so that the choice is the same tomorrow
LARGE, HUGE = 2**20, 2**22  # bytes: smaller weights are at hand in the processor's caches, however they lie
FAR = 2**26  # bytes: more than the caches hold
NEIGHBOURS = ("query", "key", "value"), ("gate", "up")  # layers that multiply the same vectors


def prepare(model: nn.Module) -> None:
    """Let the linear layers of a model use the faster library wherever their weights get no gradient, and its large
    weights lie as it suits the decoding of one row, which reads all of them for every token.
    """
    for module in list(model.modules()):
        children = {name: child for name, child in module.named_children() if has_weight_alone(child)}
        for child in children.values():
            child.__class__ = PreparedLinear if isinstance(child, nn.Linear) else nn.Embedding
        for names in NEIGHBOURS:
            widths = {children[name].weight.shape[1] for name in names if name in children}
            if children.keys() >= set(names) and len(widths) == 1:
                lay_out([children.pop(name).weight for name in names])
        for child in children.values():
            lay_out([child.weight])


def has_weight_alone(layer: nn.Module) -> bool:
    """A layer that only multiplies, or looks up rows; not one that somebody has made of it."""
    return type(layer) in (nn.Linear, PreparedLinear, nn.Embedding) and getattr(layer, "bias", None) is None


@torch.no_grad()
def lay_out(weights: Sequence[nn.Parameter]) -> None:  # (O, I) each
    """Put the weights of neighbours side by side, and huge ones by columns where that is faster."""
    on_processor = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    size = sum(weight.nbytes for weight in weights)
    if plain() or not on_processor or size < LARGE:
        return
    outputs, inputs = sum(map(len, weights)), weights[0].shape[1]
    by_columns = size >= HUGE and columns_are_faster(outputs, inputs)
    present = beside(weights)
    if present is not None and present.T.is_contiguous() == by_columns:
        return
    whole = weights[0].new_empty(inputs, outputs).T if by_columns else weights[0].new_empty(outputs, inputs)
    for weight, part in zip(weights, whole.split([len(weight) for weight in weights]), strict=True):
        weight.data = part.copy_(weight)


def together(*weights: Tensor) -> Tensor:  # (O, I) each -> (all O, I)
    """Neighbours as one: a view where they lie side by side, or else a copy."""
    whole = beside(weights)
    return torch.cat(weights) if whole is None else whole


def beside(weights: Sequence[Tensor]) -> Tensor | None:
    """The one tensor of which these are the parts, where they lie in memory so."""
    first, place = weights[0], weights[0].storage_offset()
    for weight in weights:
        same = weight.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or weight.storage_offset() != place or weight.stride() != first.stride():
            return None
        place += len(weight) * weight.stride(0)
    return first.as_strided((sum(map(len, weights)), first.shape[1]), first.stride(), first.storage_offset())


class PreparedLinear(nn.Linear):
    """A linear layer without a bias that multiplies by the faster library."""

    def forward(self, x: Tensor) -> Tensor:
        return multiply(x, self.weight)

    def _get_name(self) -> str:  # shown as what it is to a reader
        return "Linear"


def multiply(x: Tensor, weight: Tensor) -> Tensor:  # (…, I), (O, I) -> (…, O)
    """x Wᵀ by the faster library, or by the usual one where the weight gets a gradient, too."""
    learns = weight.requires_grad and torch.is_grad_enabled()
    if learns or x.numel() < ROWS * weight.shape[1] or not usable(x, weight):
        return F.linear(x, weight)
    return Product.apply(x, weight)


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


def plain() -> bool:
    """Whether nothing is to be prepared."""
    return os.environ.get("MINITRANSFORMER_PRODUCTS") == "plain"


@cache
def onednn_is_faster() -> bool:
    """Measured in a few milliseconds."""
    if plain() or not torch.backends.mkldnn.is_available():
        return False
    x = weight = torch.ones(256, 256)
    try:
        return ratio(partial(by_onednn, x, weight), partial(F.linear, x, weight), times=8) < CLEARLY
    except (AttributeError, RuntimeError):  # it is not a public part of torch, and may be gone
        return False


@cache
def columns_are_faster(outputs: int, inputs: int) -> bool:
    """Whether one vector is multiplied faster by a weight of this shape that lies by columns; measured in some 50 ms.

    With so many weights that none of them is at hand in a cache: so it is when a large model decodes.
    """
    outputs = min(outputs, FAR // (4 * inputs))
    count = FAR // (4 * outputs * inputs)
    x, memory = torch.ones(1, inputs), torch.ones(count, outputs * inputs)
    rows, columns = memory.view(count, outputs, inputs), memory.view(count, inputs, outputs).transpose(1, 2)
    return ratio(*(partial(multiply_all, x, weights) for weights in (columns, rows))) < CLEARLY


def multiply_all(x: Tensor, weights: Tensor) -> None:
    for weight in weights:
        F.linear(x, weight)


def ratio(one: Callable, other: Callable, times: int = 3) -> float:
    """How long one takes, as a share of the other: the best of several runs each, one after the other."""
    best = {each: float("inf") for each in (one, other)}
    for _ in range(times):
        for each in best:
            best[each] = min(best[each], seconds(each))
    return best[one] / best[other]


def seconds(run: Callable) -> float:
    with torch.no_grad():
        began = time.perf_counter()
        run()
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
