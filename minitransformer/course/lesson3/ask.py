"""Beside the student's objects of lesson 3: a gradient by hand, the training loop, its evidence, and four repairs."""

import copy
from itertools import islice

import numpy as np
import torch

from minitransformer import Batches, Phrasebook, PromptTuning, Transformer, freeze, loss, pretrained

from ..plain_data import tensors, tiny


def by_hand(gradient, place, target, seen, weights):
    """Both ways, and what of the inputs is no longer what it was."""
    given = {"seen": seen, "W": weights}
    before = {name: {key: each.copy() for key, each in arrays.items()} for name, arrays in given.items()}
    ways = gradient(place, target, seen, weights)
    changed = [name for name, was in before.items() if not same(given[name], was)]
    return {"ways": ways, "changed": changed}


def same(now, was):
    return now.keys() == was.keys() and all(np.array_equal(now[key], was[key]) for key in was)


def loop(tune, vectors, tokens, targets, rate, seed):
    """Tune a prompt on a model fresh from pretraining: trainable, and with gradients left over."""
    model = tiny(seed, vectors.shape[1])
    before = [weight.detach().clone() for weight in model.parameters()]
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    during = []

    class Watched(PromptTuning):
        """Looks at the model whenever it enters it."""

        def embed(self, x):
            during.append(base_facts(model, before))
            return super().embed(x)

    prompt = Watched.from_vectors(model, *tensors(vectors))
    batches = [tuple(tensors(*pair)) for pair in zip(tokens, targets, strict=True)]
    try:
        losses = tune(model, prompt, batches, rate)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        return {"stopped": True}
    facts = {"stopped": False, "losses": losses, "vectors": prompt.vectors, "eval": not model.training}
    return facts | {"during": during, "after": base_facts(model, before)}


def base_facts(model: Transformer, before: list[torch.Tensor]) -> dict:
    weights = list(model.parameters())
    return {
        "weights": len(weights),
        "trainable": sum(weight.requires_grad for weight in weights),
        "gradients": sum(weight.grad is not None for weight in weights),
        "changed": sum(not torch.equal(now, was) for now, was in zip(weights, before, strict=True)),
    }


class Evidence:
    """A training in which something may have gone wrong: `case` says what. All of it that can be asked about."""

    def __init__(self, case: dict, model: Transformer):
        self.random = np.random.default_rng(case["seed"])
        self.model = freeze(copy.deepcopy(model))
        self.weights = list(self.model.parameters())
        self.before = [weight.detach().clone() for weight in self.weights]
        self.prompt = PromptTuning(int(self.random.integers(3, 6)), self.model.config)
        self.prompt.more = torch.nn.Parameter(0.05 * torch.ones(4, 8))
        self.own = list(self.prompt.parameters())
        self.inside = [self.numbers(1, 4, 8) for _ in range(int(self.random.integers(3, 6)))]
        for each in self.own:
            each.grad = self.numbers(*each.shape)
        getattr(self, case["about"])(**case["what"])

    def numbers(self, *shape: int) -> torch.Tensor:
        return torch.from_numpy(self.random.normal(size=shape)).float()

    def no_gradient(self, which=(), value=1.0):
        for place in which:
            weight = self.weights[round(place * (len(self.weights) - 1))]
            weight.grad = torch.full_like(weight, value)

    def unchanged(self, place=None, how=""):
        """One matrix is changed."""
        if place is None:
            return
        matrices = [weight.data for weight in self.weights if weight.dim() == 2]
        places = {"first": self.weights[0].data, "last": self.weights[-1].data}
        weight = places[place] if place in places else matrices[int(self.random.integers(1, len(matrices) - 1))]
        spot = tuple(int(self.random.integers(size)) for size in weight.shape)
        if how == "much":
            weight[spot] += 3.0
        elif how == "a bit":
            weight[spot] = torch.nextafter(weight[spot], torch.tensor(torch.inf))
        elif how == "turned":
            weight.neg_()
        else:  # the same numbers in another order, and such that their sum is exactly the same
            old = next(
                was for now, was in zip(self.weights, self.before, strict=True) if now.data_ptr() == weight.data_ptr()
            )
            old.copy_((old * 64).round() / 64)
            weight.copy_(old.flip(0))

    def unused_optimizer(self, *groups: list) -> None:
        self.optimizer_made = torch.optim.Adam([{"params": group} for group in groups], lr=0.1)

    def optimizer(self, held=""):
        own, weights = self.own, self.weights
        copies = [torch.nn.Parameter(each.detach().clone()) for each in own]
        groups = {
            "apart": [[each] for each in own],
            "base too": [[*own, weights[-1]]],
            "base apart": [own, [weights[0]]],
            "copies": [copies],
            "a part": [own[:1]],
            "base in place": [[own[0], weights[0]]],
        }
        self.unused_optimizer(*groups.get(held, [own]))

    def reached(self, row=None, value=0.0, parameter=0):
        grad = self.own[parameter].grad
        if row == "none":
            self.own[parameter].grad = None
        elif row == "all":
            grad.fill_(value)
        elif row == "balanced":  # reached, although its numbers add up to 0
            grad[1] = torch.tensor([1.0, -1.0]).repeat(4)
        elif row == "small":
            grad[1] = 1e-12
        elif row == "column":  # every row was reached, and one column not
            grad[:, 5] = 0
        elif row is not None:
            grad[row] = value

    def flowed(self, place=None, value=None):
        if value == "balanced":
            self.inside[1] = torch.tensor([1.0, -1.0]).repeat(1, 4, 4)
        elif value == "small":
            self.inside[1] *= 1e-12
        elif value == "single":
            self.inside[1] = torch.zeros(1, 4, 8).index_fill(2, torch.tensor([5]), 1.0)
        elif place is not None:
            self.inside[place] = None if value is None else torch.full((1, 4, 8), value)

    def gathered(self, gather) -> dict:
        if not hasattr(self, "optimizer_made"):
            self.unused_optimizer(self.own)
        facts = gather(self.model, self.before, self.prompt, self.optimizer_made, self.inside)
        return {str(name): bool(fact) for name, fact in facts.items()}


def evidence(gather, cases):
    """The facts that `gather` reports in each case."""
    model = tiny(cases[0]["seed"], 8)
    return [Evidence(case, model).gathered(gather) for case in cases]


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


def rate(Program, task, factor):
    """What the optimizer is; or, for "run", what the lesson's own run learns with it, at its rate times a factor."""
    program, named = cause(Program)
    if task == "":
        return named, None
    if task == "look":
        prompt = PromptTuning(4, tiny(0, 8).config)
        optimizer = program.optimizer(prompt)
        return named, [about_group(optimizer, group, prompt) for group in optimizer.param_groups]
    model, tokenizer = pretrained()
    freeze(model)
    prompt = PromptTuning(4, model.config)
    optimizer = program.optimizer(prompt)
    for group in optimizer.param_groups:
        group["lr"] *= factor
    losses = []
    for tokens, targets in islice(Batches(Phrasebook(), tokenizer, ["chinese"], rows=16), 30):
        optimizer.zero_grad()
        value = loss(model, tokens, targets, prompt)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return named, {"vectors": prompt.vectors, "losses": losses}


def about_group(optimizer, group, prompt) -> dict:
    usual = all(group.get(name) == value for name, value in USUAL.items())
    return {
        "kind": type(optimizer).__name__ if type(optimizer) in (torch.optim.Adam, torch.optim.AdamW) else "",
        "rate": float(group["lr"]),
        "usual": usual and group.get("weight_decay", 0) <= 0.1,
        "maximize": bool(group.get("maximize", False)),
        "prompt": any(each is prompt.vectors for each in group["params"]),
    }


USUAL = {"betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}


def prepared(Program, length, width, seed):
    """What of model and prompt is trainable and what the optimizer holds; then some steps, and what they changed."""
    program, named = cause(Program)
    if not length:
        return named, None
    model = tiny(seed, width)
    prompt = PromptTuning(length, model.config)
    before, started = [weight.detach().clone() for weight in model.parameters()], prompt.vectors.detach().clone()
    with torch.enable_grad():  # and whatever the preparation turns off comes back afterwards
        optimizer = program.prepare(model, prompt)
        facts = base_facts(model, before) | {"recording": torch.is_grad_enabled(), "eval": not model.training}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slope = torch.zeros_like(started)
    for step in range(4):
        optimizer.zero_grad()
        logits = model(torch.from_numpy(np.arange(12).reshape(2, 6)), prompt)
        if logits.requires_grad:
            (logits**2).mean().backward()
        if prompt.vectors.grad is not None and not step:
            slope = prompt.vectors.grad.clone()
        optimizer.step()
        if not step:
            facts["first step"] = float(((prompt.vectors.detach() - started) * slope).sum())
    later = base_facts(model, before)
    return named, facts | {
        "gradients": facts["gradients"] or later["gradients"],
        "changed later": later["changed"],
        "base_held": sum(any(each is weight for each in held) for weight in model.parameters()),
        "prompt_held": any(each is prompt.vectors for each in held),
        "prompt_trainable": prompt.vectors.requires_grad,
        "prompt_moved": not torch.equal(prompt.vectors.detach(), started),
    }
