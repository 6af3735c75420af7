"""Soft prompts: learned vectors that steer a frozen model. Each method overrides one method of `Hooks`.

Shape letters as in `model.py`: B rows, T text tokens, P virtual tokens, D width, G key/value heads, d width of a head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from . import expect
from .hooks import SITES, Hooks, Recorder, Stack, lengthened
from .model import Config, Transformer


class SoftPrompt(Hooks):
    """Vectors made for models of one shape."""

    def __init__(self, length: int, config: Config):
        super().__init__()
        expect.a(Config, config=config)
        expect.whole(0, length=length)
        self.made_for = self.shape(config)

    def shape(self, config: Config) -> str:
        return f"{config.layers} layers of width {config.width}"

    def fits(self, config):
        if self.shape(config) != self.made_for:
            raise ValueError(
                f"this soft prompt was made for another model: for one of {self.made_for}, and this one has "
                f"{self.shape(config)}; make it with this model's config"
            )


class PromptTuning(SoftPrompt):
    """P vectors in front of the text's embeddings, once: P·D parameters."""

    knows_no_text = True

    def __init__(self, length: int, config: Config, scale: float = 0.05, seed: int = 0):
        super().__init__(length, config)
        self.vectors = normal((length, config.width), scale, seed)

    def embed(self, x):
        return in_front(self.vectors, x)

    @classmethod
    def from_tokens(cls, model: Transformer, tokens: Sequence[int]) -> "PromptTuning":
        """Starts as the embeddings of these tokens: a word, or an instruction."""
        row = one_row(model, tokens)
        return cls.from_vectors(model, model.embedding(row)[0])

    @classmethod
    def from_mean(cls, length: int, model: Transformer) -> "PromptTuning":
        """Starts as the mean of all embeddings, the same vector at every place."""
        expect.a(Transformer, model=model)
        expect.whole(0, length=length)
        return cls.from_vectors(model, model.embedding.weight.mean(0).expand(length, -1))

    @classmethod
    def from_vocabulary(cls, length: int, model: Transformer, seed: int = 0) -> "PromptTuning":
        """Starts at random, with the mean and spread of the vocabulary's embeddings."""
        expect.a(Transformer, model=model)
        expect.whole(0, length=length)
        weight = model.embedding.weight
        return cls.from_vectors(model, weight.mean(0) + weight.std(0) * normal((length, weight.shape[1]), 1.0, seed))

    @classmethod
    def from_vectors(cls, model: Transformer, vectors: Tensor) -> "PromptTuning":
        expect.a(Transformer, model=model)
        expect.tensor((None, model.config.width), vectors=vectors)
        prompt = cls(len(vectors), model.config)
        prompt.vectors.data = vectors.detach().clone()
        return prompt


class PrefixTuning(SoftPrompt):
    """As the textbook writes it: P vectors in front of the hidden states at every layer, L·P·D parameters.

    What a layer computes at their places is dropped, and the next layer gets fresh ones; so only the keys and values
    that come of them matter, and nothing else is computed.
    """

    knows_no_text = True

    def __init__(
        self, length: int, config: Config, layers: Sequence[int] | None = None, scale: float = 0.05, seed: int = 0
    ):
        super().__init__(length, config)
        expect.different(range(config.layers), **expect.given(layers=layers))
        self.layers = tuple(range(config.layers) if layers is None else layers)
        self.vectors = normal((len(self.layers), length, config.width), scale, seed)

    def context(self, layer, x):
        return in_front(self.vectors[self.layers.index(layer)], x) if layer in self.layers else x

    @classmethod
    @torch.no_grad()
    def from_tokens(cls, model: Transformer, tokens: Sequence[int]) -> "PrefixTuning":
        """Starts as the hidden states of this text in every layer: at first it says exactly what the text says."""
        recorder, row = Recorder(("input",)), one_row(model, tokens)
        model.hidden(row, recorder)
        prefix = cls(row.shape[1], model.config)
        states = [recorder["input", layer][0] for layer in prefix.layers]
        prefix.vectors.data = torch.stack(states)
        return prefix


class KeyValuePrefix(SoftPrompt):
    """Learned keys and values in every layer (Li & Liang; P-tuning v2; PEFT): 2·L·P·G·d parameters.

    `length` may be one for all layers or a list of one for each; the layers in `gated` have a strength for each key.
    """

    knows_no_text = True

    def __init__(
        self,
        length: int | Sequence[int],
        config: Config,
        scale: float = 0.3,
        seed: int = 0,
        gated: Sequence[int] = (),
    ):
        expect.a(Config, config=config)
        lengths = list(length) if isinstance(length, Sequence) else [length] * config.layers
        if len(lengths) != config.layers:
            raise ValueError(f"expected one length, or one for each of {config.layers} layers; got {length!r}")
        for each in lengths:
            expect.whole(0, length=each)
        expect.different(range(config.layers), gated=gated)
        super().__init__(max(lengths), config)
        shape = config.layers, config.kv_heads, max(lengths), config.head
        keys, values = normal((2, *shape), scale, seed)  # L of (G, P, d) each, before rotation
        cut = [slice(each) for each in lengths]
        self.keys = nn.ParameterList(own[:, part] for own, part in zip(keys, cut, strict=True))
        self.values = nn.ParameterList(own[:, part] for own, part in zip(values, cut, strict=True))
        for layer in gated:
            self.register_buffer(f"bias{layer}", torch.zeros(1, lengths[layer]))

    def shape(self, config):
        return f"{super().shape(config)} with {config.kv_heads} key/value heads of {config.head}"

    def keys_values(self, layer, keys, values):
        return in_front(self.keys[layer], keys), in_front(self.values[layer], values)

    def bias(self, layer):
        return self._buffers.get(f"bias{layer}")

    @classmethod
    def from_tokens(cls, model: Transformer, tokens: Sequence[int]) -> "KeyValuePrefix":
        """Starts as the real keys and values of this text."""
        return compile_prefix(model, PromptTuning.from_tokens(model, tokens))

    @classmethod
    def from_keys_values(
        cls, config: Config, keys: Sequence[Tensor], values: Sequence[Tensor], biases: Sequence[Tensor | None] = ()
    ) -> "KeyValuePrefix":
        """From one (G, P, d) a layer; P may differ from layer to layer. A bias, (1, P), keeps a gate's strength."""
        expect.a(Config, config=config)
        expect.several(keys=keys, values=values)
        if len({len(keys), len(values), len(biases) or len(keys), config.layers}) > 1:
            came = f"{len(keys)} keys, {len(values)} values and {len(biases)} biases"
            raise ValueError(f"keys, values and biases must be one for each of {config.layers} layers; got {came}")
        for own_keys, own_values in zip(keys, values, strict=True):
            expect.tensor((config.kv_heads, None, config.head), keys=own_keys)
            expect.tensor(own_keys.shape, values=own_values)
        known = {layer: bias for layer, bias in enumerate(biases) if bias is not None}
        for layer, bias in known.items():
            expect.tensor((1, keys[layer].shape[1]), biases=bias.relu())  # minus infinity closes a gate
        prefix = cls([tensor.shape[1] for tensor in keys], config, gated=list(known))
        for own, given in (prefix.keys, keys), (prefix.values, values):
            for parameter, tensor in zip(own, given, strict=True):
                parameter.data = tensor.detach().clone()
        for layer, bias in known.items():
            setattr(prefix, f"bias{layer}", bias.detach().clone())
        return prefix


class Gate(Hooks):
    """Turns a soft prompt up and down: at strength 0 it has exactly no effect, at 1 its full one.

    (A prompt of zeros is not a way to have no effect: a zero key still takes its share of the attention.)
    """

    OFF = -1e4  # its exponential is exactly zero

    def __init__(self, hooks: Hooks, config: Config, strength: float = 1.0):
        super().__init__()
        expect.a(Hooks, hooks=hooks)
        expect.a(Config, config=config)
        expect.number(0, strength=strength)
        hooks.fits(config)
        self.hooks, self.lengths = hooks, virtual_lengths(hooks, config)
        self.log_strength = nn.Parameter(torch.tensor(float(strength)).log().clamp(min=self.OFF))

    def fits(self, config):
        self.hooks.fits(config)

    def embed(self, x):
        return lengthened(self.hooks.embed, x)

    def context(self, layer, x):
        return lengthened(self.hooks.context, layer, x)

    def keys_values(self, layer, keys, values):
        return lengthened(self.hooks.keys_values, layer, keys, values)

    def bias(self, layer):
        own, inner = self.log_strength.expand(1, self.lengths[layer]), self.hooks.bias(layer)
        return own if inner is None else own + inner

    def watch(self, site, layer, value):
        return self.hooks.see(site, layer, value)

    def watches(self, site):
        return self.hooks.watches(site)


@torch.no_grad()
def compile_prefix(model: Transformer, hooks: Hooks) -> KeyValuePrefix:
    """The keys and values that these soft prompts amount to: the same logits exactly, and no vectors to run."""
    expect.a(Transformer, model=model)
    expect.a(Hooks, hooks=hooks)
    if watched := [site for site in SITES if hooks.watches(site)]:
        raise ValueError(
            f"a prefix holds what stands in front of the text; {kind(hooks)} also watches {', '.join(watched)}, and "
            "what it returns there at every step would be lost: compile the soft prompt alone"
        )
    recorder, text = (
        Recorder(("keys", "values")),
        torch.zeros(1, 1, dtype=torch.long, device=model.embedding.weight.device),
    )
    model.hidden(text, hooks)  # refuses hooks that change the text
    model.hidden(text[:, :0], Stack(hooks, recorder))
    layers = range(model.config.layers)
    keys, values = ([recorder[site, layer][0] for layer in layers] for site in ("keys", "values"))
    return KeyValuePrefix.from_keys_values(model.config, keys, values, [hooks.bias(layer) for layer in layers])


@torch.no_grad()
def virtual_lengths(hooks: Hooks, config: Config) -> list[int]:
    """How many virtual tokens these hooks put in front of the text, layer by layer."""
    stream = hooks.embed(torch.empty(1, 0, config.width))
    empty = torch.empty(1, config.kv_heads, 0, config.head)
    return [
        hooks.context(layer, stream).shape[1] + hooks.keys_values(layer, empty, empty)[0].shape[2]
        for layer in range(config.layers)
    ]


def reparametrise(hooks: Hooks, hidden: int = 128, seed: int = 0) -> Hooks:
    """Train through a small residual MLP in place of the plain parameters; `bake` makes them plain again."""
    expect.a(Hooks, hooks=hooks)
    expect.whole(1, hidden=hidden)
    if any(parametrize.is_parametrized(owner) for owner in hooks.modules()):
        raise ValueError("these hooks train through an MLP already; bake them first, or go on with them as they are")
    for owner in list(hooks.modules()):
        vectors = [(name, each) for name, each in owner.named_parameters(recurse=False) if each.dim() > 1]
        for name, parameter in vectors:
            parametrize.register_parametrization(owner, name, Residual(parameter.shape[-1], hidden, seed).to(parameter))
    return hooks


def bake(hooks: Hooks) -> Hooks:
    """Keep the vectors that the MLP makes and drop the MLP."""
    expect.a(Hooks, hooks=hooks)
    for owner in list(hooks.modules()):
        for name in list(getattr(owner, "parametrizations", ())):
            parametrize.remove_parametrizations(owner, name)
    return hooks


def plain_tensors(hooks: Hooks) -> dict[str, Tensor]:
    """What the state of these hooks would be once baked."""
    expect.a(Hooks, hooks=hooks)
    tensors = {name: tensor for name, tensor in hooks.state_dict().items() if "parametrizations" not in name}
    for place, owner in hooks.named_modules():
        for name in getattr(owner, "parametrizations", ()):
            tensors[f"{place}.{name}" if place else name] = getattr(owner, name).detach()
    return tensors


def kind(hooks: Hooks) -> str:
    """The name of a method, the same with an MLP and without."""
    return parametrize.type_before_parametrizations(hooks).__name__


class Residual(nn.Module):
    """x + MLP(x), which starts as x itself."""

    def __init__(self, width: int, hidden: int, seed: int):
        super().__init__()
        self.down = normal((hidden, width), width**-0.5, seed)
        self.up = nn.Parameter(torch.zeros(width, hidden))

    def forward(self, x):
        return x + torch.tanh(x @ self.down.T) @ self.up.T


def one_row(model: Transformer, tokens: Sequence[int]) -> Tensor:  # -> (1, T)
    expect.a(Transformer, model=model)
    row = expect.ids(model.config.vocab, "tokens", tokens)
    if not 0 < len(row) <= model.config.context:
        most = model.config.context
        raise ValueError(f"tokens must be 1 to {most} token ids to start as; got {len(row)}: give a word or a text")
    return torch.tensor([row], device=model.embedding.weight.device)


def in_front(vectors: Tensor, x: Tensor) -> Tensor:  # (…, P, D) and (B, …, T, D) -> (B, …, P+T, D)
    """Put the same vectors in front of every row."""
    return torch.cat((vectors.to(x.dtype).expand(x.shape[0], *vectors.shape), x), -2)


def normal(shape: Sequence[int], scale: float, seed: int) -> nn.Parameter:
    """Random numbers that depend on the seed alone."""
    expect.number(0, scale=scale)
    expect.whole(*expect.SEEDS, seed=seed)
    return nn.Parameter(float(scale) * torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
