"""Matrix products with weights that nobody trains: the same numbers in less time.

torch brings two libraries for products on a processor, and `nn.Linear` always takes the same one. The usual one again
has a way for one product and a way for a batch of products. Which is faster depends on the processor and on the number
of rows, so it is measured, once. The model knows nothing of this: `prepare` gives its linear layers another class, with
the same parameters. `plain_products()` switches the other ways off; the environment variable
MINITRANSFORMER_PRODUCTS=plain switches all of it off.
"""

import inspect
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

ROWS = 64  # with fewer, calling the other library costs more than it saves
FEW = 3  # rows: with more, a batch of products costs nearly as much as one product
CLEARLY = 0.8  # of the time: so that the choice is the same tomorrow
LARGE = 2**19  # bytes: smaller weights are at hand in the processor's caches, and read fast in any way
FAR = 2**26  # bytes: more than the caches hold
NEIGHBOURS = ("query", "key", "value"), ("gate", "up")  # layers that multiply the same vectors


def prepare(model: nn.Module) -> None:
    """Let the linear layers of a model take the fastest way wherever their weights get no gradient, and let neighbours
    lie side by side, so that they are one product when a token is decoded.
    """
    for module in list(model.modules()):
        layers = {name: child for name, child in module.named_children() if only_multiplies(child)}
        for layer in layers.values():
            layer.__class__ = PreparedLinear
        for names in NEIGHBOURS:
            widths = {layers[name].weight.shape[1] for name in names if name in layers}
            if layers.keys() >= set(names) and len(widths) == 1:
                lay_out([layers[name].weight for name in names])


def only_multiplies(layer: nn.Module) -> bool:
    """A linear layer without a bias; not one that somebody has made of it."""
    return type(layer) in (nn.Linear, PreparedLinear) and layer.bias is None


@torch.no_grad()
def lay_out(weights: Sequence[nn.Parameter]) -> None:  # (O, I) each
    """Put large weights of neighbours side by side."""
    on_processor = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    large = sum(weight.nbytes for weight in weights) >= LARGE
    if plain() or not on_processor or not large or beside(weights) is not None:
        return
    whole = torch.cat(list(weights))
    for weight, part in zip(weights, whole.split([len(weight) for weight in weights]), strict=True):
        weight.data = part


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
    """x Wᵀ in the fastest way, or in the usual one where the weight gets a gradient, too."""
    learns = weight.requires_grad and torch.is_grad_enabled()
    if learns or not fits(x, weight):
        return F.linear(x, weight)
    return fastest(x.numel() // weight.shape[1])(x, weight)


def fastest(rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The way for so many rows, by weights without a gradient that lie in a processor's memory."""
    if rows >= ROWS and onednn_is_faster():
        return Product.apply
    return of_few_rows if 0 < rows <= FEW else F.linear


def of_few_rows(x: Tensor, weight: Tensor) -> Tensor:  # (…, I), (O, I) -> (…, O)
    large = weight.nbytes >= LARGE
    return (in_parts if large and parts_are_faster(x.numel() // weight.shape[1]) else F.linear)(x, weight)


def in_parts(x: Tensor, weight: Tensor) -> Tensor:  # (…, I), (O, I) -> (…, O)
    """x Wᵀ as a batch of products, each with a part of the weight."""
    count = parts(len(weight))
    if count == 1:
        return F.linear(x, weight)
    columns = x.reshape(-1, x.shape[-1]).t().expand(count, -1, -1)  # (count, I, rows)
    product = torch.bmm(weight.unflatten(0, (count, -1)), columns).flatten(0, 1)  # (O, rows)
    return product.t().contiguous().view(*x.shape[:-1], len(weight))


@cache
def parts(outputs: int) -> int:
    """How many parts of the same size: a few, or one where none of these numbers fits."""
    return next((count for count in range(2, 65) if outputs % count == 0), 1)


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


Product.forward.__signature__ = inspect.signature(Product.forward)  # torch asks for it at each call


def by_onednn(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def flops(x: tuple[int, ...], weight: tuple[int, ...], *_, **__) -> int:
    """Two for each number of each product: torch's counter does not know this operator."""
    return 2 * math.prod(x) * weight[0]


if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # not every build of torch has it
    register_flop_formula(torch.ops.mkldnn._linear_pointwise)(flops)


def fits(x: Tensor, weight: Tensor) -> bool:
    """Whether these can be multiplied in another way at all."""
    numbers = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    return wanted and numbers and x.shape[-1] == weight.shape[1] and not torch.is_autocast_enabled("cpu")


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
def parts_are_faster(rows: int) -> bool:
    """Measured in some 100 ms, with more weights than the caches hold: so it is when a large model decodes."""
    if plain():
        return False
    x, weights = torch.ones(rows, 512), torch.ones(FAR // 2**21, 1024, 512)
    ways = (partial(multiply_all, way, x, weights) for way in (in_parts, F.linear))
    return ratio(*ways) < CLEARLY


def multiply_all(way: Callable, x: Tensor, weights: Tensor) -> None:
    for weight in weights:
        way(x, weight)


def ratio(one: Callable, other: Callable, times: int = 5) -> float:
    """How long one takes, as a share of the other: the best of several runs each, one after the other.

    In a thread of its own, which knows nothing of who counts operations or records gradients in this one. It has to be
    told how many threads a product may use: it would take all, and wait for busy ones.
    """
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=[torch.get_num_threads()]) as apart:
        runs = [[apart.submit(seconds, run).result() for run in (one, other)] for _ in range(times)]
    return min(run[0] for run in runs) / min(run[1] for run in runs)


def seconds(run: Callable) -> float:
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
