"""Plausible wrong answers to lesson 5, each with the name of the misconception behind it."""

import torch
from torch import nn

from minitransformer import Cache, Hooks, Recorder, Stack


def prefix(context, shape=lambda length, config: (config.layers, length, config.width), wrap=nn.Parameter):
    """A prefix that goes wrong in one place."""

    class Prefix(Hooks):
        def __init__(self, length, config):
            super().__init__()
            self.vectors = wrap(0.05 * torch.randn(shape(length, config)))

        def context(self, layer, x):
            return context(self.vectors, layer, x)

    return Prefix


def in_front(vectors, layer, x):
    return torch.cat((vectors[layer].expand(len(x), -1, -1), x), 1)


def behind(vectors, layer, x):
    return torch.cat((x, vectors[layer].expand(len(x), -1, -1)), 1)


def instead(vectors, layer, x):
    return in_front(vectors, layer, x[:, vectors.shape[1] :])


def added(vectors, layer, x):
    return x + vectors[layer].mean(0)


def key_values(join, shape=lambda length, config: (config.layers, config.kv_heads, length, config.head)):
    class KeyValues(Hooks):
        def __init__(self, length, config):
            super().__init__()
            self.keys, self.values = (nn.Parameter(torch.randn(shape(length, config))) for _ in range(2))

        def keys_values(self, layer, keys, values):
            return join(self.keys, self.values, layer, keys, values)

    return KeyValues


def rows(own, text):
    return torch.cat((own.expand(len(text), -1, -1, -1), text), 2)


def both(own_keys, own_values, layer, keys, values):
    return rows(own_keys[layer], keys), rows(own_values[layer], values)


def translated(norm=lambda block, x: block.attention.norm(x), first=False, split=None, swap=False):
    def to_keys_values(model, vectors):
        split_up = split or (lambda x: x.unflatten(1, (model.config.kv_heads, -1)).transpose(0, 1))
        pairs = []
        for block, own in zip(model.blocks, vectors, strict=True):
            attention, x = (model.blocks[0] if first else block).attention, norm(block, own)
            pairs.append((split_up(attention.key(x)), split_up(attention.value(x))))
        keys, values = (torch.stack(part) for part in zip(*pairs, strict=True))
        return (values, keys) if swap else (keys, values)

    return to_keys_values


def turned_twice(model, vectors):
    keys, values = translated()(model, vectors)
    cosine, sine = model.cosine[: vectors.shape[1]], model.sine[: vectors.shape[1]]
    return keys * cosine + keys.roll(keys.shape[-1] // 2, -1) * sine, values


def compiled(text, with_prompt=True):
    def compile_prompt(model, prompt):
        recorder = Recorder(("keys", "values"))
        model(torch.tensor([text], dtype=torch.long), Stack(prompt, recorder) if with_prompt else recorder)
        layers = range(model.config.layers)
        return [torch.stack([recorder[site, layer][0] for layer in layers]) for site in ("keys", "values")]

    return compile_prompt


def every_layer_the_prompt(model, prompt):
    return translated()(model, prompt.vectors.detach().expand(model.config.layers, -1, -1))


def new_caches(model, tokens, hooks):
    return torch.cat([model(token, hooks, Cache()) for token in tokens.split(1, 1)], 1)


def forgetful(model, tokens, hooks):
    cache = Cache()
    return torch.cat([model(token, cache=cache) for token in tokens.split(1, 1)], 1)


def reads_again(model, tokens, hooks):
    return torch.cat([model(tokens[:, : t + 1], hooks)[:, -1:] for t in range(tokens.shape[1])], 1)


def decoder(first, last=lambda tokens: tokens[:, -1:]):
    """Fills the cache by `first`, then goes on from `last`."""

    def answer(model, tokens, hooks, count):
        cache, said = Cache(), []
        first(model, tokens, hooks, cache)
        tokens = last(tokens)
        for _ in range(count):
            tokens = model(tokens, hooks, cache)[:, -1:].argmax(-1)
            said.append(tokens)
        return torch.cat(said, 1)

    return answer


def without_a_cache(model, tokens, hooks, count):
    read = tokens.shape[1]
    for _ in range(count):
        tokens = torch.cat((tokens, model(tokens, hooks)[:, -1:].argmax(-1)), 1)
    return tokens[:, read:]


def with_the_question(model, tokens, hooks, count):
    return torch.cat((tokens[:, -1:], without_a_cache(model, tokens, hooks, count - 1)), 1)


def only_shapes(program, model):
    entered = program.Prompt(torch.randn(3, 16)).embed(torch.randn(2, 5, 16))
    assert entered.shape == (2, 8, 16)


def only_one_way(program, model):
    assert program.Prefix(2, model.config).vectors.std() < 0.01


ANSWERS = {
    "5.1": [
        ("one-set-for-all-layers", prefix(lambda v, layer, x: in_front(v[None], 0, x), lambda n, c: (n, c.width))),
        ("not-learnable", prefix(in_front, wrap=lambda tensor: tensor)),
        ("other-parameters", prefix(in_front, lambda n, c: (n, c.layers, c.width))),
        ("first-layer-only", prefix(lambda v, layer, x: in_front(v, 0, x) if layer == 0 else x)),
        ("same-at-every-layer", prefix(lambda v, layer, x: in_front(v, 0, x))),
        ("layers-upside-down", prefix(lambda v, layer, x: in_front(v, len(v) - 1 - layer, x))),
        ("behind-the-text", prefix(behind)),
        ("replaces-the-text", prefix(instead)),
        ("added-to-the-text", prefix(added)),
        ("changes-nothing", prefix(lambda v, layer, x: x)),
        ("cut-off", prefix(lambda v, layer, x: in_front(v.detach().requires_grad_(), layer, x))),
    ],
    "5.2": [
        ("query-heads", key_values(both, lambda n, c: (c.layers, c.heads, n, c.head))),
        ("hidden-states", key_values(both, lambda n, c: (c.layers, n, c.width))),
        ("one-set-for-all-layers", key_values(both, lambda n, c: (c.kv_heads, n, c.head))),
        ("other-parameters", key_values(both, lambda n, c: (c.layers, n, c.kv_heads, c.head))),
        ("keys-for-values", key_values(lambda k, v, *rest: both(v, k, *rest))),
        ("same-at-every-layer", key_values(lambda k, v, layer, *text: both(k, v, 0, *text))),
        ("keys-without-values", key_values(lambda k, v, layer, keys, values: (rows(k[layer], keys), values))),
        (
            "behind-the-text",
            key_values(
                lambda k, v, layer, *text: [
                    torch.cat((each, own[layer].expand(len(each), -1, -1, -1)), 2)
                    for own, each in zip((k, v), text, strict=True)
                ]
            ),
        ),
        ("cut-off", key_values(lambda k, v, *rest: both(k, v.detach(), *rest))),
    ],
    "5.3": [
        ("norm-forgotten", translated(lambda block, x: x)),
        ("other-norm", translated(lambda block, x: block.norm(x))),
        ("one-layer-s-matrices", translated(first=True)),
        ("heads-mixed-up", translated(split=lambda x: x.reshape(2, -1, 4))),
        ("turned-twice", turned_twice),
        ("keys-for-values", translated(swap=True)),
    ],
    "5.4": [
        ("text-included", compiled([1, 2, 3])),
        ("prompt-left-out", compiled([], with_prompt=False)),
        ("prompt-taken-for-prefix", every_layer_the_prompt),
    ],
    "5.5": [
        ("a-new-cache-each-step", new_caches),
        ("prefix-forgotten", forgetful),
        ("reads-again", reads_again),
        ("all-at-once", lambda model, tokens, hooks: model(tokens, hooks)),
    ],
    "5.6": [
        ("prefix-forgotten", decoder(lambda model, tokens, hooks, cache: model(tokens[:, :-1], cache=cache))),
        ("last-token-twice", decoder(lambda model, tokens, hooks, cache: model(tokens, hooks, cache))),
        ("cache-given-up", without_a_cache),
        ("starts-with-the-question", with_the_question),
    ],
    "5.7": [
        ("places-not-tested", lambda program, model: None),
        ("gradient-not-tested", only_shapes),
        ("right-program-rejected", only_one_way),
    ],
}
