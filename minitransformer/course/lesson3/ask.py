"""Beside the student's objects of lesson 3: a gradient by hand, the training loop, its evidence, and four repairs."""

import numpy as np
import torch

from minitransformer import PromptTuning, Transformer

from ..plain_data import tensors, tiny


def by_hand(gradient, place, target, seen, weights):
    return gradient(place, target, seen, weights)


def loop(tune, vectors, tokens, targets, rate, seed):
    """Tune a prompt on a model fresh from pretraining: trainable, and with gradients left over."""
    model = tiny(seed, 8)
    before = [weight.detach().clone() for weight in model.parameters()]
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    prompt = PromptTuning.from_vectors(model, *tensors(vectors))
    batches = [tuple(tensors(*pair)) for pair in zip(tokens, targets, strict=True)]
    try:
        losses = tune(model, prompt, batches, rate)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        return {"stopped": True}
    return {"stopped": False, "losses": losses, "vectors": prompt.vectors} | base_facts(model, before)


def base_facts(model: Transformer, before: list[torch.Tensor]) -> dict:
    weights = list(model.parameters())
    return {
        "trainable": sum(weight.requires_grad for weight in weights),
        "gradients": sum(weight.grad is not None for weight in weights),
        "changed": sum(not torch.equal(now, was) for now, was in zip(weights, before, strict=True)),
    }


def evidence(gather, case):
    """The facts that `gather` reports about a training in which something may have gone wrong: `case` says what."""
    model = tiny(case["seed"], 8)
    before = [weight.detach().clone() for weight in model.parameters()]
    prompt = PromptTuning(3, model.config)
    weights, last = list(model.parameters()), list(model.parameters())[-1]
    for weight in weights:
        weight.requires_grad_(False)
    if case.get("base") is not None:
        weights[case.get("which", -1)].grad = torch.full_like(weights[case.get("which", -1)], case["base"])
    last.data[-1] += case.get("moved", 0.0)
    held = [torch.nn.Parameter(prompt.vectors.detach().clone())] if case.get("copy") else [prompt.vectors]
    optimizer = torch.optim.Adam([*held, *weights[: case.get("held", 0)]], lr=0.1)
    if not case.get("no_prompt_gradient"):
        prompt.vectors.grad = torch.ones_like(prompt.vectors)
        for row in case.get("unreached", ()):
            prompt.vectors.grad[row] = 0
    inside = [None if size is None else torch.full((1, 4, 8), size) for size in case.get("inside", (1.0, 1.0, 1.0))]
    return {str(name): bool(fact) for name, fact in gather(model, before, prompt, optimizer, inside).items()}


def cause(Program):
    """The diagnosis; it comes first, so that nothing is repaired by chance."""
    program = Program()
    return program, program.cause()


def labels(Program, question, answer):
    program, named = cause(Program)
    return named, None if question is None else program.labelled(question, answer)


def entrance(Program, vectors, x):
    program, named = cause(Program)
    return named, None if vectors is None else program.embed(*tensors(vectors, x))


def rate(Program, length):
    program, named = cause(Program)
    if not length:
        return named, None
    prompt = PromptTuning(length, tiny(0, 8).config)
    return named, [
        {"rate": float(group["lr"]), "prompt": [any(each is prompt.vectors for each in group["params"])]}
        for group in program.optimizer(prompt).param_groups
    ]


def prepared(Program, length):
    """What of model and prompt is trainable and what the optimizer holds; then three steps, and what they changed."""
    program, named = cause(Program)
    if not length:
        return named, None
    model = tiny(1, 8)
    prompt = PromptTuning(length, model.config)
    before, started = [weight.detach().clone() for weight in model.parameters()], prompt.vectors.detach().clone()
    optimizer = program.prepare(model, prompt)
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for _ in range(3):
        optimizer.zero_grad()
        logits = model(torch.from_numpy(np.arange(12).reshape(2, 6)), prompt)
        if logits.requires_grad:
            (logits**2).mean().backward()
        optimizer.step()
    return named, base_facts(model, before) | {
        "base_held": sum(any(each is weight for each in held) for weight in model.parameters()),
        "prompt_held": any(each is prompt.vectors for each in held),
        "prompt_trainable": prompt.vectors.requires_grad,
        "prompt_moved": not torch.equal(prompt.vectors.detach(), started),
    }
