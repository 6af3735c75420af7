"""Plausible wrong answers to lesson 2: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import with_mistakes

PARAMETER, ROWS = "nn.Parameter(vectors.clone())", "self.vectors.expand(len(x), -1, -1)"
JOINED = f"torch.cat(({ROWS}, x), dim=1)"
UNUSED = f"self.vectors = {PARAMETER}\n        self.more = nn.Parameter(torch.zeros(5))"
SHARED = f"""Prompt.kept = getattr(Prompt, 'kept', {{}})
        self.vectors = Prompt.kept.setdefault(vectors.shape, {PARAMETER})"""
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
        ("prompt-added", JOINED, "x + self.vectors.mean(0)"),
        ("prompt-forgotten", JOINED, "x"),
        ("prompt-in-first-text-only", ROWS, "F.pad(self.vectors[None], (0, 0, 0, 0, 0, len(x) - 1))"),
        ("text-forgotten", JOINED, ROWS),
        ("prompt-backwards", ROWS, "self.vectors.flip(0).expand(len(x), -1, -1)"),
        ("one-vector-everywhere", ROWS, "self.vectors[:1].expand(len(x), len(self.vectors), -1)"),
        ("not-a-parameter", PARAMETER, "vectors.clone()"),
        ("gradient-cut-off", ROWS, f"{ROWS}.detach()"),
        ("start-ignored", PARAMETER, "nn.Parameter(torch.zeros_like(vectors))"),
        ("other-parameters", f"self.vectors = {PARAMETER}", UNUSED),
        ("start-not-copied", PARAMETER, "nn.Parameter(vectors)"),
        (
            "only-with-gradients",
            f"torch.cat(({ROWS}, x), dim=1)",
            f"torch.cat(({ROWS}, x), dim=1) if torch.is_grad_enabled() else x",
        ),
        (
            "not-in-eval-mode",
            f"torch.cat(({ROWS}, x), dim=1)",
            f"torch.cat(({ROWS}, x), dim=1) if self.training else x",
        ),
        ("shared-by-all-prompts", f"self.vectors = {PARAMETER}", SHARED),
        ("text-cut-off", f"({ROWS}, x)", f"({ROWS}, x.detach())"),
        ("gradient-in-part", ROWS, f"torch.cat(({ROWS}[:1], {ROWS}[1:].detach()))"),
    ],
    "2.2": [
        ("logits-sliced", "return ", SLICED),
        (
            "logits-sliced",
            "return ",
            SLICED.replace("targets[:, virtual:]", "targets[:, : targets.shape[1] - virtual]"),
        ),
        ("prompt-not-passed", LOGITS, "model(tokens)"),
        ("targets-shifted-twice", LOSS, "F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())"),
        ("targets-unshifted", LOSS, "F.cross_entropy(logits[:, 1:].flatten(0, 1), targets[:, :-1].flatten())"),
        ("tokens-for-targets", "targets.flatten()", "tokens.flatten()"),
        ("ignored-counted", "targets.flatten())", "targets.flatten(), reduction='none').mean()"),
        ("sum-for-mean", "targets.flatten())", "targets.flatten(), reduction='sum')"),
        ("mean-of-row-means", LOSS, ROW_MEANS),
        ("softmax-twice", LOSS, "F.cross_entropy(logits.softmax(-1).flatten(0, 1), targets.flatten())"),
        ("gradient-lost", LOSS, f"{LOSS}.item()"),
        ("gradient-lost", LOSS, f"{LOSS}.detach()"),
        ("gradient-lost", f"logits = {LOGITS}", f"with torch.no_grad():\n        logits = {LOGITS}"),
        ("input-changed", "return ", "tokens = tokens.clamp_(max=0)\n    return "),
        ("last-place-only", LOSS, "F.cross_entropy(logits[:, -1], targets[:, -1])"),
    ],
    "2.3": [
        ("too-many-words", WORDS, "table[words]"),
        ("rest-left-at-zero", WORDS, "F.pad(table[words], (0, 0, 0, max(0, length - len(words))))[:length]"),
        ("last-word-repeated", WORDS, "table[words[torch.arange(length).clamp(max=len(words) - 1)]]"),
        ("words-stretched", WORDS, "table[words.repeat_interleave(-(-length // len(words)))[:length]]"),
        ("words-in-one-bag", WORDS, "table[words].mean(0).expand(length, -1)"),
        ("first-word-only", WORDS, "table[words[:1]].expand(length, -1)"),
        ("last-words-kept", WORDS, "table[words][-length:]"),
        ("table-from-the-top", WORDS, "table[:length]"),
        ("input-changed", f"return {WORDS}", f"rows = {WORDS}\n    words.zero_()\n    return rows"),
    ],
}
ANSWERS = with_mistakes(CHANGES)
