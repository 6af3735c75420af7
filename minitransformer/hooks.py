"""The seam: everything that changes or watches the model enters through a `Hooks` object passed at the call.

Shape letters as in `model.py`: B rows, T text tokens, P virtual tokens, D width, G key/value heads, d width of a head.
"""

from collections.abc import Collection

from torch import Tensor, nn

SITES = (
    "embedding",  # (B, P+T, D)  what enters the first block; layer is None
    "input",  # (B, P+T, D)  what enters this block
    "queries",  # (B, H, P+T, d)  before rotation
    "keys",  # (B, G, P+T, d)  before rotation, a prefix's keys included
    "values",  # (B, G, P+T, d)  a prefix's values included
    "weights",  # (B, H, P+T, S)  attention weights; rows sum to one
    "attention",  # (B, P+T, D)  what attention adds to the stream
    "feed_forward",  # (B, P+T, D)  what the feed-forward adds to the stream
    "output",  # (B, P+T, D)  what leaves this block
    "logits",  # (B, T, V)  text positions only; layer is None
)


class Hooks(nn.Module):
    """Changes nothing. A tuning method overrides one method and owns its parameters; an observer overrides `watch`.

    `embed`, `context` and `keys_values` may put vectors in front of the sequence. They run once per sequence, at its
    first step; from then on what they added lives in the cache like everyone else's keys and values.
    """

    base: str | None = None  # the fingerprint of the model that these parameters were made for, where it is known

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

    def watch(self, site: str, layer: int | None, value: Tensor) -> None:
        """See the value at one of the SITES."""

    def watches(self, site: str) -> bool:
        """Whether `watch` wants this site; nobody watching the weights lets attention take its fused path."""
        return type(self).watch is not Hooks.watch

    def lengthens(self) -> bool:
        """Whether these hooks may put something in front of the text."""
        changes = ("embed", "context", "keys_values")
        return any(getattr(type(self), name) is not getattr(Hooks, name) for name in changes)


NO_HOOKS = Hooks()


class Stack(Hooks):
    """Several hooks as one, applied in the order given: a prompt and a recorder, say."""

    def __init__(self, *hooks: Hooks):
        super().__init__()
        self.hooks = nn.ModuleList(hooks)

    def fits(self, config):
        for hooks in self.hooks:
            hooks.fits(config)

    def embed(self, x):
        for hooks in self.hooks:
            x = hooks.embed(x)
        return x

    def context(self, layer, x):
        for hooks in self.hooks:
            x = hooks.context(layer, x)
        return x

    def keys_values(self, layer, keys, values):
        for hooks in self.hooks:
            keys, values = hooks.keys_values(layer, keys, values)
        return keys, values

    def bias(self, layer):
        biases = [bias for hooks in self.hooks if (bias := hooks.bias(layer)) is not None]
        if biases and sum(hooks.lengthens() for hooks in self.hooks) > 1:
            raise ValueError("in a Stack, a Gate cannot tell its own keys from others: put it around the whole Stack")
        return biases[0] if biases else None

    def watch(self, site, layer, value):
        for hooks in self.hooks:
            hooks.watch(site, layer, value)

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
        unknown = sorted(set(sites) - set(SITES))
        if unknown:
            raise ValueError(f"a Recorder knows the sites {', '.join(SITES)}; got {', '.join(unknown)}")
        self.sites, self.gradients = frozenset(sites), gradients
        self.values: dict[tuple[str, int | None], Tensor] = {}

    def watches(self, site):
        return site in self.sites

    def watch(self, site, layer, value):
        if site in self.sites:
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
