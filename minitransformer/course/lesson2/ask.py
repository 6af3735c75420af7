"""Beside the student's objects of lesson 2: a prompt in front of the text, its loss, and where it starts."""

import torch
from torch import Tensor

from minitransformer import Hooks, train

from ..plain_data import tensors, tiny


def prompt(Prompt, vectors, x, tokens, targets, seed):
    """What the hook returns for `x`, in every mode and after another prompt was made; what is learned, and how."""
    start, text = tensors(vectors, x)
    text.requires_grad_(True)
    made = Prompt(start)
    entered = made.embed(text)
    if entered.requires_grad:
        (entered**2).sum().backward()
    parameters = list(made.parameters())
    facts = {
        "entered": entered,
        "in eval mode": made.eval().embed(text),
        "without gradients": without_gradients(made.train(), text),
        "beside another": both(Prompt, made, vectors, text),
        "learned": [list(parameter.shape) for parameter in parameters],
        "gradients": [parameter.grad for parameter in parameters],
        "gradient of the text": text.grad,
        "trained": None,
    }
    if tokens is not None and parameters:
        batches = [tuple(tensors(tokens, targets))] * 5
        train(tiny(seed, x.shape[2]), batches, made, steps=5, warmup=1, progress=False)
        facts |= {"trained": made.embed(text)[0, : len(vectors)], "start": start}
    return facts


@torch.no_grad()
def without_gradients(made, text):
    return made.embed(text)


def both(Prompt, made, vectors, text):
    """What enters by this prompt, and by one that starts from the opposite vectors."""
    other = Prompt(-tensors(vectors)[0])
    return [made.embed(text), other.embed(text)]


def loss(prompt_loss, vectors, tokens, targets, seed):
    """The loss, its gradient on the prompt, and the tokens and targets as they are afterwards."""
    from minitransformer import PromptTuning  # not there while the first exercise is graded

    model, hooks = tiny(seed, 8), Hooks()
    if vectors is not None:
        hooks = PromptTuning.from_vectors(model, *tensors(vectors))
    given = tensors(tokens, targets)
    value = prompt_loss(model, hooks, *given)
    gradient = None
    if vectors is not None and isinstance(value, Tensor) and value.requires_grad:
        value.backward()
        gradient = hooks.vectors.grad
    return {"loss": value, "gradient": gradient, "given": given}


def start(from_words, words, table, length):  # (n,), (V, D), P -> (P, D), and words and table as they are afterwards
    given = tensors(words, table)
    return {"vectors": from_words(*given, length), "given": given}
