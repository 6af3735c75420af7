"""The test that a student writes: it lets right programs pass, and catches planted bugs."""

from ..exercise import Exercise, Misconception, Part
from ..small_models import SHAPE, random_weights
from . import ask
from .bugs import BUGS, program, some_right_program

GROUPS = {  # part -> the name of what is missing in a test that passes them, and the bugs
    "vectors in the wrong place": (
        "places-not-tested", ("prompt-replaces-tokens", "prompt-behind-the-text", "prompt-added")),
    "vectors that cannot learn": (
        "gradient-not-tested", ("not-a-parameter", "gradient-cut-off", "prompt-in-first-text-only")),
    "a wrong start": ("start-not-tested", ("start-ignored", "last-word-repeated", "table-from-the-top")),
    "a loss of something else": (
        "loss-not-tested", ("targets-shifted-twice", "prompt-not-passed", "tokens-for-targets")),
    "a loss over the wrong places, and layers alike": (
        "padding-or-layers-not-tested", ("logits-sliced", "ignored-counted", "same-at-every-layer")),
}  # fmt: skip


def catches(missing: str, names: tuple[str, ...]):
    """A judge: the student's test must catch these bugs, and let right programs pass."""

    def judge(call, rng):
        texts = [program(), some_right_program(rng), *map(program, names)]
        order = rng.permutation(len(texts))
        verdicts = call([texts[place] for place in order], SHAPE, random_weights(rng))
        if type(verdicts) is not list or [type(each) for each in verdicts] != [str] * len(texts):
            raise Misconception("no-verdict", "expected to learn for each program whether your test let it pass")
        passed = {int(place): verdict for place, verdict in zip(order, verdicts, strict=True)}
        if "raises" in (passed[0], passed[1]):
            raise Misconception(
                "right-program-rejected",
                "your test rejects a program that is right. Ask only for what every right program does, however it is "
                "written",
            )
        missed = [place for place in range(2, len(texts)) if passed[place] != "raises"]
        if any(passed[place] == "returns False" for place in missed) and passed[0] == passed[1] == "passes":
            raise Misconception(
                "returns-and-raises-not",
                "your test returns False for a wrong program; it should raise: an `assert` that fails will do",
            )
        if missed:
            seen = "; and: ".join(BUGS[names[place - 2]][1] for place in missed)
            raise Misconception(missing, f"not caught; this is what one sees of it: {seen}")

    return judge


EXERCISES = (
    Exercise(
        id="5.7",
        title="a test that catches bugs",
        ask=ask.guarded,
        parts=tuple(Part(name, 1, catches(*bugs)) for name, bugs in GROUPS.items()),
        hints=(
            "One thing after the other: what `embed` returns, what has a gradient then, what the loss is, how a start "
            "from words begins, whether two layers get the same vectors.",
            "Compare with what you can compute yourself: `vectors` and `x` in their places for every row; "
            "`loss(model, tokens, targets, prompt)` with some targets of -100; `table[[4, 2, 4, 2, 4]]` for two words "
            "and a length of five.",
            "After `entered.sum().backward()` a prompt has exactly one parameter, and it has a gradient; and "
            "`prefix.context(0, x)` and `prefix.context(1, x)` differ in their first rows. Write an `assert` for each.",
        ),
    ),
)
