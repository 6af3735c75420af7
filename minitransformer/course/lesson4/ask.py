"""Beside the student's functions of lesson 4: nearest words, words in place of vectors, the search for a setting."""

import numpy as np

from ..plain_data import rebuilt, tensors


def neighbours(nearest, vectors, table):  # (P, D), (V, D) -> (P), (P)
    return nearest(*tensors(vectors, table))


def replacement(replaced, shape, weights, vectors, ids, tokens, targets):  # -> (P+1)
    model = rebuilt(shape, weights)
    vectors, ids, tokens, targets = tensors(vectors, ids, tokens, targets)
    return replaced(model, vectors, ids, (tokens, targets))


def search(best, lengths, starts, rates, seeds, validation, test):  # -> places in the lists, two means
    def run(length, start, rate, seed):
        place = lengths.index(length), starts.index(start), rates.index(rate), seeds.index(seed)
        return {"validation": float(validation[place]), "test": float(test[place])}

    (length, start, rate), valid, tested = best(run, lengths, starts, rates, seeds)
    return np.array([lengths.index(length), starts.index(start), rates.index(rate)]), float(valid), float(tested)
