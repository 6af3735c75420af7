"""Files that version 0.1 wrote are read as before, and give the logits that they gave then.

`fixtures/edition1` was written by that version: a small model, a soft prompt of every kind, PEFT's folders, a bank, a
training that was broken off, and the logits of all of them in float32 on one machine.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from minitransformer import PromptBank, PromptTuning, compile_prefix, freeze, import_peft, load, save, train
from minitransformer.files.checkpoints import load_model

FILES = Path(__file__).parent / "fixtures" / "edition1"
LOGITS = load_file(FILES / "logits.safetensors")
METHODS = sorted(LOGITS.keys() - {"tokens", "none"})


@pytest.fixture(scope="module")
def model():
    return freeze(load_model(FILES / "model.safetensors")[0])


def same(one, other):  # another processor may round otherwise
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_a_model_and_its_tokenizer():
    model, tokenizer, card = load_model(FILES / "model.safetensors")
    assert tokenizer.encode("wa → wj") == [3, 2, 12] and card == {"made": "first edition"}
    same(model(LOGITS["tokens"]), LOGITS["none"])


@pytest.mark.parametrize("name", METHODS)
def test_a_soft_prompt_of_every_kind_and_written_again(model, name, tmp_path):
    hooks = load(FILES / f"{name}.safetensors", model)
    same(model(LOGITS["tokens"], hooks), LOGITS[name])
    save(hooks, tmp_path / "again", model)
    again = load(tmp_path / "again", model)
    assert type(again) is type(hooks) and torch.equal(model(LOGITS["tokens"], again), model(LOGITS["tokens"], hooks))
    compile_prefix(model, again)


@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_a_folder_for_peft(model, name):
    same(model(LOGITS["tokens"], import_peft(FILES / f"peft-{name}", model)), LOGITS[name])


def test_a_bank(model):
    bank = PromptBank(model)
    bank.load(FILES / "bank")
    same(bank.forward(["anna", "ben", None], LOGITS["tokens"])[1], LOGITS["prefix"][1])


def test_a_training_that_was_broken_off_goes_on_to_the_same_end(model, tmp_path):
    ended = load_file(FILES / "resumed.safetensors")
    batches = [(ended[f"batch{number}.tokens"], ended[f"batch{number}.targets"]) for number in range(6)]
    shutil.copy(FILES / "state.safetensors", tmp_path / "state")
    prompt = PromptTuning(2, model.config)
    settings = dict(steps=6, warmup=1, every=3, progress=False)
    history = train(model, batches, prompt, checkpoint=tmp_path / "state", **settings)
    assert len(history.loss) == 6
    same(prompt.vectors.detach(), ended["vectors"])


def test_what_the_files_say_is_what_version_0_1_wrote():
    """The fixtures are not written again by newer code."""
    with safe_open(FILES / "prefix-middle.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "minitransformer 1"
    assert json.loads(metadata["about"])["method"] == {"name": "PrefixTuning", "layers": [1]}
