"""Beside the student's functions of lesson 1: tokens become vectors, who sees whom, one attention head."""

from contextlib import suppress

import torch
from torch import Tensor

from ..plain_data import tensors


def embedding(embed, tokens, table):  # (B, T), (V, D) -> (B, T, D)
    """The vectors, what was given as it is afterwards, and the gradient that reaches the table."""
    given = tensors(tokens, table)
    facts = {"vectors": embed(*given), "given": given}
    ids, rows = tensors(tokens, table)
    rows.requires_grad_(True)
    with suppress(RuntimeError):  # what can only be done without a gradient, as to leave PyTorch for NumPy
        facts["gradients"] = gradients(embed(ids, rows.clone()), [rows])
    return facts


def mask(visible, queries, keys):  # T, S -> (T, S)
    seen = visible(queries, keys)
    if isinstance(seen, Tensor) and seen.dtype not in (torch.bool, torch.int64, torch.float32, torch.float64):
        seen = seen.double()  # the other types do not cross to the judge
    return {"mask": seen, "is a tensor": isinstance(seen, Tensor)}


def head(attend, query, key, value, visible):  # (T, d), (S, d), (S, d), (T, S) -> (T, S), (T, d)
    """The two parts of the answer, what was given as it is afterwards, and the gradients of each part."""
    given = tensors(query, key, value, visible)
    answer = attend(*given)
    facts = {"answer": list(answer) if isinstance(answer, tuple) else answer, "given": given}
    *inputs, seen = tensors(query, key, value, visible)
    for each in inputs:
        each.requires_grad_(True)
    with suppress(RuntimeError, TypeError, ValueError):
        weights, result = attend(*(each.clone() for each in inputs), seen)  # so that they may be changed in place
        facts["gradients of the weights"] = gradients(weights, inputs[:2])
        facts["gradients of the result"] = gradients(result, inputs)
    return facts


def gradients(result, inputs):
    """Those of the sum of squares, None for an input that none reaches."""
    if not isinstance(result, Tensor) or not result.requires_grad:
        return [None] * len(inputs)
    found = torch.autograd.grad((result**2).sum(), inputs, retain_graph=True, allow_unused=True)
    return [None if each is None else each.to_dense() for each in found]
