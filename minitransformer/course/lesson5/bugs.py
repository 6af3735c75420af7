"""Bugs that soft-prompt code really has, each with what one sees of it and the name our graded tests must give it.

Each is a whole answer to an exercise, wrong in one place: `(exercise, the cell, the misconception, the symptom)`.
Exercise 5.7 asks students for a test that catches them.
"""

PROMPT = """
class Prompt(Hooks):
    def __init__(self, vectors):
        super().__init__()
        self.vectors = {kept}

    def embed(self, x):
        return {entered}
"""
KEPT, ENTERED = "nn.Parameter(vectors.clone())", "torch.cat((self.vectors.expand(len(x), -1, -1), x), 1)"

LOSS = """
def prompt_loss(model, hooks, tokens, targets):
    logits = {logits}
    return {value}
"""
LOGITS, VALUE = "model(tokens, hooks)", "F.cross_entropy(logits.flatten(0, 1), targets.flatten())"

WORDS = """
def from_words(words, table, length):
    return {vectors}
"""

PREFIX = """
class Prefix(Hooks):
    def __init__(self, length, config):
        super().__init__()
        self.vectors = nn.Parameter(0.05 * torch.randn(config.layers, length, config.width))

    def context(self, layer, x):
        return torch.cat(({own}.expand(len(x), -1, -1), x), 1)
"""


def prompt(kept: str = KEPT, entered: str = ENTERED) -> str:
    return PROMPT.format(kept=kept, entered=entered)


def loss(logits: str = LOGITS, value: str = VALUE) -> str:
    return LOSS.format(logits=logits, value=value)


RIGHT = {
    "2.1": prompt(),
    "2.2": loss(),
    "2.3": WORDS.format(vectors="table[words[torch.arange(length) % len(words)]]"),
    "5.1": PREFIX.format(own="self.vectors[layer]"),
}
RIGHT_TOO = {  # the same, written by somebody else
    "2.1": prompt(
        "nn.Parameter(vectors.detach().float() * 1.0)", "torch.stack([torch.cat([self.vectors, r]) for r in x])"
    ),
    "2.2": loss(value="F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100)"),
    "2.3": WORDS.format(vectors="table[words].repeat(length // len(words) + 1, 1)[:length].clone()"),
    "5.1": PREFIX.format(own="self.vectors.unbind()[layer][None]"),
}
BUGS = {
    "the-prompt-replaces-tokens": (
        "2.1", prompt(entered="torch.cat((self.vectors.expand(len(x), -1, -1), x[:, len(self.vectors):]), 1)"),
        "prompt-replaces-tokens", "short texts lose their meaning; the longer the prompt, the worse"),
    "the-prompt-stands-behind": (
        "2.1", prompt(entered="torch.cat((x, self.vectors.expand(len(x), -1, -1)), 1)"),
        "prompt-behind-the-text", "training changes nothing: no token sees the prompt"),
    "the-prompt-is-no-parameter": (
        "2.1", prompt(kept="vectors.clone()"), "not-a-parameter", "the optimizer gets an empty list"),
    "a-detach-on-the-way": (
        "2.1", prompt(entered=ENTERED.replace("self.vectors", "self.vectors.detach()")),
        "gradient-cut-off", "the loss stays where it is, and nothing is raised"),
    "the-prompt-is-added": (
        "2.1", prompt(entered="x + self.vectors.mean(0)"),
        "prompt-added", "every word is moved, and the length is right"),
    "the-prompt-in-the-first-row-only": (
        "2.1", prompt(entered="torch.cat((torch.cat((self.vectors[None], torch.zeros(len(x) - 1, *self.vectors.shape"
                      "))), x), 1)"), "prompt-in-first-text-only", "right alone, wrong in a batch"),
    "the-start-is-thrown-away": (
        "2.1", prompt(kept="nn.Parameter(torch.zeros_like(vectors))"),
        "start-ignored", "a prompt made of words starts no better than one of nothing"),
    "labels-off-by-one": (
        "2.2", loss(value="F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())"),
        "targets-shifted-twice", "a falling loss, and accuracy zero"),
    "the-prompt-is-forgotten-in-the-loss": (
        "2.2", loss(logits="model(tokens)"), "prompt-not-passed", "the loss never moves"),
    "the-logits-are-sliced": (
        "2.2", loss(value="(lambda p: F.cross_entropy(logits[:, p:].flatten(0, 1), targets[:, p:].flatten()))"
                    "(hooks.embed(torch.zeros(1, 0, model.config.width)).shape[1])"),
        "logits-sliced", "right without a prompt, and NaN with a long one"),
    "the-tokens-are-the-targets": (
        "2.2", loss(value="F.cross_entropy(logits.flatten(0, 1), tokens.flatten())"),
        "tokens-for-targets", "a tiny loss, and the model repeats what it reads"),
    "padding-counts": (
        "2.2", loss(value="F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction='sum') "
                    "/ targets.numel()"),
        "ignored-counted", "the loss falls when the batch is padded more"),
    "the-words-do-not-go-round": (
        "2.3", WORDS.format(vectors="table[words[torch.arange(length).clamp(max=len(words) - 1)]]"),
        "last-word-repeated", "most of the prompt is one word"),
    "the-table-and-not-the-words": (
        "2.3", WORDS.format(vectors="table[torch.arange(length) % len(words)]"),
        "table-from-the-top", "every prompt starts from the same rare words"),
    "one-prefix-for-all-layers": (
        "5.1", PREFIX.format(own="self.vectors[0]"),
        "same-at-every-layer", "only layer 0's vectors ever get a gradient"),
}  # fmt: skip


def program(exercise: str | None = None, cell: str = "", others: dict[str, str] = RIGHT) -> str:
    """All four answers in one text, with this cell in place of the right one."""
    return "\n".join([*(others | ({exercise: cell} if exercise else {})).values()])
