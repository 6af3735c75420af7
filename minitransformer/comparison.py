"""Methods side by side on the same task: soft prompts of any kind and length, and what they have to beat."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from threading import Thread

import psutil
import torch
from loky import ProcessPoolExecutor
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from . import expect
from .distributed import Alone, ctrl_c_for_us_alone, team
from .gradients import gradients_set_aside
from .hooks import NO_HOOKS, Hooks
from .losses import Batch, accuracy, loss, shared_loss
from .model import Config, Transformer
from .phrasebook import Batches, Phrasebook
from .results import Row
from .soft_prompts import KeyValuePrefix, PrefixTuning, PromptTuning, plain_tensors
from .tokenizer import IGNORED, Tokenizer, batch
from .training import train


@dataclass(frozen=True)
class Task:
    """What is to be learned, and the examples that tell whether it was."""

    name: str
    batches: Callable[[int], Iterable[Batch]]  # seed -> endless training batches
    test: Batch
    asked: Batch  # the same test with the instruction in words
    elsewhere: Mapping[str, Batch] = field(default_factory=dict)  # further tests by name: a row gets a score for each
    validation: Batch | None = None  # examples of neither training nor test, to see when it is learned


def skill_task(
    book: Phrasebook, tokenizer: Tokenizer, skill: str, rows: int = 32, count: int = 200, parts: Sequence[str] = ()
) -> Task:
    """A skill of the phrasebook, without its instruction; tested on sentences, and on these parts where it can be."""
    test, asked = (batch(tokenizer, book.examples(skill, "test", count, instructed=asked)) for asked in (False, True))
    parts = [part for part in parts if part != "words" or skill not in book.meaning]
    elsewhere = {part: batch(tokenizer, book.examples(skill, part, count)) for part in parts}
    validation = batch(tokenizer, book.examples(skill, "validation", count))
    return Task(skill, partial(Batches, book, tokenizer, [skill], rows), test, asked, elsewhere, validation)


def no_prompt(model: Transformer, task: Task) -> Row:
    """The bare model."""
    return row("no prompt", task, 0, accuracy(model, task.test))


def instruction(model: Transformer, task: Task) -> Row:
    """The hard prompt: the task asked for in words."""
    return row("instruction", task, 0, accuracy(model, task.asked))


def soft_prompt(
    model: Transformer,
    task: Task,
    hooks: Hooks,
    name: str,
    seed: int = 0,
    steps: int = 150,
    until: float | None = None,
) -> Row:
    """Soft prompts of any kind, tuned on the frozen model for all steps, or until enough of the validation is right."""
    numbers = sum(tensor.numel() for tensor in plain_tensors(hooks).values())
    if until is None:
        return trained(name, model, task, numbers, seed, hooks, steps=steps)
    check_validation(task)
    enough = dict(validate=partial(accuracy, model, task.validation, hooks), every=10, until=until)
    return trained(name, model, task, numbers, seed, hooks, steps=steps, **enough)


def check_validation(task: Task) -> None:
    if task.validation is None:
        raise ValueError(
            f"nothing tells when {task.name!r} is learned: make it with Task(…, validation=(tokens, targets))"
        )


def full_fine_tuning(model: Transformer, task: Task, seed: int = 0, steps: int = 150, peak: float = 1e-3) -> Row:
    """Every parameter of a copy of the model trained."""
    tuned = deepcopy(model).requires_grad_(True)
    numbers = sum(parameter.numel() for parameter in tuned.parameters())
    return trained("full", tuned, task, numbers, seed, steps=steps, peak=peak)


def one_new_token(model: Transformer, task: Task, seed: int = 0, steps: int = 150, peak: float = 3e-2) -> Row:
    """One new word in front of the text, and only its embedding trained."""
    tuned = with_new_token(model)
    word = tuned.config.vocab - 1

    def led(examples: Batch) -> Batch:
        tokens, targets = examples
        return nn.functional.pad(tokens, (1, 0), value=word), nn.functional.pad(targets, (1, 0), value=IGNORED)

    only_new = torch.zeros(tuned.config.vocab, 1)
    only_new[word] = 1
    tuned.embedding.weight.requires_grad_(True).register_hook(lambda gradient: gradient * only_new)
    task = replace(task, batches=lambda seed, given=task.batches: map(led, given(seed)), test=led(task.test))
    return trained("one new token", tuned, task, model.config.width, seed, steps=steps, peak=peak)


def trained(
    name: str, model: Transformer, task: Task, numbers: int, seed: int, hooks: Hooks | None = None, **settings
) -> Row:
    """The row of one training: how it scores on the test, and what it cost."""
    history = train(model, task.batches(seed), hooks, progress=False, by=Alone(), **settings)
    hooks = NO_HOOKS if hooks is None else hooks
    flops = len(history.loss) * step_flops(model, next(iter(task.batches(seed))), hooks)
    found = row(name, task, numbers, accuracy(model, task.test, hooks), history.seconds, flops) | {"seed": seed}
    return found | {part: accuracy(model, examples, hooks) for part, examples in task.elsewhere.items()}


def with_new_token(model: Transformer) -> Transformer:
    """A frozen copy that knows one word more, which starts as the mean of the others."""
    config = Config(**(vars(model.config) | {"vocab": model.config.vocab + 1}))
    larger = Transformer(config)
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for name in ["embedding.weight"] + ["unembedding.weight"] * (not config.tied):
        state[name] = torch.cat((state[name], state[name].mean(0, keepdim=True)))
    larger.load_state_dict(state)
    return larger.requires_grad_(False)


Method = Callable[..., Hooks]  # called as method(length, config, seed=seed); a class of hooks is one
METHODS: dict[str, Method] = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}


def compare(
    model: Transformer,
    tasks: Sequence[Task],
    methods: Sequence[str] | Mapping[str, Method] = METHODS,
    lengths: Sequence[int] = (4,),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 150,
    processes: int = 0,
    progress: bool = True,
    until: float | None = None,
) -> list[Row]:
    """One row a run: tasks × methods × lengths × seeds, in this process or side by side in several.

    `methods` are some of METHODS by name, or methods of your own: {"mine": MyPrompt}. With `until` a training ends when
    this share of its task's validation examples is right; its row's seconds and operations are those that it took.
    Under torchrun each of its processes takes its share of the runs, and all of them get all rows.
    `results.spread(rows)` draws the seeds together.
    """
    check_runs(model, tasks, lengths, seeds, steps, until, processes)
    together, named = team(), methods if isinstance(methods, Mapping) else chosen(methods)
    expect.several(methods=named)
    expect.function(**named)
    runs = list(product(tasks, named.items(), lengths, seeds))[together.rank :: together.size]
    with pool(processes) as workers:
        work, quiet = partial(run, model, steps, until), together.rank > 0 or not progress
        with ctrl_c_for_us_alone():
            rows = begun(workers, work, runs) if workers else map(work, runs)
        return together.gather(list(tqdm(rows, total=len(runs), disable=quiet, unit="run", dynamic_ncols=True)))


def check_runs(model, tasks, lengths, seeds, steps, until, processes) -> None:
    expect.a(Transformer, model=model)
    expect.several(tasks=tasks, lengths=lengths, seeds=seeds)
    expect.number(0, 1, **expect.given(until=until))
    for task in tasks:
        expect.a(Task, task=task)
        if until is not None:
            check_validation(task)
    for length, seed in product(lengths, seeds):
        expect.whole(1, length=length)
        expect.whole(*expect.SEEDS, seed=seed)
    expect.whole(1, steps=steps)
    expect.whole(0, processes=processes)


def chosen(names: Sequence[str]) -> dict[str, Method]:
    expect.several(methods=names)
    unknown = [name for name in names if not isinstance(name, str) or name not in METHODS]
    if unknown:
        raise ValueError(
            f"the methods are {', '.join(METHODS)}; got {', '.join(map(str, unknown))}: "
            "pass one of your own as {name: class}"
        )
    return {name: METHODS[name] for name in names}


def run(
    model: Transformer, steps: int, until: float | None, settings: tuple[Task, tuple[str, Method], int, int]
) -> Row:
    task, (name, method), length, seed = settings
    hooks = method(length, model.config, seed=seed).to(model.embedding.weight.device)
    return soft_prompt(model, task, hooks, name, seed, steps, until) | {"length": length}


@contextmanager
def pool(processes: int) -> Iterator[Executor | None]:
    """Workers that end with this process, and at once where it is stopped."""
    if processes < 2:
        yield None
        return
    workers = ProcessPoolExecutor(processes, initializer=worker_begins, initargs=(os.getpid(),))
    try:
        yield workers
    except BaseException as stop:
        workers.shutdown(kill_workers=True)
        if isinstance(stop, BrokenExecutor):
            raise ChildProcessError("a process was ended, perhaps for want of memory: take fewer of them") from None
        raise
    workers.shutdown()


def worker_begins(parent: int) -> None:
    torch.set_num_threads(1)  # with all threads each they would slow each other down
    Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: int) -> None:
    while os.getppid() == parent and psutil.pid_exists(parent):  # one system changes the first, another the second
        time.sleep(0.5)
    os._exit(1)


def begun(workers: Executor, work: Callable, runs: Sequence) -> Iterator[Row]:
    """All of them, and their rows in this order."""
    futures = [workers.submit(work, each) for each in runs]
    return (future.result() for future in futures)


def row(name: str, task: Task, parameters: int, score: float, seconds: float = 0.0, flops: float = 0.0) -> Row:
    return {
        "method": name,
        "skill": task.name,
        "length": 0,
        "seed": 0,
        "parameters": parameters,
        "bytes": 4 * parameters,
        "accuracy": score,
        "seconds": seconds,
        "flops": flops,
    }


def step_flops(model: Transformer, examples: Batch, hooks: Hooks = NO_HOOKS) -> int:
    """The floating-point operations of one training step's matrix products, counted while it runs."""
    examples = [part.to(model.embedding.weight.device) for part in examples]
    with gradients_set_aside(model, hooks), FlopCounterMode(display=False) as counter:
        (loss(model, *examples) if hooks is NO_HOOKS else shared_loss(model, *examples, hooks)).backward()
    return counter.get_total_flops()
