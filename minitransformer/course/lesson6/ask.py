"""Beside the student's functions of lesson 6: attention with a prefix taken apart, a trial with its baselines."""

from itertools import repeat

import torch

from minitransformer import PrefixTuning, PromptTuning
from minitransformer.comparison import Task

from ..plain_data import rebuilt, tensors


def rescaling(content, weights, virtual):  # (H, T, P+T), P -> (H, T), (H, T, T)
    return content(*tensors(weights), virtual)


def parts(split, weights, values, virtual):  # (H, T, P+T), (H, P+T, d), P -> (H, T, d), (H, T, d)
    return split(*tensors(weights, values), virtual)


def comparison(trial, shape, weights, examples, test, asked, steps):  # -> accuracies by method, the base as it was?
    model = rebuilt(shape, weights)
    batch, test, asked = (tuple(tensors(*pair)) for pair in (examples, test, asked))
    task = Task("given", lambda seed: repeat(batch), test, asked)
    hooks = {"prompt": PromptTuning(2, model.config), "prefix": PrefixTuning(2, model.config)}
    rows = trial(model, task, hooks, steps)
    state = model.state_dict()
    same = all(torch.equal(state[name], torch.from_numpy(value)) for name, value in weights.items())
    return {row["method"]: float(row["accuracy"]) for row in rows}, same
