"""The laws that every Hooks keeps, as checks to run over any of them: `for law in LAWS: law(model, hooks)`.

They want a float64 model and hooks of the same type; `METHODS` builds every tuning method of the package for one.
"""

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from minitransformer import (
    Cache,
    Config,
    Gate,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    Transformer,
    compile_prefix,
    freeze,
    generate,
    loss,
    reparametrise,
    shared_loss,
)
from minitransformer.tokenizer import IGNORED

TINY = Config(50, 64, 32, 3, 4, 2, 48)
SHAPES = [  # what `random_model` may be asked for: full, grouped and single heads, narrow and wide, one table or two
    dict(),
    dict(kv_heads=4),
    dict(kv_heads=1, tied=False),
    dict(width=48, heads=3, kv_heads=3, hidden=20, layers=1),
    dict(width=64, heads=8, kv_heads=2, hidden=100, layers=5, rope_base=500_000.0, eps=1e-6, tied=False),
]


def random_model(seed: int = 0, dtype: torch.dtype = torch.float64, **changes) -> Transformer:
    """A model with weights so large that everything in it shows in the logits."""
    model = Transformer(replace(TINY, **changes))
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        fresh = 1 + 0.3 * noise if parameter.dim() == 1 else 1.5 * noise * parameter.shape[1] ** -0.5
        parameter.data.copy_(fresh)
    return model.to(dtype)


def text(model: Transformer, rows: int = 2, length: int = 9, seed: int = 1) -> Tensor:
    return torch.randint(model.config.vocab, (rows, length), generator=torch.Generator().manual_seed(seed))


def lesson(model: Transformer) -> tuple[Tensor, Tensor]:
    """Tokens and targets of three rows, padded and ignored as in training."""
    tokens, targets = text(model, 3, 9), text(model, 3, 9, seed=2)
    targets[:, :3] = IGNORED
    targets[0, 6:] = IGNORED
    return tokens, targets


def soft(method: Callable[..., Hooks], model: Transformer, length: int = 3) -> Hooks:
    """A soft prompt for this model, of its type of numbers."""
    return method(length, model.config).to(model.embedding.weight.dtype)


def equal(got: Tensor, expected: Tensor, within: float = 1e-9) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=within)


def check_gradients(value: Callable[[], Tensor], parameters: Iterable[Tensor], probes: int = 2):
    """Each parameter's gradient against finite differences of `value` along random directions.

    Where a norm divides by almost nothing, the loss bends so sharply that only the smaller steps see its slope.
    """
    parameters = list(parameters)
    gradients = torch.autograd.grad(value(), parameters)
    generator = torch.Generator().manual_seed(3)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for _ in range(probes):
            direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            expected, slopes = (gradient * direction).sum().item(), []
            for size in (1e-6, 1e-7, 1e-8):
                slopes.append(slope(value, parameter, size * direction) / size)
                if abs(slopes[-1] - expected) <= 1e-7 + 1e-5 * abs(expected):
                    break
            else:
                raise AssertionError(f"the gradient says {expected}, finite differences say {slopes}")


def slope(value: Callable[[], Tensor], parameter: Tensor, step: Tensor) -> float:
    """How much `value` grows by one step, from the mean of a step forth and a step back."""
    kept, ends = parameter.data, []
    for sign in (1, -1):
        parameter.data = kept + sign * step
        ends.append(value().item())
    parameter.data = kept
    return (ends[0] - ends[1]) / 2


def cached_equals_uncached(model: Transformer, hooks: Hooks) -> None:
    """However the text is cut, with gradients (the cache concatenates) and without (it writes into room set aside)."""
    tokens = text(model)
    whole = model(tokens, hooks)
    assert whole.shape == (2, 9, model.config.vocab)
    for sizes in ([1] * 9, [4, 1, 4], [0, 9], [3, 0, 1, 5]):
        for recording in (True, False):
            cache = Cache()
            with torch.set_grad_enabled(recording):
                equal(torch.cat([model(part, hooks, cache) for part in tokens.split(sizes, 1)], 1), whole)


def ragged_equals_alone(model: Transformer, hooks: Hooks) -> None:
    prompts = [text(model, 1, length, seed=length)[0].tolist() for length in (5, 1, 8, 3)]
    together = generate(model, prompts, hooks, max_new_tokens=6)
    assert together == [generate(model, [prompt], hooks, max_new_tokens=6)[0] for prompt in prompts]


def watched_equals_fast(model: Transformer, hooks: Hooks) -> None:
    tokens, recorder = text(model), Recorder()
    equal(model(tokens, Stack(hooks, recorder)), model(tokens, hooks))
    assert len(recorder.values) == 2 + 9 * model.config.layers
    if not hooks.watches("weights"):  # who does may have put others in their place
        sums = recorder["weights", 0].sum(-1)
        equal(sums, torch.ones_like(sums))


def the_future_cannot_matter(model: Transformer, hooks: Hooks) -> None:
    tokens = text(model)
    other = tokens.clone()
    other[:, 5:] = (other[:, 5:] + 1) % model.config.vocab
    one, two = model(tokens, hooks), model(other, hooks)
    equal(one[:, :5], two[:, :5], within=1e-12)
    assert (one[:, 5:] - two[:, 5:]).abs().max() > 1e-3


def a_row_does_not_depend_on_the_others(model: Transformer, hooks: Hooks) -> None:
    tokens = text(model, 3)
    equal(model(tokens, hooks), torch.cat([model(row[None], hooks) for row in tokens]), within=1e-11)


def compiled_equals_original(model: Transformer, hooks: Hooks) -> None:
    """To the last bit when the virtual tokens are run alone; else sums are taken in another order."""
    tokens, cache = text(model), Cache()
    with torch.no_grad():
        compiled = compile_prefix(model, hooks)
        model(tokens[:1, :0], hooks, cache)
        assert torch.equal(model(tokens, compiled), model(tokens, hooks, cache))
        equal(model(tokens, compiled), model(tokens, hooks))


def shared_stream_equals_concatenation(model: Transformer, hooks: Hooks) -> None:
    """The same loss, and the same gradient on the hooks' parameters and on the model's."""
    tokens, targets = lesson(model)
    parameters = [*hooks.parameters(), *model.parameters()]
    together, apart = shared_loss(model, tokens, targets, hooks), loss(model, tokens, targets, hooks)
    equal(together, apart)
    pairs = zip(*(torch.autograd.grad(value, parameters) for value in (together, apart)), strict=True)
    for got, expected in pairs:
        equal(got, expected)


def gradients_agree_with_finite_differences(model: Transformer, hooks: Hooks) -> None:
    check_gradients(lambda: shared_loss(model, *lesson(model), hooks), hooks.parameters())


def only_the_hooks_receive_gradient(model: Transformer, hooks: Hooks) -> None:
    """Every vector of the hooks gets one; no parameter of the model does, even after training, and none changes."""
    loss(model, *lesson(model), hooks).backward()  # gradients from earlier days, which would lie
    before = copy.deepcopy(model.state_dict())
    freeze(model)
    optimizer = torch.optim.SGD(hooks.parameters(), 0.1)
    optimizer.zero_grad()
    shared_loss(model, *lesson(model), hooks).backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    for name, parameter in hooks.named_parameters():
        assert parameter.grad.ne(0).flatten(0, -2).any(-1).all() if parameter.dim() > 1 else parameter.grad != 0, name
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


LAWS = (
    cached_equals_uncached,
    ragged_equals_alone,
    watched_equals_fast,
    the_future_cannot_matter,
    a_row_does_not_depend_on_the_others,
    compiled_equals_original,
    shared_stream_equals_concatenation,
)
LAWS_OF_LEARNING = (gradients_agree_with_finite_differences, only_the_hooks_receive_gradient)  # for who has parameters


def length_zero_is_the_identity(model: Transformer, hooks: Hooks) -> None:
    tokens = text(model)
    equal(model(tokens, hooks), model(tokens), within=1e-12)  # a gate has the sums taken in another order


def moved(hooks: Hooks) -> Hooks:
    """Reparametrised, with an MLP that has already learned something (at its start it adds nothing)."""
    generator = torch.Generator().manual_seed(4)
    for name, parameter in reparametrise(hooks, hidden=7).named_parameters():
        if name.endswith(".up"):
            parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator)
    return hooks


def prompt(length: int, seed: int = 0) -> Hooks:
    return PromptTuning(length, TINY, scale=0.5, seed=seed)


def prefix(length: int, layers: tuple[int, ...] | None = None, seed: int = 1) -> Hooks:
    return PrefixTuning(length, TINY, layers, scale=0.5, seed=seed)


def key_values(length: int, seed: int = 2) -> Hooks:
    return KeyValuePrefix(length, TINY, scale=0.5, seed=seed)


METHODS: dict[str, Callable[[int], Hooks]] = {  # each makes hooks of this length for the tiny model, in float32
    "prompt": prompt,
    "prefix": prefix,
    "prefix in the middle layer": lambda length: prefix(length, (1,)),
    "prefix in the outer layers": lambda length: prefix(length, (2, 0)),
    "key/value prefix": key_values,
    "gated prompt": lambda length: Gate(prompt(length), TINY, 0.3),
    "gated prefix": lambda length: Gate(prefix(length, (0, 2)), TINY, 0.3),
    "gated key/value prefix": lambda length: Gate(key_values(length), TINY, 2.0),
    "reparametrised prompt": lambda length: moved(prompt(length)),
    "reparametrised prefix": lambda length: moved(prefix(length)),
    "reparametrised key/value prefix": lambda length: moved(key_values(length)),
    "gated reparametrised prompt": lambda length: Gate(moved(prompt(length)), TINY, 0.3),
    "prompt and prefix": lambda length: Stack(prompt(length), prefix(2 * length)),
    "prompt and prefix in some layers": lambda length: Stack(prompt(length), prefix(length, (1, 2))),
    "all three": lambda length: Stack(key_values(length), prefix(length), prompt(length)),
    "all three behind one gate": lambda length: Gate(METHODS["all three"](length), TINY, 0.3),
}


def page_classes() -> dict[str, type[Hooks]]:
    """The methods that the page on other methods shows, as they stand there."""
    page = (Path(__file__).parents[1] / "lessons" / "BEYOND.md").read_text(encoding="utf-8")
    section = page.split("## Other methods through the same hooks")[1].split("\n## ")[0]
    scope = {"torch": torch, "nn": nn, "Hooks": Hooks}
    for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(block, scope)
    return {name: it for name, it in scope.items() if isinstance(it, type) and it is not Hooks}


PAGE = page_classes()


def drawn(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scaled(hooks: Hooks) -> Hooks:
    """Factors that are no longer 1."""
    for number, parameter in enumerate(hooks.parameters()):
        parameter.data *= 1 + 0.5 * drawn(*parameter.shape, seed=number)
    return hooks


REPLACING: dict[str, Callable[[], Hooks]] = {  # what changes values at every step, for the tiny model, in float32
    "IA3": lambda: scaled(PAGE["IA3"](TINY)),
    "steering": lambda: PAGE["Steering"](1, drawn(TINY.width)),
    "ablation": lambda: PAGE["Ablation"](1, 2),
    "patching": lambda: PAGE["Patch"](1, 2, drawn(TINY.width)),
    "IA3 behind a prompt": lambda: Stack(prompt(3), scaled(PAGE["IA3"](TINY))),
    "IA3 behind a gated prefix": lambda: Stack(Gate(prefix(3), TINY, 0.3), scaled(PAGE["IA3"](TINY))),
    "steering behind a key/value prefix": lambda: Stack(key_values(3), PAGE["Steering"](0, drawn(TINY.width))),
}
LAWS_OF_REPLACING = (
    cached_equals_uncached,
    ragged_equals_alone,
    watched_equals_fast,
    the_future_cannot_matter,
    a_row_does_not_depend_on_the_others,
    shared_stream_equals_concatenation,
)
