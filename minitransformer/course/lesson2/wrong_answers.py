"""Plausible wrong answers to lesson 2: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import with_mistakes

PARAMETER, ROWS = "nn.Parameter(vectors.clone())", "self.vectors.expand(len(x), -1, -1)"
LOGITS, LOSS = "model(tokens, hooks=hooks)", "F.cross_entropy(logits.flatten(0, 1), targets.flatten())"
ROW_MEANS = "torch.stack([F.cross_entropy(*row) for row in zip(logits, targets, strict=True)]).mean()"
SLICED = """virtual = hooks.embed(torch.zeros(1, 0, model.config.width)).shape[1]
    logits, targets = logits[:, virtual:], targets[:, virtual:]
    return """
WORDS = "table[words[torch.arange(length) % len(words)]]"
CHANGES = {
    "2.1": [
        ("prompt-behind-the-text", f"({ROWS}, x)", f"(x, {ROWS})"),
        ("prompt-replaces-tokens", f"({ROWS}, x)", f"({ROWS}, x[:, len(self.vectors) :])"),
        ("prompt-added", f"torch.cat(({ROWS}, x), dim=1)", "x + self.vectors.mean(0)"),
        ("prompt-forgotten", f"torch.cat(({ROWS}, x), dim=1)", "x"),
        ("prompt-in-first-text-only", ROWS, "F.pad(self.vectors[None], (0, 0, 0, 0, 0, len(x) - 1))"),
        ("not-a-parameter", PARAMETER, "vectors.clone()"),
        ("gradient-cut-off", ROWS, f"{ROWS}.detach()"),
        ("start-ignored", PARAMETER, "nn.Parameter(torch.zeros_like(vectors))"),
        ("other-parameters", PARAMETER, "nn.Parameter(vectors[None].clone())"),
    ],
    "2.2": [
        ("logits-sliced", "return ", SLICED),
        ("prompt-not-passed", LOGITS, "model(tokens)"),
        ("targets-shifted-twice", LOSS, "F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())"),
        ("targets-unshifted", LOSS, "F.cross_entropy(logits[:, 1:].flatten(0, 1), targets[:, :-1].flatten())"),
        ("tokens-for-targets", "targets.flatten()", "tokens.flatten()"),
        ("ignored-counted", "targets.flatten())", "targets.flatten(), reduction='none').mean()"),
        ("sum-for-mean", "targets.flatten())", "targets.flatten(), reduction='sum')"),
        ("mean-of-row-means", LOSS, ROW_MEANS),
    ],
    "2.3": [
        ("too-many-words", WORDS, "table[words]"),
        ("rest-left-at-zero", WORDS, "F.pad(table[words], (0, 0, 0, max(0, length - len(words))))[:length]"),
        ("last-word-repeated", WORDS, "table[words[torch.arange(length).clamp(max=len(words) - 1)]]"),
        ("words-stretched", WORDS, "table[words.repeat_interleave(-(-length // len(words)))[:length]]"),
        ("words-in-one-bag", WORDS, "table[words].mean(0).expand(length, -1)"),
        ("table-from-the-top", WORDS, "table[torch.arange(length) % len(words)]"),
    ],
}
ANSWERS = with_mistakes(CHANGES)
