"""Plausible wrong answers to lesson 7: a misconception's name, and what it makes of the text's own solution."""

from ...hooks import Hooks
from ...soft_prompts import PrefixTuning, PromptTuning
from ..lesson_text import with_mistakes

POSITIONS, PAIRS = "sum(queries for queries, _ in shapes)", "queries * keys for queries, keys"
ONE_WIDTH = "[(keys[:, :, :shortest], values[:, :, :shortest]) for keys, values in prefixes]"
BEGIN = "super().__init__()\n"
CUT = f"""{BEGIN}        shortest = min(keys.shape[2] for keys, _ in prefixes)
        prefixes = {ONE_WIDTH}
"""
INFINITE, PADDED = "row[:gap] = -torch.inf", "F.pad(pair[part], (0, 0, gap, 0))"
CHANGES = {
    "7.1": [
        ("numbers-not-bytes", "4 * length", "length"),
        ("prefix-for-prompt", '"prompt": config.width', '"prompt": config.layers * config.width'),
        ("prompt-for-prefix", '"prefix": config.layers * config.width', '"prefix": config.width'),
        ("keys-without-values", "2 * config.layers", "config.layers"),
        ("query-heads", "config.kv_heads", "config.heads"),
        ("one-layer-only", "2 * config.layers", "2"),
        ("length-forgotten", "4 * length", "4"),
        ("whole-vocabulary", "4 * length * numbers[method]", "4 * config.vocab * config.width"),
    ],
    "7.2": [
        ("one-block-only", "range(model.config.layers)", "range(1)"),
        ("heads-counted", "range(model.config.layers)", "[*range(model.config.layers)] * model.config.heads"),
        ("keys-for-queries", POSITIONS, "sum(keys for _, keys in shapes)"),
        ("squared-queries", PAIRS, "queries**2 for queries, keys"),
        ("squared-keys", PAIRS, "keys**2 for queries, keys"),
        ("visible-only", PAIRS, "sum(keys - place for place in range(queries)) for queries, keys"),
        ("virtual-tokens-forgotten", 'recorder["weights", layer].shape[2:]', "2 * tokens.shape[1:]"),
    ],
    "7.3": [
        ("empty-slots-seen", INFINITE, "pass"),
        ("empty-slots-seen", "return self.strengths", "return None"),
        ("gap-before-the-text", PADDED, "F.pad(pair[part], (0, 0, 0, gap))",
         INFINITE, "row[len(row) - gap :] = -torch.inf"),
        ("a-one-for-a-zero", INFINITE, "row[gap:] = 1"),
        ("upside-down", INFINITE, "row[gap:] = -torch.inf"),
        ("one-prefix-for-all", BEGIN, f"{BEGIN}        prefixes = prefixes[:1] * len(prefixes)\n"),
        ("rows-exchanged", BEGIN, f"{BEGIN}        prefixes = prefixes[::-1]\n"),
        ("cut-to-the-shortest", BEGIN, CUT),
        ("cut-to-the-shortest", BEGIN, CUT.replace(":shortest", "keys.shape[2] - shortest :")),
    ],
}  # fmt: skip


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


ANSWERS = with_mistakes(CHANGES)
ANSWERS["7.3"].append(("no-prefix-at-all", lambda prefixes: Hooks()))
ANSWERS["7.4"] = [
    ("over-the-byte-budget", decision("prefix", 2, PrefixTuning)),
    ("over-the-key-budget", decision(length=8)),
    ("bytes-miscounted", decision(bytes=256)),
    ("keys-miscounted", decision(**{"extra keys": 8})),
    ("not-reproduced", decision(accuracy=0.95)),
    ("not-good-enough", decision(accuracy=0.05)),
    ("base-touched", touches_the_base),
    ("incomplete", lambda model, tokenizer, book: {"method": "prompt", "length": 2}),
    ("other-vectors", decision("prefix", 2, PromptTuning)),
]
