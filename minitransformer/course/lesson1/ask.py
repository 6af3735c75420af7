"""Beside the student's functions of lesson 1: tokens become vectors, who sees whom, one attention head."""

from ..plain_data import tensors


def embedding(embed, tokens, table):  # (B, T), (V, D) -> (B, T, D)
    return embed(*tensors(tokens, table))


def mask(visible, queries, keys):  # T, S -> (T, S)
    return visible(queries, keys)


def head(attend, query, key, value, visible):  # (T, d), (S, d), (S, d), (T, S) -> (T, S), (T, d)
    return attend(*tensors(query, key, value, visible))
