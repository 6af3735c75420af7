"""Beside the student's objects of lesson 3: a gradient by hand, the training loop, its evidence, and four repairs."""

from collections.abc import Mapping

import numpy as np
import torch

from minitransformer import Config, PromptTuning

from ..plain_data import plain, rebuilt, tensors
from ..served_model import ServedModel


def by_hand(gradient, place, target, seen, weights):
    """Both ways, and what of the inputs is no longer what it was."""
    given = {"seen": seen, "W": weights}
    before = {name: {key: each.copy() for key, each in arrays.items()} for name, arrays in given.items()}
    ways = gradient(place, target, seen, weights)
    changed = [name for name, was in before.items() if not same(given[name], was)]
    return {"ways": ways, "changed": changed}


def same(now, was):
    return now.keys() == was.keys() and all(np.array_equal(now[key], was[key]) for key in was)


def loop(tune, config, weights, vectors, tokens, targets, rate, *, served):
    """Tune a prompt on a model fresh from pretraining: trainable, and with gradients left over."""
    model = ServedModel(config, served, weights)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    prompt = prompt_of(vectors, model.config)
    batches = [tuple(tensors(*pair)) for pair in zip(tokens, targets, strict=True)]
    try:
        losses = tune(model, prompt, batches, rate)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        return {"stopped": True, "prompt trainable": prompt.vectors.requires_grad}
    facts = {"stopped": False, "losses": losses, "vectors": prompt.vectors, "eval": not model.training}
    return facts | {"after": model.standing()}


def prompt_of(vectors, config: Config) -> PromptTuning:
    prompt = PromptTuning(len(vectors), config)
    prompt.vectors.data = tensors(vectors)[0]
    return prompt


def evidence(gather, cases):
    """The facts that `gather` reports in each case, and what each of them is about, as it is afterwards."""
    reports = []
    for case in cases:
        given, held = objects(**case)
        reports.append({"facts": truths(gather(*given)), "given": looked_at(*given, held)})
    return reports


def truths(facts):
    """Nothing where this is no dict, and for a fact that is a text."""
    if not isinstance(facts, Mapping):
        return None
    return {str(name): None if isinstance(fact, str) else bool(fact) for name, fact in facts.items()}


def looked_at(model, before, prompt, optimizer, inside, held):
    """What each fact is about, as plain data."""
    weights, vectors = [*model.parameters()], [*prompt.parameters()]
    numbers = {id(each): number for number, each in enumerate(held)}
    return {
        "no_gradient": [*(weight.grad for weight in weights), *(weight.requires_grad for weight in weights)],
        "unchanged": [*weights, *before],
        "optimizer": [[numbers.get(id(each)) for each in group["params"]] for group in optimizer.param_groups],
        "reached": [*vectors, *(vector.grad for vector in vectors)],
        "flowed": inside,
    }


def objects(config, weights, gradients, before, vectors, own_gradients, others, groups, inside) -> tuple:
    """What a training left behind, made of arrays; and all that its optimizer could hold, by number: weights of the
    model, then the prompt's parameters, then other tensors. `groups` are such numbers."""
    model = rebuilt(config, weights)
    prompt = prompt_of(vectors[0], model.config)
    for name, more in enumerate(vectors[1:]):
        prompt.register_parameter(f"more{name}", torch.nn.Parameter(tensors(more)[0]))
    for each, gradient in zip([*model.parameters(), *prompt.parameters()], gradients + own_gradients, strict=True):
        each.grad = gradient if gradient is None else tensors(gradient)[0]
    held = [*model.parameters(), *prompt.parameters(), *(torch.nn.Parameter(each) for each in tensors(*others))]
    optimizer = torch.optim.Adam([{"params": [held[place] for place in group]} for group in groups], lr=0.1)
    flowed = [gradient if gradient is None else tensors(gradient)[0] for gradient in inside]
    return (model, tensors(*before), prompt, optimizer, flowed), held


def cause(Program):
    """The diagnosis; it comes first, so that nothing is repaired by chance."""
    program = Program()
    return program, program.cause()


def labels(Program, question, answer):
    """The repair, and whether the two lists are still what they were."""
    program, named = cause(Program)
    if question is None:
        return named, None
    given = [*question], [*answer]
    made = program.labelled(*given)
    return named, {"made": made, "changed": given != (question, answer)}


def entrance(Program, vectors, x):
    """What enters, and the gradient that the vectors get where each number of it counts otherwise."""
    program, named = cause(Program)
    if vectors is None:
        return named, None
    learned, text = tensors(vectors, x)
    entered = program.embed(learned.requires_grad_(True), text)
    if entered.requires_grad:
        (entered * torch.arange(entered.numel()).reshape(entered.shape)).sum().backward()
    return named, {"entered": entered, "gradient": learned.grad}


def rate(Program, config, vectors, steps, factor, *, served=None):
    """Where the student's optimizer leads, its rate times a factor: the judge gives the gradient for each step.

    Nothing where what came back is no optimizer.
    """
    program, named = cause(Program)
    if not steps:
        return named, None
    prompt = prompt_of(vectors, Config(**config))
    optimizer = program.optimizer(prompt)
    if not usable(optimizer, "step"):
        return named, None
    for group in optimizer.param_groups if factor != 1 else ():
        group["lr"] *= factor
    for _ in range(steps):
        prompt.vectors.grad = tensors(served("gradient", prompt.vectors))[0]
        optimizer.step()
    return named, prompt.vectors


def usable(optimizer, *methods) -> bool:
    """Whether it has what is called here; a class has it, too, and cannot be called so."""
    return all(callable(getattr(optimizer, name, None)) for name in methods) and not isinstance(optimizer, type)


def prepared(Program, config, weights, vectors, tokens, steps, gradients, *, served=None):
    """Model and prompt as prepared, after so many steps, and after a last one for which every tensor gets a gradient.

    At the last one no rate is 0, so that whatever the optimizer holds moves. Nothing where it is no optimizer.
    """
    program, named = cause(Program)
    if config is None:
        return named, None
    model = ServedModel(config, served, weights)
    prompt = prompt_of(vectors, model.config)
    with torch.enable_grad():  # and whatever the preparation turns off comes back afterwards
        optimizer = program.prepare(model, prompt)
        if not usable(optimizer, "zero_grad", "step"):
            return named, None
        facts = {"recording": torch.is_grad_enabled(), "prompt trainable": prompt.vectors.requires_grad}
        facts |= {"eval": not model.training, "model": [plain(model.standing())], "vectors": [plain(prompt.vectors)]}
        for _ in range(steps):
            optimizer.zero_grad()
            if (logits := model(*tensors(tokens), prompt)).requires_grad:
                (logits**2).mean().backward()
            optimizer.step()
            facts["vectors"].append(plain(prompt.vectors))
        facts["model"].append(plain(model.standing()))
        optimizer.zero_grad()
        for each, gradient in zip([*model.parameters(), prompt.vectors], gradients, strict=True):
            each.grad = tensors(gradient)[0]
        for group in getattr(optimizer, "param_groups", ()):
            group["lr"] = 0.1
        optimizer.step()
        facts["model"].append(plain(model.standing()))
    return named, facts
