"""Plausible wrong answers to lesson 7, each with the name of the misconception behind it."""

import torch
import torch.nn.functional as F

from minitransformer import Hooks, PrefixTuning, PromptTuning, Recorder, Stack


def weigher(prompt, prefix, key_values):
    counts = {"prompt": prompt, "prefix": prefix, "key/value": key_values}
    return lambda method, length, config: counts[method](length, config)


def prompt(length, c):
    return 4 * length * c.width


def prefix(length, c):
    return 4 * length * c.layers * c.width


def key_values(length, c):
    return 8 * length * c.layers * c.kv_heads * c.head


def worker(count):
    """Counts over the recorded weights, given as (layers, queries, keys, heads)."""

    def work(model, tokens, hooks, cache=None):
        recorder = Recorder(("weights",))
        model(tokens, Stack(hooks, recorder), cache)
        _, heads, queries, keys = recorder["weights", 0].shape
        return count(model.config.layers, queries, keys, heads)

    return work


def text_only(model, tokens, hooks, cache=None):
    model(tokens, hooks, cache)
    return model.config.layers * tokens.shape[1], model.config.layers * tokens.shape[1] ** 2


def visible_only(n, queries, keys, _):
    return n * queries, n * sum(keys - queries + 1 + place for place in range(queries))


def mixer(pad=None, row=None, choose=lambda prefixes: prefixes, show=True):
    """A mixed batch that goes wrong in one place."""
    pad = pad or (lambda part, gap: F.pad(part, (0, 0, gap, 0)))
    row = row or (lambda length, gap: torch.tensor([-torch.inf] * gap + [0.0] * length))

    class Mixed(Hooks):
        def __init__(self, prefixes):
            super().__init__()
            prefixes = choose(prefixes)
            lengths = [keys.shape[2] for keys, _ in prefixes]
            gaps = [max(lengths) - length for length in lengths]
            self.keys, self.values = (
                torch.stack([pad(pair[place], gap) for pair, gap in zip(prefixes, gaps, strict=True)], 1)
                for place in range(2)
            )
            self.strengths = torch.stack([row(length, gap) for length, gap in zip(lengths, gaps, strict=True)])

        def keys_values(self, layer, keys, values):
            return torch.cat((self.keys[layer], keys), 2), torch.cat((self.values[layer], values), 2)

        def bias(self, layer):
            return self.strengths if show else None

    return Mixed


def cut(prefixes):
    shortest = min(keys.shape[2] for keys, _ in prefixes)
    return [(keys[:, :, :shortest], values[:, :, :shortest]) for keys, values in prefixes]


def decision(method="prompt", length=2, kind=PromptTuning, accuracy=0.0, **claims):
    """A soft prompt that nobody trained, with claims about it."""

    def decide(model, tokenizer, book):
        vectors = [parameter.detach() for parameter in kind(length, model.config).parameters()]
        true = {"bytes": sum(vector.nbytes for vector in vectors), "extra keys": length, "accuracy": accuracy}
        return {"method": method, "length": length, "vectors": vectors} | true | claims

    return decide


def touches_the_base(model, tokenizer, book):
    model.embedding.weight.data *= 1.01
    return decision()(model, tokenizer, book)


ANSWERS = {
    "7.1": [
        ("numbers-not-bytes", lambda method, n, c: weigher(prompt, prefix, key_values)(method, n, c) // 4),
        ("prefix-for-prompt", weigher(prefix, prefix, key_values)),
        ("prompt-for-prefix", weigher(prompt, prompt, key_values)),
        ("keys-without-values", weigher(prompt, prefix, lambda n, c: key_values(n, c) // 2)),
        ("query-heads", weigher(prompt, prefix, lambda n, c: 8 * n * c.layers * c.heads * c.head)),
        ("one-layer-only", weigher(prompt, prefix, lambda n, c: key_values(n, c) // c.layers)),
        ("length-forgotten", lambda method, n, c: weigher(prompt, prefix, key_values)(method, 1, c)),
        ("whole-vocabulary", weigher(lambda n, c: 4 * c.vocab * c.width, prefix, key_values)),
    ],
    "7.2": [
        ("one-block-only", worker(lambda n, queries, keys, _: (queries, queries * keys))),
        ("heads-counted", worker(lambda n, queries, keys, heads: (n * queries * heads, n * queries * keys * heads))),
        ("keys-for-queries", worker(lambda n, queries, keys, _: (n * keys, n * queries * keys))),
        ("squared-queries", worker(lambda n, queries, keys, _: (n * queries, n * queries**2))),
        ("squared-keys", worker(lambda n, queries, keys, _: (n * queries, n * keys**2))),
        ("visible-only", worker(visible_only)),
        ("virtual-tokens-forgotten", text_only),
    ],
    "7.3": [
        ("empty-slots-seen", mixer(row=lambda length, gap: torch.zeros(length + gap))),
        ("empty-slots-seen", mixer(show=False)),
        (
            "gap-before-the-text",
            mixer(
                lambda part, gap: F.pad(part, (0, 0, 0, gap)),
                lambda length, gap: torch.tensor([0.0] * length + [-torch.inf] * gap),
            ),
        ),
        ("a-one-for-a-zero", mixer(row=lambda length, gap: torch.tensor([0.0] * gap + [1.0] * length))),
        ("upside-down", mixer(row=lambda length, gap: torch.tensor([0.0] * gap + [-torch.inf] * length))),
        ("one-prefix-for-all", mixer(choose=lambda prefixes: [prefixes[0]] * len(prefixes))),
        ("rows-exchanged", mixer(choose=lambda prefixes: prefixes[::-1])),
        ("cut-to-the-shortest", mixer(choose=cut)),
        ("no-prefix-at-all", lambda prefixes: Hooks()),
    ],
    "7.4": [
        ("over-the-byte-budget", decision("prefix", 2, PrefixTuning)),
        ("over-the-key-budget", decision(length=8)),
        ("bytes-miscounted", decision(bytes=256)),
        ("keys-miscounted", decision(**{"extra keys": 8})),
        ("not-reproduced", decision(accuracy=0.95)),
        ("not-good-enough", decision(accuracy=0.05)),
        ("base-touched", touches_the_base),
        ("incomplete", lambda model, tokenizer, book: {"method": "prompt", "length": 2}),
        ("other-vectors", decision("prefix", 2, PromptTuning)),
    ],
}
