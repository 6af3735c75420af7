"""Beside the student's objects of lesson 2: a prompt in front of the text, its loss, and where it starts."""

from minitransformer import Hooks, train

from ..plain_data import tensors, tiny


def prompt(Prompt, vectors, x, tokens, targets, seed):
    """What the hook returns for `x`, the parameters and their gradients, and what five training steps make of them."""
    start, text = tensors(vectors, x)
    made = Prompt(start)
    entered = made.embed(text)
    parameters = list(made.parameters())
    if entered.requires_grad:
        (entered**2).sum().backward()
    facts = {
        "entered": entered,
        "parameters": [parameter.detach().clone() for parameter in parameters],
        "gradients": [parameter.grad for parameter in parameters],
        "trained": None,
    }
    if tokens is not None and parameters:
        batches = [tuple(tensors(tokens, targets))] * 5
        train(tiny(seed, x.shape[2]), batches, made, steps=5, warmup=1, progress=False)
        facts["trained"] = parameters[0]
    return facts


def loss(prompt_loss, vectors, tokens, targets, seed):
    from minitransformer import PromptTuning  # not there while the first exercise is graded

    model, hooks = tiny(seed, 8), Hooks()
    if vectors is not None:
        hooks = PromptTuning.from_vectors(model, *tensors(vectors))
    return prompt_loss(model, hooks, *tensors(tokens, targets))


def start(from_words, words, table, length):  # (n,), (V, D), P -> (P, D)
    return from_words(*tensors(words, table), length)
