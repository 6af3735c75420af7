"""Plausible wrong answers to lesson 3, each with the name of the misconception behind it."""

import numpy as np
import torch

from minitransformer import freeze, loss


def gradient(slope=lambda p, hit: p - hit, weigh=True, back=lambda m, g: m @ g, centre=True, scale=0.5, sigmoid=False):
    """The gradient by hand, wrong in one place."""

    def by_hand(place, target, seen, W):
        top = W["read"] @ slope(seen["probabilities"], np.eye(len(seen["probabilities"]))[target])
        weight, heard = seen["attention"][place], seen["values"] @ top
        own = heard[place] * (1 - weight if sigmoid else 1) - (seen["attention"] @ heard if centre else 0)
        value = (weight if weigh else 1) * back(W["value"], top)
        return value, weight * own * (W["key"] @ seen["query"]) * scale

    return by_hand


def value_only(place, target, seen, W):
    value, key = gradient()(place, target, seen, W)
    return value, 0 * key


def loop(made=None, clear=True, step=True, fresh=False, prepare=freeze, value=loss, report=lambda each: each.item()):
    """A training loop with one thing wrong in it."""
    made = made or (lambda model, prompt, rate: torch.optim.Adam(prompt.parameters(), lr=rate))

    def tune(model, prompt, batches, rate):
        prepare(model)
        optimizer, losses = made(model, prompt, rate), []
        for batch in batches:
            if fresh:
                optimizer = made(model, prompt, rate)
            if clear:
                optimizer.zero_grad()
            now = value(model, *batch, prompt)
            now.backward()
            if step:
                optimizer.step()
            losses.append(report(now))
        return losses

    return tune


def both(model, prompt, rate):
    return torch.optim.Adam([*prompt.parameters(), *model.parameters()], lr=rate)


def sgd(model, prompt, rate):
    return torch.optim.SGD(prompt.parameters(), lr=rate)


@torch.no_grad()
def loss_without_grad(model, tokens, targets, prompt):
    return loss(model, tokens, targets, prompt)


def one_batch(model, prompt, batches, rate):
    return loop()(model, prompt, batches[:1], rate)


def only_requires_grad(model):
    model.requires_grad_(False)


def facts(**changed):
    """The evidence, with some of the facts gathered in another way."""

    def evidence(model, before, prompt, optimizer, inside):
        weights, (vectors,) = list(model.parameters()), prompt.parameters()
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        right = {
            "no_gradient": lambda: all(weight.grad is None for weight in weights),
            "unchanged": lambda: all(map(torch.equal, weights, before)),
            "optimizer": lambda: len(held) == 1 and held[0] is vectors,
            "reached": lambda: vectors.grad is not None and (vectors.grad != 0).any(1).all(),
            "flowed": lambda: all(grad is not None and grad.any() for grad in inside),
        }
        given = dict(weights=weights, before=before, held=held, vectors=vectors, inside=inside)
        return {
            name: changed[name](**given) if name in changed and name in right else fact()
            for name, fact in right.items()
        }

    return evidence


def no_size(weights, **_):
    return all(weight.grad is None or not weight.grad.any() for weight in weights)


def close(weights, before, **_):
    return all(torch.allclose(now, was, atol=1e-3) for now, was in zip(weights, before, strict=True))


def first_only(weights, before, **_):
    return torch.equal(weights[0], before[0])


def look_alike(held, vectors, **_):
    return len(held) == 1 and held[0].shape == vectors.shape


def holds(held, vectors, **_):
    return any(each is vectors for each in held)


def any_row(vectors, **_):
    return vectors.grad is not None and vectors.grad.any()


def some_layer(inside, **_):
    return any(grad is not None for grad in inside)


def not_none(inside, **_):
    return all(grad is not None for grad in inside)


def program(cause, **method):
    """A program with this diagnosis and this repair."""
    members = {name: staticmethod(body) for name, body in method.items()}
    return type("Program", (), members | {"cause": lambda self: cause})


def amber(cause, targets):
    return program(cause, labelled=lambda question, answer: ((question + answer)[:-1], targets(question, answer)))


def late(question, answer):
    return [-100] * len(question) + answer[1:]


def unshifted(question, answer):
    return ([-100] * len(question) + answer)[:-1]


def blue(cause, join):
    return program(cause, embed=lambda vectors, x: join(vectors.expand(len(x), -1, -1), x))


def joined(prompt, x):
    return torch.cat((prompt, x), 1)


def coral(cause, rate):
    return program(cause, optimizer=lambda prompt: torch.optim.Adam(prompt.parameters(), lr=rate))


def dune(cause, prepare):
    return program(cause, prepare=prepare)


def frozen_but_held(model, prompt):
    freeze(model)
    return both(model, prompt, 0.03)


def all_frozen(model, prompt):
    freeze(model)
    return torch.optim.Adam(freeze(prompt).parameters(), lr=0.03)


def proper(model, prompt):
    freeze(model)
    return torch.optim.Adam(prompt.parameters(), lr=0.03)


ANSWERS = {
    "3.1": [
        ("target-forgotten", gradient(slope=lambda p, hit: p)),
        ("only-the-target", gradient(slope=lambda p, hit: -hit)),
        ("uphill-for-downhill", gradient(slope=lambda p, hit: hit - p)),
        ("attention-forgotten", gradient(weigh=False)),
        ("matrix-the-wrong-way", gradient(back=lambda matrix, top: top @ matrix)),
        ("softmax-one-by-one", gradient(centre=False)),
        ("softmax-like-a-sigmoid", gradient(centre=False, sigmoid=True)),
        ("scale-forgotten", gradient(scale=1)),
        ("key-forgotten", value_only),
    ],
    "3.2": [
        ("no-grad-around-the-base", loop(value=loss_without_grad)),
        ("gradients-pile-up", loop(clear=False)),
        ("never-steps", loop(step=False)),
        ("base-trained", loop(made=both, prepare=lambda model: None)),
        ("base-left-trainable", loop(prepare=lambda model: None)),
        ("stale-gradients", loop(prepare=only_requires_grad)),
        ("optimizer-made-anew", loop(fresh=True)),
        ("sgd-for-adam", loop(made=sgd)),
        ("uphill-for-downhill", loop(value=lambda *given: -loss(*given))),
        ("one-batch-only", one_batch),
        ("graphs-kept", loop(report=lambda each: each)),
    ],
    "3.3": [
        ("zero-for-none", facts(no_gradient=no_size)),
        ("gradient-overlooked", facts(no_gradient=lambda weights, **_: weights[0].grad is None)),
        ("close-for-equal", facts(unchanged=close)),
        ("change-overlooked", facts(unchanged=first_only)),
        ("same-shape-other-tensor", facts(optimizer=look_alike)),
        ("base-in-optimizer", facts(optimizer=holds)),
        ("one-row-for-all", facts(reached=any_row)),
        ("one-layer-for-all", facts(flowed=some_layer)),
        ("zero-for-flow", facts(flowed=not_none)),
    ],
    "3.4": [
        ("not-rate", amber("rate", late)),
        ("not-replaced", amber("replaced", late)),
        ("labels-one-late", amber("labels", late)),
        ("labels-unshifted", amber("labels", unshifted)),
        ("question-graded", amber("labels", lambda question, answer: (question + answer)[1:])),
    ],
    "3.5": [
        ("not-labels", blue("labels", joined)),
        ("not-rate", blue("rate", joined)),
        ("still-replaced", blue("replaced", lambda prompt, x: joined(prompt, x[:, prompt.shape[1] :]))),
        ("last-tokens-lost", blue("replaced", lambda prompt, x: joined(prompt, x)[:, : x.shape[1]])),
        ("prompt-behind-the-text", blue("replaced", lambda prompt, x: torch.cat((x, prompt), 1))),
    ],
    "3.6": [
        ("not-detached", coral("detached", 0.03)),
        ("not-labels", coral("labels", 0.03)),
        ("rate-still-too-small", coral("rate", 0.001)),
        ("rate-too-large", coral("rate", 3.0)),
    ],
    "3.7": [
        ("not-rate", dune("rate", proper)),
        ("not-stale", dune("stale", proper)),
        ("base-in-optimizer", dune("base", frozen_but_held)),
        ("base-left-trainable", dune("base", lambda model, prompt: torch.optim.Adam(prompt.parameters(), lr=0.03))),
        ("prompt-frozen-too", dune("base", all_frozen)),
    ],
}  # fmt: skip
