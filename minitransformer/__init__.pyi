"""The public names, and where each of them lives. What a name needs is imported when it is first asked for."""

from . import gradients as gradients
from . import plots as plots
from .bank import PromptBank
from .base import pretrained
from .cache import Cache
from .comparison import compare
from .course import check
from .files.byte_pairs import BytePairs
from .files.checkpoints import fingerprint
from .files.gguf import from_gguf
from .files.llama import from_huggingface
from .files.peft import export_peft, import_peft
from .files.prompts import load, save
from .freezing import freeze
from .generation import generate
from .history import History
from .hooks import Hooks, Recorder, Stack
from .losses import accuracy, loss, shared_loss
from .model import Config, Transformer
from .phrasebook import Batches, Phrasebook
from .soft_prompts import Gate, KeyValuePrefix, PrefixTuning, PromptTuning, bake, compile_prefix, reparametrise
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
