"""Beside the student's functions and class of lesson 7: what tenants cost, one batch of many, and a decision."""

import itertools
from dataclasses import replace
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
    """The decision, whether the base is unchanged, and how often it was run; made once for all parts."""
    model, tokenizer = pretrained()
    freeze(model)
    before, runs = fingerprint(model), counted_runs(model)
    decision = decide(model, tokenizer, Phrasebook())
    return decision, fingerprint(model) == before, next(runs)


def counted_runs(model, most=None):
    """Counts how often the model is run, and stops it where that is too often."""
    runs = itertools.count()

    def count(*_):
        if next(runs) == most:
            raise RuntimeError("this base was run too often")

    model.embedding.register_forward_hook(count)
    return runs


METHODS = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}


def decision(decide, shares=None, seed=0):
    """The decision for the shipped base; with shares, what is claimed for a base and a book in which less is right."""
    return decided(decide)[:2] if shares is None else claimed_elsewhere(decide, shares, seed)


def claimed_elsewhere(decide, shares, seed):
    """The accuracy claimed for a base that ends each answer at once, and a book in which some answers are empty.

    `shares` says how many are empty, for each split; so many answers are right, whatever the soft prompt. None where
    the code stops, or goes on for too long: it may find that nothing is good enough.
    """
    model, tokenizer = ends_at_once(seed)
    counted_runs(model, most=2 * decided(decide)[2] + 200)  # who trains until it is good enough trains for ever here
    try:
        return decide(model, tokenizer, PartlyEmpty(shares))["accuracy"]
    except Exception:
        return None


def ends_at_once(seed):
    """A base of one block, as wide as the shipped one, whose most probable next token is always the end."""
    shipped, tokenizer = pretrained()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(replace(shipped.config, layers=1, hidden=8))
    model.embedding.weight.data[:, 0] = 1.0
    model.embedding.weight.data[tokenizer.end, 0] = 3.0
    return freeze(model), tokenizer


class PartlyEmpty(Phrasebook):
    """Of the sentences of each split a share has an empty answer, spread evenly over those that are asked for."""

    def __init__(self, shares):
        super().__init__()
        self.empty, self.due = {}, dict.fromkeys(shares, 0.5)
        self.shares = shares

    def answer(self, skill, sentence):
        split, text = sentence.part, sentence.english
        if split not in self.shares:
            return super().answer(skill, sentence)
        if text not in self.empty:
            self.due[split] += self.shares[split]
            self.empty[text] = self.due[split] >= 1
            self.due[split] -= self.empty[text]
        return "" if self.empty[text] else super().answer(skill, sentence)
