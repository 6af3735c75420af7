"""Beside the student's test of exercise 5.7: a program whose code is elsewhere, asked for its values and gradients."""

from traceback import extract_tb, format_exception_only
from types import SimpleNamespace

import torch
from torch import nn

from minitransformer import Hooks

from ..plain_data import rebuilt, tensors


def guarded(guard, config, weights, served) -> list[str]:
    """What the test does with the program that is served: it passes it, raises, or returns False; and what it says."""
    try:
        said = guard(program(served), rebuilt(config, weights))
    except (NotImplementedError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a wrong program may fail in any way, and pytest's failures are no Exceptions
        return ["raises", complaint(error)]
    return ["returns False" if said is False else "passes", ""]


def complaint(error: BaseException) -> str:
    """The error in its first line, and the line of the test at which it came."""
    text, _, _ = format_exception_only(error)[-1].partition("\n")
    _, *frames = extract_tb(error.__traceback__)
    return f"{text}, at line {frames[0].lineno}: {frames[0].line}".removesuffix(": ") if frames else text


def program(served) -> SimpleNamespace:
    """Classes and functions that look like the program's own, and ask for everything that they return."""

    class Made(Hooks):
        def make(self, kind, *inputs):
            self.place, named = served("made", kind, *inputs)
            for name, value in named:
                self.register_parameter(name.replace(".", "_"), nn.Parameter(*tensors(value)))

        def value(self, what, *inputs):
            return connected(served, what, self.place, [*self.parameters()], inputs)

    class Prompt(Made):
        def __init__(self, vectors):
            super().__init__()
            self.make("Prompt", vectors)

        def embed(self, x):
            return self.value("embed", x)

    class Prefix(Made):
        def __init__(self, length, config):
            super().__init__()
            self.make("Prefix", length, dict(vars(config)))

        def context(self, layer, x):
            return self.value("context", layer, x)

    def from_words(words, table, length):
        return connected(served, "from_words", -1, [], [words, table, length])

    def prompt_loss(model, hooks, tokens, targets):
        width, logits = model.embedding.weight.shape[1], []
        virtual = hooks.embed(torch.zeros(1, 0, width)).shape[1]
        while True:  # the loss is computed once more with each forward that it turns out to need
            kind, *told = served("loss", virtual, width, tokens, targets, logits)
            if kind == "is":
                return joined(told[0], logits, lambda upstream, slopes=told[1]: times(upstream, slopes))
            how, wanted = told
            with_hooks = {"by place": ((hooks,), {}), "by name": ((), {"hooks": hooks}), "without": ((), {})}
            places, names = with_hooks[how]
            logits.append(model(*tensors(wanted), *places, **names))

    return SimpleNamespace(Prompt=Prompt, prompt_loss=prompt_loss, from_words=from_words, Prefix=Prefix)


def connected(served, what, place, parameters, inputs):
    """A value that is computed elsewhere, with the way back to all that it was computed from."""
    question = what, place, list(parameters), list(inputs)
    value, linked = served("value", *question)
    numbers = [each for each in inputs if isinstance(each, torch.Tensor) and each.is_floating_point()]
    sources = [source if on else None for source, on in zip([*parameters, *numbers], linked, strict=True)]
    return joined(value, sources, lambda upstream: served("gradients", upstream, *question))


def joined(value, sources, back):
    """The value as a tensor whose gradients `back(upstream)` tells, one for each source or None."""
    if not isinstance(value, (float, int)):
        (value,) = tensors(value)
    else:
        value = torch.tensor(value)
    used = [n for n, source in enumerate(sources) if source is not None and source.requires_grad]
    if not used:
        return value
    return Joint.apply(lambda upstream: chosen(back(upstream), used), value, *(sources[n] for n in used))


def chosen(gradients, places):
    return [None if gradients[n] is None else tensors(gradients[n])[0] for n in places]


def times(upstream, slopes):
    return [None if slope is None else upstream.item() * slope for slope in slopes]


class Joint(torch.autograd.Function):
    """A value from elsewhere takes its place in the graph."""

    @staticmethod
    def forward(ctx, back, value, *sources):
        ctx.back = back
        return value.clone()

    @staticmethod
    def backward(ctx, upstream):
        return None, None, *ctx.back(upstream)
