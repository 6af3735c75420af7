"""Time one tuning step, prompt and prefix, with this package and with HF Llama + PEFT: same weights, batch and loss.

    pip install '.[peers]' && python benchmarks/steps.py

Losses and gradient norms are compared before anything is timed; rounds are interleaved; medians and ratios are printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from llama import llama
from peft import get_peft_config, get_peft_model

from minitransformer import (
    Config,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Transformer,
    freeze,
    loss,
    shared_loss,
)
from minitransformer.peft_files import as_peft

SIZES = {
    "S": Config(vocab=1024, context=256, width=128, layers=4, heads=4, kv_heads=2, hidden=352),
    "M": Config(vocab=1024, context=256, width=256, layers=6, heads=8, kv_heads=4, hidden=704),
}


def peft_peer(model: Transformer, hooks: Hooks) -> torch.nn.Module:
    """PEFT's own, with the same weights, ready to train."""
    about, rows = as_peft(hooks, model)
    peer = get_peft_model(llama(model), get_peft_config(about))
    peer.prompt_encoder["default"].embedding.weight.data = rows.clone()
    return peer


def stepper(parameters: list[torch.nn.Parameter], value: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    optimizer = torch.optim.AdamW(parameters, lr=0.0, fused=True)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        result = value()
        result.backward()
        optimizer.step()
        return result.detach()

    return step


def steps_of(size: str, length: int, rows: int, width: int) -> dict[str, dict[str, Callable]]:
    """For each method: each competitor's step, the reference first."""
    config = SIZES[size]
    model = freeze(Transformer(config))
    tokens = torch.randint(0, config.vocab, (rows, width))
    targets = F.pad(tokens[:, 1:], (0, 1), value=-100)
    labels = tokens.clone()
    labels[:, 0] = -100  # else PEFT's prompt tuning also counts what its last virtual token says of the first word
    prompt, prefix, pairs = PromptTuning(length, config), PrefixTuning(length, config), KeyValuePrefix(length, config)

    def ours(hooks, step_loss):
        return stepper(list(hooks.parameters()), lambda: step_loss(model, tokens, targets, hooks))

    def theirs(peer):
        learned = [parameter for parameter in peer.parameters() if parameter.requires_grad]
        return stepper(learned, lambda: peer(input_ids=tokens, labels=labels).loss), learned

    found = {}
    for name, hooks in ("prompt", prompt), ("key/value prefix", pairs):
        step, learned = theirs(peft_peer(model, hooks).train())
        check(name, step, learned, ours(hooks, loss), list(hooks.parameters()))
        found[name] = {"HF + PEFT": step, "plain": ours(hooks, loss), "shared": ours(hooks, shared_loss)}
    found["textbook prefix"] = {
        "HF + PEFT": found["key/value prefix"]["HF + PEFT"],  # PEFT has no textbook prefix: its own kind stands in
        "plain": ours(prefix, loss),
        "shared": ours(prefix, shared_loss),
    }
    return found


def check(name: str, reference: Callable, theirs: list, own: Callable, ours: list) -> None:
    """The peers compute the same: the loss, and the norm of its gradient (rotation does not change a norm)."""
    losses = float(reference()), float(own())
    norms = [torch.cat([p.grad.flatten() for p in parameters]).norm().item() for parameters in (theirs, ours)]
    if abs(losses[0] - losses[1]) > 1e-4 or abs(norms[0] - norms[1]) > 1e-3 * norms[0]:
        raise SystemExit(f"{name}: the peers disagree; losses {losses}, gradient norms {norms}: nothing was timed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--length", type=int, default=10, help="virtual tokens")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--width", type=int, default=64, help="tokens a row")
    options = parser.parse_args()
    torch.manual_seed(0)
    print(f"{torch.get_num_threads()} thread(s), torch {torch.__version__}, medians of {options.rounds} rounds")
    for size in options.sizes:
        for method, steps in steps_of(size, options.length, options.rows, options.width).items():
            seconds: dict[str, list[float]] = {name: [] for name in steps}
            for _ in range(options.rounds):
                for name, step in steps.items():
                    began = time.perf_counter()
                    step()
                    seconds[name].append(time.perf_counter() - began)
            medians = {name: statistics.median(taken) for name, taken in seconds.items()}
            first = next(iter(medians.values()))
            shown = [f"{name} {1e3 * taken:.1f} ms ({taken / first:.2f})" for name, taken in medians.items()]
            print(f"{size}  {method:16}  {'   '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
