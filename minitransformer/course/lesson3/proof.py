"""The proof of freezing: each of its facts is true of a proper training and false of one with that fault."""

from ...soft_prompts import PromptTuning
from ..exercise import Exercise, Misconception, Part
from . import ask

FACTS = ("no_gradient", "unchanged", "optimizer", "reached", "flowed")


def about(fact: str, *cases: tuple[dict, str, str]):
    """A judge of one fact: true of a proper training, false in each of these cases."""

    def judge(call, rng):
        seed = int(rng.integers(1000))
        proper = call({"seed": seed})
        if sorted(proper) != sorted(FACTS):
            raise Misconception("other-facts", f"expected a dict with the facts {', '.join(FACTS)}")
        if not proper[fact]:
            raise Misconception("proper-training-refused", f"a training that did everything right fails at {fact!r}")
        for case, name, message in cases:  # from the plain to the subtle
            if call(case | {"seed": seed})[fact]:
                raise Misconception(name, message)

    return judge


EXERCISES = (
    Exercise(
        id="3.3",
        title="the proof of freezing",
        ask=ask.evidence,
        provides=(PromptTuning,),
        parts=(
            Part(
                "no gradient on the base",
                1,
                about(
                    "no_gradient",
                    (
                        {"base": 2.0},
                        "gradient-overlooked",
                        "a weight of the model has a gradient, and you do not see it",
                    ),
                    (
                        {"base": 2.0, "which": 0},
                        "gradient-overlooked",
                        "a weight of the model has a gradient, and you do not see it: look at all of them",
                    ),
                    (
                        {"base": 0.0},
                        "zero-for-none",
                        "a gradient of 0 is not None: it says that backward did come here, so the weight was not "
                        "frozen",
                    ),
                ),
            ),
            Part(
                "every byte of the base unchanged",
                1,
                about(
                    "unchanged",
                    ({"moved": 3.0}, "change-overlooked", "one of the last weights changed, and you do not see it"),
                    (
                        {"moved": 1e-5},
                        "close-for-equal",
                        "close is not equal: a frozen weight keeps every bit, so there is no tolerance to grant",
                    ),
                ),
            ),
            Part(
                "the optimizer holds the prompt only",
                1,
                about(
                    "optimizer",
                    ({"held": 1}, "base-in-optimizer", "the optimizer holds a weight of the model beside the prompt"),
                    (
                        {"copy": True},
                        "same-shape-other-tensor",
                        "it holds a copy that looks like the prompt, so the prompt itself would never move: ask "
                        "whether they ARE the same tensors",
                    ),
                ),
            ),
            Part(
                "every prompt vector was reached",
                1,
                about(
                    "reached",
                    (
                        {"unreached": (2,)},
                        "one-row-for-all",
                        "one vector of the prompt got no gradient; look at each row",
                    ),
                    (
                        {"unreached": (0, 1, 2)},
                        "zero-is-not-reached",
                        "the gradient is 0 in every row: nothing arrived",
                    ),
                    ({"no_prompt_gradient": True}, "none-is-not-reached", "the prompt has no gradient at all"),
                ),
            ),
            Part(
                "gradient flowed inside",
                1,
                about(
                    "flowed",
                    (
                        {"inside": (1.0, None, 1.0)},
                        "one-layer-for-all",
                        "inside one block no gradient came; it must have come through every one",
                    ),
                    (
                        {"inside": (1.0, 1.0, 0.0)},
                        "zero-for-flow",
                        "a gradient of 0 inside a block: nothing flowed there",
                    ),
                ),
            ),
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
