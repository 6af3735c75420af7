"""Plausible wrong answers to lesson 4: a misconception's name, and what it makes of the text's own solution."""

from itertools import product
from statistics import median

import torch.nn.functional as F

from ..lesson_text import with_mistakes

COSINES = "F.normalize(vectors, dim=1) @ F.normalize(table, dim=1).T"
CLONE, REPLACE = "mixed = vectors.clone()", "mixed[place] = rows[place]"
LEFT_OUT = "mixed = rows if place == slice(None) else torch.cat((vectors[:place], vectors[place + 1 :]))"
ALL_BUT_ONE = """mixed = rows.clone()
        if place != slice(None):
            mixed[place] = vectors[place]"""
STRETCHED = "F.normalize(model.embedding.weight[ids], dim=1) * vectors.norm(dim=1, keepdim=True)"
LOSS = "loss(model, *examples, PromptTuning.from_vectors(model, mixed))"
KEPT = "losses, mixed = model.embedding.weight[ids], [], vectors.clone()"
TWINS = """same = place if place == slice(None) else ids == ids[place]
        mixed[same] = rows[same]"""
PUT_BACK = f"""({LOSS})
        if place != slice(None):
            vectors.copy_(kept)"""
MEANS, BETTER = "sum(score[part] for score in scores) / len(seeds) for", "valid > found[1]"
CHANGES = {
    "4.1": [
        ("long-rows-win", COSINES, "vectors @ table.T"),
        ("distance-for-direction", COSINES, "-torch.cdist(vectors, table)"),
        ("farthest-for-nearest", "cosines.max(1)", "cosines.min(1)"),
        ("opposite-counts-as-near", "cosines.max(1)", "cosines.abs().max(1)"),
        ("product-for-cosine", "best.values", "(vectors * table[best.indices]).sum(1)"),
        ("half-normalised", "F.normalize(vectors, dim=1)", "vectors"),
        ("vector-for-each-word", "cosines.max(1)", "cosines.max(0)"),
        ("all-cosines", "best.values", "cosines"),
        ("long-rows-win", "F.normalize(table, dim=1)", "table"),
        ("long-rows-win", COSINES, "(vectors / vectors.norm()) @ (table / table.norm()).T"),
        ("columns-normalised", COSINES, "F.normalize(vectors, dim=0) @ F.normalize(table, dim=0).T"),
        ("correlation-for-cosine", COSINES, "CENTRED(vectors) @ CENTRED(table).T"),
        ("negatives-dropped", "cosines.max(1)", "cosines.clamp(min=0).max(1)"),
        ("second-nearest", "cosines.max(1)", "cosines.kthvalue(len(table) - 1, dim=1)"),
        ("distance-for-cosine", "best.values", "1 - best.values"),
        ("angle-for-cosine", "best.values", "best.values.clamp(-1, 1).acos()"),
        ("outputs-swapped", "best.indices, best.values", "best.values, best.indices"),
        ("input-changed", "F.normalize(vectors, dim=1)", "vectors.div_(vectors.norm(dim=1, keepdim=True))"),
    ],
    "4.2": [
        ("never-put-back", CLONE, "mixed = vectors"),
        ("left-out", REPLACE, LEFT_OUT),
        ("all-but-one", f"{CLONE}\n        {REPLACE}", ALL_BUT_ONE),
        ("stretched-words", "model.embedding.weight[ids]", STRETCHED),
        ("nothing-replaced", REPLACE, "pass"),
        ("always-all", REPLACE, "mixed = rows"),
        ("no-prompt", "PromptTuning.from_vectors(model, mixed)", "Hooks()"),
        ("never-put-back", "losses = model.embedding.weight[ids], []", KEPT, CLONE, "pass"),
        ("all-first", "[*range(len(vectors)), slice(None)]", "[slice(None), *range(len(vectors))]"),
        ("all-forgotten", "[*range(len(vectors)), slice(None)]", "range(len(vectors))"),
        ("nothing-replaced-last", "slice(None)]", "slice(0, 0)]"),
        ("cost-for-loss", "torch.stack(losses)", f"torch.stack(losses) - {LOSS.replace('mixed', 'vectors')}"),
        ("accuracy-for-loss", LOSS, "torch.tensor(accuracy(model, examples, PromptTuning.from_vectors(model, mixed)))"),
        ("place-for-id", "model.embedding.weight[ids]", "model.embedding.weight[: len(ids)]"),
        ("twins-together", REPLACE, TWINS),
        ("zero-for-word", "= rows[place]", "= 0"),
        ("one-text-only", "*examples", "*(part[:1] for part in examples)"),
        ("input-changed", CLONE, "mixed, kept = vectors, vectors.clone()", f"({LOSS})", PUT_BACK),
    ],
    "4.3": [
        ("chosen-on-test", BETTER, "test > found[2]"),
        ("one-lucky-seed", MEANS, "max(score[part] for score in scores) for"),
        ("one-lucky-seed", ", valid, test\n", ", valid, max(score['test'] for score in scores)\n"),
        ("first-seed-only", "for seed in seeds]", "for seed in seeds[:1] * len(seeds)]"),
        ("worst-for-best", BETTER, "valid < found[1]"),
        ("scores-swapped", "return found", "return found[0], found[2], found[1]"),
        ("validation-for-test", "return found", "return found[0], found[1], found[1]"),
        ("last-of-a-tie", BETTER, "valid >= found[1]"),
        ("tie-by-test", BETTER, "(valid, test) > found[1:]"),
        ("chosen-on-both", BETTER, "valid + test > found[1] + found[2]"),
        ("seeds-counted", "for seed in seeds]", "for seed in range(len(seeds))]"),
        ("weakest-seed", MEANS, "min(score[part] for score in scores) for"),
        ("median-for-mean", MEANS, "MEDIAN(score[part] for score in scores) for"),
        ("sum-for-mean", MEANS, "sum(score[part] for score in scores) for"),
        ("nothing-beats-zero", "found = None", "found = None, 0, 0", "found is None or ", ""),
        ("last-length-only", "for length in lengths:\n", "for length in lengths:\n        found = None\n"),
        ("order-of-settings", "found = (length, start, rate)", "found = (rate, start, length)"),
    ],
}


def centred(x):
    return F.normalize(x - x.mean(1, keepdim=True), dim=1)


def mean(run, part, seeds, *setting):
    return sum(run(*setting, seed)[part] for seed in seeds) / len(seeds)


def both(run, seeds, *setting):
    return setting, mean(run, "validation", seeds, *setting), mean(run, "test", seeds, *setting)


def one_at_a_time(run, lengths, starts, rates, seeds):
    length = max(lengths, key=lambda each: mean(run, "validation", seeds, each, starts[0], rates[0]))
    start = max(starts, key=lambda each: mean(run, "validation", seeds, length, each, rates[0]))
    rate = max(rates, key=lambda each: mean(run, "validation", seeds, length, start, each))
    return both(run, seeds, length, start, rate)


def each_by_itself(run, lengths, starts, rates, seeds):
    length = max(lengths, key=lambda each: mean(run, "validation", seeds, each, starts[0], rates[0]))
    start = max(starts, key=lambda each: mean(run, "validation", seeds, lengths[0], each, rates[0]))
    rate = max(rates, key=lambda each: mean(run, "validation", seeds, lengths[0], starts[0], each))
    return both(run, seeds, length, start, rate)


def side_by_side(run, lengths, starts, rates, seeds):
    found = [both(run, seeds, *setting) for setting in zip(lengths, starts, rates, strict=False)]
    return max(found, key=lambda each: each[1])


def best_test_anywhere(run, lengths, starts, rates, seeds):
    found = [both(run, seeds, *setting) for setting in product(lengths, starts, rates)]
    return *max(found, key=lambda each: each[1])[:2], max(each[2] for each in found)


def good_enough(run, lengths, starts, rates, seeds):
    for setting in product(lengths, starts, rates):
        found = both(run, seeds, *setting)
        if found[1] > 0.5:
            break
    return found


ANSWERS = with_mistakes(CHANGES, CENTRED=centred, MEDIAN=median)
ANSWERS["4.3"] += [
    ("one-at-a-time", one_at_a_time),
    ("each-by-itself", each_by_itself),
    ("side-by-side", side_by_side),
    ("best-test-anywhere", best_test_anywhere),
    ("good-enough", good_enough),
]
