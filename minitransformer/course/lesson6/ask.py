"""Beside the student's functions of lesson 6: attention with a prefix taken apart, a trial with its baselines."""

from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from minitransformer import KeyValuePrefix, PrefixTuning, PromptTuning
from minitransformer.comparison import Task

from ..plain_data import rebuilt, tensors

KINDS = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}


def rescaling(content, weights, virtual):  # (H, T, P+T), P -> (H, T), (H, T, T), and the weights as they are afterwards
    return pair(content, [weights], virtual)


def parts(split, weights, values, virtual):  # (H, T, P+T), (H, P+T, d), P -> two (H, T, d), and the same
    return pair(split, [weights, values], virtual)


def pair(function, arrays, virtual):
    """Both results as tensors, and the inputs as they are afterwards."""
    given = tensors(*arrays)
    found = function(*given, virtual)
    if isinstance(found, (tuple, list)):
        found = [as_tensor(each) for each in found]
    return {"found": found, "given": given}


def as_tensor(values):
    """Numbers as a tensor, whether they came as a tensor, an array or lists; anything else as it is."""
    try:
        return torch.as_tensor(np.array(nested(values)) if isinstance(values, (list, tuple)) else values)
    except (TypeError, ValueError, RuntimeError):
        return values


def nested(values):
    if isinstance(values, (list, tuple)):
        return [nested(each) for each in values]
    return values.detach().numpy() if isinstance(values, Tensor) else values


def comparison(trial, shape, weights, tasks, steps):
    """Each row's method, accuracy and names, for each trial in turn; and what these share, as it is afterwards.

    All trials have one base. A task is its batches, its two tests and its hooks: [name, kind, length]; each seed has
    one of the batches to train on, again and again. A task that comes again is the same object, with new hooks.
    """
    model, given = begin(shape, weights, tasks)
    trials = [reported(trial, model, given[place], tasks[place][-1], steps) for place in order(len(given))]
    return {"trials": trials, "shared": shared(model, given)}


def begin(shape, weights, tasks):
    return rebuilt(shape, weights), [given_task(*arrays) for *arrays, _ in tasks]


def shared(model, tasks):
    """The base and the tasks as plain data."""
    weights, facts = [*model.parameters()], [model.training]
    facts += [*model.state_dict().values(), *(each.grad for each in weights), *(each.requires_grad for each in weights)]
    for task in tasks:
        facts += [task.name, *task.test, *task.asked]
        facts += [part for seed in range(2) for part in next(iter(task.batches(seed)), ())]
    return facts


def order(count: int) -> list[int]:
    """Each task once, and the first one again where there are others: what was touched meanwhile shows."""
    return [*range(count), 0] if count > 1 else [0]


def given_task(batches, test, asked):
    batches = [tuple(tensors(*each)) for each in batches]
    test, asked = (tuple(tensors(*each)) for each in (test, asked))
    return Task("given", lambda seed: repeat(batches[seed % len(batches)]), test, asked)


def reported(trial, model, task, named, steps):
    hooks = {name: KINDS[kind](length, model.config) for name, kind, length in named}
    rows = [row if isinstance(row, dict) else {} for row in trial(model, task, hooks, steps)]
    return {
        "methods": [str(row.get("method")) for row in rows],
        "accuracies": [float(row.get("accuracy", -1.0)) for row in rows],
        "names": [[str(name) for name in row] for row in rows],
    }
