"""Beside the student's functions of lesson 4: nearest words, words in place of vectors, the search for a setting."""

import numpy as np
import torch
from torch import Tensor

from ..plain_data import rebuilt, tensors


def whole_numbers(ids):
    """Whole numbers as a tensor, whether they came as a tensor, an array or a list."""
    ids = as_tensor(ids)
    return ids.long() if isinstance(ids, Tensor) and not ids.is_floating_point() and ids.dtype != torch.bool else ids


def as_tensor(values):
    """Numbers as a tensor, whether they came as a tensor, an array or a list; anything else as it is."""
    try:
        if isinstance(values, (list, tuple)):
            values = [each.detach() if isinstance(each, Tensor) else each for each in values]
        return torch.as_tensor(np.array(values)) if isinstance(values, (list, tuple)) else torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        return values


def real_number(value):
    """A single real number, whether it came as a number, an array or a tensor; anything else as it is."""
    if isinstance(value, (Tensor, np.ndarray)) and value.ndim == 0:
        value = value.item()
    return float(value) if isinstance(value, (int, np.floating)) and not isinstance(value, bool) else value


def neighbours(nearest, vectors, table):  # (P, D), (V, D) -> the answer as it is, and the inputs as they are afterwards
    given = tensors(vectors, table)
    found = nearest(*given)
    if isinstance(found, (tuple, list)) and len(found) == 2:
        found = whole_numbers(found[0]), as_tensor(found[1])
    return {"found": found, "given": given}


def replacement(replaced, shape, weights, vectors, ids, tokens, targets):  # -> (P+1), the inputs as they are afterwards
    model, given = rebuilt(shape, weights), tensors(vectors, ids, tokens, targets)
    losses = as_tensor(replaced(model, *given[:2], tuple(given[2:])))
    return {"losses": losses, "given": given, "weights": [model.state_dict()[name] for name in weights]}


def search(best, lengths, starts, rates, seeds, validation, test):
    """The setting as places in the lists (-1: in none), and two means; and seeds that are in no list."""
    foreign = []

    def run(length, start, rate, seed):
        if seed not in seeds:
            foreign.append(int(seed))
            return {"validation": 0.0, "test": 0.0}
        place = lengths.index(length), starts.index(start), rates.index(rate), seeds.index(seed)
        return {"validation": float(validation[place]), "test": float(test[place])}

    found = best(run, *(list(known) for known in (lengths, starts, rates, seeds)))
    if isinstance(found, (tuple, list)) and len(found) == 3:
        setting, *means = found
        setting = [-1, -1, -1] if setting is None else setting
        if isinstance(setting, (tuple, list)) and len(setting) == 3:
            lists = zip(setting, (lengths, starts, rates), strict=True)
            setting = np.array([known.index(each) if each in known else -1 for each, known in lists])
        found = setting, as_tensor([real_number(mean) for mean in means])
    return {"found": found, "foreign": foreign}
