"""Prefixes at every layer: as vectors by the context hook, and as keys and values.

What a prefix does is judged, whatever its parameters look like: each judge takes a `Kind`, what its exercise asks for.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from ...model import Config
from ..differences import Suspect, agree, looks_like, suspects, unpack
from ..exercise import Exercise, Misconception, Part
from ..lesson_text import reference
from ..plain_data import Plain, tensors
from ..small_models import normal, random_weights
from . import ask
from .random_inputs import batch, some_config, some_length

NAMES = "keys", "values"


@dataclass(frozen=True)
class Kind:
    """What one of the two hooks puts in front of what: the parameters' names, and the spread they start with."""

    exercise: str
    hook: str
    names: tuple[str, ...]
    shown: tuple[str, ...]  # what the hook gives back, in words
    spread: float
    shape: Callable[[Config, int], tuple[int, ...]]  # of each parameter, as the lesson's text writes it

    def texts(self, rng, config: Config, rows: int, places: int) -> list[np.ndarray]:
        """Something for the hook to lengthen."""
        _, *heads, _, width = self.shape(config, 0)
        return [normal(rng, rows, *heads, places, width) for _ in self.names]

    def outputs(self, given: Plain, config: Config) -> list[list[Plain]]:
        """For each layer, what the hook gave."""
        given = unpack(given, config.layers, "one answer for each layer")
        return [[each] if len(self.names) == 1 else unpack(each, 2, "the keys and the values") for each in given]


TEXTBOOK = Kind(
    "5.1", "context", ("vectors",), ("context",), 0.05, lambda config, length: (config.layers, length, config.width)
)
KEYS_VALUES = Kind(
    "5.2",
    "keys_values",
    NAMES,
    NAMES,
    0.3,
    lambda config, length: (config.layers, config.kv_heads, length, config.head),
)
OWNED = {
    "one-set-for-all-layers": "you keep one set of vectors; each layer has a set of its own, so there is one dimension "
    "more",
    "query-heads": "you have one set for each query head; keys and values have fewer heads here, since query heads "
    "share them",
    "hidden-states": "these are hidden states, as wide as the model; a key and a value are as wide as a head, for each "
    "kv head",
}
ENTERED = {
    "changes-nothing": "what comes in goes out as it came: no layer sees your vectors",
    "first-layer-only": "only the first layer gets your vectors. That is no prefix tuning yet: every layer gets a set "
    "of its own",
    "replaces-the-text": "your vectors take the places of the first tokens; they come in front of all of them",
    "added-to-the-text": "the text is as long as before; vectors are put in front, not added",
    "text-left-out": "only your vectors are left: the text belongs behind them",
    "behind-the-text": "your vectors stand behind the text: by the causal rule only the last places would see them, "
    "and earlier ones would see text that comes after them",
    "same-at-every-layer": "every layer gets the vectors of the first; use the number of the layer that you are given",
    "layers-upside-down": "the vectors of the last layer go to the first: use the layer's number as it is",
    "places-for-layers": "you take a layer's number for a place: what you put in front is one vector of each layer",
    "backwards": "your vectors stand in reversed order: number 0 comes first",
    "one-vector-everywhere": "every place has the same vector: each of the P places has one of its own",
    "first-text-only": "only the first text of the batch has your vectors",
    "keys-for-values": "you have exchanged them: learned keys go in front of keys, learned values in front of values",
    "keys-without-values": "you put learned vectors in front of one of the two only: each key needs the value that it "
    "stands for",
    "keys-twice": "you put your keys in front of the values, too: the values have learned vectors of their own",
}
STEPPED = {
    "text-cut-off": "the text is detached on its way: no gradient goes through it to the layers below. Put it behind "
    "your vectors as it is",
    "same-at-every-layer": ENTERED["same-at-every-layer"],
    "one-vector-everywhere": ENTERED["one-vector-everywhere"],
    "gradient-in-part": "the gradient comes from one text only; all of them have the prefix",
    "scaled-on-the-way": "the small factor belongs into the start alone: here each step of training is made smaller, "
    "too",
    "cut-off": "no gradient reaches some of what you own: it is detached, copied or read through .data on the way",
}
NOT_LEARNABLE = (
    "your hooks own no parameter: an optimizer finds only what is an `nn.Parameter` and an attribute of `self`"
)
SHARED = "what one prefix learns changes another one: keep each prefix's own vectors on self"


def owned_by(call, kind: Kind, config: Config, length: int) -> dict[str, np.ndarray]:
    """The parameters of a new prefix, by name."""
    owned = call("parameters", asdict(config), length)
    if not isinstance(owned, dict) or not owned:
        raise Misconception("not-learnable", NOT_LEARNABLE)
    return owned


def owns(call, rng, kind: Kind) -> None:
    """As many numbers as the formula says, however they are kept; a fresh draw, spread as it should be."""
    config = some_config(rng)
    length = some_length(rng)
    owned, right = owned_by(call, kind, config, length), kind.shape(config, length)
    if any(not np.all(np.isfinite(array)) for array in owned.values()):
        raise Misconception("not-finite", "a new prefix should hold finite numbers; some of yours are NaN or infinite")
    wanted = len(kind.names) * int(np.prod(right))
    numbers = sum(np.size(array) for array in owned.values())
    if numbers != wanted:
        shapes = sorted(np.shape(array) for array in owned.values())
        for known in suspects(kind.exercise, lambda answer: shapes_of(answer(length, config)), OWNED):
            if known.value == shapes:
                raise Misconception(known.name, known.message)
        raise Misconception(
            "other-parameters",
            f"expected {wanted} numbers to learn and no others, {right} for each of {', '.join(kind.names)}; yours are "
            f"{numbers}, of shapes {', '.join(map(str, shapes))}",
        )
    starts(call, rng, kind, config)


def shapes_of(hooks) -> list[tuple[int, ...]]:
    return sorted(tuple(parameter.shape) for parameter in hooks.parameters())


def starts(call, rng, kind: Kind, config: Config) -> None:
    """The parameters start as they should; or, where they are something else, what stands in front does."""
    length = 80  # many vectors, so that chance does not matter
    shape = asdict(config), length
    drawn = [in_order(kind, config, length, each) for each in unpack(call("drawn", *shape), 2, "prefixes")]
    try:
        compare_starts(kind, *drawn)
    except Misconception:
        both = unpack(call("start", *shape, *kind.texts(rng, config, 1, 1)), 2, "prefixes")
        compare_starts(kind, *(fronts(kind, kind.outputs(each, config), config, length) for each in both))


def in_order(kind: Kind, config: Config, length: int, owned) -> list[np.ndarray] | None:
    """All that is learned as (L, …, P, width) for each of the names, in the order in which it is found."""
    numbers = np.concatenate([np.zeros(0, np.float32), *(np.reshape(each, -1) for each in owned.values())])
    shape = kind.shape(config, length)
    if numbers.size != len(kind.names) * np.prod(shape):
        return None
    return [part.reshape(shape) for part in np.split(numbers, len(kind.names))]


def compare_starts(kind: Kind, first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """A normal draw with this spread, anew for each layer and prefix."""
    for mine, other, what in zip(first, second, kind.shown, strict=True):
        spread = mine.std()
        if spread == 0:
            name = "starts-at-zero" if not mine.any() else "other-start"
            raise Misconception(
                name, f"all your numbers start at {mine.flat[0]:.4g}; they should be a small random draw"
            )
        if np.array_equal(mine[..., 0, :], mine[..., 1, :]):
            raise Misconception(
                "vectors-start-alike", "all vectors of a layer start as the same one, and learn the same: draw each"
            )
        mean, share = mine.mean(), np.mean(np.abs(mine - mine.mean()) < spread)  # of a normal draw: 0.683
        if abs(mean) < 0.1 and abs(spread - 1) < 0.1:
            raise Misconception(
                "start-not-scaled", f"a normal draw, but not {kind.spread} times as large: yours is as it came"
            )
        if mine.min() >= 0:
            raise Misconception(
                "never-negative",
                "none of your numbers is below 0 at the start; a normal draw is as often below as above",
            )
        if abs(mean) > 0.15 * kind.spread or abs(spread / kind.spread - 1) > 0.15 or abs(share - 0.683) > 0.05:
            raise Misconception(
                "other-start",
                f"the {what} should start as {kind.spread} times a normal draw: mean 0, spread {kind.spread}, and 68% "
                f"of them within one spread of the mean; yours: {mean:.3g}, {spread:.3g} and {share:.0%}",
            )
        if np.array_equal(mine, other):
            raise Misconception(
                "same-draw-each-time", "two new prefixes start with the very same numbers: draw anew for each"
            )
        if np.array_equal(mine[0], mine[1]):
            raise Misconception(
                "layers-start-alike", "all layers start with the same vectors: draw a set for each layer"
            )
    if len(first) == 2 and np.array_equal(*first):
        raise Misconception("keys-start-as-values", "your values start as a copy of your keys: draw both")


def fronts(kind: Kind, got: list[list[Plain]], config: Config, length: int) -> list[np.ndarray]:
    """What stands in front of the first text, (L, …, P, width) for each of the parameters."""
    shape = kind.shape(config, length)
    found = []
    for place, what in enumerate(kind.shown):
        layers = [each[place] for each in got]
        if any(np.ndim(each) != len(shape) for each in layers):
            raise Misconception("wrong-shape", f"the {what} should have {len(shape)} dimensions, as it came")
        front = [each[0][..., :length, :] for each in layers]
        if any(np.shape(each) != shape[1:] for each in front):
            raise Misconception(
                "wrong-shape",
                f"in front of each text there should be {length} vectors, {shape[1:]}; yours are {np.shape(front[0])}",
            )
        found.append(np.stack(front))
    return found


def enters(call, rng, kind: Kind) -> None:
    """What the hook gives, in two worlds: in both modes, and beside another prefix."""
    for rows in (3, 1):  # also where one row would hide that each must have the vectors
        config, seed = some_config(rng), int(rng.integers(10**6))
        length, places = some_length(rng), int(rng.integers(7, 10))
        texts = kind.texts(rng, config, rows, places)
        facts = call("hook", asdict(config), length, seed, *texts)
        compare_entered(kind, config, length, texts, facts)


def compare_entered(kind: Kind, config: Config, length: int, texts, facts) -> None:
    got = kind.outputs(facts["in train mode"], config)
    own, guessed = own_vectors(kind, config, length, facts["parameters"], got)
    right = [
        [
            np.concatenate([np.stack([front[layer]] * len(text)), text], -2)
            for front, text in zip(own, texts, strict=True)
        ]
        for layer in range(config.layers)
    ]

    def simulated(answer):
        hooks = holding(kind, answer(length, config), guessed)
        with torch.no_grad():
            given = ask.in_every_layer(kind.hook, hooks, config, *tensors(*texts))
        return [each if isinstance(each, tuple) else (each,) for each in given]

    def known() -> list[Suspect]:
        every = [] if guessed is None else suspects(kind.exercise, simulated, ENTERED)
        return [each for each in every if same(got, each.value)]

    compare_layers(kind, got, right, known)
    if all(np.array_equal(front[0], front[layer]) for front in own for layer in range(1, config.layers)):
        raise Misconception("same-at-every-layer", ENTERED["same-at-every-layer"])
    in_eval = kind.outputs(facts["in eval mode"], config)
    bare = Suspect(
        "not-in-eval-mode",
        [texts] * config.layers,
        "after eval() your vectors no longer enter: they belong there, too",
    )
    compare_layers(kind, in_eval, got, lambda: [bare], state=" in eval mode")
    before, after = (kind.outputs(each, config) for each in facts["another"])
    if not same(before, after):
        raise Misconception("shared-by-all-prefixes", SHARED)
    for text, still in zip(texts, unpack(facts["texts"], len(texts), "what the hook was given"), strict=True):
        if not np.array_equal(text, still):
            raise Misconception("text-changed", "your hook changes the tensor that it is given; join a new one")


def own_vectors(kind: Kind, config: Config, length: int, owned, got) -> tuple[list, list | None]:
    """What should stand in front: what the parameters of these names hold, else what is seen; and, for the suspects,
    all that is learned, in the order in which it is found."""
    shape = kind.shape(config, length)
    bare = [size for size in shape if size != 1]
    if set(owned) == set(kind.names) and all([s for s in np.shape(each) if s != 1] == bare for each in owned.values()):
        named = [owned[name].reshape(shape) for name in kind.names]
        return named, named
    guessed = in_order(kind, config, length, owned)
    try:
        return fronts(kind, got, config, length), guessed
    except Misconception:
        if guessed is None:
            raise
        return guessed, guessed


def holding(kind: Kind, hooks, vectors):
    """These hooks with these vectors, in the shape that the answer gives them."""
    for name, value in zip(kind.names, vectors, strict=True):
        own = getattr(hooks, name)
        own.data = torch.from_numpy(np.ascontiguousarray(value, np.float32)).reshape(own.shape)
    return hooks


def same(got, others) -> bool:
    """Whether two lists of what each layer got are the same numbers."""
    mine, theirs = ([each for layer in layers for each in layer] for layers in (got, others))
    arrays = [each.detach().numpy() if isinstance(each, torch.Tensor) else each for each in theirs]
    return len(mine) == len(arrays) and all(
        looks_like(each, other, 1e-5) for each, other in zip(mine, arrays, strict=True)
    )


def compare_layers(kind: Kind, got, right, known: Callable[[], list[Suspect]], state: str = "") -> None:
    if same(got, right):
        return
    found = known()
    for layer, (mine, wanted) in enumerate(zip(got, right, strict=True)):
        for place, what in enumerate(kind.shown):
            named = [each.at(layer).at(place) for each in found]
            agree(mine[place], wanted[place], f"the {what} of layer {layer}{state}", *named)


def learns(call, rng, kind: Kind) -> None:
    """One step of gradient descent moves what stands in front just as far as the loss's gradient says."""
    config, seed = some_config(rng), int(rng.integers(10**6))
    length = some_length(rng)
    owned = owned_by(call, kind, config, length)
    inputs = random_weights(rng, config), *batch(rng)
    both = unpack(call("learn", asdict(config), length, seed, *inputs), 2, "before and after the step")
    before, after = (fronts(kind, kind.outputs(each, config), config, length) for each in both)
    moved = [new - old for old, new in zip(before, after, strict=True)]

    def step(answer, start) -> list[np.ndarray]:
        hooks = holding(kind, answer(length, config), start)
        steps = [
            [each if isinstance(each, tuple) else (each,) for each in given]
            for given in ask.step(kind.hook, hooks, config, *inputs)
        ]
        old, new = (
            fronts(kind, [[part.numpy() for part in each] for each in given], config, length) for given in steps
        )
        return [there - here for here, there in zip(old, new, strict=True)]

    expected = step(reference(kind.exercise), before)
    known = []
    if not all(looks_like(*pair, 1e-4) for pair in zip(moved, expected, strict=True)):
        for start in before, [each / kind.spread for each in before]:  # and what one holds who scales on the way
            known += suspects(kind.exercise, lambda answer, start=start: step(answer, start), STEPPED)
    known = [each for each in known if all(looks_like(*pair, 1e-4) for pair in zip(moved, each.value, strict=True))]
    for place, what in enumerate(kind.names):
        if not moved[place].any() and owned:
            raise Misconception("cut-off", f"a training step does not move your {what}: {STEPPED['cut-off']}")
        named = [each.at(place) for each in known]
        agree(moved[place], expected[place], f"how one training step moves your {what}", *named, tolerance=1e-4)


EXERCISES = (
    Exercise(
        id="5.1",
        title="the textbook's prefix, by the context hook",
        ask=ask.context_hook,
        parts=(
            Part("vectors of its own for each layer", 1, partial(owns, kind=TEXTBOOK)),
            Part("in front of every layer's context", 2, partial(enters, kind=TEXTBOOK)),
            Part("they learn", 1, partial(learns, kind=TEXTBOOK)),
        ),
        hints=(
            "It is the prompt of lesson 2 with one dimension more, and `context` is told which layer is asking.",
            "One `nn.Parameter` of shape `(config.layers, length, config.width)`, small and random. In `context`, take "
            "the part of this layer and repeat it for every row with `.expand(len(x), -1, -1)`.",
            "`torch.cat((own, x), 1)` joins along the positions, where `own` is `self.vectors[layer]`, expanded.",
        ),
    ),
    Exercise(
        id="5.2",
        title="learned keys and values, by the keys_values hook",
        ask=ask.keys_values_hook,
        parts=(
            Part("keys and values of its own for each layer", 1, partial(owns, kind=KEYS_VALUES)),
            Part("both in front of the text's", 2, partial(enters, kind=KEYS_VALUES)),
            Part("they learn", 1, partial(learns, kind=KEYS_VALUES)),
        ),
        hints=(
            "Look at the shape of what the hook is given. Which of its four dimensions are the positions?",
            "Two parameters of shape `(config.layers, config.kv_heads, length, config.head)`. For a batch, this "
            "layer's part gets one dimension more in front: `.expand(len(keys), -1, -1, -1)`.",
            "Positions are dimension 2 here: `torch.cat((own_keys, keys), 2)`, the same for values, both returned.",
        ),
    ),
)
