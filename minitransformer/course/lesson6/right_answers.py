"""Right answers to lesson 6 that look unlike the lesson's own, written from its text alone."""

from copy import deepcopy
from functools import partial

import numpy as np
import torch

from minitransformer.comparison import full_fine_tuning, instruction, no_prompt, soft_prompt


def content_by_splitting(weights, virtual):
    prefix, text = weights.split([virtual, weights.shape[-1] - virtual], dim=-1)
    share = 1 - text.sum(-1)
    return share if virtual else prefix.sum(-1), text / text.sum(-1).unsqueeze(-1)


def content_by_logarithms(weights, virtual):
    """Rescaling is a softmax of the logarithms of what is left."""
    share = torch.einsum("htp->ht", weights[:, :, :virtual])
    return [share, weights[:, :, virtual:].log().softmax(-1)]


def content_in_numpy(weights, virtual):
    weights = weights.numpy()
    text = np.delete(weights, np.s_[:virtual], axis=-1)
    return weights[..., :virtual].sum(axis=-1), text / text.sum(axis=-1, keepdims=True)


def content_by_norm(weights, virtual):
    """Weights are positive, so their sum is the norm with p = 1."""
    rest = torch.nn.functional.normalize(weights[..., virtual:], p=1, dim=-1)
    return weights[..., :virtual] @ torch.ones(virtual), rest


def content_in_lists(weights, virtual):
    shares = [[sum(row[:virtual]) for row in head] for head in weights.tolist()]
    rests = [[[each / sum(row[virtual:]) for each in row[virtual:]] for row in head] for head in weights.tolist()]
    return shares, rests


def content_by_masking(weights, virtual):
    mine = weights.clone().double()
    mine[:, :, :virtual] = 0
    left = mine.cumsum(-1)[..., -1]
    return 1 - left, (mine / left[..., None])[:, :, virtual:]


def split_by_masking(weights, values, virtual):
    in_front = torch.arange(weights.shape[-1]) < virtual
    added = torch.bmm(weights * in_front, values)
    text = weights * ~in_front
    return added, torch.bmm(text, values) / text.sum(-1, keepdim=True)


def split_in_numpy(weights, values, virtual):
    w, v = weights.numpy().astype("float64"), values.numpy().astype("float64")
    text = w[..., virtual:] / w[..., virtual:].sum(-1, keepdims=True)
    return [np.matmul(w[..., :virtual], v[:, :virtual]), np.matmul(text, v[:, virtual:])]


def split_by_logarithms(weights, values, virtual):
    """Values of the text that are 0 leave the bias; a softmax of logarithms rescales."""
    prefix_only = torch.cat((values[:, :virtual], torch.zeros_like(values[:, virtual:])), 1)
    return weights @ prefix_only, weights[:, :, virtual:].log().softmax(-1) @ values[:, virtual:]


def split_by_einsum(weights, values, virtual):
    added = torch.einsum("htp,hpd->htd", weights[:, :, :virtual], values[:, :virtual])
    whole = torch.einsum("hts,hsd->htd", weights, values)
    share = weights[:, :, :virtual].sum(-1, keepdim=True)
    return added, (whole - added) / (1 - share)


def split_head_by_head(weights, values, virtual):
    added, without = [], []
    for weight, value in zip(weights, values, strict=True):
        text = weight[:, virtual:]
        added.append(sum(weight[:, [k]] * value[k] for k in range(virtual)) + torch.zeros(len(weight), value.shape[1]))
        without.append((text / text.sum(1)[:, None]) @ value[virtual:])
    return torch.stack(added), torch.stack(without)


def trial_in_one_list(model, task, hooks, steps):
    return [
        no_prompt(model, task),
        instruction(model, task),
        *(soft_prompt(model, task, hooks=each, name=name, steps=steps) for name, each in hooks.items()),
        full_fine_tuning(model, task, steps=steps),
    ]


def trial_from_a_table(model, task, hooks, steps):
    """Each method as a function to call, and all of them called in order."""
    methods = [no_prompt, instruction]
    methods += [partial(soft_prompt, hooks=prompt, name=name, steps=steps) for name, prompt in hooks.items()]
    methods.append(partial(full_fine_tuning, steps=steps))
    return [method(model, task) for method in methods]


def trial_with_the_longest_first(model, task, hooks, steps):
    """In which order they run is its own affair; they are returned in the order that is asked for."""
    full = full_fine_tuning(model, task, steps=steps)
    tuned = [soft_prompt(model, task, hooks[name], name, steps=steps) for name in reversed(hooks)]
    words, bare = instruction(model, task), no_prompt(model, task)
    return bare, words, *tuned[::-1], full


def trial_one_by_one(model, task, hooks, steps):
    """A generator."""
    yield no_prompt(model, task)
    yield instruction(model, task)
    for name in hooks:
        yield soft_prompt(model, task, hooks[name], name, steps=steps)
    yield full_fine_tuning(model, task, steps=steps)


def trial_on_copies(model, task, hooks, steps):
    """Neither the hooks nor the base are touched."""
    rows = {"no prompt": no_prompt(deepcopy(model), task), "instruction": instruction(deepcopy(model), task)}
    for name, prompt in deepcopy(hooks).items():
        rows[name] = dict(soft_prompt(deepcopy(model), task, prompt, name, 0, steps))
    rows["full"] = full_fine_tuning(deepcopy(model), task, 0, steps)
    return list(rows.values())


ANSWERS = {
    "6.1": [
        content_by_splitting,
        content_by_logarithms,
        content_in_numpy,
        content_by_norm,
        content_in_lists,
        content_by_masking,
    ],
    "6.2": [split_by_einsum, split_head_by_head, split_by_masking, split_in_numpy, split_by_logarithms],
    "6.3": [
        trial_in_one_list,
        trial_from_a_table,
        trial_with_the_longest_first,
        trial_one_by_one,
        trial_on_copies,
    ],
}
