"""Training by several processes, on one machine or on many, as `torchrun` starts them: the same numbers as by one.

All of them draw the same batches; each takes its rows, and the gradients are added up. One process is a team, too.
"""

import atexit
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .tokenizer import IGNORED


class Alone:
    """One process, which takes every row and waits for nobody."""

    rank, size = 0, 1  # the first one, rank 0, writes files and shows progress

    @property
    def device(self) -> torch.device:
        """Where to put a model: this process's GPU, if there is one."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")  # the current one, which `team` sets

    def begin(self, modules: Iterable[nn.Module], step: int) -> None:
        """Before the first step."""

    def share(self, tokens: Tensor, targets: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
        """This process's rows, and what their mean loss counts in that of the whole batch."""
        return (tokens, targets), 1.0

    def add_up(self, value: Tensor, weight: float, parameters: Sequence[Tensor]) -> Tensor:
        """The loss of the whole batch; after it, the parameters have the gradient of it."""
        return value.detach()

    def from_first(self, measure: Callable[[], float]) -> float:
        """A number that the first process measures, for all."""
        return measure()

    def gather(self, rows: list[dict]) -> list[dict]:
        """The rows of plain numbers that came of everybody's work, in turns."""
        return rows


class Team(Alone):
    """Processes that talk through torch.distributed."""

    def __init__(self):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def begin(self, modules, step):
        """Everyone starts from the first one's numbers, and at the same step."""
        steps = torch.tensor([step, -step], device=self.device)
        with someone_may_be_gone():
            dist.all_reduce(steps, dist.ReduceOp.MAX)
            if steps.sum() != 0:
                raise ValueError(
                    f"the processes resume at different steps, from {-steps[1]} to {steps[0]}: the checkpoint must be "
                    "in a folder that every machine reads"
                )
            for module in modules:
                for tensor in module.state_dict().values():
                    dist.broadcast(same := tensor.contiguous(), 0)
                    tensor.copy_(same)

    def share(self, tokens, targets):
        counts = [(targets[rank :: self.size] != IGNORED).sum().item() for rank in range(self.size)]
        if min(counts) == 0:
            raise ValueError(
                f"a batch of {len(tokens)} rows has nothing to learn for some of {self.size} processes; "
                "make it larger, or start fewer processes"
            )
        mine = slice(self.rank, None, self.size)
        return (tokens[mine], targets[mine]), counts[self.rank] / sum(counts)

    def add_up(self, value, weight, parameters):
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([torch.stack((value.detach(), value.new_tensor(weight))), *(g.flatten() for g in gradients)])
        with someone_may_be_gone():
            dist.all_reduce(flat)
        if abs(flat[1] - 1) > 1e-2:
            raise ValueError("the processes drew different batches; seed them alike, so that each takes its own rows")
        parts = flat[2:].split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return flat[0]

    def from_first(self, measure):
        number = torch.tensor(measure() if self.rank == 0 else 0.0, dtype=torch.float64, device=self.device)
        with someone_may_be_gone():
            dist.broadcast(number, 0)
        return number.item()

    def gather(self, rows):
        text = torch.frombuffer(bytearray(json.dumps(rows).encode()), dtype=torch.uint8).to(self.device)
        sizes = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.size)]
        with someone_may_be_gone():
            dist.all_gather(sizes, torch.tensor([len(text)], device=self.device))
            texts = [text.new_zeros(max(sizes)) for _ in sizes]
            dist.all_gather(texts, nn.functional.pad(text, (0, max(sizes) - len(text))))
        theirs = [json.loads(bytes(each[:size].tolist())) for each, size in zip(texts, sizes, strict=True)]
        return [theirs[place % self.size][place // self.size] for place in range(sum(map(len, theirs)))]


@contextmanager
def someone_may_be_gone() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(
            f"another process has gone, so this one stops ({str(error).splitlines()[0]}); what the last checkpoint "
            "holds is safe: start again, with as many processes as you like"
        ) from None


def team() -> Alone:
    """The processes that torchrun started, this one among them; or this one alone."""
    if not dist.is_available():
        return Alone()
    if dist.is_torchelastic_launched() and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)
    return Team() if dist.is_initialized() else Alone()


@contextmanager
def ctrl_c_for_us_alone() -> Iterator[None]:
    """Processes that start now hear no Ctrl-C: it is for this one, which hears it afterwards, and then ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    ensure_running()  # where it starts later, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
