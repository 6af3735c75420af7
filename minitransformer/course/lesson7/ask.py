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
    """The work for the text, for `new` tokens more with what was read in the cache, and for the text once more."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = freeze(Transformer(Config(**config)))
    if method == "key/value":  # longer in the blocks between the first and the last
        longer = [length + 1 + (layer + seed) % 3 for layer in range(model.config.layers - 2)]
        length = [length, *longer, length]
    hooks = Hooks() if method == "none" else METHODS[method](length, model.config)
    (text, more), read = tensors(tokens, new), Cache()
    work_done = [work(model, text, hooks, read), work(model, more, hooks, read), work(model, text, hooks)]
    return {"work": work_done, "tokens": text}


def mixed(Mixed, config, weights, prefixes, others, tokens, steps):
    """The logits of batches whose rows have a prefix each: read in so many steps, read again, beside another batch."""
    model, (text,) = rebuilt(config, weights), tensors(tokens)
    mine = [tuple(tensors(*prefix)) for prefix in prefixes]
    handed = list(mine)
    hooks, read = Mixed(handed), Cache()
    with torch.no_grad():
        facts = {
            "logits": torch.cat([model(part, hooks, read) for part in text.tensor_split(steps, 1)], 1),
            "again": model(text, hooks),
            "in eval mode": model(text, hooks.eval()),
        }
        second = Mixed([tuple(tensors(*prefix)) for prefix in others])
        hooks.train()
        facts["beside another"] = [model(text, each) for each in (hooks, second)]
        strengths = hooks.bias(0)
    facts["strengths"] = strengths if isinstance(strengths, torch.Tensor) else None
    facts["prefixes"] = [list(pair) for pair in handed]
    return facts


@cache
def decided(decide):
    """The decision, and whether the base is unchanged; it is made once, however many parts are judged."""
    model, tokenizer = pretrained()
    freeze(model)
    before = fingerprint(model)
    decision = decide(model, tokenizer, Phrasebook())
    return decision, fingerprint(model) == before


METHODS = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}
