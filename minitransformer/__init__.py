"""A Transformer to read in one sitting, and the soft prompts that enter it through its hooks."""

from importlib import import_module

from .bank import PromptBank
from .base import pretrained
from .byte_pairs import BytePairs
from .cache import Cache
from .checkpoints import fingerprint
from .comparison import compare
from .freezing import freeze
from .generation import generate
from .gguf_files import from_gguf
from .history import History
from .hooks import Hooks, Recorder, Stack
from .llama_files import from_huggingface
from .losses import accuracy, loss, shared_loss
from .model import Config, Transformer
from .peft_files import export_peft, import_peft
from .phrasebook import Batches, Phrasebook
from .prompt_files import load, save
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
from .training import train

__all__ = [
    "Batches",
    "BytePairs",
    "Cache",
    "Config",
    "Gate",
    "History",
    "Hooks",
    "KeyValuePrefix",
    "Phrasebook",
    "PrefixTuning",
    "PromptBank",
    "PromptTuning",
    "Recorder",
    "Stack",
    "Tokenizer",
    "Transformer",
    "accuracy",
    "bake",
    "batch",
    "check",
    "compare",
    "compile_prefix",
    "export_peft",
    "fingerprint",
    "freeze",
    "from_gguf",
    "from_huggingface",
    "generate",
    "gradients",
    "import_peft",
    "load",
    "loss",
    "plots",
    "pretrained",
    "reparametrise",
    "save",
    "shared_loss",
    "train",
]


def __getattr__(name: str):
    """What only lessons and pictures need is imported when it is first asked for."""
    if name in ("gradients", "plots"):
        return import_module(f".{name}", __name__)
    if name == "check":
        return import_module(".exercises", __name__).check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
