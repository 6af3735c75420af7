"""Plausible wrong answers to lesson 1, each with the name of the misconception behind it."""

import torch
import torch.nn.functional as F


def head(scores_to_weights, read=lambda weights, key, value: weights @ value):
    """A head that goes wrong in one place."""

    def attend(query, key, value, visible):
        weights = scores_to_weights(query @ key.T, query.shape[1], visible)
        return weights, read(weights, key, value)

    return attend


def right_weights(scores, d, visible):
    return hidden(scores / d**0.5, visible).softmax(-1)


def hidden(scores, visible):
    return scores.masked_fill(~visible, -torch.inf)


def plain_mean(visible):
    return visible / visible.sum(1, keepdim=True)


ANSWERS = {
    "1.1": [
        ("counts-from-one", lambda tokens, table: table[tokens - 1]),
        ("columns-for-rows", lambda tokens, table: table.T[tokens]),
        ("place-for-token", lambda tokens, table: table[torch.arange(tokens.shape[1])].expand(len(tokens), -1, -1)),
        ("words-in-one-bag", lambda tokens, table: table[tokens].mean(1)),
        ("first-row-only", lambda tokens, table: table[tokens[0]]),
        ("vectors-changed", lambda tokens, table: F.normalize(table[tokens], dim=-1)),
    ],
    "1.2": [
        ("wrong-corner", lambda t, s: torch.ones(t, s, dtype=torch.bool).tril()),
        ("sees-the-future", lambda t, s: torch.ones(t, s, dtype=torch.bool)),
        ("sees-the-future", lambda t, s: torch.ones(t, s, dtype=torch.bool).triu()),
        ("blind-to-itself", lambda t, s: torch.ones(t, s, dtype=torch.bool).tril(s - t - 1)),
        ("keys-by-queries", lambda t, s: torch.ones(t, s, dtype=torch.bool).tril(s - t).T),
        ("floats-for-truths", lambda t, s: torch.ones(t, s).tril(s - t)),
        ("mask-upside-down", lambda t, s: torch.ones(t, s, dtype=torch.bool).triu(s - t + 1)),
    ],
    "1.3": [
        ("scale-forgotten", head(lambda scores, d, visible: hidden(scores, visible).softmax(-1))),
        ("scale-too-strong", head(lambda scores, d, visible: hidden(scores / d, visible).softmax(-1))),
        ("mask-forgotten", head(lambda scores, d, visible: (scores / d**0.5).softmax(-1))),
        ("mask-too-late", head(lambda scores, d, visible: (scores / d**0.5).softmax(-1) * visible)),
        ("zero-is-not-hidden", head(lambda scores, d, visible: (scores / d**0.5 * visible).softmax(-1))),
        ("mask-as-numbers", head(lambda scores, d, visible: (scores / d**0.5 + visible).softmax(-1))),
        ("softmax-over-queries", head(lambda scores, d, visible: hidden(scores / d**0.5, visible).softmax(0))),
        ("scores-for-weights", head(lambda scores, d, visible: scores / d**0.5)),
        ("mixes-keys", head(right_weights, lambda weights, key, value: weights @ key)),
        ("plain-mean", head(right_weights, lambda weights, key, value: plain_mean(weights > 0) @ value)),
    ],
}  # fmt: skip
