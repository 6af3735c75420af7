"""The test that a student writes: it lets right programs pass, and catches planted bugs."""

from dataclasses import replace
from weakref import WeakKeyDictionary

from ..exercise import Call, Exercise, Misconception, Part
from ..small_models import CONFIG, random_weights
from . import ask_guard
from .bugs import BUGS, pieces, right_programs
from .programs import Program

MODEL = replace(CONFIG, vocab=60)  # a test may use the first words as tokens
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


Verdicts = dict[str, list[list[str]]]  # for "" and each bug: what the test did, and what it complained of
KNOWN: WeakKeyDictionary[Call, Verdicts] = WeakKeyDictionary()  # they serve all parts of one judging


def catches(missing: str, names: tuple[str, ...]):
    """A judge: the student's test must catch these bugs, and let right programs pass."""

    def judge(call, rng):
        if call not in KNOWN:
            KNOWN[call] = verdicts(call, rng)
        said = KNOWN[call]
        if complaints := [complaint for verdict, complaint in said[""] if verdict == "raises"]:
            raise Misconception(
                "right-program-rejected",
                f"your test rejects a program that is right, by {complaints[0][:200]}. Ask only for what every right "
                "program does, however it is written: it may own several parameters, or learn how far its vectors "
                "move from their start",
            )
        gave = {name: {verdict for verdict, _ in all_said} for name, all_said in said.items()}
        missed = [name for name in names if gave[name] != {"raises"}]
        if any(gave[name] == {"returns False"} for name in missed) and gave[""] == {"passes"}:
            raise Misconception(
                "returns-and-raises-not",
                "your test returns False for a wrong program; it should raise: an `assert` that fails will do",
            )
        if missed:
            seen = "; and: ".join(BUGS[name][1] for name in missed)
            raise Misconception(missing, f"not caught; this is what one sees of it: {seen}")

    return judge


def verdicts(call, rng) -> Verdicts:
    """What the test does with right programs, under "", and with each bug, asked in an order that it cannot know."""
    programs = [("", made) for made in right_programs(rng)] + [(bug, pieces(rng, bug)) for bug in BUGS]
    said: Verdicts = {}
    for place in rng.permutation(len(programs)):
        bug, made = programs[place]
        answer = call(vars(MODEL), random_weights(rng, MODEL), served=Program(made, int(rng.integers(1 << 30))))
        match answer:
            case ["raises" | "passes" | "returns False", str()]:
                said.setdefault(bug, []).append(answer)
            case _:
                raise Misconception("no-verdict", "expected to learn for each program whether your test let it pass")
    return said


EXERCISES = (
    Exercise(
        id="5.7",
        title="a test that catches bugs",
        ask=ask_guard.guarded,
        parts=tuple(Part(name, 1, catches(*bugs)) for name, bugs in GROUPS.items()),
        hints=(
            "One thing after the other: what `embed` returns, what has a gradient then, what the loss is, how a start "
            "from words begins, whether two layers get the same vectors.",
            "Compare with what you can compute yourself: `vectors` and `x` in their places for every row; "
            "`loss(model, tokens, targets, prompt)` with some targets of -100; `table[[4, 2, 4, 2, 4]]` for two words "
            "and a length of five.",
            "After `entered.sum().backward()` a prompt has parameters, and each of them has a gradient; and "
            "`prefix.context(0, x)` and `prefix.context(1, x)` differ in their first rows. Write an `assert` for each.",
        ),
    ),
)
