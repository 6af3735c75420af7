"""Plausible wrong answers to lesson 7: a misconception's name, and what it makes of the text's own solution."""

from ...hooks import Hooks
from ...losses import accuracy
from ...phrasebook import Batches
from ...soft_prompts import KeyValuePrefix, PrefixTuning, PromptTuning
from ...tokenizer import batch
from ...training import train
from ..lesson_text import with_mistakes

POSITIONS, PAIRS = "sum(queries for queries, _ in shapes)", "queries * keys for queries, keys"
ONE_WIDTH = "[(keys[:, :, :shortest], values[:, :, :shortest]) for keys, values in prefixes]"
BEGIN = "super().__init__()\n"
CUT = f"""{BEGIN}        shortest = min(keys.shape[2] for keys, _ in prefixes)
        prefixes = {ONE_WIDTH}
"""
MODEL = "model(tokens, Stack(hooks, recorder), cache)"
SHAPES = '[recorder["weights", layer].shape[2:] for layer in range(model.config.layers)]'
COUNTS = f"{POSITIONS}, sum({PAIRS} in shapes)"
FRONT = "torch.cat((self.keys[layer], keys), 2), torch.cat((self.values[layer], values), 2)"
INFINITE, PADDED = "row[:gap] = -torch.inf", "F.pad(pair[part], (0, 0, gap, 0))"
FIRST_STEP = """self.steps = getattr(self, "steps", 0) + 1
        return self.strengths if self.steps <= len(self.keys) else None"""
ONCE = f"""if layer in self.done:
            return keys, values
        self.done.add(layer)
        return {FRONT}"""
PADS = "tuple(F.pad(part, (0, 0, gap, 0)) for part in pair)"
MEASURED = "accuracy(model, unseen, hooks)"
TOKENS = "(model(unseen[0], hooks).argmax(-1) == unseen[1])[unseen[1] != -100].float().mean().item()"
CHANGES = {
    "7.1": [
        ("numbers-not-bytes", "4 * length", "length"),
        ("prefix-for-prompt", '"prompt": config.width', '"prompt": config.layers * config.width'),
        ("prompt-for-prefix", '"prefix": config.layers * config.width', '"prefix": config.width'),
        ("prompt-for-prefix", "2 * config.layers * config.kv_heads * config.head", "config.width"),
        ("keys-without-values", "2 * config.layers", "config.layers"),
        ("query-heads", "config.kv_heads", "config.heads"),
        ("one-layer-only", "2 * config.layers", "2"),
        ("length-forgotten", "4 * length", "4"),
        ("whole-vocabulary", "4 * length * numbers[method]", "4 * config.vocab * config.width"),
        ("half-precision", "4 * length", "2 * length"),
        ("bits-not-bytes", "4 * length", "32 * length"),
        ("keys-and-values-for-states", '"prefix": config.layers', '"prefix": 2 * config.layers'),
        ("one-head-only", "config.kv_heads * config.head", "config.head"),
        ("all-tenants-alike", "numbers[method]", "sum(numbers.values())"),
    ],
    "7.2": [
        ("one-block-only", "range(model.config.layers)", "range(1)"),
        ("heads-counted", "range(model.config.layers)", "[*range(model.config.layers)] * model.config.heads"),
        ("keys-for-queries", POSITIONS, "sum(keys for _, keys in shapes)"),
        ("squared-queries", PAIRS, "queries**2 for queries, keys"),
        ("squared-keys", PAIRS, "keys**2 for queries, keys"),
        ("visible-only", PAIRS, "sum(keys - place for place in range(queries)) for queries, keys"),
        ("cache-not-handed-on", MODEL, "model(tokens, Stack(hooks, recorder))"),
        ("hooks-not-passed", MODEL, "model(tokens, recorder, cache)"),
        ("exchanged", f"return {COUNTS}", f"return ({COUNTS})[::-1]"),
        ("read-twice", MODEL, f"{MODEL}\n    {MODEL}"),
        ("first-block-times-layers", SHAPES, f"{SHAPES}[:1] * model.config.layers"),
        ("first-block-times-layers", SHAPES, f"{SHAPES}[-1:] * model.config.layers"),
        ("never-back-to-zero", "shapes = ", "shapes = work.__dict__.setdefault('kept', [])\n    shapes += "),
        ("tokens-changed", "recorder = Rec", "tokens.zero_()\n    recorder = Rec"),
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
        ("hidden-in-one-layer", "return self.strengths", "return self.strengths if layer == 0 else None"),
        ("hidden-at-the-first-step", "return self.strengths", FIRST_STEP),
        ("hidden-too-weakly", INFINITE, "row[:gap] = -5"),
        ("hidden-too-weakly", INFINITE, "row[:gap] = -10"),
        ("first-layer-for-all", FRONT, FRONT.replace("[layer]", "[0]")),
        ("values-for-keys", FRONT, FRONT.replace("self.values", "self.keys")),
        ("keys-and-values-exchanged", "for part in (0, 1)", "for part in (1, 0)"),
        ("sorted-by-length", BEGIN, f"{BEGIN}        prefixes = sorted(prefixes, key=lambda pair: pair[0].shape[2])\n"),
        ("shared-by-all-batches", "self.keys, self.values =", "Mixed.keys, Mixed.values ="),
        ("not-in-eval-mode", FRONT, f"({FRONT}) if self.training else (keys, values)"),
        ("not-in-eval-mode", "return self.strengths", "return self.strengths if self.training else None"),
        ("used-up", f"return {FRONT}", ONCE, BEGIN, f"{BEGIN}        self.done = set()\n"),
        ("prefixes-changed", INFINITE,
         f"{INFINITE}\n        prefixes[:] = [{PADS} for pair, gap in zip(prefixes, gaps, strict=True)]"),
    ],
    "7.4": [
        ("claimed-not-measured", MEASURED, "1.0"),
        ("claimed-not-measured", MEASURED, "0.97"),
        ("measured-on-training", '"test", 100', '"train", 100'),
        ("measured-on-validation", '"test", 100', '"validation", 100'),
        ("asked-in-words", '"test", 100', '"test", 100, instructed=True'),
        ("not-reproduced", '"test", 100', '"test", 5'),
        ("tokens-counted", MEASURED, TOKENS),
        ("in-percent", MEASURED, f"100 * {MEASURED}"),
        ("not-reproduced", "[hooks.vectors.detach()]", "[PromptTuning(length, model.config).vectors.detach()]"),
        ("keys-miscounted", '"extra keys": length', '"extra keys": length * model.config.layers'),
        ("bytes-miscounted", "hooks.vectors.nbytes", "hooks.vectors.numel()"),
        ("base-touched", "train(model, B",
         'train(model.requires_grad_(True), Batches(book, tokenizer, ["backwards"]), steps=40, progress=False)\n'
         "    train(model, B"),
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


def in_half_precision(model, tokenizer, book):
    """Four vectors in the bytes of two."""
    vectors = PromptTuning(4, model.config).vectors.detach().half()
    return decision()(model, tokenizer, book) | {"length": 4, "vectors": [vectors], "bytes": vectors.nbytes}


def until_it_is_good_enough(model, tokenizer, book):
    """Where nothing is, it never comes back."""
    hooks, score = PromptTuning(2, model.config), 0.0
    unseen = batch(tokenizer, book.examples("backwards", "test", 100))
    while score < 0.95:
        train(model, Batches(book, tokenizer, ["backwards"], rows=16), hooks, steps=40, progress=False)
        score = accuracy(model, unseen, hooks)
    evidence = {"accuracy": score, "bytes": sum(each.nbytes for each in hooks.parameters()), "extra keys": 2}
    return {"method": "prompt", "length": 2, "vectors": list(hooks.parameters())} | evidence


ANSWERS = with_mistakes(CHANGES)
ANSWERS["7.3"].append(("no-prefix-at-all", lambda prefixes: Hooks()))
ANSWERS["7.4"] += [
    ("over-the-byte-budget", decision("prefix", 2, PrefixTuning)),
    ("over-the-key-budget", decision(length=8)),
    ("over-the-byte-budget", decision("prefix", 1, PrefixTuning)),
    ("over-the-byte-budget", decision("key/value", 1, KeyValuePrefix)),
    ("over-the-byte-budget", decision(length=4)),
    ("bytes-miscounted", in_half_precision),
    ("bytes-miscounted", decision(bytes=256)),
    ("keys-miscounted", decision(**{"extra keys": 0})),
    ("keys-miscounted", decision(**{"extra keys": 8})),
    ("not-reproduced", decision(accuracy=0.95)),
    ("not-good-enough", decision(accuracy=0.05)),
    ("base-touched", touches_the_base),
    ("no-decision-elsewhere", until_it_is_good_enough),
    ("not-finite", decision(accuracy=float("nan"))),
    ("incomplete", lambda model, tokenizer, book: {"method": "prompt", "length": 2}),
    ("other-vectors", decision("prefix", 2, PromptTuning)),
]
