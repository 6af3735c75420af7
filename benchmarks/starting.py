"""What is paid before and around the work: importing, loading a checkpoint, memory. Each import in a fresh process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from work import Competitor, Peer, Size, Target, Work

from minitransformer import Transformer, from_gguf, from_huggingface, pretrained
from minitransformer.files.llama import CONFIG_NAMES, llama_name
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
    competitors[ADDED_BY_PEERS] = Peer(lambda them=competitors[ADDED_BY_PEERS]: them)
    yield Work("import", "any", competitors, targets=(Target(ADDED, None, {"any": 0.05}),), timed=False)


def memory(size: Size) -> Iterator[Work]:
    """The most that a process takes which imports, builds the model and makes three prompt steps."""
    us, them = (Competitor(lambda who=who: float(fresh(str(MEMORY), who, size.name))) for who in ("ours", "peft"))
    both = {PEFT: Peer(lambda: them), OURS: us}
    yield Work("peak memory of a prompt step", size.name, both, unit="MiB", timed=False)


def write_huggingface(model: Transformer, folder: Path) -> None:
    """A checkpoint as Hugging Face keeps them, written without it: it may be missing."""
    config = model.config
    about = {theirs: getattr(config, ours) for ours, theirs in CONFIG_NAMES.items()}
    about |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
    about |= {"num_key_value_heads": config.kv_heads, "rope_theta": config.rope_base, "bos_token_id": None}
    (folder / "config.json").write_text(json.dumps(about | {"eos_token_id": None}), encoding="utf-8")
    weights = {llama_name(name): weight.contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def loading(size: Size) -> Iterator[Work]:
    """The same weights from the same files; what was loaded must say the same."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = size.tokens(2, size.read)
        write_huggingface(size.model, Path(folder))
        yield compared("load, safetensors", size.name, tokens, lambda: from_huggingface(folder)[0], theirs(folder))
        if size.config is None:
            path = smollm2()
            them = theirs(path.parent, gguf_file=path.name)
            yield compared("load, GGUF", size.name, tokens, lambda: from_gguf(path)[0], them)


def loading_the_shipped() -> Iterator[Work]:
    model, _ = pretrained()
    with tempfile.TemporaryDirectory() as folder:
        write_huggingface(model, Path(folder))
        tokens = torch.arange(20)[None]
        yield compared("load, the shipped base", "base", tokens, lambda: pretrained()[0], theirs(folder))


def theirs(folder: str | Path, **settings) -> Callable[[], Callable[[], nn.Module]]:
    """How Hugging Face loads it; its library is imported before anything is timed."""

    def loader() -> Callable[[], nn.Module]:
        from transformers import AutoModelForCausalLM

        return partial(AutoModelForCausalLM.from_pretrained, folder, dtype=torch.float32, **settings)

    return loader


def compared(name: str, size: str, tokens: torch.Tensor, load: Callable[[], nn.Module], them: Callable) -> Work:
    @torch.no_grad()
    def says(model: nn.Module) -> dict:
        result = model(tokens)
        return {"logits": getattr(result, "logits", result)}

    both = {HF: Peer(lambda: Competitor(them(), says)), OURS: Competitor(load, says)}
    return Work(name, size, both, alike=((HF, OURS),))
