"""Where soft prompts enter: everything that changes or watches the model is a `Hooks` object passed at the call.

Shape letters as in `model.py`: B rows, T text tokens, P virtual tokens, D width, G key/value heads, d width of a head.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from . import expect

SITES = (
    "embedding",  # (B, P+T, D)  what enters the first block; layer is None
    "input",  # (B, P+T, D)  what enters this block
    "queries",  # (B, H, P+T, d)  before rotation
    "keys",  # (B, G, P+T, d)  before rotation, a prefix's keys included
    "values",  # (B, G, P+T, d)  a prefix's values included
    "weights",  # (B, H, P+T, S)  attention weights; rows sum to one
    "attention",  # (B, P+T, D)  what attention adds to the stream
    "hidden",  # (B, P+T, hidden)  the feed-forward's inner activations
    "feed_forward",  # (B, P+T, D)  what the feed-forward adds to the stream
    "output",  # (B, P+T, D)  what leaves this block
    "logits",  # (B, T, V)  text positions only; layer is None
)
LENGTHENING = frozenset(("embed", "context", "keys_values"))


class Hooks(nn.Module):
    """Changes nothing. A tuning method overrides one method and owns its parameters; an observer overrides `watch`.

    `embed`, `context` and `keys_values` may put vectors in front of the text, and leave the text itself as it is. They
    run once per sequence, at its first step; from then on what they added lives in the cache like all other keys and
    values. What shall change the text's own values, at every step, is returned by `watch`.
    """

    knows_no_text = False  # what is put in front is the same for every text; not inherited
    base: str | None = None  # the fingerprint of the model that these parameters were made for, where it is known
    sites: Collection[str] = SITES  # those that `watch` wants to see

    def __new__(cls, *arguments, **named):
        """Keeps what the class was called with: a file says it, so that the hooks can be made again."""
        hooks = super().__new__(cls)
        hooks.made_with = arguments, named
        return hooks

    def fits(self, config) -> None:
        """Raise a ValueError if these hooks were made for a model of another shape than this Config's."""

    def embed(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, P+T, D)
        """After the embedding layer."""
        return x

    def context(self, layer: int, x: Tensor) -> Tensor:  # (B, T, D) -> (B, P+T, D)
        """The hidden states that this layer's keys and values are computed from; queries come from `x` itself."""
        return x

    def keys_values(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """This layer's keys and values, (B, G, T, d) -> (B, G, P+T, d), before rotation."""
        return keys, values

    def bias(self, layer: int) -> Tensor | None:  # (1 or B, up to S)
        """Log-strengths of the first keys, added to their attention scores: -inf for a key that a row does not have."""
        return None

    def watch(self, site: str, layer: int | None, value: Tensor) -> Tensor | None:
        """See the value at one of the SITES; a tensor that is returned takes its place, None leaves it as it is."""

    def see(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        """What the model goes on with: the value, or what `watch` returned in its place."""
        if not self.watches(site):
            return value
        other = self.watch(site, layer, value)
        if other is None:
            return value
        if not isinstance(other, Tensor) or other.shape != value.shape:
            got = tuple(other.shape) if isinstance(other, Tensor) else type(other).__name__
            raise ValueError(
                f"{type(self).__name__}.watch may return None or a tensor of the same shape; at the site {site!r} "
                f"expected {tuple(value.shape)}, got {got}"
            )
        return other

    def watches(self, site: str) -> bool:
        """Whether `watch` wants this site; where nobody watches the weights, attention is one fused call."""
        return type(self).watch is not Hooks.watch and site in self.sites

    def lengthens(self) -> bool:
        """Whether these hooks may put something in front of the text."""
        return any(getattr(type(self), name) is not getattr(Hooks, name) for name in LENGTHENING)

    def same_for_all(self) -> bool:
        """Whether what they put in front is known not to hang on the text: a class says so of itself alone."""
        return vars(type(self)).get("knows_no_text", False) and LENGTHENING.isdisjoint(vars(self))


def lengthened(hook: Callable, *arguments):
    """What a hook puts in front of the text, with the text behind it; refused where the text's own part was changed.

    These hooks run at a sequence's first step only, so that a change of the text would be missing from every later one.
    """
    if getattr(hook, "__func__", None) in (Hooks.embed, Hooks.context, Hooks.keys_values):
        return hook(*arguments)
    texts = [each for each in arguments if isinstance(each, Tensor)]  # (…, T, width) each
    versions = [None if text.is_inference() else text._version for text in texts]
    result = hook(*arguments)
    results = result if isinstance(result, (tuple, list)) and len(texts) > 1 else (result,)
    name = f"{type(getattr(hook, '__self__', hook)).__name__}.{hook.__name__}"
    if len(results) != len(texts):
        raise ValueError(f"{name} should return {len(texts)} tensors, as many as it was given; got {len(results)}")
    for text, version, new in zip(texts, versions, results, strict=True):
        changed_in_place = version is not None and version != text._version
        if new is text and not changed_in_place:
            continue
        if not isinstance(new, Tensor) or new.shape[:-2] != text.shape[:-2] or new.shape[-1] != text.shape[-1]:
            got = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
            raise ValueError(f"{name} should return a tensor like {tuple(text.shape)}, or longer in front; got {got}")
        own_part = new[..., new.shape[-2] - text.shape[-2] :, :]
        if changed_in_place or not same(own_part, text):
            raise ValueError(
                f"{name} changes the text's own part: a hook that lengthens puts vectors in front of it and leaves it "
                "as it is; to change values at every step, return them from `watch`"
            )
    return result


def same(one: Tensor, other: Tensor) -> bool:
    """Whether these are the same numbers; NaN counts as the same as NaN."""
    if not one.numel() and one.shape == other.shape:  # nothing to compare, and no device to wait for
        return True
    return torch.equal(one, other) or (one.shape == other.shape and one.allclose(other, 0, 0, equal_nan=True))


NO_HOOKS = Hooks()


class Stack(Hooks):
    """Several hooks as one, applied in the order given: a prompt and a recorder, say."""

    def __init__(self, *hooks: Hooks):
        super().__init__()
        for each in hooks:
            expect.a(Hooks, hooks=each)
        if len({id(each) for each in hooks}) < len(hooks):
            raise ValueError("a Stack must hold different hooks; got the same ones twice: make a second soft prompt")
        self.hooks = nn.ModuleList(hooks)

    def fits(self, config):
        for hooks in self.hooks:
            hooks.fits(config)

    def embed(self, x):
        for hooks in self.hooks:
            x = lengthened(hooks.embed, x)
        return x

    def context(self, layer, x):
        for hooks in self.hooks:
            x = lengthened(hooks.context, layer, x)
        return x

    def keys_values(self, layer, keys, values):
        for hooks in self.hooks:
            keys, values = lengthened(hooks.keys_values, layer, keys, values)
        return keys, values

    def bias(self, layer):
        biases = [bias for hooks in self.hooks if (bias := hooks.bias(layer)) is not None]
        if biases and sum(hooks.lengthens() for hooks in self.hooks) > 1:
            raise ValueError("in a Stack, a Gate cannot tell its own keys from others: put it around the whole Stack")
        return biases[0] if biases else None

    def watch(self, site, layer, value):
        for hooks in self.hooks:
            value = hooks.see(site, layer, value)
        return value

    def watches(self, site):
        return any(hooks.watches(site) for hooks in self.hooks)

    def lengthens(self):
        return any(hooks.lengthens() for hooks in self.hooks)


class Recorder(Hooks):
    """Keeps what the model computes: `recorder["weights", 2]`; after backward also `recorder.grad("output", 0)`.

    With `gradients` the values stay in the graph and keep their gradients; without, they are detached. A site seen in
    several forwards holds the last one's value.
    """

    def __init__(self, sites: Collection[str] = SITES, gradients: bool = False):
        super().__init__()
        expect.several(sites=sites)
        for site in sites:
            expect.one_of(SITES, site=site)
        expect.flag(gradients=gradients)
        self.sites, self.gradients = frozenset(sites), gradients
        self.values: dict[tuple[str, int | None], Tensor] = {}

    def watch(self, site, layer, value):
        keep = self.gradients and value.requires_grad
        if keep:
            value.retain_grad()
        self.values[site, layer] = value if keep else value.detach()

    def __getitem__(self, place: tuple[str, int | None]) -> Tensor:
        if place not in self.values:
            raise KeyError(f"nothing recorded at {place!r}; recorded: {sorted(self.values, key=str) or 'nothing yet'}")
        return self.values[place]

    def grad(self, site: str, layer: int | None = None) -> Tensor | None:
        """The loss gradient that reached this activation; None where none came."""
        return self[site, layer].grad if self[site, layer].requires_grad else None
