"""Plausible wrong answers to lesson 2, each with the name of the misconception behind it."""

import torch
import torch.nn.functional as F
from torch import nn

from minitransformer import Hooks


def prompt(join, keep=nn.Parameter):
    """A prompt whose vectors are joined with the text, or kept, in a wrong way."""

    class Prompt(Hooks):
        def __init__(self, vectors):
            super().__init__()
            self.vectors = keep(vectors.clone())

        def embed(self, x):
            return join(self.vectors.expand(len(x), -1, -1), x)

    return Prompt


def joined(prompt, x):
    return torch.cat((prompt, x), 1)


def entropy(logits, targets, **how):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), **how)


def sliced(model, hooks, tokens, targets):
    virtual = hooks.embed(torch.zeros(1, 0, model.config.width)).shape[1]
    return entropy(model(tokens, hooks)[:, virtual:], targets[:, virtual:])


def of_logits(judge):
    return lambda model, hooks, tokens, targets: judge(model(tokens, hooks), tokens, targets)


def row_means(logits, _, targets):
    return torch.stack([F.cross_entropy(row, wanted) for row, wanted in zip(logits, targets, strict=True)]).mean()


def padded(words, table, length):
    rows = table[words[:length]]
    return torch.cat((rows, torch.zeros(length - len(rows), table.shape[1])))


def last_repeated(words, table, length):
    return table[words[torch.arange(length).clamp(max=len(words) - 1)]]


def stretched(words, table, length):
    return table[words.repeat_interleave(-(-length // len(words)))[:length]]


ANSWERS = {
    "2.1": [
        ("prompt-behind-the-text", prompt(lambda prompt, x: torch.cat((x, prompt), 1))),
        ("prompt-replaces-tokens", prompt(lambda prompt, x: joined(prompt, x[:, prompt.shape[1] :]))),
        ("prompt-added", prompt(lambda prompt, x: x + prompt.mean(1, keepdim=True))),
        ("prompt-forgotten", prompt(lambda prompt, x: x)),
        ("not-a-parameter", prompt(joined, keep=lambda vectors: vectors)),
        ("gradient-cut-off", prompt(lambda prompt, x: joined(prompt.detach(), x))),
        ("start-ignored", prompt(joined, keep=lambda vectors: nn.Parameter(torch.zeros_like(vectors)))),
        ("other-parameters", prompt(joined, keep=lambda vectors: nn.Parameter(vectors[None]))),
    ],
    "2.2": [
        ("logits-sliced", sliced),
        ("prompt-not-passed", lambda model, hooks, tokens, targets: entropy(model(tokens), targets)),
        ("targets-shifted-twice", of_logits(lambda logits, _, targets: entropy(logits[:, :-1], targets[:, 1:]))),
        ("targets-unshifted", of_logits(lambda logits, _, targets: entropy(logits[:, 1:], targets[:, :-1]))),
        ("tokens-for-targets", of_logits(lambda logits, tokens, _: entropy(logits, tokens))),
        ("ignored-counted", of_logits(lambda logits, _, targets: entropy(logits, targets, reduction="none").mean())),
        ("sum-for-mean", of_logits(lambda logits, _, targets: entropy(logits, targets, reduction="sum"))),
        ("mean-of-row-means", of_logits(row_means)),
    ],
    "2.3": [
        ("too-many-words", lambda words, table, length: table[words]),
        ("rest-left-at-zero", padded),
        ("last-word-repeated", last_repeated),
        ("words-stretched", stretched),
        ("words-in-one-bag", lambda words, table, length: table[words].mean(0).expand(length, -1)),
        ("table-from-the-top", lambda words, table, length: table[:length]),
    ],
}  # fmt: skip
