"""Plausible wrong answers to lesson 4: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import with_mistakes

COSINES = "F.normalize(vectors, dim=1) @ F.normalize(table, dim=1).T"
CLONE, REPLACE = "mixed = vectors.clone()", "mixed[place] = rows[place]"
LEFT_OUT = "mixed = rows if place == slice(None) else torch.cat((vectors[:place], vectors[place + 1 :]))"
ALL_BUT_ONE = """mixed = rows.clone()
        if place != slice(None):
            mixed[place] = vectors[place]"""
STRETCHED = "F.normalize(model.embedding.weight[ids], dim=1) * vectors.norm(dim=1, keepdim=True)"
MEANS, BETTER = "(sum(score[part] for score in scores) / len(seeds) for", "valid > found[1]"
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
    ],
    "4.2": [
        ("never-put-back", CLONE, "mixed = vectors"),
        ("left-out", REPLACE, LEFT_OUT),
        ("all-but-one", f"{CLONE}\n        {REPLACE}", ALL_BUT_ONE),
        ("stretched-words", "model.embedding.weight[ids]", STRETCHED),
        ("nothing-replaced", REPLACE, "pass"),
        ("always-all", REPLACE, "mixed = rows"),
        ("no-prompt", "PromptTuning.from_vectors(model, mixed)", "Hooks()"),
    ],
    "4.3": [
        ("chosen-on-test", BETTER, "test > found[2]"),
        ("one-lucky-seed", MEANS, "(max(score[part] for score in scores) for"),
        ("one-lucky-seed", ", valid, test\n", ", valid, max(score['test'] for score in scores)\n"),
        ("first-seed-only", "for seed in seeds]", "for seed in seeds[:1] * len(seeds)]"),
        ("worst-for-best", BETTER, "valid < found[1]"),
        ("scores-swapped", "return found", "return found[0], found[2], found[1]"),
        ("validation-for-test", "return found", "return found[0], found[1], found[1]"),
        ("last-of-a-tie", BETTER, "valid >= found[1]"),
    ],
}


def one_at_a_time(run, lengths, starts, rates, seeds):
    def mean(part, *setting):
        return sum(run(*setting, seed)[part] for seed in seeds) / len(seeds)

    length = max(lengths, key=lambda each: mean("validation", each, starts[0], rates[0]))
    start = max(starts, key=lambda each: mean("validation", length, each, rates[0]))
    rate = max(rates, key=lambda each: mean("validation", length, start, each))
    return (length, start, rate), mean("validation", length, start, rate), mean("test", length, start, rate)


ANSWERS = with_mistakes(CHANGES)
ANSWERS["4.3"].append(("one-at-a-time", one_at_a_time))
