"""The page as one folder of static files: graphs and numbers of the model, its words and sentences, the page itself."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safetensors.torch import save

from ..base import pretrained
from ..files.checkpoints import fingerprint
from ..gradients import principal_plane
from ..hooks import Hooks
from ..model import Transformer
from ..phrasebook import Phrasebook, prompt
from ..soft_prompts import KeyValuePrefix, PrefixTuning, PromptTuning
from ..tokenizer import Tokenizer
from .graphs import VIRTUAL, Graph, Whole, export

HERE = Path(__file__).parent
FONT = HERE.parent / "data" / "NotoSansCJKsc-subset.otf"  # of the model's own Chinese, where a system has none
METHODS = {"none": None, "prompt": PromptTuning, "prefix": PrefixTuning, "key_value": KeyValuePrefix}
RUNTIME = "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
SENTENCES = {"train": 480, "test": 24}  # of each skill, that the page trains on and offers
INSTALL = "pip install 'minitransformer[live]'"


def build(folder: Path) -> None:
    """Everything that the page needs, so that any static server can show it; `npm` fetches the runtime.

    The folder is there when it is whole.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something else than the page; name an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as place:
        fill(whole := Path(place) / "page")
        try:
            whole.replace(folder)
        except OSError:
            if not built(folder):  # by somebody else, meanwhile: then that one is as good
                raise


def fill(folder: Path) -> None:
    model, tokenizer = pretrained()
    (folder / "graphs").mkdir(parents=True)
    fetch_runtime(folder)  # first: it is the quickest to fail
    about = {}
    for name, graph in graphs(model):
        (folder / "graphs" / f"{name}.onnx").write_bytes(graph.onnx)
        about[name] = {"inputs": graph.inputs, "outputs": graph.outputs}
    (folder / "model.safetensors").write_bytes(save(Whole(model, Hooks()).state()))
    facts = page_facts(model, tokenizer, Phrasebook()) | {"graphs": about}
    (folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    shutil.copy(FONT, folder / "chinese.otf")
    shutil.copytree(HERE / "page", folder, dirs_exist_ok=True)


def built(folder: Path) -> bool:
    return (folder / "index.html").exists()


def graphs(model: Transformer) -> Iterator[tuple[str, Graph]]:
    """What the page runs, by name: each method's forward, its step, and its step with the base unfrozen."""
    try:
        for method, kind in METHODS.items():
            hooks = Hooks() if kind is None else kind(VIRTUAL, model.config)
            yield f"{method}-forward", export(model, hooks, gradients=False)
            if kind is not None:
                yield f"{method}-step", export(model, hooks, gradients=True)
                yield f"{method}-unfrozen", export(model, hooks, gradients=True, unfrozen=True)
    except ImportError as error:
        raise ImportError(f"recording the graphs needs packages that are missing ({error}): run  {INSTALL}") from None


def page_facts(model: Transformer, tokenizer: Tokenizer, book: Phrasebook) -> dict:
    """What the page says and shows that is no tensor: which model, its words, sentences of each skill, a plane."""
    plane = principal_plane(model.embedding.weight)
    skills = [*book.skills, *book.held_out]
    return {
        "fingerprint": fingerprint(model),
        "commit": commit(),
        "vocabulary": tokenizer.vocabulary,
        "end": tokenizer.end,
        "config": {name: getattr(model.config, name) for name in ("width", "layers", "heads", "kv_heads", "context")},
        "parameters": {name: list(weight.shape) for name, weight in model.named_parameters()},
        "wordings": {skill: book.wordings(skill) for skill in skills},
        "held_out": list(book.held_out),
        "examples": {part: {s: book.examples(s, part, count) for s in skills} for part, count in SENTENCES.items()},
        "plane": {
            "axes": plane.axes.tolist(),
            "words": plane.place(model.embedding.weight),
            "mean": plane.mean.tolist(),
        },
        "look_out": prompt("Look out!"),
    }


def commit() -> str:
    """Of the clone that this is; empty where there is none."""
    asked = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def fetch_runtime(folder: Path) -> None:
    """ONNX Runtime for browsers, exactly the version of the lock file."""
    with tempfile.TemporaryDirectory() as place:
        for name in "package.json", "package-lock.json":
            shutil.copy(HERE / name, place)
        try:
            done = subprocess.run(["npm", "ci", "--omit=dev", "--ignore-scripts"], cwd=place, capture_output=True)
        except FileNotFoundError:
            raise FileNotFoundError(
                "the page's runtime is fetched by npm, which is not here: install Node.js (nodejs.org)"
            ) from None
        if done.returncode:
            raise OSError(f"npm could not fetch the page's runtime: {done.stderr.decode(errors='replace').strip()}")
        (folder / "runtime").mkdir(exist_ok=True)
        for name in RUNTIME:
            shutil.copy(Path(place) / "node_modules/onnxruntime-web/dist" / name, folder / "runtime")
