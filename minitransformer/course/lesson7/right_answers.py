"""Right answers to lesson 7 that look unlike the lesson's own, written from its text alone."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from minitransformer import (
    Batches,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    accuracy,
    batch,
    generate,
    train,
)


def bytes_of_a_tensor(method, length, config):
    shapes = {
        "prompt": (length, config.width),
        "prefix": (config.layers, length, config.width),
        "key/value": (2, config.layers, config.kv_heads, length, config.head),
    }
    return torch.zeros(shapes[method]).nbytes


def bytes_by_cases(method, length, config):
    layers = 1 if method == "prompt" else config.layers
    width = 2 * config.kv_heads * config.head if method == "key/value" else config.width
    return int(math.prod((4, layers, length, width)))


def bytes_of_the_hooks(method, length, config):
    """Makes the soft prompt and weighs it."""
    kinds = {"prompt": PromptTuning, "prefix": PrefixTuning, "key/value": KeyValuePrefix}
    return sum(parameter.nbytes for parameter in kinds[method](length, config).parameters())


def bytes_in_numpy(method, length, config):
    lines = np.array([config.width, config.layers * config.width, 2 * config.layers * config.kv_heads * config.head])
    return (lines * length * np.dtype(np.float32).itemsize)[["prompt", "prefix", "key/value"].index(method)]


def bytes_from_bits(method, length, config):
    """A division gives a number with a point; it is the same number."""
    if method == "prompt":
        return length * config.width * 32 / 8
    one = config.width if method == "prefix" else config.kv_heads * config.head * 2
    return length * one * config.layers * 32 / 8


def bytes_as_a_tensor(method, length, config):
    each = {"prompt": [config.width], "prefix": [config.layers, config.width]}
    shape = each.get(method, [2, config.layers, config.kv_heads, config.head])
    return torch.tensor([4, length, *shape]).prod()


class Counter(Hooks):
    """Counts while the model runs, and keeps no weights."""

    def __init__(self):
        super().__init__()
        self.positions = self.pairs = 0

    def watches(self, site):
        return site == "weights"

    def watch(self, site, layer, value):
        if site == "weights":
            self.positions += value.shape[-2]
            self.pairs += value.shape[-2] * value.shape[-1]


def work_counted_on_the_way(model, tokens, hooks, cache=None):
    counter = Counter()
    with torch.no_grad():
        model(tokens, hooks=Stack(hooks, counter), cache=cache)
    return counter.positions, counter.pairs


def work_of_one_head(model, tokens, hooks, cache=None):
    recorder, positions, pairs = Recorder(["weights"]), 0, 0
    model(tokens, Stack(recorder, hooks), cache)
    for layer, _ in enumerate(model.blocks):
        head = recorder["weights", layer][0, 0]
        positions, pairs = positions + len(head), pairs + head.numel()
    return [positions, pairs]


def work_as_a_tensor(model, tokens, hooks, cache=None):
    recorder, total = Recorder(("weights",)), torch.zeros(2, dtype=torch.long)
    model.hidden(tokens, Stack(hooks, recorder), cache)
    for value in recorder.values.values():
        _, heads, queries, _ = value.shape
        total += torch.tensor([queries, value.numel() // heads])
    return total


def work_in_numpy(model, tokens, hooks, cache=None):
    shapes = []

    class Shapes(Hooks):
        def watch(self, site, layer, value):
            if site == "weights":
                shapes.append(value.shape)

    model(tokens, Stack(Shapes(), hooks), cache)
    table = np.array(shapes)
    return table[:, 2].sum(), (table[:, 2] * table[:, 3]).sum()


def work_as_averages(model, tokens, hooks, cache=None):
    """Adds up the weights themselves: the weights of a query add up to one."""
    recorder = Recorder(("weights", "queries"))
    model(tokens, Stack(hooks, recorder), cache)
    layers = range(model.config.layers)
    positions = sum(round(recorder["weights", layer][0, 0].sum().item()) for layer in layers)
    return positions, sum(torch.ones_like(recorder["weights", layer]).mean(1).sum() for layer in layers)


class MixedByFilling(Hooks):
    """Fills empty tensors from behind."""

    def __init__(self, prefixes):
        super().__init__()
        lengths = [keys.shape[2] for keys, _ in prefixes]
        layers, heads, _, width = prefixes[0][0].shape
        self.longest = max(lengths)
        self.keys = torch.zeros(layers, len(prefixes), heads, self.longest, width)
        self.values = torch.zeros_like(self.keys)
        self.strengths = torch.full((len(prefixes), self.longest), float("-inf"))
        for row, (length, (keys, values)) in enumerate(zip(lengths, prefixes, strict=True)):
            first = self.longest - length
            self.keys[:, row, :, first:], self.values[:, row, :, first:] = keys, values
            self.strengths[row, first:] = 0

    def keys_values(self, layer, keys, values):
        return torch.cat([self.keys[layer], keys], -2), torch.cat([self.values[layer], values], -2)

    def bias(self, layer):
        return self.strengths


class MixedByLayers(Hooks):
    """Keeps a list with a tensor for each layer, and joins slots and prefix."""

    def __init__(self, prefixes):
        super().__init__()
        longest = max(keys.size(2) for keys, _ in prefixes)

        def filled(each):
            layers, heads, length, width = each.shape
            return torch.cat((torch.zeros(layers, heads, longest - length, width), each), 2)

        self.keys = list(torch.stack([filled(keys) for keys, _ in prefixes]).unbind(1))
        self.values = list(torch.stack([filled(values) for _, values in prefixes]).unbind(1))
        there = torch.tensor([[slot >= longest - keys.size(2) for slot in range(longest)] for keys, _ in prefixes])
        self.strengths = torch.where(there, 0.0, -torch.inf)

    def keys_values(self, layer, keys, values):
        return tuple(torch.cat((own[layer], text), 2) for own, text in ((self.keys, keys), (self.values, values)))

    def bias(self, layer):
        return self.strengths.clone()


class MixedByLogarithm(Hooks):
    """The logarithm of 1 is 0 and that of 0 is minus infinity."""

    def __init__(self, prefixes):
        super().__init__()
        lengths = torch.tensor([keys.shape[2] for keys, _ in prefixes])
        slots = torch.arange(int(lengths.max()), 0, -1)
        self.register_buffer("strengths", (slots <= lengths[:, None]).float().log())
        padded = [F.pad(torch.stack(pair), (0, 0, len(slots) - pair[0].shape[2], 0)) for pair in prefixes]
        self.register_buffer("both", torch.stack(padded, 2))  # (2, L, B, G, longest, d)

    def keys_values(self, layer, keys, values):
        mine, its = self.both[:, layer]
        return torch.cat((mine, keys), 2), torch.cat((its, values), 2)

    def bias(self, layer):
        return self.strengths


class MixedWithHugeNumbers(Hooks):
    """Empty slots hold noise, which nobody sees; a very large negative number hides them as well as infinity."""

    def __init__(self, prefixes):
        super().__init__()
        self.pairs, self.longest = list(prefixes), max(keys.shape[2] for keys, _ in prefixes)
        rows = [[-1e9] * (self.longest - keys.shape[2]) + [0.0] * keys.shape[2] for keys, _ in prefixes]
        self.weak = torch.tensor(rows)

    def filled(self, layer, part, text):
        rows = []
        for pair in self.pairs:
            own = pair[part][layer]
            noise = torch.randn(own.shape[0], self.longest - own.shape[1], own.shape[2])
            rows.append(torch.cat((noise, own), 1))
        return torch.cat((torch.stack(rows), text), 2)

    def keys_values(self, layer, keys, values):
        return self.filled(layer, 0, keys), self.filled(layer, 1, values)

    def bias(self, layer):
        return self.weak


class MixedInNumpy(Hooks):
    """Fills NumPy arrays and turns them into tensors at the end; one bias for each layer."""

    def __init__(self, prefixes):
        super().__init__()
        arrays = [(keys.numpy(), values.numpy()) for keys, values in prefixes]
        longest = max(keys.shape[2] for keys, _ in arrays)
        wide = [[np.pad(a, ((0, 0), (0, 0), (longest - a.shape[2], 0), (0, 0))) for a in pair] for pair in arrays]
        self.k, self.v = (torch.from_numpy(np.stack([pair[part] for pair in wide], axis=1)) for part in (0, 1))
        hidden = np.zeros((len(self.k), len(arrays), longest), np.float32)
        for row, (keys, _) in enumerate(arrays):
            hidden[:, row, : longest - keys.shape[2]] = -np.inf
        self.hidden = torch.from_numpy(hidden)

    def keys_values(self, layer, keys, values):
        return torch.cat((self.k[layer], keys), 2), torch.cat((self.v[layer], values), 2)

    def bias(self, layer):
        return self.hidden[layer]


def decide_from_words(model, tokenizer, book):
    """Starts from two words of the instruction, and counts the bytes by hand."""
    hooks = PromptTuning.from_tokens(model, torch.tensor(tokenizer.encode("backwards :")))
    train(model, Batches(book, tokenizer, ["backwards"], rows=16), hooks, steps=80, progress=False)
    score = accuracy(model, batch(tokenizer, book.examples("backwards", "test", 200)), hooks)
    vectors = [each.detach() for each in hooks.parameters()]
    count = sum(each.numel() for each in vectors)
    return {"method": "prompt", "length": 2, "vectors": vectors, "accuracy": score, "bytes": 4 * count, "extra keys": 2}


def decide_by_the_best_of_two(model, tokenizer, book):
    """Trains two, and keeps the one that is better on validation sentences."""
    best = None
    for _ in range(2):
        hooks = PromptTuning(2, model.config)
        train(model, Batches(book, tokenizer, ["backwards"], rows=16), hooks, steps=60, progress=False)
        score = accuracy(model, batch(tokenizer, book.examples("backwards", "test", 100)), hooks)
        if best is None or score > best[0]:
            best = score, hooks
    claims = {"accuracy": best[0], "bytes": 2 * model.config.width * 4, "extra keys": 2}
    return claims | {"method": "prompt", "length": 2, "vectors": [best[1].vectors.detach().clone()]}


def decide_as_numbers_of_other_kinds(model, tokenizer, book):
    """Arrays, a tuple and tensors where lists and numbers are natural."""
    hooks = PromptTuning.from_mean(2, model)
    train(model, Batches(book, tokenizer, ["backwards"], rows=16), hooks, steps=100, progress=False)
    tokens, targets = batch(tokenizer, book.examples("backwards", "test", 100))
    with torch.no_grad():
        wrong = (model(tokens, hooks).argmax(-1) != targets) & (targets != -100)
    vectors = tuple(each.detach().numpy() for each in hooks.parameters())
    evidence = {"accuracy": 1 - wrong.any(1).float().mean(), "bytes": np.int64(vectors[0].nbytes), "extra keys": 2}
    return {"method": "prompt", "length": torch.tensor(2), "vectors": vectors} | evidence


def decide_by_generating(model, tokenizer, book):
    """Generates the answers and compares their texts."""
    hooks = PromptTuning(2, model.config, seed=3)
    rows = Batches(book, tokenizer, ["backwards"], rows=16, seed=3)
    train(model, rows, hooks, steps=80, progress=False)
    asked, answers = zip(*book.examples("backwards", "test", 60, seed=5), strict=True)
    said = generate(model, [tokenizer.encode(text) for text in asked], hooks)
    right = [tokenizer.decode(ids) == answer for ids, answer in zip(said, answers, strict=True)]
    evidence = {"accuracy": sum(right) / len(right), "bytes": 2 * 4 * model.config.width, "extra keys": 2}
    return evidence | {"method": "prompt", "length": 2, "vectors": [hooks.vectors.detach()]}


def decide_when_it_is_good_enough(model, tokenizer, book):
    """Trains on until the requirement is met, or gives up."""
    hooks, score, rounds = PromptTuning(2, model.config), 0.0, 0
    unseen = batch(tokenizer, book.examples("backwards", "test", 100))
    while score < 0.95 and rounds < 5:
        rounds += 1
        train(model, Batches(book, tokenizer, ["backwards"], rows=16), hooks, steps=40, progress=False)
        score = accuracy(model, unseen, hooks)
    evidence = {"accuracy": score, "bytes": sum(each.nbytes for each in hooks.parameters()), "extra keys": 2}
    return {"method": "prompt", "length": 2, "vectors": list(hooks.parameters())} | evidence


ANSWERS = {
    "7.1": [
        bytes_of_a_tensor,
        bytes_by_cases,
        bytes_of_the_hooks,
        bytes_in_numpy,
        bytes_from_bits,
        bytes_as_a_tensor,
    ],
    "7.2": [work_counted_on_the_way, work_of_one_head, work_as_a_tensor, work_in_numpy, work_as_averages],
    "7.3": [MixedByFilling, MixedByLayers, MixedByLogarithm, MixedWithHugeNumbers, MixedInNumpy],
    "7.4": [
        decide_from_words,
        decide_by_the_best_of_two,
        decide_as_numbers_of_other_kinds,
        decide_by_generating,
        decide_when_it_is_good_enough,
    ],
}
