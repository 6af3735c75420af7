"""The proof of freezing: each of its facts is true of a proper training and false of one with that fault."""

from dataclasses import asdict

import numpy as np
import torch

from ...freezing import freeze
from ...soft_prompts import PromptTuning
from ..differences import left_alone, suspects
from ..exercise import Exercise, Misconception, Part
from ..plain_data import plain, tiny
from . import ask

FACTS = ("no_gradient", "unchanged", "optimizer", "reached", "flowed")
PROPER = {"no_gradient": [{}], "unchanged": [{}]}  # what is as it should be
PROPER["optimizer"] = [{}, {"held": "apart"}]
UNUSUAL = ("balanced", "small", "column", "negative")
PROPER["reached"] = [{}, *({"row": row, "parameter": n} for row in UNUSUAL for n in (0, 1))]
PROPER["flowed"] = [{}, *({"value": value} for value in ("balanced", "small", "single", "negative"))]
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
        "positive-only": "a gradient below 0 has arrived as well: you look for numbers above 0",
        "last-one-decides": LAST,
        "first-parameter-only": "a prompt may have several parameters; you look at the first",
    },
    "flowed": {
        "one-layer-for-all": "inside one block no gradient came; it must have come through every one",
        "zero-for-flow": "a gradient of 0 inside a block: nothing flowed there",
        "last-one-decides": LAST,
        "sums-for-flow": "numbers that are not 0 can add up to 0: look at each by itself",
        "positive-only": "a gradient below 0 has flowed as well: you look for numbers above 0",
    },
}
NOTICED = {  # what the message says where no known mistake explains the answer
    "no_gradient": ("gradient-overlooked", MESSAGES["no_gradient"]["gradient-overlooked"]),
    "unchanged": ("change-overlooked", "a weight changed in one of the ways tried, and you do not see it"),
    "optimizer": ("optimizer-misjudged", "the optimizer holds something else than the prompt, and you do not see it"),
    "reached": ("row-overlooked", "a vector of the prompt got no gradient, and you do not see it"),
    "flowed": ("closed-road-overlooked", "at a place inside no gradient came, and you do not see it"),
}
CHANGED = {
    "no_gradient": "your function changes the model's gradients, or what asks for them: evidence only looks",
    "unchanged": "your function changes the model's weights or the copies from before: evidence only looks",
    "optimizer": "your function changes what the optimizer holds: evidence only looks",
    "reached": "your function changes the prompt's vectors or their gradients: evidence only looks",
    "flowed": "your function changes the gradients from inside the model, or their list: evidence only looks",
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


class Training:
    """What a training leaves behind, with a fault or without; nothing in its arrays says which."""

    def __init__(self, fact: str, what: dict, rng):
        self.rng, self.model = rng, freeze(tiny(int(rng.integers(1000)), 8))
        self.weights = list(self.model.parameters())
        self.before = [weight.detach().clone() for weight in self.weights]
        self.own = [0.05 * self.numbers(int(rng.integers(3, 6)), 8), 0.05 * torch.ones(4, 8)]
        self.slopes = [self.numbers(*each.shape) for each in self.own]
        self.inside = [self.numbers(1, 4, 8) for _ in range(int(rng.integers(3, 6)))]
        first = len(self.weights)  # the number of the prompt's first parameter
        self.groups, self.held = [[first, first + 1]], {"own": first, "copies": first + 2}
        getattr(self, fact)(**what)

    def arrays(self) -> dict:
        """As plain data: what `ask.objects` makes a training of."""
        return plain(
            {
                "config": asdict(self.model.config),
                "weights": dict(self.model.named_parameters()),
                "gradients": [weight.grad for weight in self.weights],
                "before": self.before,
                "vectors": self.own,
                "own_gradients": self.slopes,
                "others": self.own,
                "groups": self.groups,
                "inside": self.inside,
            }
        )

    def numbers(self, *shape: int) -> torch.Tensor:
        return torch.from_numpy(self.rng.normal(size=shape)).float()

    def no_gradient(self, which=(), value=1.0):
        for place in which:
            weight = self.weights[round(place * (len(self.weights) - 1))]
            weight.grad = torch.full_like(weight, value)

    def unchanged(self, place=None, how=""):
        """One matrix is changed."""
        if place is None:
            return
        matrices = [n for n, weight in enumerate(self.weights) if weight.dim() == 2]
        places = {"first": 0, "last": -1, "middle": matrices[int(self.rng.integers(1, len(matrices) - 1))]}
        weight, old = self.weights[places[place]].data, self.before[places[place]]
        spot = tuple(int(self.rng.integers(size)) for size in weight.shape)
        if how == "much":
            weight[spot] += 3.0
        elif how == "a bit":
            weight[spot] = torch.nextafter(weight[spot], torch.tensor(torch.inf))
        elif how == "turned":
            weight.neg_()
        else:  # the same numbers in another order, and such that their sum is exactly the same
            old.copy_((old * 64).round() / 64)
            weight.copy_(old.flip(0))

    def optimizer(self, held=""):
        own, copies = self.held["own"], self.held["copies"]
        groups = {
            "apart": [[own], [own + 1]],
            "base too": [[own, own + 1, own - 1]],
            "base apart": [[own, own + 1], [0]],
            "copies": [[copies, copies + 1]],
            "a part": [[own]],
            "base in place": [[own, 0]],
        }
        self.groups = groups.get(held, self.groups)

    def reached(self, row=None, value=0.0, parameter=0):
        slope = self.slopes[parameter]
        if row == "none":
            self.slopes[parameter] = None
        elif row == "all":
            slope.fill_(value)
        elif row == "balanced":  # reached, although its numbers add up to 0
            slope[1] = torch.tensor([1.0, -1.0]).repeat(4)
        elif row == "small":
            slope[1] = 1e-12
        elif row == "column":  # every row was reached, and one column not
            slope[:, 5] = 0
        elif row == "negative":
            slope[1] = -slope[1].abs()
        elif row is not None:
            slope[row] = value

    def flowed(self, place=None, value=None):
        if value == "balanced":
            self.inside[1] = torch.tensor([1.0, -1.0]).repeat(1, 4, 4)
        elif value == "small":
            self.inside[1] *= 1e-12
        elif value == "single":
            self.inside[1] = torch.zeros(1, 4, 8).index_fill(2, torch.tensor([5]), 1.0)
        elif value == "negative":
            self.inside[1] = -self.inside[1].abs()
        elif place is not None:
            self.inside[place] = None if value is None else torch.full((1, 4, 8), value)


SCENES = {  # what a training looks like, for a student to read
    "apart": "the optimizer holds the prompt's two parameters in two groups",
    "base too": "the optimizer's group holds a weight of the model as well",
    "base apart": "the optimizer holds a weight of the model in a group of its own",
    "copies": "the optimizer holds copies of the prompt's parameters",
    "a part": "the optimizer holds one of the prompt's two parameters",
    "base in place": "the optimizer holds a weight of the model in place of one of the prompt's parameters",
    "balanced": "the numbers of one gradient add up to 0, and none of them is 0",
    "small": "the numbers of one gradient are about 1e-12",
    "column": "each vector's gradient is 0 at place 5 and not 0 elsewhere",
    "negative": "all numbers of one gradient are below 0",
    "single": "the gradient inside one block is 0 but for one number at each place",
    "much": "one number of a weight grew by 3",
    "a bit": "one number of a weight changed in its last bit",
    "turned": "the numbers of a weight have the opposite sign",
    "moved": "the rows of a weight stand in another order",
    "all": "every vector of one parameter has a gradient of 0",
    "none": "one parameter of the prompt has no gradient, `None`",
}


def in_words(fact: str, what: dict) -> str:
    """What this training looks like."""
    for name in ("held", "how", "row", "value"):
        if type(what.get(name)) is str:
            return SCENES[what[name]]
    if not what:
        return "all is as usual there"
    if fact == "no_gradient":
        weights = "one weight of the model has" if len(what["which"]) == 1 else "all weights of the model have"
        return f"{weights} a gradient, each number of it {what['value']:.4g}"
    where = (
        f"vector {what['row']} of parameter {what['parameter']}" if "row" in what else f"place {what['place']} inside"
    )
    return f"the gradient at {where} is {what.get('value', 0.0)}"


def given(case: dict) -> dict:
    """What each fact is about, before anyone has looked at it."""
    objects, held = ask.objects(**case)
    return plain(ask.looked_at(*objects, held))


def about(fact: str):
    """A judge of one fact: true of a proper training, false of one with a fault."""

    def judge(call, rng):
        proper, all_faults = PROPER[fact], faults(fact, rng)
        cases = [Training(fact, what, rng).arrays() for what in [*proper, *all_faults]]
        order = rng.permutation(len(cases))
        reports = call([cases[place] for place in order])
        gathered = [report["facts"] for report in reports]
        if None in gathered:
            raise Misconception("facts-missing", f"expected a dict with the facts {', '.join(FACTS)}; yours is none")
        if lacking := [name for name in FACTS if any(name not in facts for facts in gathered)]:
            raise Misconception(
                "facts-missing", f"expected a dict with the facts {', '.join(FACTS)}; yours lacks {lacking[0]!r}"
            )
        said = [gathered[int(place)][fact] for place in np.argsort(order)]
        if None in said:
            raise Misconception(
                "wrong-type", f"{fact!r} should be True or False; yours is a text, which is always true"
            )
        right = [True] * len(proper) + [False] * (len(cases) - len(proper))
        if said == right:
            for place, report in zip(order, reports, strict=True):
                left_alone(report["given"][fact], given(cases[place])[fact], CHANGED[fact])
            return
        simulated = lambda evidence: [report["facts"][fact] for report in ask.evidence(evidence, cases)]  # noqa: E731
        for suspect in suspects("3.3", simulated, MESSAGES[fact]):
            if said == suspect.value:
                raise Misconception(suspect.name, suspect.message)
        first = next(place for place, (got, due) in enumerate(zip(said, right, strict=True)) if got != due)
        scene = in_words(fact, [*proper, *all_faults][first])
        if right[first]:
            raise Misconception(
                "proper-training-refused", f"{fact!r} is False of a training that did everything right; {scene}"
            )
        missed = sum(said[len(proper) :])
        name, message = NOTICED[fact]
        raise Misconception(
            name, f"{message}: {missed} of {len(all_faults)} faults were missed", f"the first of them: {scene}"
        )

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
