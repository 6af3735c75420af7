"""Right answers to lesson 1 that look unlike the lesson's own, written from its text alone."""

import torch
import torch.nn.functional as F


def embed_by_one_hot(tokens, table):
    return F.one_hot(tokens, len(table)).to(table.dtype) @ table


def embed_row_by_row(tokens, table):
    return torch.stack([torch.stack([table[int(token)] for token in sentence]) for sentence in tokens])


def embed_by_selecting(tokens, table):
    return table.index_select(0, tokens.reshape(-1)).view(*tokens.shape, -1)


def visible_by_positions(queries, keys):
    places = torch.arange(keys)
    return places[None, :] <= places[keys - queries :, None]


def visible_without_the_upper_part(queries, keys):
    return ~torch.ones(queries, keys).triu(keys - queries + 1).bool()


def visible_one_by_one(queries, keys):
    return torch.tensor([[key <= query + keys - queries for key in range(keys)] for query in range(queries)])


def attend_query_by_query(query, key, value, visible):
    weights = torch.zeros(len(query), len(key))
    for place, (one, seen) in enumerate(zip(query, visible, strict=True)):
        weights[place, seen] = torch.softmax((key[seen] * one).sum(1) / len(one) ** 0.5, 0)
    return weights, torch.einsum("ts,sd->td", weights, value)


def attend_with_powers(query, key, value, visible):
    powers = torch.exp((query * query.shape[-1] ** -0.5) @ key.mT) * visible
    weights = powers / powers.sum(1, keepdim=True)
    return [weights, weights.matmul(value)]


def attend_with_a_bias(query, key, value, visible):
    bias = torch.zeros(visible.shape).masked_fill(visible.logical_not(), float("-inf"))
    weights = F.softmax(torch.addmm(bias, query, key.T, alpha=1 / query.size(1) ** 0.5), dim=1)
    return weights, F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=visible[None])[0]


ANSWERS = {
    "1.1": [embed_by_one_hot, embed_row_by_row, embed_by_selecting, lambda tokens, table: F.embedding(tokens, table)],
    "1.2": [visible_by_positions, visible_without_the_upper_part, visible_one_by_one],
    "1.3": [attend_query_by_query, attend_with_powers, attend_with_a_bias],
}
