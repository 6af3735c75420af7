"""Right answers to lesson 6 that look unlike the lesson's own, written from its text alone."""

from functools import partial

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


ANSWERS = {
    "6.1": [content_by_splitting, content_by_logarithms],
    "6.2": [split_by_einsum, split_head_by_head],
    "6.3": [trial_in_one_list, trial_from_a_table],
}
