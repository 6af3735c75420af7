"""Right answers to lesson 5 that look unlike the lesson's own, written from its text alone."""

import torch
import torch.nn.functional as F
from torch import nn

from minitransformer import Cache, Hooks, Recorder, Stack, loss


class PrefixRowByRow(Hooks):
    def __init__(self, length, config):
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(config.layers, length, config.width).normal_(0, 0.05))

    def context(self, layer, x):
        return torch.stack([torch.vstack((self.vectors.unbind()[layer], text)) for text in x])


class PrefixFilled(Hooks):
    def __init__(self, length, config):
        super().__init__()
        self.length = length
        self.vectors = nn.Parameter(torch.zeros(config.layers, length, config.width))
        nn.init.normal_(self.vectors, std=0.05)

    def context(self, layer, x):
        longer = F.pad(x, (0, 0, self.length, 0))
        front = F.pad(self.vectors[layer], (0, 0, 0, x.shape[1]))
        return longer + front


class PrefixInAList(Hooks):
    """A parameter for each layer."""

    def __init__(self, length, config):
        super().__init__()
        sets = [nn.Parameter(0.05 * torch.randn(length, config.width)) for _ in range(config.layers)]
        self.vectors = nn.ParameterList(sets)

    def context(self, layer, x):
        return torch.cat([self.vectors[layer].unsqueeze(0).repeat(x.size(0), 1, 1), x], dim=1)


class PrefixWithABatch(Hooks):
    """A dimension for the batch, and another name."""

    def __init__(self, length, config):
        super().__init__()
        self.p = nn.Parameter(torch.randn(config.layers, 1, length, config.width) * 0.05)

    def context(self, layer, x):
        front = self.p[layer]
        return torch.cat((front.expand(x.shape[0], front.shape[1], front.shape[2]), x), dim=1)


class PrefixWithLayersSecond(Hooks):
    def __init__(self, length, config):
        super().__init__()
        self.vectors = nn.Parameter(torch.normal(0, 0.05, size=(length, config.layers, config.width)))

    def context(self, layer, x):
        return torch.cat((torch.stack([self.vectors[:, layer]] * len(x)), x), -2)


class PrefixEmbedded(Hooks):
    """A table, one row for each layer and place."""

    def __init__(self, length, config):
        super().__init__()
        self.length = length
        self.table = nn.Embedding(config.layers * length, config.width)
        nn.init.normal_(self.table.weight, 0, 0.05)

    def context(self, layer, x):
        rows = torch.arange(layer * self.length, (layer + 1) * self.length)
        whole = x.new_empty(len(x), self.length + x.shape[1], x.shape[2])
        whole[:, : self.length] = self.table(rows)
        whole[:, self.length :] = x
        return whole


class PrefixMoved(Hooks):
    """A fixed draw, and what is learned is how far the vectors have moved from it."""

    def __init__(self, length, config):
        super().__init__()
        self.register_buffer("start", 0.05 * torch.randn(config.layers, length, config.width))
        self.moved = nn.Parameter(torch.zeros(config.layers, length, config.width))

    def context(self, layer, x):
        own = self.start[layer] + self.moved[layer]
        return torch.cat((own.expand(len(x), *own.shape), x), 1)


class KeysAndValuesRepeated(Hooks):
    def __init__(self, length, config):
        super().__init__()
        for name in ("keys", "values"):
            start = 0.3 * torch.randn(config.layers, config.kv_heads, length, config.head)
            self.register_parameter(name, nn.Parameter(start))

    def keys_values(self, layer, keys, values):
        rows = keys.shape[0]
        pairs = (self.keys, keys), (self.values, values)
        return tuple(torch.cat([own[layer].repeat(rows, 1, 1, 1), text], dim=-2) for own, text in pairs)


class KeysAndValuesTransposed(Hooks):
    def __init__(self, length, config):
        super().__init__()
        shape = (config.layers, config.kv_heads, length, config.head)
        self.keys = nn.Parameter(torch.normal(0.0, 0.3, shape))
        self.values = nn.Parameter(torch.normal(0.0, 0.3, shape))

    def keys_values(self, layer, keys, values):
        def joined(own, text):
            rows = [torch.cat((own.transpose(0, 1), row.transpose(0, 1))).transpose(0, 1) for row in text]
            return torch.stack(rows)

        return joined(self.keys[layer], keys), joined(self.values[layer], values)


class KeysAndValuesTogether(Hooks):
    """One parameter for both."""

    def __init__(self, length, config):
        super().__init__()
        self.both = nn.Parameter(0.3 * torch.randn(2, config.layers, config.kv_heads, length, config.head))

    def keys_values(self, layer, keys, values):
        own = self.both[:, layer, None].expand(-1, keys.shape[0], -1, -1, -1)
        return torch.cat((own, torch.stack((keys, values))), 3).unbind()


class KeysAndValuesInLists(Hooks):
    def __init__(self, length, config):
        super().__init__()
        shape = config.kv_heads, length, config.head
        self.keys, self.values = (
            nn.ParameterList(nn.Parameter(torch.randn(shape).mul(0.3)) for _ in range(config.layers)) for _ in range(2)
        )

    def keys_values(self, layer, keys, values):
        own_keys, own_values = self.keys[layer][None], self.values[layer][None]
        ones = [1] * 3
        return (
            torch.cat([own_keys.repeat(len(keys), *ones), keys], dim=2),
            torch.cat([own_values.repeat(len(values), *ones), values], dim=2),
        )


class KeysAndValuesFlat(Hooks):
    """As a linear map would give them: (L, P, G·d), split into heads when they are needed."""

    def __init__(self, length, config):
        super().__init__()
        self.heads = config.kv_heads
        shape = config.layers, length, config.kv_heads * config.head
        self.k = nn.Parameter(torch.empty(shape).normal_(std=0.3))
        self.v = nn.Parameter(torch.empty(shape).normal_(std=0.3))

    def keys_values(self, layer, keys, values):
        split = [own[layer].unflatten(1, (self.heads, -1)).transpose(0, 1) for own in (self.k, self.v)]
        return tuple(
            torch.stack([torch.cat((own, row), 1) for row in text])
            for own, text in zip(split, (keys, values), strict=True)
        )


def translated_by_einsum(model, vectors):
    config = model.config

    def of(part):
        weights = [getattr(block.attention, part).weight for block in model.blocks]
        split = torch.stack(weights).unflatten(1, (config.kv_heads, config.head))  # (L, G, d, D)
        normed = torch.stack([block.attention.norm(own) for block, own in zip(model.blocks, vectors, strict=True)])
        return torch.einsum("lgdw,lpw->lgpd", split, normed)

    return of("key"), of("value")


def translated_head_by_head(model, vectors):
    head, sides = model.config.head, ([], [])
    for layer in range(model.config.layers):
        attention = model.blocks[layer].attention
        for side, linear in zip(sides, (attention.key, attention.value), strict=True):
            flat = F.linear(attention.norm(vectors[layer]), linear.weight)
            side.append(torch.stack(flat.split(head, dim=1)))
    return [torch.stack(side) for side in sides]


class Watcher(Hooks):
    """Keeps keys and values as they come by."""

    def __init__(self):
        super().__init__()
        self.kept = {"keys": [], "values": []}

    def watch(self, site, layer, value):
        if site in self.kept:
            self.kept[site].append(value.detach()[0])


def compiled_by_watching(model, prompt):
    watcher = Watcher()
    with torch.no_grad():
        model(torch.zeros((1, 0), dtype=torch.int64), Stack(watcher, prompt))
    return torch.stack(watcher.kept["keys"]), torch.stack(watcher.kept["values"])


def compiled_with_a_text(model, prompt):
    """Any text will do: nothing of it reaches the virtual tokens, and its keys are cut off."""
    recorder, bare = Recorder(), Recorder()
    with torch.no_grad():
        model(torch.tensor([[0]]), Stack(prompt, recorder))
        model(torch.tensor([[0]]), bare)
    length = recorder["keys", 0].shape[2] - bare["keys", 0].shape[2]
    layers = range(model.config.layers)
    return tuple(torch.cat([recorder[site, layer][:, :, :length] for layer in layers]) for site in ("keys", "values"))


def steps_in_a_loop(model, tokens, hooks):
    logits, cache = [], Cache()
    for place in range(tokens.shape[1]):
        logits.append(model(tokens[:, place, None], hooks=hooks, cache=cache)[:, 0])
    return torch.stack(logits, dim=1)


def steps_written_into_place(model, tokens, hooks):
    cache, logits = Cache(), torch.zeros(*tokens.shape, model.config.vocab)
    for place, column in enumerate(tokens.T):
        logits[:, place] = model(column.unsqueeze(1), hooks, cache).squeeze(1)
    return logits


def answer_from_the_whole_text(model, tokens, hooks, count):
    """Reads the text at once, and takes the first new token from there."""
    cache, new = Cache(), torch.zeros(len(tokens), 0, dtype=torch.long)
    while new.shape[1] < count:
        last = new[:, -1:] if new.shape[1] else tokens
        new = torch.cat((new, model(last, hooks, cache)[:, -1].argmax(-1, keepdim=True)), 1)
    return new


def answer_token_by_token(model, tokens, hooks, count):
    """Reads the text, too, one token at a time."""
    cache, queue, new = Cache(), list(tokens.split(1, dim=1)), []
    while len(new) < count:
        logits = model(queue.pop(0), hooks=hooks, cache=cache)
        if not queue:
            new.append(logits.squeeze(1).max(-1).indices)
            queue.append(new[-1][:, None])
    return torch.stack(new, 1)


def guard_with_numbers(program, model):
    """Says what is wrong, and compares with values of its own."""
    width = model.config.width
    for rows, length, places in ((1, 4, 2), (3, 2, 6)):
        vectors, x = torch.rand(length, width), torch.rand(rows, places, width)
        prompt = program.Prompt(vectors.clone())
        entered = prompt.embed(x.clone())
        if not torch.allclose(entered, torch.cat((vectors.repeat(rows, 1, 1), x), 1)):
            raise ValueError("the prompt does not stand in front of each text")
        parameters = list(prompt.parameters())
        if not parameters:
            raise ValueError("nothing can be learned")
        gradients = torch.autograd.grad(entered.square().sum(), parameters)
        if any(not gradient.any() for gradient in gradients):
            raise ValueError("a parameter has no part in it")
    table = torch.rand(9, 4)
    for words, length in (([3, 1, 7], 8), ([2, 5], 1)):
        start = program.from_words(torch.tensor(words), table, length)
        wanted = torch.stack([table[words[place % len(words)]] for place in range(length)])
        if start.shape != wanted.shape or (start - wanted).abs().max() > 1e-6:
            raise ValueError("the start is not made of the words, in turn")
    tokens = torch.randint(1, model.config.vocab, (2, 4))
    targets = torch.tensor([[-100, 3, 5, 1], [-100, -100, -100, 2]])
    for length in (1, 5):
        hooks = program.Prompt(torch.randn(length, width))
        if not torch.isclose(program.prompt_loss(model, hooks, tokens, targets), loss(model, tokens, targets, hooks)):
            raise ValueError("the loss is not the mean at the targets")
    prefix, x = program.Prefix(3, model.config), torch.zeros(1, 2, width)
    layers = torch.stack([prefix.context(layer, x) for layer in range(model.config.layers)])
    if len(layers.unique(dim=0)) < model.config.layers:
        raise ValueError("two layers have the same vectors")


class Failed(Exception):
    pass


def guard_by_training(program, model):
    """Asks what a prompt does, and not how: it starts where it should, and a step on its gradient changes that."""
    vectors, x = torch.randn(2, model.config.width), torch.randn(2, 3, model.config.width)
    prompt = program.Prompt(vectors)
    optimizer = torch.optim.SGD(prompt.parameters(), lr=0.1)  # refuses an empty list
    start = prompt.embed(x)
    (start[:, :2] ** 2).sum().backward()
    optimizer.step()
    moved = prompt.embed(x)
    tests = [start.shape[1] == 5, (start[:, :2] == vectors).all(), (start[:, 2:] == x).all(), (moved[:, 2:] == x).all()]
    tests += [(moved[:, :2] != start[:, :2]).all()]
    tests += [
        (program.from_words(torch.tensor([6, 0, 8]), torch.eye(12), 7).argmax(1).tolist()) == [6, 0, 8, 6, 0, 8, 6]
    ]
    tokens, targets = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[7, 8, -100], [9, -100, -100]])
    logs = model(tokens, program.Prompt(vectors)).log_softmax(-1)
    wanted = -(logs[0, 0, 7] + logs[0, 1, 8] + logs[1, 0, 9]) / 3
    tests += [(program.prompt_loss(model, program.Prompt(vectors), tokens, targets) - wanted).abs() < 1e-4]
    prefix = program.Prefix(1, model.config)
    tests += [(prefix.context(0, x)[0, 0] != prefix.context(1, x)[0, 0]).any()]
    if not all(map(bool, tests)):
        raise Failed(tests)


ANSWERS = {
    "5.1": [
        PrefixRowByRow,
        PrefixFilled,
        PrefixInAList,
        PrefixWithABatch,
        PrefixWithLayersSecond,
        PrefixEmbedded,
        PrefixMoved,
    ],
    "5.2": [
        KeysAndValuesRepeated,
        KeysAndValuesTransposed,
        KeysAndValuesTogether,
        KeysAndValuesInLists,
        KeysAndValuesFlat,
    ],
    "5.3": [translated_by_einsum, translated_head_by_head],
    "5.4": [compiled_by_watching, compiled_with_a_text],
    "5.5": [steps_in_a_loop, steps_written_into_place],
    "5.6": [answer_from_the_whole_text, answer_token_by_token],
    "5.7": [guard_with_numbers, guard_by_training],
}
