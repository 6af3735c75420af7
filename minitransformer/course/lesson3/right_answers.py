"""Right answers to lesson 3 that look unlike the lesson's own, written from its text alone."""

import numpy as np
import torch

from minitransformer import loss


def by_jacobians(place, target, seen, W):
    """With the whole derivative of both softmaxes, as matrices."""
    at_logits = seen["probabilities"] - np.eye(len(seen["probabilities"]))[target]
    at_top = at_logits @ W["read"].T
    attention = seen["attention"]
    jacobian = np.diag(attention) - np.outer(attention, attention)
    at_scores = jacobian @ (seen["values"] @ at_top)
    key = W["key"] @ (seen["query"] / np.sqrt(seen["query"].size)) * at_scores[place]
    return attention[place] * at_top @ W["value"].T, key


def by_sums(place, target, seen, W):
    """Number by number, without a product of matrices."""
    wrong = [each - (word == target) for word, each in enumerate(seen["probabilities"])]
    top = sum(each * W["read"][:, word] for word, each in enumerate(wrong))
    says = [float((value * top).sum()) for value in seen["values"]]
    usual = sum(weight * each for weight, each in zip(seen["attention"], says, strict=True))
    score = seen["attention"][place] * (says[place] - usual)
    value = np.array([(row * top).sum() * seen["attention"][place] for row in W["value"]])
    key = np.array([(row * seen["query"]).sum() * score for row in W["key"]])
    return [value, key / np.sqrt(len(seen["query"]))]


def tune_with_grad(model, prompt, batches, rate):
    """Asks autograd for the gradients, and hands them to the optimizer."""
    for weight in model.parameters():
        weight.requires_grad, weight.grad = False, None
    learned, losses = list(prompt.parameters()), []
    adam = torch.optim.Adam([{"params": learned}], rate)
    for pair in batches:
        now = loss(model, *pair, prompt)
        for parameter, gradient in zip(learned, torch.autograd.grad(now, learned), strict=True):
            parameter.grad = gradient
        adam.step()
        losses.append(float(now.detach()))
    return losses


def tune_with_closure(model, prompt, batches, rate):
    """Lets the optimizer call the loss, and clears after the step."""
    model.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    prompt.zero_grad()
    adam = torch.optim.Adam(params=prompt.parameters(), lr=rate, foreach=False)

    def step(tokens, targets):
        def closure():
            value = loss(model, tokens, targets, hooks=prompt)
            value.backward()
            return value

        value = adam.step(closure).item()
        adam.zero_grad(set_to_none=False)
        return value

    return [step(*pair) for pair in batches]


def evidence_in_loops(model, before, prompt, optimizer, inside):
    facts = dict.fromkeys(("no_gradient", "unchanged", "optimizer", "reached", "flowed"), True)
    for weight, copy in zip(model.parameters(), before, strict=True):
        if weight.grad is not None:
            facts["no_gradient"] = False
        if (weight != copy).any().item():
            facts["unchanged"] = False
    mine = {each.data_ptr() for each in prompt.parameters()}
    theirs = {each.data_ptr() for group in optimizer.param_groups for each in group["params"]}
    facts["optimizer"] = not mine ^ theirs
    for parameter in prompt.parameters():
        if parameter.grad is None or (parameter.grad == 0).all(dim=-1).any().item():
            facts["reached"] = False
    for gradient in inside:
        if gradient is None or not gradient.count_nonzero():
            facts["flowed"] = False
    return facts


def evidence_by_counting(model, before, prompt, optimizer, inside):
    held = [each for group in optimizer.param_groups for each in group["params"]]
    own = list(prompt.parameters())
    sizes = [torch.zeros(1) if each.grad is None else each.grad.abs().amax(-1).flatten() for each in own]
    return {
        "flowed": None not in [None if each is None or each.abs().max() == 0 else 1 for each in inside],
        "reached": bool(torch.cat(sizes).gt(0).all()),
        "optimizer": len(held) == len(own) and all(any(each is one for one in own) for each in held),
        "unchanged": not sum((now.detach() - was).any() for now, was in zip(model.parameters(), before, strict=True)),
        "no_gradient": {each.grad for each in model.parameters()} == {None},
    }


def diagnosis(cause, **repairs):
    """A class that names this cause and has these methods."""
    return type("Repaired", (), {"cause": lambda self: cause, **repairs})


def labelled_by_place(self, question, answer):
    text = [*question, *answer]
    return text[:-1], [text[n] if n >= len(question) else -100 for n in range(1, len(text))]


def labelled_by_masking(self, question, answer):
    tokens, targets = (question + answer)[:-1], (question + answer)[1:]
    for place in range(len(question) - 1):
        targets[place] = -100
    return tokens, targets


def embed_row_by_row(self, vectors, x):
    return torch.stack([torch.cat((vectors, text)) for text in x])


def embed_with_repeat(self, vectors, x):
    return torch.hstack((vectors.unsqueeze(0).repeat(x.shape[0], 1, 1), x))


def frozen_by_hand(self, model, prompt):
    for weight in model.parameters():
        weight.requires_grad_(False).grad = None
    return torch.optim.Adam(list(prompt.parameters()), lr=0.02)


def frozen_as_a_whole(self, model, prompt):
    model.requires_grad_(False)
    model.zero_grad()
    return torch.optim.Adam([{"params": prompt.parameters(), "lr": 0.03}])


def adam(rate):
    return lambda self, prompt: torch.optim.Adam(prompt.parameters(), lr=rate)


ANSWERS = {
    "3.1": [by_jacobians, by_sums],
    "3.2": [tune_with_grad, tune_with_closure],
    "3.3": [evidence_in_loops, evidence_by_counting],
    "3.4": [diagnosis("labels", labelled=labelled_by_place), diagnosis("labels", labelled=labelled_by_masking)],
    "3.5": [diagnosis("replaced", embed=embed_row_by_row), diagnosis("replaced", embed=embed_with_repeat)],
    "3.6": [
        *(diagnosis("rate", optimizer=adam(rate)) for rate in (0.005, 0.012, 0.05)),
        diagnosis("rate", optimizer=lambda self, prompt: torch.optim.AdamW(prompt.parameters(), lr=0.03)),
    ],
    "3.7": [diagnosis("base", prepare=frozen_by_hand), diagnosis("base", prepare=frozen_as_a_whole)],
}
