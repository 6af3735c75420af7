"""Beside the student's functions and class of lesson 7: what tenants cost, one batch of many, and a decision."""

import itertools

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


def decision(decide):
    """The decision for the shipped base, whether that base is unchanged, and how often it was run."""
    model, tokenizer = pretrained()
    freeze(model)
    before, runs = fingerprint(model), counted_runs(model)
    made = decide(model, tokenizer, Phrasebook())
    return made, fingerprint(model) == before, next(runs)


def elsewhere(decide, config, weights, answers, most):
    """The accuracy that is claimed for another base and another book."""
    model = rebuilt(config, weights)
    counted_runs(model, most)  # who trains until it is good enough may train for ever here
    return decide(model, pretrained()[1], OtherAnswers(answers))["accuracy"]


def counted_runs(model, most=None):
    """Counts how often the model is run, and stops it where that is too often."""
    runs = itertools.count()

    def count(*_):
        if next(runs) == most:
            raise RuntimeError("this base was run too often")

    model.embedding.register_forward_hook(count)
    return runs


METHODS = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}


def asked(decide, *world):
    """The decision, or what is claimed in another world."""
    return elsewhere(decide, *world) if world else decision(decide)


class OtherAnswers(Phrasebook):
    """For each split, what its sentences are answered with in the order in which they come; None: as in the other book.

    A sentence has the same answer each time. What is asked for "in words" has answers of its own.
    """

    def __init__(self, answers):
        super().__init__()
        self.next = {split: itertools.cycle(texts) for split, texts in answers.items()}
        self.given = {}

    def examples(self, skill, part="test", count=200, seed=0, instructed=False):
        made = super().examples(skill, part, count, seed, instructed)
        return [(asked, next(self.next["in words"])) for asked, _ in made] if instructed else made

    def answer(self, skill, sentence):
        split, text = sentence.part, sentence.english
        if split not in self.next:
            return super().answer(skill, sentence)
        if text not in self.given:
            self.given[text] = next(self.next[split])
        return super().answer(skill, sentence) if self.given[text] is None else self.given[text]
