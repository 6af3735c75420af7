"""The most memory that a process takes which makes three prompt steps: `python benchmarks/memory.py ours M` in MiB."""

import resource
import sys
from pathlib import Path

import torch
from work import SIZES

from minitransformer import PromptTuning, shared_loss


def main() -> None:
    who, size = sys.argv[1], SIZES[sys.argv[2]]
    hooks, tokens = PromptTuning(size.virtual, size.model.config), size.tokens(size.rows, size.width)
    targets = tokens.roll(-1, 1)
    if who == "ours":
        learner, value = hooks, lambda: shared_loss(size.model, tokens, targets, hooks)
    else:
        from peers import hf_peft  # only here: the import is part of what is measured

        learner = hf_peft(size.model, hooks).train()
        value = lambda: learner(input_ids=tokens, labels=tokens).loss  # noqa: E731
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        value().backward()
        optimizer.step()
    print(peak())


def peak() -> float:
    """In MiB. Linux counts the parent's memory into a child's ru_maxrss, and says the child's own elsewhere."""
    own = Path("/proc/self/status")
    if own.exists():
        return next(int(line.split()[1]) / 1024 for line in own.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
