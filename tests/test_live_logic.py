"""The page's own logic does what Python does: tests in Node, against numbers that torch and the tokenizer give here."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import torch
from matplotlib.ft2font import FT2Font
from safetensors.torch import save

import minitransformer
from minitransformer import Hooks, KeyValuePrefix, PrefixTuning, PromptTuning, Transformer, batch, fingerprint, load
from minitransformer.pictures import FONT

PAGE = Path(minitransformer.__file__).parent / "live/page"
NODE = shutil.which("node")
TEXTS = ["Look out! →", "小心!", "shout: LOOK OUT! →", "look out", "<end>"]


def adam(rate: float = 0.03) -> dict:
    vectors = torch.nn.Parameter(torch.tensor([0.5, -0.2, 0.0, 3.0]))
    optimizer, values = torch.optim.Adam([vectors], rate), []
    gradients = [[0.1, -2.0, 0.0, 1e-4], [3.0, 0.5, -1e-3, 0.2], [-0.1, 0.1, 0.3, -4.0]]
    start = vectors.tolist()
    for gradient in gradients:
        vectors.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_([vectors], 1.0)
        optimizer.step()
        values.append(vectors.tolist())
    return {"rate": rate, "start": start, "gradients": gradients, "values": values}


def recorded(base, book) -> dict:
    model, tokenizer = base
    config = model.config
    pairs = book.examples("backwards", "test", 3)
    tokens, targets = batch(tokenizer, pairs)
    hooks = {
        "prompt": PromptTuning(3, config),
        "prefix": PrefixTuning(3, config),
        "key_value": KeyValuePrefix(3, config),
    }
    return {
        "vocabulary": tokenizer.vocabulary,
        "end": tokenizer.end,
        "config": {name: getattr(config, name) for name in ("width", "layers", "heads", "kv_heads")},
        "adam": adam(),
        "texts": [
            (text, ids := tokenizer.encode(text), tokenizer.decode(ids))
            for text in [*TEXTS, *(part for pair in pairs for part in pair)]
        ],
        "batch": {"pairs": pairs, "tokens": tokens.tolist(), "targets": targets.tolist()},
        "shapes": {
            method: {f"hooks.{name}": list(each.shape) for name, each in made.named_parameters()}
            for method, made in hooks.items()
        },
        "fingerprint": fingerprint(model),
        "files": {method: saved(each, model) for method, each in hooks.items()},
        "too_long": saved(PromptTuning(11, config), model),
        "file": list(save({"own": torch.tensor([[1.0, -2.0], [0.5, 3.0]])}, {"format": "minitransformer 2"})),
    }


def saved(hooks: Hooks, model: Transformer) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        minitransformer.save(hooks, path := Path(folder) / "own.safetensors", model, task="翻译成中文")
        return list(path.read_bytes())


@pytest.mark.skipif(NODE is None, reason="node is not here")
def test_the_page_s_own_logic_does_what_python_does(base, book, tmp_path):
    (tmp_path / "recorded.json").write_text(json.dumps(recorded(base, book)), encoding="utf-8")
    shutil.copytree(PAGE, tmp_path / "page")
    (tmp_path / "page/package.json").write_text('{"type": "module"}')
    environment = os.environ | {"PAGE": str(tmp_path / "page"), "RECORDED": str(tmp_path / "recorded.json")}
    shutil.copy(Path(__file__).parent / "live/logic.test.js", tmp_path / "page")
    command = [NODE, "--test", "logic.test.js"]
    done = subprocess.run(command, cwd=tmp_path / "page", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# tests 16" in done.stdout
    for method, data in recorded(base, book)["files"].items():  # what the page has written loads, and is the same
        again = load(tmp_path / f"page/{method}.safetensors", base[0])
        (tmp_path / "own.safetensors").write_bytes(bytes(data))
        own = load(tmp_path / "own.safetensors", base[0])
        assert type(again) is type(own) and again.base == own.base
        assert all(map(torch.equal, again.parameters(), own.parameters()))


def test_the_font_that_goes_with_the_page_has_every_character_of_its_texts():
    texts = (PAGE / "texts.js").read_text(encoding="utf-8") + "中文"
    known = FT2Font(str(FONT)).get_charmap()
    assert not sorted({letter for letter in texts if ord(letter) >= 0x2E80 and ord(letter) not in known})
