"""Beside the student's classes and functions of lesson 5: prefixes, what they compile to, and decoding with them."""

from types import SimpleNamespace

import torch

from minitransformer import Config, Hooks, loss

from ..plain_data import rebuilt, tensors


def context_hook(Prefix, what, config, vectors, *inputs):
    """The parameters of a new textbook prefix; or, with these vectors, what it does, or the gradient that they get."""
    prefix = Prefix(vectors.shape[1], Config(**config))
    if what == "parameters":
        return dict(prefix.named_parameters())
    prefix.vectors.data = tensors(vectors)[0]
    if what == "context":
        return [prefix.context(layer, *tensors(*inputs)) for layer in range(config["layers"])]
    loss(rebuilt(config, inputs[0]), *tensors(*inputs[1:]), prefix).backward()
    return prefix.vectors.grad


def keys_values_hook(KeyValues, what, config, keys, values, *inputs):
    """The same for learned keys and values, (L, G, P, d) each."""
    prefix = KeyValues(keys.shape[2], Config(**config))
    if what == "parameters":
        return dict(prefix.named_parameters())
    prefix.keys.data, prefix.values.data = tensors(keys, values)
    if what == "keys_values":
        return [prefix.keys_values(layer, *tensors(*inputs)) for layer in range(config["layers"])]
    loss(rebuilt(config, inputs[0]), *tensors(*inputs[1:]), prefix).backward()
    return prefix.keys.grad, prefix.values.grad


def keys_values_of(to_keys_values, config, weights, vectors):  # (L, P, D) -> (L, G, P, d) twice
    return to_keys_values(rebuilt(config, weights), *tensors(vectors))


def compiled(compile_prompt, config, weights, vectors):  # (P, D) or (L, P, D) -> (L, G, P, d) twice
    model = rebuilt(config, weights)
    return compile_prompt(model, soft_prompt(model, vectors))


def one_at_a_time(step_by_step, config, weights, vectors, tokens):
    """The logits, and how many tokens each call of the model was given."""
    model, sizes = rebuilt(config, weights), []
    listen(model, sizes)
    return step_by_step(model, *tensors(tokens), soft_prompt(model, vectors)), sizes


def decoded(answer, config, weights, vectors, tokens, count):
    """The new tokens, and how many tokens each call of the model was given."""
    model, sizes = rebuilt(config, weights), []
    listen(model, sizes)
    return answer(model, *tensors(tokens), soft_prompt(model, vectors), count), sizes


def guarded(guard, programs, config, weights):
    """For each program, whether the test lets it pass."""
    return [let_pass(guard, source, rebuilt(config, weights)) for source in programs]


def let_pass(guard, source: str, model) -> bool:
    scope = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "Hooks": Hooks}
    exec(source, scope)
    try:
        guard(SimpleNamespace(**scope), model)
    except NotImplementedError:
        raise
    except Exception:  # a wrong program may fail in any way
        return False
    return True


def soft_prompt(model, vectors) -> Hooks:
    """A prompt where there is one set of vectors, a textbook prefix where there is one for each layer."""
    from minitransformer import PrefixTuning, PromptTuning  # not there while students write their own

    hooks = (PromptTuning if vectors.ndim == 2 else PrefixTuning)(vectors.shape[-2], model.config)
    hooks.vectors.data = tensors(vectors)[0]
    return hooks


def listen(model, sizes: list) -> None:
    def note(_, args, named):
        sizes.append((args or (named["tokens"],))[0].shape[1])

    model.register_forward_pre_hook(note, with_kwargs=True)
