"""A program of exercise 5.7 in the judge's own process: a student's test gets its values, and never sees its code."""

from collections.abc import Mapping
from types import SimpleNamespace

import torch
from torch import Tensor

from ..plain_data import Plain, tensors

ROOM = 4_000_000  # numbers that one request may make, and that all hooks of one test may hold together


class Program:
    """What one test may ask of one program. Values are computed anew for each request, from what the test holds."""

    OPEN = "made", "value", "gradients", "loss"

    def __init__(self, pieces: Mapping[str, object], seed: int = 0):
        """`pieces` are the answers to the exercises that make up a program, by exercise."""
        self.makes = {"Prompt": pieces["2.1"], "Prefix": pieces["5.1"]}
        self.prompt_loss, self.from_words = pieces["2.2"], pieces["2.3"]
        self.hooks, self.room, self.seed = [], ROOM, seed

    def made(self, kind: str, *inputs: Plain) -> list:
        """A new prompt or prefix: its place, and its parameters by name."""
        if kind == "Prefix":
            length, config = inputs
            affordable(length, config["layers"], config["width"])
            inputs = length, SimpleNamespace(**config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + len(self.hooks))
            hooks = self.makes[kind](*map(as_tensor, inputs))
        self.room -= sum(each.numel() for each in hooks.parameters()) + 1000
        if self.room < 0:
            raise MemoryError("your test makes more prompts and prefixes than a test needs")
        self.hooks.append(hooks)
        return [len(self.hooks) - 1, [[name, each] for name, each in hooks.named_parameters()]]

    @torch.enable_grad()  # in a notebook it is asked from inside a backward, or from under the test's own `no_grad`
    def value(self, what: str, place: int, parameters: list, inputs: list) -> list:
        """The value, and of which parameters and inputs it is made."""
        output, sources = self.run(what, place, parameters, inputs)
        return [output, [each is not None for each in slopes(output.sum(), sources)]]

    @torch.enable_grad()
    def gradients(self, upstream: Plain, what: str, place: int, parameters: list, inputs: list) -> list:
        output, sources = self.run(what, place, parameters, inputs)
        return slopes((output * as_tensor(upstream)).sum(), sources)

    def run(self, what: str, place: int, parameters: list, inputs: list) -> tuple[Tensor, list[Tensor]]:
        """A method of hooks, or the function: what it returns, and the leaves that it may be made of."""
        inputs = [as_tensor(each) for each in inputs]
        leaves = [each.requires_grad_() for each in inputs if isinstance(each, Tensor) and each.is_floating_point()]
        if what == "from_words":
            words, table, length = inputs
            affordable(length + len(words), table.shape[1])
            return self.from_words(words, table, length), leaves
        if what not in ("embed", "context"):
            raise ValueError(f"hooks are asked for embed and context; got {what!r}")
        hooks, rows = self.hooks[place], inputs[-1].shape
        own = list(hooks.parameters())
        affordable(rows[0], rows[1] + sum(each.numel() for each in own) // rows[2] + 1, rows[2])
        for parameter, value in zip(own, parameters, strict=True):
            parameter.data = as_tensor(value)
        return getattr(hooks, what)(*inputs), own + leaves

    @torch.enable_grad()
    def loss(self, virtual: int, width: int, tokens: Plain, targets: Plain, logits: list) -> list:
        """The loss and its slope for each forward's logits; or the forward that it needs before it can go on."""
        model = Replayed([as_tensor(each).requires_grad_() for each in logits], width)
        affordable(virtual, width)
        try:
            value = self.prompt_loss(model, Longer(virtual), *tensors(tokens, targets))
        except Wanted as wanted:
            return ["runs", wanted.how, wanted.tokens]
        return ["is", value, slopes(value, model.logits)]


class Wanted(Exception):
    """The program runs the model, and the answer is not here yet."""

    def __init__(self, tokens: Tensor, how: str):
        self.tokens, self.how = tokens, how


class Replayed:
    """Stands for the model: it gives the logits of earlier forwards in order, and wants the next."""

    def __init__(self, logits: list[Tensor], width: int):
        self.logits, self.config, self.left = logits, SimpleNamespace(width=width), iter(logits)

    def __call__(self, tokens: Tensor, *by_place: object, **by_name: object) -> Tensor:
        for logits in self.left:
            return logits
        raise Wanted(tokens, "by place" if by_place else "by name" if by_name else "without")


class Longer:
    """Stands for the hooks: all that a loss can see of them is how long they are."""

    def __init__(self, virtual: int):
        self.virtual = virtual

    def embed(self, x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x, (0, 0, self.virtual, 0))


def slopes(number: Tensor, sources: list[Tensor]) -> list[Tensor | None]:
    """The gradient of a number for each source; None where there is no way to it."""
    if not number.requires_grad or not sources:
        return [None] * len(sources)
    return list(torch.autograd.grad(number, sources, allow_unused=True))


def as_tensor(value: Plain) -> object:
    """Arrays as tensors, numbers as they are."""
    return tensors(value)[0] if hasattr(value, "dtype") else value


def affordable(*sizes: int) -> None:
    count = 1
    for size in sizes:
        count *= max(1, size)
    if count > ROOM:
        raise MemoryError(f"expected a test of small inputs, up to {ROOM:,} numbers; got {count:,}: make them smaller")
