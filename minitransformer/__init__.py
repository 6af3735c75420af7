"""A Transformer to read in one sitting, and the soft prompts that enter it through its hooks."""

from importlib import import_module

from .base import pretrained
from .checkpoints import fingerprint
from .generation import generate
from .hooks import Hooks, Recorder, Stack
from .model import Cache, Config, Transformer
from .phrasebook import Batches, Phrasebook
from .soft_prompts import (
    Gate,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    bake,
    compile_prefix,
    reparametrise,
)
from .tokenizer import Tokenizer, batch
from .training import History, accuracy, freeze, loss, shared_loss, train

__all__ = [
    "Batches",
    "Cache",
    "Config",
    "Gate",
    "History",
    "Hooks",
    "KeyValuePrefix",
    "Phrasebook",
    "PrefixTuning",
    "PromptTuning",
    "Recorder",
    "Stack",
    "Tokenizer",
    "Transformer",
    "accuracy",
    "bake",
    "batch",
    "compile_prefix",
    "fingerprint",
    "freeze",
    "generate",
    "gradients",
    "loss",
    "plots",
    "pretrained",
    "reparametrise",
    "shared_loss",
    "train",
]


def __getattr__(name: str):
    """`gradients` and `plots` are imported when first asked for: drawing is slow to load."""
    if name in ("gradients", "plots"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
