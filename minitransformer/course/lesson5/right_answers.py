"""Right answers to lesson 5 that look unlike the lesson's own, written from its text alone."""

import numpy as np
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


def translated_as_lists(model, vectors):
    """For each layer one tensor, and the heads one by one."""
    keys, values = [], []
    for own, block in zip(vectors, model.blocks, strict=True):
        normed, head = block.attention.norm(own), model.config.head
        for linear, part in ((block.attention.key, keys), (block.attention.value, values)):
            rows = linear.weight.split(head)
            part.append(torch.stack([normed @ each.T for each in rows]))
    return keys, values


def translated_in_numpy(model, vectors):
    def of(layer, name):
        attention, own = model.blocks[layer].attention, vectors[layer].detach().numpy()
        size = np.sqrt((own**2).mean(-1, keepdims=True) + model.config.eps)
        flat = own / size * attention.norm.weight.detach().numpy() @ getattr(attention, name).weight.detach().numpy().T
        return flat.reshape(len(own), model.config.kv_heads, -1).transpose(1, 0, 2)

    return tuple(np.stack([of(layer, name) for layer in range(len(vectors))]) for name in ("key", "value"))


def translated_by_the_block_itself(model, vectors):
    pairs = [
        block.attention.project(own[None], Hooks(), first_step=True)[1:]
        for block, own in zip(model.blocks, vectors, strict=True)
    ]
    keys, values = zip(*pairs, strict=True)
    return torch.cat(keys), torch.cat(values)


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


def compiled_layer_by_layer(model, prompt):
    """Lists, and a run for each layer and site."""

    def seen(site, layer):
        recorder = Recorder((site,))
        model(torch.zeros(1, 0).long(), hooks=Stack(recorder, prompt))
        return recorder[site, layer].squeeze(0)

    layers = range(model.config.layers)
    return [seen("keys", layer) for layer in layers], [seen("values", layer) for layer in layers]


@torch.no_grad()
def compiled_by_listening(model, prompt):
    """Listens to the linear maps, and splits their outputs into heads."""
    outputs, listeners = {"key": [], "value": []}, []
    for block in model.blocks:
        for name, kept in outputs.items():
            linear = getattr(block.attention, name)
            listeners.append(linear.register_forward_hook(lambda _, __, out, kept=kept: kept.append(out[0])))
    model(torch.empty((1, 0), dtype=torch.long), prompt)
    for listener in listeners:
        listener.remove()
    flat = torch.stack([torch.stack(kept) for kept in outputs.values()])  # (2, L, P, G·d)
    return flat.unflatten(3, (model.config.kv_heads, -1)).transpose(2, 3).unbind()


@torch.no_grad()
def compiled_from_the_cache(model, prompt):
    """A cache's keys are turned: they are turned back."""
    cache = Cache()
    model(torch.empty((1, 0), dtype=torch.long), prompt, cache)
    keys, values = (torch.cat([cache.layers[layer][part] for layer in range(len(model.blocks))]) for part in (0, 1))
    here = slice(keys.shape[2])
    back = keys * model.cosine[here] - keys.roll(keys.shape[3] // 2, -1) * model.sine[here]
    return back, values


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


def steps_with_hooks_at_the_first(model, tokens, hooks):
    """Hooks that lengthen run at the first step only, so that the others need not be told of them."""
    cache = Cache()
    logits = [model(tokens[:, :1], hooks, cache)]
    logits += [model(tokens[:, place : place + 1], cache=cache) for place in range(1, tokens.shape[1])]
    return torch.hstack(logits)


@torch.no_grad()
def steps_row_by_row(model, tokens, hooks):
    rows = []
    for row in tokens:
        cache = Cache()
        rows.append(torch.stack([model(token.view(1, 1), hooks, cache)[0, 0] for token in row]))
    return torch.stack(rows)


def steps_through_hidden_states(model, tokens, hooks):
    """Logits at the end, from all hidden states at once."""
    cache, hidden = Cache(), []
    for token in tokens.unbind(1):
        hidden.append(model.hidden(token[:, None], hooks, cache))
    return model.logits(torch.cat(hidden, 1))


def answer_with_hooks_at_the_first(model, tokens, hooks, count):
    cache = Cache()
    model(tokens[:, :-1], hooks, cache)
    said = tokens[:, -1:]
    for _ in range(count):
        said = torch.cat((said, model(said[:, -1:], cache=cache).argmax(-1)), 1)
    return said[:, 1:]


def answer_row_by_row(model, tokens, hooks, count):
    new = torch.zeros(len(tokens), count, dtype=torch.long)
    for row, text in enumerate(tokens):
        cache, ahead = Cache(), text[None]
        for place in range(count):
            ahead = model(ahead, hooks=hooks, cache=cache)[:, -1:].topk(1).indices[:, :, 0]
            new[row, place] = ahead.item()
    return new


def answer_after_an_empty_text(model, tokens, hooks, count):
    """The prefix goes into the cache alone, then the text, then one token after the other."""
    cache, said = Cache(), []
    model(tokens[:, :0], hooks, cache)
    logits = model(tokens, cache=cache)
    while len(said) < count:
        said += [logits[:, -1].max(1, keepdim=True)[1]]
        if len(said) < count:
            logits = model(said[-1], cache=cache)
    return torch.cat(said, dim=1)


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


def guard_with_its_own_program(program, model):
    """Has programs of its own, and compares."""

    def own_loss(hooks, tokens, targets):
        rows = model(tokens, hooks).flatten(0, 1)
        return F.cross_entropy(rows, targets.flatten(), ignore_index=-100)

    width = model.config.width
    for rows in (1, 2):
        start, x = torch.randn(2, width), torch.randn(rows, 6, width)
        prompt = program.Prompt(start.clone())
        np.testing.assert_array_equal(prompt.embed(x).detach(), torch.cat((start.expand(rows, 2, width), x), 1))
        weights = torch.randn(rows, 8, width)
        (weights * prompt.embed(x)).sum().backward()
        found = sum(p.grad.abs().sum() for p in prompt.parameters())
        np.testing.assert_allclose(found, weights[:, :2].sum(0).abs().sum(), rtol=1e-4)
        words, wanted = torch.randint(0, 9, (2, rows, 6))
        for covered in (0, 2, 4):
            wanted[0, :covered] = -100
            for size in (1, 7):
                hooks = program.Prompt(torch.randn(size, width))
                mine, theirs = own_loss(hooks, words, wanted), program.prompt_loss(model, hooks, words, wanted)
                np.testing.assert_allclose(mine.item(), theirs.item(), rtol=1e-4)
    for size in (1, 2, 3, 6):
        words = torch.tensor([5, 3])
        rows = words[torch.arange(size) % 2]
        table = torch.randn(8, 5)
        np.testing.assert_allclose(program.from_words(words, table, size), table[rows])
    prefix = program.Prefix(2, model.config)
    fronts = [prefix.context(layer, x)[0, :2] for layer in range(model.config.layers)]
    for layer, front in enumerate(fronts):
        for other in fronts[:layer]:
            np.testing.assert_equal(bool((front == other).all()), False)


def guard_with_a_list_of_problems(program, model):
    """Goes on after the first problem, and tells of all in the end."""
    problems = []

    def ask(question, answer):
        if not answer:
            problems.append(question)

    vectors, x = torch.arange(1.0, 1 + 3 * model.config.width).view(3, -1), torch.ones(4, 5, model.config.width)
    prompt = program.Prompt(vectors)
    entered = prompt.embed(x)
    ask("length", entered.size() == (4, 8, model.config.width))
    for row in entered:
        ask("vectors in front", row[:3].equal(vectors))
        ask("text behind", row[3:].equal(x[0]))
    parameters = [*prompt.parameters()]
    ask("parameters", parameters)
    ask("gradient", parameters and entered.requires_grad)
    ask("start", program.from_words(torch.tensor([0, 2]), torch.eye(6), 3).argmax(1).tolist() == [0, 2, 0])
    ask("start again", program.from_words(torch.tensor([5, 4]), torch.eye(6), 5).argmax(1).tolist() == [5, 4, 5, 4, 5])
    tokens, targets = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[-100, -100, 6, 7]])
    for size in (1, 3, 6):
        hooks = program.Prompt(torch.randn(size, model.config.width))
        ask(
            "loss", abs(program.prompt_loss(model, hooks, tokens, targets) - loss(model, tokens, targets, hooks)) < 1e-4
        )
    first, second = (program.Prefix(1, model.config).context(layer, x)[0, 0] for layer in (0, 1))
    ask("sets of their own", not first.equal(second))
    made = program.Prefix(4, model.config)
    ask("one prefix", not made.context(0, x)[:, :4].equal(made.context(2, x)[:, :4]))
    if problems:
        raise ValueError(", ".join(problems))


def guard_by_one_step(program, model):
    """Trains a prompt by one step, and looks at what has moved."""
    texts, wanted = torch.tensor([[1, 2, 3], [3, 2, 1]]), torch.tensor([[-100, 4, 5], [6, -100, 7]])
    start = torch.randn(5, model.config.width)
    prompt, x = program.Prompt(start.clone()), torch.randn(2, 3, model.config.width)
    for row, text in zip(prompt.embed(x), x, strict=True):
        if not torch.equal(row, torch.cat((start, text))):
            raise AssertionError("embed")
    before = program.prompt_loss(model, prompt, texts, wanted)
    if abs(before - loss(model, texts, wanted, prompt)) > 1e-4:
        raise AssertionError("prompt_loss")
    torch.optim.SGD(prompt.parameters(), lr=0.1).zero_grad()
    before.backward()
    torch.optim.SGD(prompt.parameters(), lr=0.1).step()
    if torch.equal(prompt.embed(x)[:, :5], start.expand(2, -1, -1)):
        raise AssertionError("nothing is learned")
    for words in ([1], [1, 0], [2, 1, 0]):
        start = program.from_words(torch.tensor(words), torch.eye(3), 4)
        if start.argmax(1).tolist() != (words * 4)[:4]:
            raise AssertionError("from_words")
    prefix = program.Prefix(2, model.config)
    torch.stack([prefix.context(layer, x) for layer in range(model.config.layers)]).square().sum().backward()
    if prefix.context(0, x).equal(prefix.context(1, x)):
        raise AssertionError("layers")


def answer_in_small_whole_numbers(model, tokens, hooks, count):
    """Goes on from what was said last; the tokens are of another whole type."""
    step, cache, said = tokens, Cache(), torch.empty(count, len(tokens), dtype=torch.int32)
    for place in range(count):
        said[place] = model(step, hooks=hooks, cache=cache)[:, -1].topk(1).indices.squeeze(1)
        step = said[place].long().unsqueeze(1)
    return said.T


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
    "5.3": [
        translated_by_einsum,
        translated_head_by_head,
        translated_as_lists,
        translated_in_numpy,
        translated_by_the_block_itself,
    ],
    "5.4": [
        compiled_by_watching,
        compiled_with_a_text,
        compiled_layer_by_layer,
        compiled_by_listening,
        compiled_from_the_cache,
    ],
    "5.5": [
        steps_in_a_loop,
        steps_written_into_place,
        steps_with_hooks_at_the_first,
        steps_row_by_row,
        steps_through_hidden_states,
    ],
    "5.6": [
        answer_from_the_whole_text,
        answer_token_by_token,
        answer_with_hooks_at_the_first,
        answer_row_by_row,
        answer_after_an_empty_text,
        answer_in_small_whole_numbers,
    ],
    "5.7": [
        guard_with_numbers,
        guard_by_training,
        guard_with_its_own_program,
        guard_with_a_list_of_problems,
        guard_by_one_step,
    ],
}
