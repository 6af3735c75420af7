"""Beside the student's classes and functions of lesson 5: prefixes, what they compile to, and decoding with them."""

import torch

from minitransformer import Config, Hooks, loss

from ..plain_data import rebuilt, tensors
from ..served_model import ServedModel


def context_hook(Prefix, what, config, length, *inputs):
    return looked_at("context", Prefix, what, Config(**config), length, *inputs)


def keys_values_hook(KeyValues, what, config, length, *inputs):
    return looked_at("keys_values", KeyValues, what, Config(**config), length, *inputs)


def looked_at(hook, Made, what, config, length, *inputs):
    """What two new prefixes own and what they do, whatever their parameters look like; or how one of them learns."""
    first, second = (Made(length, config) for _ in range(2))
    if what == "parameters":
        return dict(first.named_parameters())
    if what == "drawn":
        return [dict(hooks.named_parameters()) for hooks in (first, second)]
    if what == "start":
        return [in_every_layer(hook, hooks, config, *tensors(*inputs)) for hooks in (first, second)]
    seed, *inputs = inputs
    if what == "learn":
        shake(first, seed)
        return step(hook, first, config, *inputs)
    texts = tensors(*inputs)
    before = in_every_layer(hook, second, config, *texts)
    shake(first, seed)
    return {
        "parameters": dict(first.named_parameters()),
        "in train mode": in_every_layer(hook, first.train(), config, *texts),
        "in eval mode": in_every_layer(hook, first.eval(), config, *texts),
        "another": [before, in_every_layer(hook, second, config, *texts)],
        "texts": texts,
    }


def in_every_layer(hook, hooks, config, *texts) -> list:
    return [getattr(hooks, hook)(layer, *texts) for layer in range(config.layers)]


def shake(hooks, seed) -> None:
    """Add noise to every parameter: what is learned is different in every place."""
    noise = torch.Generator().manual_seed(seed)
    for parameter in hooks.parameters():
        parameter.data += torch.randn(parameter.shape, generator=noise)


def step(hook, hooks, config, weights, tokens, targets) -> list:
    """What the hook puts in front before and after one step of plain gradient descent at rate 1."""
    shape = (1, 1, config.width) if hook == "context" else (1, config.kv_heads, 1, config.head)
    texts = [torch.zeros(shape)] * (1 if hook == "context" else 2)
    with torch.no_grad():
        before = in_every_layer(hook, hooks, config, *texts)
    value = loss(rebuilt(vars(config), weights), *tensors(tokens, targets), hooks)
    if value.requires_grad:
        value.backward()
    for parameter in hooks.parameters():
        if parameter.grad is not None:
            parameter.data = parameter.data - parameter.grad
    with torch.no_grad():
        return [before, in_every_layer(hook, hooks, config, *texts)]


def keys_values_of(to_keys_values, config, weights, vectors):  # (L, P, D) -> (L, G, P, d) twice
    """Keys and values, and the vectors and the model's weights as they are afterwards."""
    model, (own,) = rebuilt(config, weights), tensors(vectors)
    pair = to_keys_values(model, own)
    return pair, own, dict(model.state_dict())


def compiled(compile_prompt, config, weights, vectors):  # (P, D) or (L, P, D) -> (L, G, P, d) twice
    """The same for the vectors of a soft prompt."""
    model = rebuilt(config, weights)
    hooks = soft_prompt(model, vectors)
    pair = compile_prompt(model, hooks)
    return pair, hooks.vectors, dict(model.state_dict())


@torch.no_grad()
def one_at_a_time(step_by_step, config, vectors, tokens, *, served):
    """The logits of two calls, and the tokens as they are afterwards."""
    model, (text,) = ServedModel(config, served), tensors(tokens)
    return [step_by_step(model, text, soft_prompt(model, vectors)) for _ in range(2)], text


@torch.no_grad()
def decoded(answer, config, vectors, tokens, count, *, served):
    """The new tokens of two calls, and the text's as they are afterwards."""
    model, (text,) = ServedModel(config, served), tensors(tokens)
    return [answer(model, text, soft_prompt(model, vectors), count) for _ in range(2)], text


def soft_prompt(model, vectors) -> Hooks:
    """A prompt where there is one set of vectors, a textbook prefix where there is one for each layer."""
    from minitransformer import PrefixTuning, PromptTuning  # not there while students write their own

    hooks = (PromptTuning if vectors.ndim == 2 else PrefixTuning)(vectors.shape[-2], model.config)
    hooks.vectors.data = tensors(vectors)[0]
    return hooks
