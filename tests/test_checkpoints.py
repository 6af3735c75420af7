"""Files are written whole or not at all, and read with suspicion."""

import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from minitransformer import Config, PromptTuning, Tokenizer, Transformer, fingerprint, save
from minitransformer.files.checkpoints import load_model, read, save_model, write

CONFIG = Config(vocab=3, context=8, width=8, layers=1, heads=2, kv_heads=1, hidden=8, end=0)
TOKENIZER = Tokenizer(["<end>", "Look", "out"])


@pytest.fixture
def path(tmp_path):
    """A good model file."""
    save_model(tmp_path / "model.safetensors", Transformer(CONFIG), TOKENIZER, {"seed": 1})
    return tmp_path / "model.safetensors"


def as_a_first_one(path, tensors):
    """The same file in the format before this one, which has no sum, with other tensors."""
    with safe_open(path, "pt") as file:
        about = {name: text for name, text in file.metadata().items() if name != "sha256"}
    save_file(dict(tensors), path, about | {"format": "minitransformer 1"})


def test_a_model_comes_back_bit_for_bit_with_its_tokenizer_and_card(tmp_path):
    model = Transformer(CONFIG)
    save_model(tmp_path / "m", model, TOKENIZER, {"seed": 1})
    again, tokenizer, card = load_model(tmp_path / "m")
    assert again.config == CONFIG and tokenizer.vocabulary == TOKENIZER.vocabulary and card == {"seed": 1}
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert fingerprint(again) == fingerprint(model)


def test_the_fingerprint_changes_with_a_single_bit():
    model = Transformer(CONFIG)
    before = fingerprint(model)
    with torch.no_grad():
        model.norm.weight[0] = torch.nextafter(model.norm.weight[0], torch.tensor(2.0))
    assert fingerprint(model) != before


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere; expected a model written by"):
        load_model(tmp_path / "nowhere")


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is damaged or is no safetensors file"):
        load_model(path)


def test_text_in_place_of_a_model_is_refused(path):
    path.write_text("hello, this is a letter and no model")
    with pytest.raises(ValueError, match="is damaged or is no safetensors file"):
        load_model(path)


def test_a_foreign_file_is_refused(path):
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(
        ValueError, match="was not written by this minitransformer: expected 'minitransformer 2' or 'min"
    ):
        load_model(path)


def test_a_file_of_another_kind_is_refused(path):
    save(PromptTuning(1, CONFIG), path)
    with pytest.raises(ValueError, match="holds a soft prompt, not a model"):
        load_model(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_and_infinity_are_neither_read_nor_written(path, number):
    model, tokenizer, card = load_model(path)
    with torch.no_grad():
        model.norm.weight[2] = number
    before = path.read_bytes()
    complaint = r"holds NaN or infinite numbers in 'norm\.weight'"
    with pytest.raises(ValueError, match=f"{complaint}; it was not written, and what stood there is still there: mend"):
        save_model(path, model, tokenizer, card)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
    as_a_first_one(path, model.state_dict())
    with pytest.raises(ValueError, match=f"{complaint}; write or train this model again"):
        load_model(path)


def test_tensors_of_the_wrong_shape_or_name_are_refused(path):
    tensors, about = read(path, "model")
    write(path, "model", tensors | {"norm.weight": torch.ones(9)}, about)
    with pytest.raises(ValueError, match=r"does not fit: 'norm.weight' should be \(8,\) and is \(9,\)"):
        load_model(path)
    del tensors["norm.weight"]
    write(path, "model", tensors, about)
    with pytest.raises(ValueError, match=r"does not fit: 'norm.weight' should be \(8,\) and is absent"):
        load_model(path)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_crash_while_saving_leaves_the_old_file_and_nothing_else(path, monkeypatch, fails):
    before = path.read_bytes()

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, fails, crash)
    with pytest.raises(KeyboardInterrupt):
        save_model(path, Transformer(CONFIG), TOKENIZER)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
