"""Training steps: of a whole model and of soft prompts, by us and by others, and how ours grow."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

import peers
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from work import Competitor, Peer, Size, Target, Work

from minitransformer import Hooks, KeyValuePrefix, PrefixTuning, PromptTuning, Transformer, loss, shared_loss
from minitransformer.tokenizer import IGNORED

HF, PEFT, NANO = "HF Llama", "HF + PEFT", "nanoGPT-shaped"
OURS, PLAIN, FLOOR = "ours", "ours, stream not shared", "floor"


def step(learner: nn.Module, value: Callable[[], Tensor], says_norm: bool = True) -> Competitor:
    """Loss, gradients and a fused AdamW whose rate is zero, so that every round does the same."""
    parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, fused=True)

    def run() -> Tensor:
        optimizer.zero_grad()
        result = value()
        result.backward()
        optimizer.step()
        return result.detach()

    def says(result: Tensor) -> dict:
        norm = torch.cat([parameter.grad.flatten() for parameter in parameters]).norm()
        return {"loss": result, "gradient norm": norm} if says_norm else {"loss": result}

    return Competitor(run, says)


def ours(model: Transformer, batch: tuple, hooks: Hooks, step_loss: Callable = shared_loss) -> Competitor:
    return step(hooks, lambda: step_loss(model, *batch, hooks))


def theirs(make: Callable[[], nn.Module], says_norm: bool = True, **asked: Tensor) -> Peer:
    """A step of a model that takes labels as Hugging Face's do."""

    def ready() -> Competitor:
        peer = make()
        return step(peer, lambda: peer(**asked).loss, says_norm)

    return Peer(ready)


def floor(competitor: Competitor) -> Competitor:
    with FlopCounterMode(display=False) as counter:
        competitor.run()
    return Competitor(peers.full_speed(counter.get_total_flops()))


def batch(size: Size, rows: int = 0, width: int = 0, counted: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens; targets as we take them, one place earlier; labels as Hugging Face takes them. The last part counts."""
    tokens = size.tokens(rows or size.rows, width or size.width)
    labels = tokens.clone()
    labels[:, : max(1, round(tokens.shape[1] * (1 - counted)))] = IGNORED  # the first is nobody's target
    return tokens, F.pad(labels[:, 1:], (0, 1), value=IGNORED), labels


def both(tokens: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"input_ids": tokens, "labels": labels}


def pretraining(size: Size) -> Iterator[Work]:
    tokens, targets, labels = batch(size)
    own, nano, asked = deepcopy(size.model).requires_grad_(True), peers.NanoGPT(size.model), both(tokens, labels)
    us = step(own, lambda: loss(own, tokens, targets))
    yield Work(
        "pretraining step",
        size.name,
        {
            NANO: Peer(lambda: step(nano, lambda: nano(tokens, targets))),
            HF: theirs(lambda: peers.hf_llama(size.model).requires_grad_(True), **asked),
            OURS: us,
            FLOOR: floor(us),
        },
        alike=((HF, OURS), ("HF GPT-2", NANO)),
        witnesses={"HF GPT-2": theirs(lambda: peers.hf_gpt2(nano), **asked)},
        targets=(Target(OURS, NANO, {"S": 0.80, "M": 0.65}),),
    )


def fine_tuning(size: Size) -> Iterator[Work]:
    """Every parameter, with a loss at the last quarter of each row, as on questions with answers."""
    tokens, targets, labels = batch(size, counted=0.25)
    own = deepcopy(size.model).requires_grad_(True)
    us = step(own, lambda: loss(own, tokens, targets))
    them = theirs(lambda: peers.hf_llama(size.model).requires_grad_(True), **both(tokens, labels))
    yield Work("full fine-tuning step", size.name, {HF: them, OURS: us, FLOOR: floor(us)}, alike=((HF, OURS),))


def soft_step(
    name: str,
    size: str,
    model: Transformer,
    batch: tuple,
    asked: dict,
    hooks: Hooks,
    most: dict,
    says_norm: bool = True,
) -> Work:
    """A step of hooks on (tokens, targets) beside PEFT's on what it is asked."""
    us = ours(model, batch, hooks)
    return Work(
        name,
        size,
        {
            PEFT: theirs(lambda: peers.hf_peft(model, hooks).train(), says_norm, **asked),
            PLAIN: ours(model, batch, hooks, loss),
            OURS: us,
            FLOOR: floor(us),
        },
        alike=((OURS, PLAIN, PEFT),),
        targets=(Target(OURS, PEFT, most),),
    )


def prompt(size: Size) -> Iterator[Work]:
    tokens, targets, labels = batch(size)
    hooks, most = PromptTuning(size.virtual, size.model.config), {"S": 0.55, "M": 0.48, "SmolLM2": 0.60}
    yield soft_step("prompt step", size.name, size.model, (tokens, targets), both(tokens, labels), hooks, most)


def prefix(size: Size) -> Iterator[Work]:
    """PEFT knows no textbook prefix: there, the keys and values that it amounts to are its peer, of the same loss."""
    tokens, targets, labels = batch(size)
    given, config = (size.name, size.model, (tokens, targets), both(tokens, labels)), size.model.config
    yield soft_step("key/value prefix step", *given, KeyValuePrefix(size.virtual, config), {"S": 0.60, "M": 0.55})
    hooks = PrefixTuning(size.virtual, config)
    yield soft_step("textbook prefix step", *given, hooks, {"S": 0.65, "M": 0.58}, says_norm=False)


METHODS = {"prompt": PromptTuning, "key/value prefix": KeyValuePrefix, "textbook prefix": PrefixTuning}


def growth(size: Size) -> Iterator[Work]:
    """Our own steps against one quantity at a time."""
    model, config = size.model, size.model.config
    lengths = [p for p in (1, 2, 5, 10, 20, 50, 100) if p <= config.context // 2]
    widths = [width for width in (8, 16, 32, 64, 128) if width <= config.context // 2]
    rows = [count for count in (1, 4, 16, 32, 64) if count <= 2 * size.rows]
    layers = [count for count in (1, 2, 4, 8) if count <= 2 * config.layers]
    for name, method in METHODS.items():
        by_length = {str(p): ours(model, batch(size)[:2], method(p, config)) for p in lengths}
        goal = Target("20", "10", {"S": 1.10})
        yield Work(f"{name} step against p", size.name, by_length, targets=(goal,))
    for name in ("prompt", "key/value prefix"):
        hooks = METHODS[name](size.virtual, config)
        by_width = {str(width): ours(model, batch(size, width=width)[:2], hooks) for width in widths}
        yield Work(f"{name} step against T", size.name, by_width)
        by_rows = {str(count): ours(model, batch(size, rows=count)[:2], hooks) for count in rows}
        yield Work(f"{name} step against B", size.name, by_rows)
        by_layers = {}
        for count in layers:
            other = replace(size, config=replace(config, layers=count))
            by_layers[str(count)] = ours(other.model, batch(size)[:2], METHODS[name](size.virtual, other.config))
        yield Work(f"{name} step against layers", size.name, by_layers)
