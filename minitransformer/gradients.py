"""Where the loss gradient goes, as numbers: what flows through the frozen model, what lands on the prompt.

A missing gradient is `None`, a zero gradient is 0.0; nothing here turns one into the other.
Shape letters as in `model.py`: B rows, T text tokens, P virtual tokens, D width, G key/value heads, d width of a head.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import expect
from .hooks import NO_HOOKS, SITES, Hooks, Recorder, Stack
from .model import Transformer
from .tokenizer import IGNORED, Tokenizer, check_targets

Nested = float | None | list["Nested"]


def parameter_norms(module: nn.Module) -> dict[str, float | None]:
    """Gradient norm of each parameter, None where there is no gradient: frozen, or never reached."""
    expect.a(nn.Module, module=module)
    return {
        name: None if parameter.grad is None else parameter.grad.norm().item()
        for name, parameter in module.named_parameters()
    }


def token_norms(hooks: Hooks) -> dict[str, Nested]:
    """Gradient norm per virtual token for each of the hooks' parameters: P numbers, or L lists of them."""
    expect.a(Hooks, hooks=hooks)
    return {
        name: None if parameter.grad is None else per_token(name, parameter.grad).norm(dim=-1).tolist()
        for name, parameter in token_parameters(hooks).items()
    }


def token_parameters(hooks: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that have a row for each virtual token; of a reparametrised one the raw vectors, not its MLP."""
    named = {
        name.replace("parametrizations.", "").removesuffix(".original"): parameter
        for name, parameter in hooks.named_parameters()
        if "parametrizations." not in name or name.endswith(".original")
    }
    return {name: parameter for name, parameter in named.items() if parameter.dim() >= 2}


def per_token(name: str, tensor: Tensor) -> Tensor:  # (L, P, D) or (P, D) as it is; (G, P, d) -> (P, G·d)
    """One vector per virtual token: what is kept in a list has one tensor a layer, and its heads belong together."""
    one_layer = name.rpartition(".")[2].isdigit()
    return tensor.movedim(-2, 0).flatten(1) if one_layer else tensor


def whole_tokens(norms: dict[str, Nested]) -> list[float | None]:
    """The gradient norm of each virtual token over all layers and parameters, from its parts in `token_norms`."""
    rows = [row for value in norms.values() for row in rows_of(value)]
    tokens = [[part for part in token if part is not None] for token in zip_longest(*rows)]
    return [math.hypot(*parts) if parts else None for parts in tokens]


def rows_of(norms: Nested) -> list[list[float | None]]:
    if norms is None:
        return []
    return [row for part in norms for row in rows_of(part)] if isinstance(norms[0], list) else [norms]


def activation_norms(recorder: Recorder, site: str = "output") -> list[list[float | None]]:
    """Gradient norm at each layer × position, None where none came; rows are summed, being shares of one mean loss."""
    expect.a(Recorder, recorder=recorder)
    expect.one_of(SITES, site=site)
    layers = sorted((layer for seen, layer in recorder.values if seen == site), key=lambda layer: layer or 0)
    if not layers:
        recorder[site, None]  # says what was recorded instead
    return [position_norms(recorder[site, layer], recorder.grad(site, layer)) for layer in layers]


def position_norms(value: Tensor, gradient: Tensor | None) -> list[float | None]:  # (B, T, D) or (B, H, T, d) -> T
    if gradient is None:
        return [None] * value.shape[-2]
    return place_norms(gradient).tolist()


def place_norms(gradient: Tensor) -> Tensor:  # (B, T, D) or (B, H, T, d) -> (T)
    return gradient.movedim(-2, 1).flatten(2).norm(dim=2).sum(0)


@dataclass(frozen=True)
class Answer:
    """One position that has a target: what should come there, what would come, and how probable each is."""

    position: int  # among the text's tokens
    target: int
    predicted: int
    target_probability: float
    predicted_probability: float


@dataclass(frozen=True)
class Step:
    """One recorded training step: everything that its pictures show."""

    tokens: list[list[int]]  # B rows of T
    answers: list[list[Answer]]  # for each row
    loss: float
    base: dict[str, float | None]  # gradient norm of each parameter of the model
    prompt: dict[str, float | None]  # and of the hooks
    token_norms: dict[str, Nested]  # per virtual token
    activations: list[list[float | None]]  # the embedding and each block's output × the P+T positions of the stream
    recorder: Recorder  # holds the values and gradients themselves

    @property
    def virtual(self) -> int:
        """How many virtual tokens are in the stream: P for a prompt, 0 for a prefix."""
        return len(self.activations[0]) - len(self.tokens[0])


def record_step(model: Transformer, tokens: Tensor, targets: Tensor, hooks: Hooks = NO_HOOKS) -> Step:
    """One plain forward and backward, looked at everywhere; every parameter's own gradient is left as it was found."""
    expect.a(Transformer, model=model)
    expect.a(Hooks, hooks=hooks)
    check_targets(tokens, targets, model.config.vocab)
    recorder = Recorder(gradients=True)
    with torch.enable_grad(), gradients_set_aside(model, hooks):
        logits = model(tokens, Stack(hooks, recorder))
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        if not loss.requires_grad:
            raise ValueError("no parameter here takes a gradient: the model is frozen; pass hooks that own parameters")
        loss.backward()
        return Step(
            tokens=tokens.tolist(),
            answers=[answers(*row) for row in zip(logits.detach().softmax(-1), targets, strict=True)],
            loss=loss.item(),
            base=parameter_norms(model),
            prompt=parameter_norms(hooks),
            token_norms=token_norms(hooks),
            activations=activation_norms(recorder, "embedding") + activation_norms(recorder),
            recorder=recorder,
        )


@contextmanager
def gradients_set_aside(*modules: nn.Module) -> Iterator[None]:
    """Put old gradients aside while something is measured, and back afterwards: the two must not be added up."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    kept = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient


def answers(probabilities: Tensor, targets: Tensor) -> list[Answer]:  # (T, V), (T) -> one for each target
    wanted = [(place, target) for place, target in enumerate(targets.tolist()) if target != IGNORED]
    best = probabilities.max(-1)
    return [
        Answer(
            place, target, best.indices[place].item(), probabilities[place, target].item(), best.values[place].item()
        )
        for place, target in wanted
    ]


class Trace:
    """What each training step did to the soft prompt's vectors: `train(…, on_step=trace.on_step)`.

    `look` is called at every `every`-th step, and what it returns is kept in `seen`: the answer so far, say. The
    gradients are those that the optimizer saw, after clipping. A cosine with a vector of length 0 is None.
    """

    def __init__(self, hooks: Hooks, look: Callable[[], object] | None = None, every: int = 1):
        expect.a(Hooks, hooks=hooks)
        expect.function(**expect.given(look=look))
        expect.whole(1, every=every)
        self.hooks, self.look, self.every = hooks, look, every
        self.steps: list[int] = []
        self.vectors: list[dict[str, Tensor]] = [self.copies()]  # one more than steps: as they started
        self.gradient_norms: list[dict[str, Nested]] = []
        self.update_norms: list[dict[str, Nested]] = []
        self.gradient_cosines: list[dict[str, Nested]] = []  # of the gradient with the vector it was taken at
        self.update_cosines: list[dict[str, Nested]] = []  # of the update with the vector it was added to
        self.rates: list[dict[str, Nested]] = []  # |update| / |vector|: the effective learning rate
        self.seen: dict[int, object] = {}

    def copies(self) -> dict[str, Tensor]:
        return {
            name: per_token(name, parameter.detach()).clone()
            for name, parameter in token_parameters(self.hooks).items()
        }

    def on_step(self, step: int) -> None:
        before, after = self.vectors[-1], self.copies()
        updates = {name: after[name] - before[name] for name in after}
        gradients = {
            name: None if parameter.grad is None else per_token(name, parameter.grad)
            for name, parameter in token_parameters(self.hooks).items()
        }
        self.steps.append(step)
        self.vectors.append(after)
        self.gradient_norms.append(token_norms(self.hooks))
        self.update_norms.append({name: update.norm(dim=-1).tolist() for name, update in updates.items()})
        self.gradient_cosines.append({name: cosines(gradients[name], before[name]) for name in before})
        self.update_cosines.append({name: cosines(updates[name], before[name]) for name in before})
        rates = {name: updates[name].norm(dim=-1) / before[name].norm(dim=-1) for name in before}
        self.rates.append({name: known(rate.tolist()) for name, rate in rates.items()})
        if self.look is not None and step % self.every == 0:
            self.seen[step] = self.look()


def cosines(one: Tensor | None, other: Tensor) -> Nested:  # (…, D), (…, D) -> (…)
    if one is None:
        return None
    return known(((one * other).sum(-1) / (one.norm(dim=-1) * other.norm(dim=-1))).tolist())


def known(values: Nested) -> Nested:
    """None for what is 0/0 or x/0."""
    if isinstance(values, list):
        return [known(value) for value in values]
    return values if math.isfinite(values) else None


@dataclass(frozen=True)
class Plane:
    """The two directions in which the vocabulary's embeddings differ most, fixed while prompts move in it."""

    mean: Tensor  # (D)
    axes: Tensor  # (2, D)
    shares: list[float]  # of the variance, for each axis

    def place(self, vectors: Tensor) -> list[list[float]]:  # (…, D) -> as many pairs as there are vectors
        expect.a(Tensor, vectors=vectors)
        if not vectors.dim() or vectors.shape[-1] != len(self.mean):
            came = tuple(vectors.shape)
            raise ValueError(
                f"vectors must be {len(self.mean)} wide, as the embeddings are; got {came}: give such ones"
            )
        return ((vectors.detach().reshape(-1, len(self.mean)) - self.mean) @ self.axes.T).tolist()


def principal_plane(embeddings: Tensor) -> Plane:  # (V, D)
    """Principal components, each turned so that its largest part is positive."""
    expect.tensor((None, None), embeddings=embeddings)
    if min(embeddings.shape) < 2:
        raise ValueError(f"a plane needs 2 embeddings of width 2 or more; got {tuple(embeddings.shape)}: give more")
    centred = embeddings.detach() - embeddings.detach().mean(0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    axes = directions[:2]
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return Plane(embeddings.detach().mean(0), axes, (sizes[:2] ** 2 / (sizes**2).sum()).tolist())


@dataclass(frozen=True)
class Frame:
    """One moment of training, as the movie shows it."""

    step: int
    points: list[list[float]]  # where each vector is in the plane
    norms: list[float | None]  # gradient norm of each virtual token
    loss: float
    seen: object  # what the trace's `look` saw last, None where it has not looked


def film(trace: Trace, losses: Sequence[float], plane: Plane, count: int = 14) -> list[Frame]:
    """At most `count` moments, denser at the start, where most happens; the first is the first step."""
    expect.a(Trace, trace=trace)
    expect.a(Plane, plane=plane)
    expect.whole(1, count=count)
    if not isinstance(losses, Sequence) or not trace.steps or len(losses) <= max(trace.steps):
        raise ValueError(f"a film needs a trained trace and a loss for each of its steps; got {expect.shown(losses)}")
    steps = [step for step in trace.steps if step in trace.seen] or trace.steps
    chosen = sorted({round((len(steps) - 1) * (number / max(1, count - 1)) ** 2) for number in range(count)})
    frames = []
    for step in (steps[index] for index in chosen):
        at = trace.steps.index(step)
        points = [pair for vectors in trace.vectors[at + 1].values() for pair in plane.place(vectors)]
        norms = whole_tokens(trace.gradient_norms[at])
        frames.append(Frame(step, points, norms, losses[step], trace.seen.get(step)))
    return frames


def nearest_words(vectors: Tensor, embeddings: Tensor, tokenizer: Tokenizer, count: int = 3) -> list[list[tuple]]:
    """The words whose embeddings point most nearly the way of each vector, with their cosines: (P, D), (V, D) -> P."""
    expect.methods("tokens", tokenizer=tokenizer)
    expect.tensor((len(tokenizer), None), embeddings=embeddings)
    expect.tensor((None, embeddings.shape[1]), vectors=vectors)
    expect.whole(1, len(tokenizer), count=count)
    closeness = F.normalize(vectors.detach(), dim=-1) @ F.normalize(embeddings.detach(), dim=-1).T  # (P, V)
    best = zip(*(part.tolist() for part in closeness.topk(count)), strict=True)
    return [list(zip(tokenizer.tokens(ids), cosines, strict=True)) for cosines, ids in best]


def attention_weights(recorder: Recorder, layer: int, head: int | None = None, row: int = 0) -> list[list[float]]:
    """Who looks at whom in one row, queries × keys: one head, or the mean over all of them."""
    expect.a(Recorder, recorder=recorder)
    weights = recorder["weights", layer]
    expect.whole(0, len(weights) - 1, row=row)
    expect.whole(0, weights.shape[1] - 1, **expect.given(head=head))
    weights = weights[row].detach()  # (H, T, S)
    return (weights.mean(0) if head is None else weights[head]).tolist()
