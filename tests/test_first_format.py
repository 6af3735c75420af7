"""Files in format 1, which the second edition wrote before format 2, are read as before.

`fixtures/format1` was written by that code: a small model, soft prompts, folders for PEFT, a training that was broken
off, and the logits of all of them in float32 on one machine.
"""

import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from minitransformer import PromptTuning, freeze, import_peft, load, train
from minitransformer.files.checkpoints import ENTRIES, FIRST_FORMAT, FORMAT, load_model
from minitransformer.files.schema import ABOUT, LARGEST, LONGEST

FILES = Path(__file__).parent / "fixtures" / "format1"
EXPECTED = load_file(FILES / "expected.safetensors")


@pytest.fixture(scope="module")
def model():
    return freeze(load_model(FILES / "model.safetensors")[0])


def same(one, other):  # another processor may round otherwise
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_a_model_and_its_tokenizer():
    model, tokenizer, card = load_model(FILES / "model.safetensors")
    assert tokenizer.encode("wa → wb") == [3, 2, 4] and card == {"made": "format 1"}
    same(model(EXPECTED["tokens"]), EXPECTED["none"])


@pytest.mark.parametrize("name", ["prompt", "prefix", "key-value", "gate"])
def test_soft_prompts(model, name):
    same(model(EXPECTED["tokens"], load(FILES / f"{name}.safetensors", model)), EXPECTED[name])


@pytest.mark.parametrize("name", ["prompt", "key-value"])
def test_folders_for_peft(model, name):
    same(model(EXPECTED["tokens"], import_peft(FILES / f"peft-{name}", model)), EXPECTED[name])


def test_a_training_that_was_broken_off_goes_on_to_the_same_end(model, tmp_path):
    shutil.copy(FILES / "state.safetensors", tmp_path / "state")
    prompt, batches = PromptTuning(2, model.config), [(EXPECTED["tokens"], EXPECTED["targets"])] * 6
    settings = dict(steps=6, warmup=1, every=3, progress=False, validate=lambda: 0.5)
    history = train(model, batches, prompt, checkpoint=tmp_path / "state", **settings)
    assert len(history.loss) == 6
    same(prompt.vectors.detach(), EXPECTED["resumed"])


def test_what_the_files_say_is_what_format_1_said():
    """The fixtures are not written again by newer code."""
    with safe_open(FILES / "prompt.safetensors", "pt") as file:
        assert file.metadata().keys() == {"format", "kind", "about"}
        assert file.metadata()["format"] == "minitransformer 1"


def test_the_page_on_files_names_what_the_schema_knows():
    page = (FILES.parents[2] / "lessons" / "FILES.md").read_text(encoding="utf-8")
    assert {f"`{kind}`" for kind in ABOUT} <= set(re.findall(r"`[^`]+`", page))
    assert f"`{FORMAT}`" in page and f"`{FIRST_FORMAT}`" in page
    assert all(f"`{entry}`" in page for entry in ENTRIES[FORMAT])
    assert LARGEST == 2**24 and LONGEST == 2**20 and "2²⁴" in page and "2²⁰" in page
