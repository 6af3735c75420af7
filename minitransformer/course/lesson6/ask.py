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


def comparison(trial, shape, weights, batches, test, asked, named, steps):
    """Method and accuracy of each row in order, and whether the base is as it was.

    Each seed has one of the `batches` to train on, again and again; `named` are the hooks: [name, kind, length].
    """
    model = rebuilt(shape, weights)
    batches = [tuple(tensors(*each)) for each in batches]
    test, asked = (tuple(tensors(*each)) for each in (test, asked))
    task = Task("given", lambda seed: repeat(batches[seed % len(batches)]), test, asked)
    hooks = {name: KINDS[kind](length, model.config) for name, kind, length in named}
    rows = list(trial(model, task, hooks, steps))
    state = model.state_dict()
    same = all(torch.equal(state[name], torch.from_numpy(value)) for name, value in weights.items())
    rows = [row if isinstance(row, dict) else {} for row in rows]
    return {
        "methods": [str(row.get("method")) for row in rows],
        "accuracies": [float(row.get("accuracy", -1.0)) for row in rows],
        "unchanged": same,
    }
