"""Beside the student's functions and class of lesson 7: what tenants cost, one batch of many, and a decision."""

from functools import cache

import torch

from minitransformer import (
    Cache,
    Config,
    Hooks,
    KeyValuePrefix,
    Phrasebook,
    PrefixTuning,
    PromptTuning,
    Transformer,
    fingerprint,
    freeze,
    pretrained,
)

from ..plain_data import rebuilt, tensors


def weighed(tenant_bytes, method, length, config):
    return tenant_bytes(method, length, Config(**config))


def counted(work, config, seed, method, length, tokens, new):
    """The work for the text, and for `new` tokens more with what was read in the cache."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = freeze(Transformer(Config(**config)))
    hooks = Hooks() if method == "none" else METHODS[method](length, model.config)
    read = Cache()
    first = work(model, *tensors(tokens), hooks, read)
    return first, work(model, *tensors(new), hooks, read)


def mixed(Mixed, config, weights, prefixes, tokens, steps):
    """The logits of a batch whose rows have a prefix each, read in as many steps as asked for."""
    model = rebuilt(config, weights)
    hooks, read = Mixed([tuple(tensors(*prefix)) for prefix in prefixes]), Cache()
    (text,) = tensors(tokens)
    with torch.no_grad():
        return torch.cat([model(part, hooks, read) for part in text.tensor_split(steps, 1)], 1)


@cache
def decided(decide):
    """The decision, and whether the base is unchanged; it is made once, however many parts are judged."""
    model, tokenizer = pretrained()
    freeze(model)
    before = fingerprint(model)
    decision = decide(model, tokenizer, Phrasebook())
    return decision, fingerprint(model) == before


METHODS = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}
