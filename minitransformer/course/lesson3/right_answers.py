"""Right answers to lesson 3 that look unlike the lesson's own, written from its text alone."""

from copy import deepcopy

import numpy as np
import torch

from minitransformer import freeze, loss


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


def by_einsum(place, target, seen, W):
    """Both softmaxes written out with Einstein's sums, in a list of its own."""
    at_top = np.einsum("dv,v->d", W["read"], seen["probabilities"]) - W["read"][:, target]
    weights, heard = seen["attention"], np.einsum("sd,d->s", seen["values"], at_top)
    slopes = weights * heard - weights * weights.dot(heard)
    return (
        np.einsum("de,e->d", W["value"], at_top) * weights[place],
        np.einsum("de,e->d", W["key"], seen["query"]) * slopes[place] * W["key"].shape[1] ** -0.5,
    )


def by_columns(place, target, seen, W):
    """Every vector is a column; and each way comes as a row in one array."""
    at_logits = seen["probabilities"].reshape(-1, 1) - np.eye(len(seen["probabilities"]))[:, [target]]
    at_top = W["read"] @ at_logits
    says = seen["values"] @ at_top
    score = seen["attention"][place] * (says - seen["attention"][None] @ says)[place]
    value = seen["attention"][place] * W["value"] @ at_top
    key = W["key"] @ seen["query"].reshape(-1, 1) * score / np.sqrt(len(seen["query"]))
    return np.stack((value[:, 0], key[:, 0]))


def by_centred_values(place, target, seen, W):
    """Takes the mean off the values themselves."""
    at_top = W["read"] @ (seen["probabilities"] - np.eye(len(seen["probabilities"]))[target])
    centred = seen["values"] - seen["attention"] @ seen["values"]
    through_value = seen["attention"][place] * W["value"].dot(at_top)
    through_key = seen["attention"][place] * centred[place].dot(at_top) * W["key"].dot(seen["query"])
    return through_value, through_key / seen["query"].shape[0] ** 0.5


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


def tune_by_hand(model, prompt, batches, rate):
    """Adam written out."""
    for weight in model.parameters():
        weight.requires_grad_(False)
        weight.grad = None
    own = [parameter for parameter in prompt.parameters()]
    first, second = ([torch.zeros_like(each) for each in own] for _ in range(2))
    losses = []
    for step, (tokens, targets) in enumerate(batches, 1):
        prompt.zero_grad()
        value = loss(model, tokens, targets, prompt)
        value.backward()
        with torch.no_grad():
            for each, mean, square in zip(own, first, second, strict=True):
                mean.lerp_(each.grad, 0.1)
                square.mul_(0.999).addcmul_(each.grad, each.grad, value=0.001)
                root = (square / (1 - 0.999**step)).sqrt() + 1e-8
                each -= rate * mean / (1 - 0.9**step) / root
        losses += [value.detach().numpy().item()]
    return losses


def tune_with_both_in_hand(model, prompt, batches, rate):
    """The optimizer holds frozen weights, too: they have no gradient, so it leaves them alone."""
    freeze(model)
    adam = torch.optim.Adam([{"params": prompt.parameters()}, {"params": model.parameters()}], lr=rate)
    steps = iter(batches)
    losses = []
    while (pair := next(steps, None)) is not None:
        adam.zero_grad(set_to_none=True)
        value = loss(model, *pair, prompt)
        value.backward(inputs=list(prompt.parameters()))
        adam.step()
        losses.append(value.item())
    return losses


def tune_without_decay(model, prompt, batches, rate):
    """AdamW without decay is Adam; the losses come from a generator."""
    freeze(model)
    adam = torch.optim.AdamW(list(prompt.parameters()), lr=rate, weight_decay=0)

    def steps():
        for tokens, targets in batches:
            value = loss(model, tokens, targets, prompt)
            adam.zero_grad()
            torch.autograd.backward(value)
            adam.step()
            yield value.tolist()

    return [*steps()]


def tune_a_copy(model, prompt, batches, rate):
    """The copy learns, and hands over in the end."""
    copy, losses = deepcopy(prompt), []
    adam = torch.optim.Adam([{"params": [each], "lr": rate} for each in copy.parameters()])
    for pair in batches:
        value = loss(freeze(model), *pair, copy)
        copy.zero_grad()
        value.backward()
        adam.step()
        losses.append(value.detach())
    prompt.load_state_dict(copy.state_dict())
    return torch.stack(losses).tolist()


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


def evidence_as_bytes(model, before, prompt, optimizer, inside):
    """Really compares bytes; NumPy's truth values are as good as Python's."""
    same = [
        now.detach().numpy().tobytes() == was.detach().numpy().tobytes()
        for now, was in zip(model.parameters(), before, strict=True)
    ]
    own = set(map(id, prompt.parameters()))
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    rows = [each.grad.reshape(-1, each.shape[-1]) if each.grad is not None else None for each in prompt.parameters()]
    return dict(
        no_gradient=not any(each.grad is not None for each in model.parameters()),
        unchanged=np.all(same),
        optimizer=own.issubset(held) and held.issubset(own),
        reached=np.all([each is not None and np.all(np.any(each.numpy() != 0, axis=1)) for each in rows]),
        flowed=np.all([each is not None and np.any(each.numpy()) for each in inside]),
    )


def evidence_one_by_one(model, before, prompt, optimizer, inside):
    def reached():
        for each in prompt.parameters():
            if each.grad is None:
                return False
            for row in each.grad:
                if torch.all(row == 0):
                    return False
        return True

    changed = [n for n, weight in enumerate(model.parameters()) if not weight.eq(before[n]).all()]
    held = []
    for group in optimizer.param_groups:
        held += group["params"]
    strangers = [each for each in held if not any(each is own for own in prompt.parameters())]
    missing = [own for own in prompt.parameters() if not any(each is own for each in held)]
    closed = [each for each in inside if each is None or torch.count_nonzero(each) == 0]
    return {
        "no_gradient": [each for each in model.parameters() if each.grad is not None] == [],
        "unchanged": changed == [],
        "optimizer": strangers == [] and missing == [],
        "reached": reached(),
        "flowed": len(closed) == 0,
    }


def evidence_with_tensors(model, before, prompt, optimizer, inside):
    """Truth values are tensors of one number."""
    grads = [each.grad if each.grad is not None else torch.zeros_like(each) for each in prompt.parameters()]
    flows = [torch.zeros(1) if each is None else each for each in inside]
    pairs = zip(model.parameters(), before, strict=True)
    held = [each for group in optimizer.param_groups for each in group["params"]]
    return {
        "no_gradient": torch.tensor([each.grad is None for each in model.parameters()]).all(),
        "unchanged": torch.stack([(now == was).all() for now, was in pairs]).all(),
        "optimizer": torch.tensor(sorted(map(id, held)) == sorted(map(id, prompt.parameters()))),
        "reached": torch.cat([each.ne(0).any(-1).reshape(-1) for each in grads]).all(),
        "flowed": torch.stack([each.ne(0).any() for each in flows]).all(),
    }


def evidence_and_a_verdict(model, before, prompt, optimizer, inside):
    """One fact more than asked for; weights are compared as the bits that they are."""
    facts = evidence_by_counting(model, before, prompt, optimizer, inside)
    now = [weight.detach().view(torch.int32) for weight in model.parameters()]
    facts["unchanged"] = all(map(torch.equal, now, [was.view(torch.int32) for was in before]))
    return facts | {"proven": all(facts.values())}


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


def labelled_as_tensors(self, question, answer):
    text = torch.tensor(question + answer)
    targets = text[1:].clone()
    targets[: len(question) - 1] = -100
    return text[:-1], targets


def labelled_in_arrays(self, question, answer):
    text = np.concatenate((question, answer))
    asked = np.arange(len(text)) < len(question)
    return text[:-1], np.where(asked, -100, text)[1:]


def labelled_as_tuples(self, question, answer):
    return (*question, *answer[:-1]), (-100,) * (len(question) - 1) + tuple(answer)


def embed_row_by_row(self, vectors, x):
    return torch.stack([torch.cat((vectors, text)) for text in x])


def embed_with_repeat(self, vectors, x):
    return torch.hstack((vectors.unsqueeze(0).repeat(x.shape[0], 1, 1), x))


def embed_by_filling(self, vectors, x):
    whole = x.new_empty(len(x), len(vectors) + x.shape[1], x.shape[2])
    whole[:, : len(vectors)] = vectors
    whole[:, len(vectors) :] = x
    return whole


def embed_with_the_text_cut_off(self, vectors, x):
    """Below the text's embeddings everything is frozen: its gradient is nobody's."""
    return torch.cat([vectors[None].expand(x.shape[0], -1, -1), x.detach()], dim=1)


def embed_by_padding(self, vectors, x):
    padded = torch.nn.functional.pad(x, (0, 0, len(vectors), 0))
    return padded + torch.nn.functional.pad(vectors, (0, 0, 0, x.shape[1]))


def embed_by_broadcasting(self, vectors, x):
    return torch.concat([vectors + torch.zeros(x.size(0), 1, 1), x], dim=-2)


def frozen_by_hand(self, model, prompt):
    for weight in model.parameters():
        weight.requires_grad_(False).grad = None
    return torch.optim.Adam(list(prompt.parameters()), lr=0.02)


def frozen_as_a_whole(self, model, prompt):
    model.requires_grad_(False)
    model.zero_grad()
    return torch.optim.Adam([{"params": prompt.parameters(), "lr": 0.03}])


def frozen_without_clearing(self, model, prompt):
    """The model is new: it has no gradients that could be left."""
    model.eval().requires_grad_(False)
    return torch.optim.AdamW(prompt.parameters(), lr=0.01)


def frozen_afterwards(self, model, prompt):
    optimizer = torch.optim.Adam(prompt.parameters(), lr=0.05)
    for name, weight in model.named_parameters():
        assert name
        weight.requires_grad = False
    return optimizer


def frozen_for_sgd(self, model, prompt):
    freeze(model)
    return torch.optim.SGD(prompt.parameters(), lr=1.0)


def frozen_and_warmed_up(self, model, prompt):
    """The first step has a rate of 0."""
    optimizer = torch.optim.Adam(prompt.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 5))
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    freeze(model)
    return optimizer


class Plain:
    """Gradient descent without torch's optimizers."""

    def __init__(self, parameters):
        self.parameters = list(parameters)

    def zero_grad(self):
        for each in self.parameters:
            each.grad = None

    def step(self):
        for each in self.parameters:
            each.data -= each.grad


def frozen_for_an_optimizer_of_its_own(self, model, prompt):
    return Plain(each for each in [*prompt.parameters(), *freeze(model).parameters()] if each.requires_grad)


def rate(make, **settings):
    """An optimizer of this kind."""
    return diagnosis("rate", optimizer=lambda self, prompt: make(prompt.parameters(), **settings))


def in_a_group(self, prompt):
    return torch.optim.Adam([{"params": list(prompt.parameters()), "lr": 0.02}], lr=1.0)


optim = torch.optim
ANSWERS = {
    "3.1": [by_jacobians, by_sums, by_einsum, by_columns, by_centred_values],
    "3.2": [tune_with_grad, tune_with_closure, tune_by_hand, tune_with_both_in_hand, tune_without_decay, tune_a_copy],
    "3.3": [
        evidence_in_loops,
        evidence_by_counting,
        evidence_as_bytes,
        evidence_one_by_one,
        evidence_with_tensors,
        evidence_and_a_verdict,
    ],
    "3.4": [
        diagnosis("labels", labelled=each)
        for each in (
            labelled_by_place,
            labelled_by_masking,
            labelled_as_tensors,
            labelled_in_arrays,
            labelled_as_tuples,
        )
    ],
    "3.5": [
        diagnosis("replaced", embed=each)
        for each in (
            embed_row_by_row,
            embed_with_repeat,
            embed_by_filling,
            embed_with_the_text_cut_off,
            embed_by_padding,
            embed_by_broadcasting,
        )
    ],
    "3.6": [
        *(rate(optim.Adam, lr=each) for each in (0.001, 0.002, 0.005, 0.012, 0.05, 0.3)),
        rate(optim.AdamW, lr=0.03),
        rate(optim.SGD, lr=1.0),
        diagnosis("rate", optimizer=in_a_group),
        rate(Plain),
    ],
    "3.7": [
        diagnosis("base", prepare=each)
        for each in (
            frozen_by_hand,
            frozen_as_a_whole,
            frozen_without_clearing,
            frozen_afterwards,
            frozen_for_sgd,
            frozen_and_warmed_up,
            frozen_for_an_optimizer_of_its_own,
        )
    ],
}
