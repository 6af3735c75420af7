"""Plausible wrong answers to lesson 1: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import with_mistakes

MASKED = "scores.masked_fill(~visible, -torch.inf)"
CHANGES = {
    "1.1": [
        ("counts-from-one", "table[tokens]", "table[tokens - 1]"),
        ("columns-for-rows", "table[tokens]", "table.T[tokens]"),
        ("place-for-token", "table[tokens]", "table[torch.arange(tokens.shape[1])].expand(len(tokens), -1, -1)"),
        ("words-in-one-bag", "table[tokens]", "table[tokens].mean(1)"),
        ("first-row-only", "table[tokens]", "table[tokens[0]]"),
        ("vectors-changed", "table[tokens]", "F.normalize(table[tokens], dim=-1)"),
    ],
    "1.2": [
        ("wrong-corner", ".tril(keys - queries)", ".tril()"),
        ("sees-the-future", ".tril(keys - queries)", ""),
        ("sees-the-future", ".tril(keys - queries)", ".triu()"),
        ("blind-to-itself", ".tril(keys - queries)", ".tril(keys - queries - 1)"),
        ("keys-by-queries", ".tril(keys - queries)", ".tril(keys - queries).T"),
        ("floats-for-truths", "torch.bool", "torch.float32"),
        ("mask-upside-down", ".tril(keys - queries)", ".triu(keys - queries + 1)"),
    ],
    "1.3": [
        ("scale-forgotten", " / query.shape[1] ** 0.5", ""),
        ("scale-too-strong", "query.shape[1] ** 0.5", "query.shape[1]"),
        ("mask-forgotten", MASKED, "scores"),
        ("mask-too-late", f"{MASKED}.softmax(-1)", "scores.softmax(-1) * visible"),
        ("zero-is-not-hidden", MASKED, "(scores * visible)"),
        ("mask-as-numbers", MASKED, "(scores + visible)"),
        ("softmax-over-queries", "softmax(-1)", "softmax(0)"),
        ("scores-for-weights", f"{MASKED}.softmax(-1)", "scores"),
        ("mixes-keys", "weights @ value", "weights @ key"),
        ("plain-mean", "weights @ value", "(weights > 0) / (weights > 0).sum(1, keepdim=True) @ value"),
    ],
}
ANSWERS = with_mistakes(CHANGES)
