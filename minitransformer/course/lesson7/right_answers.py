"""Right answers to lesson 7 that look unlike the lesson's own, written from its text alone."""

import math

import torch

from minitransformer import Batches, Hooks, PromptTuning, Recorder, Stack, accuracy, batch, train


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


ANSWERS = {
    "7.1": [bytes_of_a_tensor, bytes_by_cases],
    "7.2": [work_counted_on_the_way, work_of_one_head],
    "7.3": [MixedByFilling, MixedByLayers],
    "7.4": [decide_from_words, decide_by_the_best_of_two],
}
