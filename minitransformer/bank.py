"""Many tenants' soft prompts over one frozen model, answered in one batch."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from . import expect
from .files.checkpoints import fingerprint
from .files.prompts import load, save
from .generation import generate
from .hooks import Hooks
from .model import Transformer
from .soft_prompts import KeyValuePrefix, compile_prefix


class PromptBank:
    """Tenants by name, each with a soft prompt of any method and length, compiled to keys and values when it enters.

    A batch holds on to the prompts that it began with: adding, replacing and removing touch later batches only.
    """

    def __init__(self, model: Transformer):
        expect.a(Transformer, model=model)
        self.model, self.base = model, fingerprint(model)
        self.tenants: dict[str, KeyValuePrefix] = {}

    def add(self, name: str, hooks: Hooks) -> None:
        """Add a tenant under a new name."""
        expect.text(name=name)
        if name in self.tenants:
            raise ValueError(f"there is a tenant {name!r} already; use replace, or another name")
        self.tenants = self.tenants | {name: self.compiled(hooks)}

    def replace(self, name: str, hooks: Hooks) -> None:
        """Give a tenant another soft prompt."""
        self.prefix(name)
        self.tenants = self.tenants | {name: self.compiled(hooks)}

    def remove(self, name: str) -> None:
        self.prefix(name)
        self.tenants = {other: prefix for other, prefix in self.tenants.items() if other != name}

    def compiled(self, hooks: Hooks) -> KeyValuePrefix:
        expect.a(Hooks, hooks=hooks)
        if hooks.base not in (None, self.base):
            raise ValueError(f"this soft prompt was made for the model {hooks.base}; this bank serves {self.base}")
        prefix = compile_prefix(self.model, hooks)
        if not any(map(torch.numel, prefix.keys)):
            raise ValueError(
                "these hooks put nothing in front of the text, so the tenant would get the bare model; give a soft "
                "prompt that is longer than 0, or ask for the bare model with None in place of a name"
            )
        return prefix.requires_grad_(False)

    def prefix(self, name: str) -> KeyValuePrefix:
        expect.text(name=name)
        if name not in self.tenants:
            raise ValueError(f"there is no tenant {name!r}; the tenants are {', '.join(self.tenants) or 'none yet'}")
        return self.tenants[name]

    def memory(self, name: str) -> int:
        """The bytes that a tenant takes: 2 · layers · length · kv_heads · head width numbers."""
        return sum(parameter.nbytes for parameter in self.prefix(name).parameters())

    def rows(self, names: Sequence[str | None]) -> "Rows":
        """The hooks of one batch: each row its tenant, or None for the bare model."""
        expect.several(names=names)
        return Rows(self.model, [None if name is None else self.prefix(name) for name in names])

    def forward(self, names: Sequence[str | None], tokens: Tensor) -> Tensor:
        self.model.check(tokens)
        self.check_rows(names, tokens)
        return self.model(tokens, self.rows(names))

    def check_rows(self, names: Sequence[str | None], rows: Sequence) -> None:
        expect.several(names=names, prompts=rows)
        if len(names) != len(rows):
            raise ValueError(f"each prompt needs a tenant or None; got {len(names)} for {len(rows)} prompts")

    def generate(self, names: Sequence[str | None], prompts: Sequence[Sequence[int]], **settings) -> list[list[int]]:
        self.check_rows(names, prompts)
        return generate(self.model, prompts, self.rows(names), **settings)

    def save(self, folder: str | Path) -> None:
        """One file a tenant."""
        expect.path(folder=folder)
        wrong = [name for name in self.tenants if name != Path(name).name or name.startswith(".")]
        if wrong:
            raise ValueError(f"cannot name a file after the tenant {wrong[0]!r}; replace it by a plain name")
        for name, prefix in self.tenants.items():
            save(prefix, Path(folder) / f"{name}.safetensors", self.model)

    def load(self, folder: str | Path) -> None:
        """Add a tenant for each file, named after it; where one file is refused, none is added."""
        expect.path(folder=folder)
        paths = sorted(Path(folder).glob("*.safetensors"))
        if not paths:
            raise FileNotFoundError(f"there are no .safetensors files in {folder}")
        arrived = {path.stem: self.compiled(load(path, self.model)) for path in paths}
        if twice := sorted(arrived.keys() & self.tenants.keys()):
            raise ValueError(f"there are tenants named {', '.join(twice)} already; remove them first")
        self.tenants = self.tenants | arrived


class Rows(Hooks):
    """A batch in which every row has its own prefix: shorter ones stand behind slots that their row does not see.

    Positions are relative, so that a row with empty slots in front computes what it computes alone.
    """

    def __init__(self, model: Transformer, prefixes: Sequence[KeyValuePrefix | None]):
        super().__init__()
        nothing = model.embedding.weight.new_empty(model.config.kv_heads, 0, model.config.head)
        self.layers = []  # keys and values (B, G, P, d), and log-strengths (B, P) where not every row sees every slot
        for layer in range(model.config.layers):
            keys = [nothing if prefix is None else prefix.keys[layer] for prefix in prefixes]
            values = [nothing if prefix is None else prefix.values[layer] for prefix in prefixes]
            biases = [None if prefix is None else prefix.bias(layer) for prefix in prefixes]
            lengths = [key.shape[1] for key in keys]
            strengths = None
            if len(set(lengths)) > 1 or any(bias is not None for bias in biases):
                rows = [
                    key.new_zeros(key.shape[1]) if bias is None else bias[0]
                    for key, bias in zip(keys, biases, strict=True)
                ]
                strengths = torch.stack([F.pad(row, (max(lengths) - len(row), 0), value=-torch.inf) for row in rows])
            self.layers.append((aligned_right(keys), aligned_right(values), strengths))

    def keys_values(self, layer, keys, values):
        own_keys, own_values, _ = self.layers[layer]
        return torch.cat((own_keys, keys), 2), torch.cat((own_values, values), 2)

    def bias(self, layer):
        return self.layers[layer][2]


def aligned_right(rows: Sequence[Tensor]) -> Tensor:  # (G, P, d) each, P of its own -> (B, G, longest P, d)
    """The rows as one tensor, shorter ones filled up in front."""
    longest = max(row.shape[1] for row in rows)
    return torch.stack([F.pad(row, (0, 0, longest - row.shape[1], 0)) for row in rows])
