"""What is paid before and around the work: importing, loading a checkpoint, memory. Each import in a fresh process."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import peers
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from work import Competitor, Size, Target, Work

from minitransformer import from_gguf, from_huggingface, pretrained
from minitransformer.optional import smollm2

OURS, HF, PEFT = "ours", "HF", "HF + PEFT"
TORCH, ADDED, ADDED_BY_PEERS = "torch alone", "ours on top", "transformers and PEFT on top"
MEMORY = Path(__file__).with_name("memory.py")


def fresh(*command: str) -> str:
    return subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True).stdout


def importing() -> Iterator[Work]:
    """Ours is timed where torch has been imported already, so that torch's ups and downs are not in it."""
    lines = {TORCH: ("", "torch"), ADDED: ("torch", "minitransformer"), ADDED_BY_PEERS: ("torch", "transformers, peft")}

    def own(before: str, then: str) -> float:
        imports = f"import time, {before or 'sys'}; began = time.perf_counter(); import {then}"
        return float(fresh("-c", f"{imports}; print(time.perf_counter() - began)"))

    competitors = {name: Competitor(lambda names=names: own(*names)) for name, names in lines.items()}
    yield Work("import", "any", competitors, targets=(Target(ADDED, None, {"any": 0.15}),), timed=False)


def memory(size: Size) -> Iterator[Work]:
    """The most that a process takes which imports, builds the model and makes three prompt steps."""
    who = {PEFT: "peft", OURS: "ours"}
    competitors = {
        name: Competitor(lambda which=which: float(fresh(str(MEMORY), which, size.name))) for name, which in who.items()
    }
    yield Work("peak memory of a prompt step", size.name, competitors, unit="MiB", timed=False)


def loading(size: Size) -> Iterator[Work]:
    """The same weights from the same files; what was loaded must say the same."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = size.tokens(2, size.read)
        peers.hf_llama(size.model).save_pretrained(folder)
        yield compared("load, safetensors", size.name, tokens, lambda: from_huggingface(folder)[0], theirs(folder))
        if size.config is None:
            path = smollm2()
            them = theirs(path.parent, gguf_file=path.name)
            yield compared("load, GGUF", size.name, tokens, lambda: from_gguf(path)[0], them)


def loading_the_shipped() -> Iterator[Work]:
    model, _ = pretrained()
    with tempfile.TemporaryDirectory() as folder:
        peers.hf_llama(model).save_pretrained(folder)
        tokens = torch.arange(20)[None]
        yield compared("load, the shipped base", "base", tokens, lambda: pretrained()[0], theirs(folder))


def theirs(folder: str | Path, **settings):
    return lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **settings)


def compared(name: str, size: str, tokens: torch.Tensor, us, them) -> Work:
    @torch.no_grad()
    def says(model: nn.Module) -> dict:
        result = model(tokens)
        return {"logits": getattr(result, "logits", result)}

    return Work(name, size, {HF: Competitor(them, says), OURS: Competitor(us, says)}, alike=((HF, OURS),))
