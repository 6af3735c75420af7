"""Right answers to lesson 1 that look unlike the lesson's own, written from its text alone."""

import math
from collections import namedtuple

import numpy as np
import torch
import torch.nn.functional as F


def embed_by_one_hot(tokens, table):
    return F.one_hot(tokens, len(table)).to(table.dtype) @ table


def embed_row_by_row(tokens, table):
    return torch.stack([torch.stack([table[int(token)] for token in sentence]) for sentence in tokens])


def embed_by_selecting(tokens, table):
    return table.index_select(0, tokens.reshape(-1)).view(*tokens.shape, -1)


def embed_by_gathering(tokens, table):
    rows = tokens.reshape(-1, 1).repeat(1, table.shape[1])
    return table.gather(0, rows).reshape(tokens.shape + table.shape[1:])


def embed_number_by_number(tokens, table):
    return table.flatten()[tokens.unsqueeze(-1) * table.size(1) + torch.arange(table.size(1))]


def embed_into_room_made_before(tokens, table):
    x = torch.empty(*tokens.shape, table.shape[1])
    for row in range(tokens.shape[0]):
        for place in range(tokens.shape[1]):
            x[row, place] = table[tokens[row, place]]
    return x


def embed_by_comparing(tokens, table):
    found = tokens[:, :, None] == torch.arange(table.shape[0])
    return torch.einsum("btv,vd->btd", found.double(), table.double())


def embed_by_columns(tokens, table):
    return torch.stack([column[tokens] for column in table.unbind(1)], dim=-1)


def embed_with_a_sparse_gradient(tokens, table):
    return F.embedding(tokens, table, sparse=True)


def embed_by_lists(tokens, table):
    return table[tokens.tolist(), :]


def visible_by_positions(queries, keys):
    places = torch.arange(keys)
    return places[None, :] <= places[keys - queries :, None]


def visible_without_the_upper_part(queries, keys):
    return ~torch.ones(queries, keys).triu(keys - queries + 1).bool()


def visible_one_by_one(queries, keys):
    return torch.tensor([[key <= query + keys - queries for key in range(keys)] for query in range(queries)])


def visible_by_adding_up(queries, keys):
    return (torch.eye(keys).cumsum(0) > 0)[-queries:]


def visible_with_all_in_front(queries, keys):
    front = torch.ones(queries, keys - queries)
    return torch.cat([front, torch.tril(torch.ones(queries, queries))], dim=1) == 1


def visible_by_numpy(queries, keys):
    return torch.from_numpy(np.tri(queries, keys, keys - queries, dtype=bool))


def visible_out_of_a_large_one(queries, keys):
    return torch.ones(512, 512).tril().bool()[keys - queries : keys, :keys]


def visible_from_infinities(queries, keys):
    return torch.full((queries, keys), float("-inf")).triu(1 + keys - queries) == 0


def visible_by_filling(queries, keys):
    seen = torch.zeros((queries, keys), dtype=torch.bool)
    for query in range(queries):
        seen[query, : keys - queries + query + 1] = True
    return seen


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


def attend_with_the_mask_after_the_softmax(query, key, value, visible):
    """Hidden weights are taken out, and the rest made to sum to one again."""
    weights = (query @ key.T / math.sqrt(key.shape[-1])).softmax(1) * visible
    weights = weights / weights.sum(1, keepdim=True)
    return weights, weights @ value


def attend_with_a_very_negative_number(query, key, value, visible):
    scores = torch.einsum("td,sd->ts", query, key).div(math.sqrt(query.size(-1)))
    scores[visible == 0] = -1e9
    weights = F.softmax(scores, dim=-1)
    return weights, (weights[:, :, None] * value).sum(1)


def attend_with_logarithms(query, key, value, visible):
    scores = query.matmul(key.transpose(0, 1)) * query.size(-1) ** -0.5 + visible.float().log()
    weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
    return weights, torch.stack([(row @ value) for row in weights])


def attend_by_the_library(query, key, value, visible):
    """With 1 at one key and 0 at the others for values, what is read are the weights."""
    read = [F.scaled_dot_product_attention(query, key, each, visible) for each in (torch.eye(len(key)), value)]
    return tuple(read)


def attend_with_where(query, key, value, visible):
    scores = torch.where(visible, (query[:, None] * key).sum(-1) / query.shape[-1] ** 0.5, torch.tensor(-torch.inf))
    weights = scores.softmax(dim=1)
    return Attended(weights, weights.mm(value))


Attended = namedtuple("Attended", "weights result")


def attend_transposed(query, key, value, visible):
    scores = (key @ query.T) / torch.tensor(query.shape[1]).sqrt()
    weights = scores.masked_fill_(visible.T.logical_not(), -torch.inf).softmax(0).T
    return weights, (value.T @ weights.T).T


def attend_more_precisely(query, key, value, visible):
    query, key, value = query.double(), key.double(), value.double()
    scores = (query @ key.T).div_(query.shape[1] ** 0.5)
    weights = scores.masked_fill_(~visible, -math.inf).softmax(-1)
    return weights, weights @ value


ANSWERS = {
    "1.1": [
        embed_by_one_hot,
        embed_row_by_row,
        embed_by_selecting,
        lambda tokens, table: F.embedding(tokens, table),
        embed_by_gathering,
        embed_number_by_number,
        embed_into_room_made_before,
        embed_by_comparing,
        embed_by_columns,
        embed_with_a_sparse_gradient,
        embed_by_lists,
        lambda tokens, table: table[tokens.int()],
    ],
    "1.2": [
        visible_by_positions,
        visible_without_the_upper_part,
        visible_one_by_one,
        visible_by_adding_up,
        visible_with_all_in_front,
        visible_by_numpy,
        visible_out_of_a_large_one,
        visible_from_infinities,
        visible_by_filling,
    ],
    "1.3": [
        attend_query_by_query,
        attend_with_powers,
        attend_with_a_bias,
        attend_with_the_mask_after_the_softmax,
        attend_with_a_very_negative_number,
        attend_with_logarithms,
        attend_by_the_library,
        attend_with_where,
        attend_transposed,
        attend_more_precisely,
    ],
}
