"""Training steps: of a whole model and of soft prompts, by us and by others, and how ours grow."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

import peers
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from work import Competitor, Size, Target, Work

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


def pretraining(size: Size) -> Iterator[Work]:
    tokens, targets, labels = batch(size)
    own, nano = deepcopy(size.model).requires_grad_(True), peers.NanoGPT(size.model)
    llama, gpt2 = peers.hf_llama(size.model).requires_grad_(True), peers.hf_gpt2(nano)
    us = step(own, lambda: loss(own, tokens, targets))
    yield Work(
        "pretraining step",
        size.name,
        {
            NANO: step(nano, lambda: nano(tokens, targets)),
            HF: step(llama, lambda: llama(input_ids=tokens, labels=labels).loss),
            OURS: us,
            FLOOR: floor(us),
        },
        alike=((HF, OURS), ("HF GPT-2", NANO)),
        witnesses={"HF GPT-2": step(gpt2, lambda: gpt2(input_ids=tokens, labels=labels).loss)},
        targets=(Target(OURS, NANO, {"S": 1.0, "M": 1.0}),),
    )


def fine_tuning(size: Size) -> Iterator[Work]:
    """Every parameter, with a loss at the last quarter of each row, as on questions with answers."""
    tokens, targets, labels = batch(size, counted=0.25)
    own, llama = deepcopy(size.model).requires_grad_(True), peers.hf_llama(size.model).requires_grad_(True)
    us = step(own, lambda: loss(own, tokens, targets))
    them = step(llama, lambda: llama(input_ids=tokens, labels=labels).loss)
    yield Work("full fine-tuning step", size.name, {HF: them, OURS: us, FLOOR: floor(us)}, alike=((HF, OURS),))


def soft_step(size: Size, name: str, hooks: Hooks, says_norm: bool, target: Target) -> Work:
    tokens, targets, labels = batch(size)
    theirs = peers.hf_peft(size.model, hooks).train()
    us = ours(size.model, (tokens, targets), hooks)
    return Work(
        name,
        size.name,
        {
            PEFT: step(theirs, lambda: theirs(input_ids=tokens, labels=labels).loss, says_norm),
            PLAIN: ours(size.model, (tokens, targets), hooks, loss),
            OURS: us,
            FLOOR: floor(us),
        },
        alike=((PLAIN, OURS, PEFT),),
        targets=(target,),
    )


def prompt(size: Size) -> Iterator[Work]:
    target = Target(OURS, PEFT, {"S": 0.60, "M": 0.65, "SmolLM2": 1.0})
    yield soft_step(size, "prompt step", PromptTuning(size.virtual, size.model.config), True, target)


def prefix(size: Size) -> Iterator[Work]:
    """PEFT knows no textbook prefix: there, the keys and values that it amounts to are its peer, of the same loss."""
    target, config = Target(OURS, PEFT, {"S": 0.65, "M": 0.70}), size.model.config
    yield soft_step(size, "key/value prefix step", KeyValuePrefix(size.virtual, config), True, target)
    yield soft_step(size, "textbook prefix step", PrefixTuning(size.virtual, config), False, target)


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
