"""The proof of freezing: each of its facts is true of a proper training and false of one with that fault."""

from ...soft_prompts import PromptTuning
from ..differences import suspects
from ..exercise import Exercise, Misconception, Part
from . import ask

FACTS = ("no_gradient", "unchanged", "optimizer", "reached", "flowed")
PROPER = {"no_gradient": [{}], "unchanged": [{}]}  # what is as it should be
PROPER["optimizer"] = [{}, {"held": "apart"}]
PROPER["reached"] = [{}, *({"row": row, "parameter": n} for row in ("balanced", "small", "column") for n in (0, 1))]
PROPER["flowed"] = [{}, {"value": "balanced"}, {"value": "small"}, {"value": "single"}]
LAST = "only the last one that you look at decides: an earlier one is overwritten. Once False, a fact stays False"
MESSAGES = {
    "no_gradient": {
        "gradient-overlooked": "a weight of the model has a gradient, and you do not see it: ask for `.grad` of all of "
        "them",
        "last-one-decides": LAST,
        "one-for-all": "one weight without a gradient is enough for you; it must be so for all",
        "zero-for-none": "a gradient of 0 is not None: it says that backward did come here, so the weight was not "
        "frozen",
    },
    "unchanged": {
        "change-overlooked": "a weight changed, and you do not see it: look at all of them",
        "last-one-decides": LAST,
        "close-for-equal": "close is not equal: a frozen weight keeps every bit, so there is no tolerance to grant",
        "sums-for-bytes": "the numbers of a weight can change, or change places, and their sum stays: compare number "
        "by number",
        "sizes-for-bytes": "a weight can turn around and keep its size: compare number by number",
    },
    "optimizer": {
        "base-in-optimizer": "the optimizer holds a weight of the model beside the prompt, and you do not see it",
        "part-in-optimizer": "the optimizer holds a part of the prompt only, so the rest would never move",
        "first-group-only": "an optimizer may have several groups of parameters; you look at the first",
        "counted-only": "as many are not the same: ask whether they ARE the prompt's tensors",
        "same-shape-other-tensor": "it holds a copy that looks like the prompt, so the prompt itself would never move: "
        "ask whether they ARE the same tensors",
    },
    "reached": {
        "one-row-for-all": "one vector of the prompt got no gradient; look at each row",
        "columns-for-rows": "you look at the columns; a vector is a row, the last dimension goes along it",
        "every-number-for-a-row": "a row was reached if any of its numbers is not 0; you ask for all of them",
        "sums-for-rows": "numbers that are not 0 can add up to 0: look at each by itself",
        "small-for-zero": "small is not 0: a tiny gradient has arrived as well",
        "last-one-decides": LAST,
        "first-parameter-only": "a prompt may have several parameters; you look at the first",
    },
    "flowed": {
        "one-layer-for-all": "inside one block no gradient came; it must have come through every one",
        "zero-for-flow": "a gradient of 0 inside a block: nothing flowed there",
        "last-one-decides": LAST,
        "sums-for-flow": "numbers that are not 0 can add up to 0: look at each by itself",
    },
}
NOTICED = {  # what the message says where no known mistake explains the answer
    "no_gradient": ("gradient-overlooked", MESSAGES["no_gradient"]["gradient-overlooked"]),
    "unchanged": ("change-overlooked", "a weight changed in one of the ways tried, and you do not see it"),
    "optimizer": ("optimizer-misjudged", "the optimizer holds something else than the prompt, and you do not see it"),
    "reached": ("row-overlooked", "a vector of the prompt got no gradient, and you do not see it"),
    "flowed": ("closed-road-overlooked", "at a place inside no gradient came, and you do not see it"),
}


def faults(fact: str, rng) -> list[dict]:
    """Trainings in which this fact is false."""
    middle = float(rng.uniform(0.2, 0.8))
    if fact == "no_gradient":
        alone = [{"which": [place], "value": float(rng.normal() + 3)} for place in (0.0, middle, 1.0)]
        return [*alone, {"which": [n / 200 for n in range(201)]}, *({"which": [at], "value": 0.0} for at in (0, 1))]
    if fact == "unchanged":
        ends = [{"place": place, "how": how} for place in ("first", "last") for how in ("much", "a bit")]
        return ends + [{"place": "middle", "how": how} for how in ("much", "a bit", "turned", "moved", "much")]
    if fact == "optimizer":
        return [{"held": held} for held in ("base too", "base apart", "copies", "a part", "base in place")]
    if fact == "reached":
        rows = [{"row": row, "parameter": which} for which in (0, 1) for row in (0, int(rng.integers(1, 3)), -1)]
        return rows + [{"row": row, "parameter": which} for which in (0, 1) for row in ("all", "none")]
    return [{"place": place, "value": value} for place in (0, 1, -1) for value in (None, 0.0)]


def about(fact: str):
    """A judge of one fact: true of a proper training, false of one with a fault."""

    def judge(call, rng):
        proper = PROPER[fact]
        cases = [
            {"seed": int(rng.integers(1000)), "about": fact, "what": what} for what in [*proper, *faults(fact, rng)]
        ]
        gathered = call(cases)
        if any(sorted(facts) != sorted(FACTS) for facts in gathered):
            raise Misconception("other-facts", f"expected a dict with the facts {', '.join(FACTS)}")
        said = [facts[fact] for facts in gathered]
        right = [True] * len(proper) + [False] * (len(cases) - len(proper))
        if said == right:
            return
        simulated = lambda evidence: [facts[fact] for facts in ask.evidence(evidence, cases)]  # noqa: E731
        for suspect in suspects("3.3", simulated, MESSAGES[fact]):
            if said == suspect.value:
                raise Misconception(suspect.name, suspect.message)
        if not said[0]:
            raise Misconception("proper-training-refused", f"a training that did everything right fails at {fact!r}")
        if not all(said[: len(proper)]):
            raise Misconception(
                "proper-training-refused",
                f"a training that did everything right, if in an unusual way, fails at {fact!r}",
            )
        missed = sum(said[len(proper) :])
        name, message = NOTICED[fact]
        raise Misconception(name, f"{message}: {missed} of {len(cases) - len(proper)} faults were missed")

    return judge


EXERCISES = (
    Exercise(
        id="3.3",
        title="the proof of freezing",
        ask=ask.evidence,
        provides=(PromptTuning,),
        parts=(
            Part("no gradient on the base", 1, about("no_gradient")),
            Part("every byte of the base unchanged", 1, about("unchanged")),
            Part("the optimizer holds the prompt only", 1, about("optimizer")),
            Part("every prompt vector was reached", 1, about("reached")),
            Part("gradient flowed inside", 1, about("flowed")),
        ),
        hints=(
            "Five facts, one line each; `all(… for … in …)` does most of the work.",
            "`weight.grad is None` for every weight; `torch.equal` for every pair of weights. An optimizer keeps what "
            "it was given in `group['params']` for each `group` of `optimizer.param_groups`.",
            "Tensors are the same object when their `id(…)` is the same: compare the set of ids that the optimizer "
            "holds with the set of the prompt's. A row is reached when `(grad != 0).any(-1)` is true for it; ask "
            "whether there is a grad at all before.",
        ),
    ),
)
