"""One training step as a graph that runs without Python: forward, loss and every gradient, recorded from the model.

No formula is written here: the code of `model.py`, of the hooks and of torch's own gradients is run once on tensors
whose rows, tokens and virtual tokens have no fixed number, and every operation is kept. Weights are inputs, so that all
graphs share one file of them. Shape letters as in `model.py`.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from ..cache import Cache
from ..gradients import per_token, place_norms, token_parameters
from ..hooks import Hooks, Recorder, Stack
from ..model import Transformer
from ..products import plain_products
from ..tokenizer import IGNORED

# Of the tensors that the recording is made with: no numbers of the model's shape, because two sizes that are equal here
# are taken for one and the same.
ROWS, VIRTUAL, TEXT = 11, 13, 17
WATCHED = "embedding", "output", "weights"
Named = dict[str, Tensor]


class Whole(nn.Module):
    """A model and its hooks as one module, so that one call can be given the parameters of both."""

    def __init__(self, model: Transformer, hooks: Hooks):
        super().__init__()
        self.model, self.hooks = model, hooks

    def forward(self, tokens: Tensor, recorder: Recorder) -> Tensor:  # (B, T) -> (B, T, V)
        return self.model.logits(self.model.read(tokens, Stack(self.hooks, recorder), Cache()))

    def state(self) -> Named:
        """Every tensor that the numbers depend on: parameters, and the tables of the rotation."""
        return {name: tensor.detach() for name, tensor in [*self.named_parameters(), *self.named_buffers()]}

    def seen(self, recorder: Recorder) -> tuple[list[Tensor], Tensor]:
        """The stream as it enters and leaves the blocks, L+1 of (B, P+T, D), and the weights (B, L, H, P+T, S)."""
        layers = range(self.model.config.layers)
        stream = [recorder["embedding", None], *(recorder["output", layer] for layer in layers)]
        return stream, torch.stack([recorder["weights", layer].detach() for layer in layers], 1)


def forward(whole: Whole, state: Named, tokens: Tensor) -> Named:
    """Logits, the choice of a greedy reader at each place, who looked at whom; keys, values, L of (B, G, S, d)."""
    recorder, layers = Recorder((*WATCHED, "keys", "values")), range(whole.model.config.layers)
    logits = functional_call(whole, state, (tokens, recorder))
    kept = {site: torch.stack([recorder[site, layer] for layer in layers]) for site in ("keys", "values")}
    return {"logits": logits, "choices": logits.argmax(-1), "attention": whole.seen(recorder)[1]} | kept


def step(whole: Whole, state: Named, tokens: Tensor, targets: Tensor) -> Named:
    """The loss, and its gradient wherever one goes: at each place of the stream, at each parameter that takes one."""
    recorder = Recorder(WATCHED, gradients=True)
    logits = functional_call(whole, state, (tokens, recorder))
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    stream, attention = whole.seen(recorder)
    takers = {name: tensor for name, tensor in state.items() if tensor.requires_grad}
    reached = [value for value in stream if value.requires_grad]  # not before a prefix's first vectors
    gradients = torch.autograd.grad(loss, [*takers.values(), *reached])
    of_takers, of_stream = dict(zip(takers, gradients, strict=False)), gradients[len(takers) :]
    tokens_of = {f"hooks.{name}" for name in token_parameters(whole.hooks)}
    return {
        "loss": loss,
        "logits": logits,
        "attention": attention,
        "stream": torch.stack(stream),  # (L+1, B, P+T, D)
        "stream_gradients": torch.stack(of_stream),  # for the last of those, where fewer take one
        "stream_norms": torch.stack([place_norms(gradient) for gradient in of_stream]),
        **{f"gradient.{name}": gradient for name, gradient in of_takers.items()},
        **{f"norm.{name}": norm(name, gradient, name in tokens_of) for name, gradient in of_takers.items()},
    }


def norm(name: str, gradient: Tensor, by_token: bool) -> Tensor:
    """Of a soft prompt's gradient one number for each virtual token, of the base's one for each parameter."""
    return per_token(name, gradient).norm(dim=-1) if by_token else gradient.norm()


@dataclass(frozen=True)
class Graph:
    """A graph as a file holds it, and what it expects and gives, by name and in order."""

    onnx: bytes
    inputs: list[str]
    outputs: list[str]


def export(model: Transformer, hooks: Hooks, *, gradients: bool, unfrozen: bool = False) -> Graph:
    """The training step of these hooks, or their forward alone; in each, the numbers B, T and P are free.

    The hooks are to have VIRTUAL tokens.
    """
    whole = Whole(model, hooks)
    state = whole.state()
    for name, tensor in state.items():
        own = name.removeprefix("model.") in dict(model.named_parameters()) and unfrozen
        tensor.requires_grad_(gradients and (own or name.startswith("hooks.")))
    tokens = torch.zeros(ROWS, TEXT, dtype=torch.long)
    texts = {"tokens": tokens, "targets": tokens.clone()} if gradients else {"tokens": tokens}
    function, names = step if gradients else forward, list(state)
    inputs, outputs = [*names, *texts], []

    def numbers(*tensors: Tensor) -> list[Tensor]:
        given = dict(zip(inputs, tensors, strict=True))
        texts = [given.pop(name) for name in ("tokens", "targets") if name in given]
        results = function(whole, given, *texts)
        outputs[:] = results
        return list(results.values())

    examples = [*state.values(), *texts.values()]
    free = [
        dict.fromkeys(free_dims(name, tensor), torch.export.Dim.DYNAMIC)
        for name, tensor in zip(inputs, examples, strict=True)
    ]
    return Graph(to_onnx(numbers, examples, free, inputs, outputs), inputs, outputs)


def free_dims(name: str, tensor: Tensor) -> list[int]:
    """Which sizes may change: rows and tokens of a text, and virtual tokens, which stand in the last but one place."""
    if name in ("tokens", "targets"):
        return [0, 1]
    return [tensor.dim() - 2] if name.startswith("hooks.") else []


def to_onnx(
    numbers: Callable, examples: list[Tensor], free: list[dict], inputs: list[str], outputs: list[str]
) -> bytes:
    with recording(), quiet():
        table = torch._decomp.core_aten_decompositions()
        recorded = make_fx(numbers, tracing_mode="symbolic", decomposition_table=table)(*examples)
        plain = tuple(tensor.detach() for tensor in examples)
        exported = torch.export.export(recorded, plain, dynamic_shapes=tuple(free), strict=False)
        names = dict(input_names=inputs, output_names=outputs)
        return torch.onnx.export(exported, dynamo=True, verbose=False, **names).model_proto.SerializeToString()


@contextmanager
def recording() -> Iterator[None]:
    """What looks at numbers and not at shapes cannot be recorded: it is right for the shipped hooks, and left out."""
    with plain_products(), mock.patch("minitransformer.hooks.same", lambda *_: True):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """The recorder warns of libraries that nothing here needs, and of its own old names."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
