"""Right answers to lesson 2 that look unlike the lesson's own, written from its text alone."""

from itertools import cycle

import torch
import torch.nn.functional as F
from torch import nn

from minitransformer import Hooks


class RowByRow(Hooks):
    """Joins each text with the vectors by itself."""

    def __init__(self, vectors):
        super().__init__()
        self.soft = nn.Parameter(torch.empty_like(vectors))
        self.soft.data.copy_(vectors)

    def embed(self, x):
        return torch.stack([torch.vstack((self.soft, text)) for text in x])


class Embedding(Hooks):
    """Keeps the vectors as a table of its own, with a row for each virtual token."""

    def __init__(self, vectors):
        super().__init__()
        self.table = nn.Embedding(*vectors.shape)
        self.table.weight = nn.Parameter(vectors.detach().clone())

    def embed(self, x):
        places = torch.arange(self.table.num_embeddings).repeat(x.shape[0], 1)
        return torch.concat([self.table(places), x], dim=-2)


class Filled(Hooks):
    """Writes prompt and text into one empty tensor."""

    def __init__(self, vectors):
        super().__init__()
        self.register_parameter("prompt", nn.Parameter(1.0 * vectors))

    def embed(self, x):
        length = len(self.prompt)
        whole = x.new_zeros(x.shape[0], length + x.shape[1], x.shape[2])
        whole[:, :length], whole[:, length:] = self.prompt, x
        return whole


class WithABatch(Hooks):
    """Its parameter has a dimension for the batch."""

    def __init__(self, vectors):
        super().__init__()
        self.p = nn.Parameter(vectors.unsqueeze(0).clone())

    def embed(self, x):
        return torch.cat([self.p.repeat(x.size(0), 1, 1), x], 1)


class OneByOne(Hooks):
    """A parameter for each vector."""

    def __init__(self, vectors):
        super().__init__()
        self.rows = nn.ParameterList([nn.Parameter(row.clone()) for row in vectors])

    def embed(self, x):
        front = torch.stack(list(self.rows))
        return torch.cat([front[None].expand(x.shape[0], *front.shape), x], dim=1)


class Offset(Hooks):
    """A fixed start, and what is learned is how far the vectors have moved from it."""

    def __init__(self, vectors):
        super().__init__()
        self.register_buffer("start", vectors.clone())
        self.moved = nn.Parameter(torch.zeros_like(vectors))

    def embed(self, x):
        p = self.start + self.moved
        return torch.cat((torch.stack([p] * len(x)), x), dim=1)


def loss_by_probabilities(model, hooks, tokens, targets):
    chosen = targets != -100
    logs = model(tokens, hooks=hooks).log_softmax(-1)[chosen]
    return -logs[torch.arange(len(logs)), targets[chosen]].mean()


def loss_with_classes_second(model, hooks, tokens, targets):
    return nn.CrossEntropyLoss()(model(tokens, hooks).transpose(1, 2), targets)


def loss_of_log_probabilities(model, hooks, tokens, targets):
    logs = F.log_softmax(model(tokens, hooks=hooks), dim=-1)
    return F.nll_loss(logs.view(-1, logs.size(-1)), targets.reshape(-1))


def loss_with_log_softmax_first(model, hooks, tokens, targets):
    """The second log_softmax changes nothing."""
    return F.cross_entropy(model(tokens, hooks=hooks).log_softmax(-1).flatten(0, 1), targets.flatten())


def loss_row_by_row(model, hooks, tokens, targets):
    sums = [
        F.cross_entropy(model(text[None], hooks)[0], wanted, reduction="sum")
        for text, wanted in zip(tokens, targets, strict=True)
    ]
    return sum(sums) / targets.ne(-100).sum()


def words_repeated(words, table, length):
    return table[words].repeat(length // len(words) + 1, 1)[:length].clone()


def words_one_by_one(words, table, length):
    return torch.stack([table[words[place % len(words)]] for place in range(length)])


def words_looked_up(words, table, length):
    turns = [words] * -(-length // words.numel())
    return F.embedding(torch.cat(turns).narrow(0, 0, length), table)


def words_in_a_loop(words, table, length):
    rows = []
    while len(rows) < length:
        rows.extend(table[word] for word in words.tolist())
    return torch.stack(rows[:length])


def words_in_a_cycle(words, table, length):
    return table[torch.tensor([word for word, _ in zip(cycle(words.tolist()), range(length))])]


ANSWERS = {
    "2.1": [RowByRow, Embedding, Filled, WithABatch, OneByOne, Offset],
    "2.2": [
        loss_by_probabilities,
        loss_with_classes_second,
        loss_row_by_row,
        loss_of_log_probabilities,
        loss_with_log_softmax_first,
    ],
    "2.3": [words_repeated, words_one_by_one, words_looked_up, words_in_a_loop, words_in_a_cycle],
}
