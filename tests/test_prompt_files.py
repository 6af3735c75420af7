"""A soft prompt in a file comes back bit for bit, trainable, and only for the model that it was made for."""

import os
from pathlib import Path

import damage
import pytest
import torch

from minitransformer import (
    Config,
    Gate,
    History,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Stack,
    Transformer,
    bake,
    compile_prefix,
    fingerprint,
    load,
    reparametrise,
    save,
)
from minitransformer.files.checkpoints import load_model, read, write
from minitransformer.files.prompts import inspect

CONFIG = Config(vocab=20, context=32, width=16, layers=2, heads=2, kv_heads=1, hidden=24)
METHODS = {
    "prompt": lambda: PromptTuning(3, CONFIG),
    "prefix": lambda: PrefixTuning(3, CONFIG),
    "prefix at one layer": lambda: PrefixTuning(2, CONFIG, layers=[1]),
    "key/value": lambda: KeyValuePrefix(3, CONFIG),
    "gate": lambda: Gate(PromptTuning(3, CONFIG), CONFIG, 0.5),
    "stack": lambda: Stack(PromptTuning(2, CONFIG), PrefixTuning(3, CONFIG)),
    "stack in a gate": lambda: Gate(Stack(PromptTuning(2, CONFIG), PrefixTuning(1, CONFIG)), CONFIG, 0.7),
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(CONFIG)


@pytest.fixture
def tokens():
    return torch.arange(12).reshape(2, 6)


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_prompt_comes_back_bit_for_bit_and_trainable(model, tokens, tmp_path, method):
    hooks = METHODS[method]()
    save(hooks, tmp_path / "p", model)
    again = load(tmp_path / "p", model)
    assert type(again) is type(hooks)
    assert list(again.state_dict()) == list(hooks.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), hooks.parameters(), strict=True))
    model(tokens, again).sum().backward()
    assert all(parameter.grad is not None for parameter in again.parameters())


@pytest.mark.parametrize("method", ["prompt", "prefix", "key/value"])
def test_what_is_trained_through_an_mlp_is_saved_in_its_plain_form(model, tokens, tmp_path, method):
    hooks = reparametrise(METHODS[method]())
    for parameter in hooks.parameters():
        torch.nn.init.normal_(parameter)
    save(hooks, tmp_path / "p", model)
    again = load(tmp_path / "p", model)
    with torch.no_grad():
        assert torch.equal(model(tokens, again), model(tokens, hooks))
        assert torch.equal(model(tokens, again), model(tokens, bake(hooks)))
    assert sum(p.numel() for p in again.parameters()) == sum(p.numel() for p in METHODS[method]().parameters())


def test_a_compiled_gate_keeps_its_strength_in_the_file(model, tokens, tmp_path):
    compiled = compile_prefix(model, METHODS["gate"]())
    save(compiled, tmp_path / "p", model)
    with torch.no_grad():
        assert torch.equal(model(tokens, load(tmp_path / "p", model)), model(tokens, compiled))


def test_the_file_tells_what_it_is_and_for_whom(model, tmp_path):
    save(METHODS["prefix"](), tmp_path / "p", model, task="chinese", score=0.98, history=History(loss=[2.0, 1.0]))
    about = inspect(tmp_path / "p")
    called = {"positional": [3, {"the model's": "config"}], "named": {}}
    assert about["method"] == {"name": "PrefixTuning", "called": called} and about["parameters"] == 2 * 3 * 16
    assert about["shapes"] == {"vectors": [2, 3, 16]} and about["base"] == fingerprint(model)
    assert about["task"] == "chinese" and about["score"] == 0.98 and len(about["history"]) == 16


def test_a_prompt_for_another_base_is_refused_by_its_fingerprint(model, tmp_path):
    save(METHODS["prompt"](), tmp_path / "p", model)
    with pytest.raises(ValueError, match=f"was made for the model with fingerprint {fingerprint(model)}, this one has"):
        load(tmp_path / "p", Transformer(CONFIG))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [(dict(width=32), "does not fit: 'vectors'"), (dict(layers=3), None), (dict(layers=1), None)],
)
def test_a_prompt_of_another_shape_is_refused(tmp_path, change, complaint):
    other = Transformer(Config(**(vars(CONFIG) | change)))
    save(METHODS["prompt"]() if complaint else METHODS["key/value"](), tmp_path / "p")
    with pytest.raises(ValueError, match=complaint or "does not fit"):
        load(tmp_path / "p", other)


def test_a_prompt_with_nan_is_not_written(model, tmp_path):
    prompt = METHODS["prompt"]()
    prompt.vectors.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="holds NaN or infinite numbers in 'vectors'; it was not written"):
        save(prompt, tmp_path / "p", model)
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_is_refused(model, tmp_path):
    save(METHODS["prompt"](), tmp_path / "p", model)
    (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes()[:60])
    with pytest.raises(ValueError, match="is damaged or is no safetensors file"):
        load(tmp_path / "p", model)


def test_a_file_with_an_unknown_method_or_a_missing_tensor_is_refused(model, tmp_path):
    save(METHODS["key/value"](), tmp_path / "p", model)
    tensors, about = read(tmp_path / "p", "soft prompt")
    write(tmp_path / "q", "soft prompt", tensors, about | {"method": {"name": "Adapter"}})
    with pytest.raises(ValueError, match=r"it holds a Adapter, which version 0.1 of minitransformer did not write"):
        load(tmp_path / "q", model)
    write(tmp_path / "q", "soft prompt", tensors, about | {"method": about["method"] | {"name": "Adapter"}})
    with pytest.raises(ValueError, match=r"it holds a Adapter, a class that is not defined here: import or define it"):
        load(tmp_path / "q", model)
    del tensors["keys.1"]
    write(tmp_path / "q", "soft prompt", tensors, about)
    with pytest.raises(ValueError, match=r"does not fit: 'keys\.1' should be \(1, 3, 8\) and is absent"):
        load(tmp_path / "q", model)


def test_hooks_made_with_what_is_no_data_are_refused_with_a_way_out(model, tmp_path):
    class OfAFunction(Hooks):
        def __init__(self, function):
            super().__init__()

    with pytest.raises(ValueError, match=r"^OfAFunction was called with a function, which a file .*compile_prefix"):
        save(OfAFunction(lambda: 0), tmp_path / "p", model)
    assert os.listdir(tmp_path) == []


def is_free(path, value):
    """Numbers and words that nothing else in the file speaks of: a note, and how vectors began that are replaced."""
    match path:
        case ("task",):
            return value in (None, "x")
        case ("score",):
            return value is None or (type(value) in (int, float) and value == value)
        case ("base" | "history",):
            return value is None
        case ("method", "called", "positional", place):
            return place > 1
    return False


@pytest.mark.parametrize("method", ["prompt", "prefix at one layer", "key/value", "stack in a gate"])
def test_no_damaged_prompt_is_taken_for_a_good_one(model, tmp_path, method):
    path = tmp_path / "p"
    save(METHODS[method](), path, model, task="t", score=0.5)
    data, right = path.read_bytes(), damage.plain(load(path, model))
    changed = [*damage.bytes_changed(data, 40), *damage.tensors_changed(data), *damage.about_changed(data, is_free)]
    assert damage.outcomes(lambda: load(path, model), path, right, changed) > 150


@pytest.mark.parametrize("name", ["prompt", "gate", "stack", "key-value", "prefix-middle"])
def test_no_damaged_prompt_of_version_0_1_is_taken_for_a_good_one(name, tmp_path):
    files, path = Path(__file__).parent / "fixtures" / "edition1", tmp_path / "p"
    model, _, _ = load_model(files / "model.safetensors")
    data = (files / f"{name}.safetensors").read_bytes()
    path.write_bytes(data)
    right = damage.plain(load(path, model))
    changed = [*damage.tensors_changed(data), *damage.about_changed(data, is_free)]
    assert damage.outcomes(lambda: load(path, model), path, right, changed) > 50


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", METHODS)
def test_a_prompt_keeps_its_type_of_numbers(model, tmp_path, method, dtype):
    hooks = METHODS[method]().to(dtype)
    save(hooks, tmp_path / "p", model)
    again = load(tmp_path / "p", model)
    assert damage.plain(again) == damage.plain(hooks) and {each.dtype for each in again.parameters()} == {dtype}


def test_the_same_prompt_is_the_same_bytes(model, tmp_path):
    hooks, written = METHODS["stack in a gate"](), set()
    for _ in range(6):
        save(hooks, tmp_path / "p", model, task="t", score=0.5)
        written.add((tmp_path / "p").read_bytes())
    save(load(tmp_path / "p", model), tmp_path / "p", model, task="t", score=0.5)
    assert written == {(tmp_path / "p").read_bytes()}


@pytest.mark.parametrize("method", ["prompt", "prefix at one layer", "key/value"])
def test_a_length_that_the_file_does_not_hold_takes_no_memory(model, tmp_path, method, monkeypatch):
    save(METHODS[method](), tmp_path / "p", model)
    tensors, about = read(tmp_path / "p", "soft prompt")
    about["method"]["called"]["positional"][0] = 10**9
    write(tmp_path / "p", "soft prompt", tensors, about)
    with pytest.raises(
        ValueError, match="does not fit: its class asks for far more numbers than the file holds; write"
    ):
        load(tmp_path / "p", model)


@pytest.mark.parametrize(
    ("notes", "complaint"),
    [
        (dict(score=float("nan")), "score should be a finite number and is nan; it was not written"),
        (dict(score=torch.tensor(0.5)), "score should be a finite number and is 'no data but a Tensor'"),
        (dict(task=3), "task should be a text and is 3"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(model, tmp_path, notes, complaint):
    with pytest.raises(ValueError, match=complaint):
        save(METHODS["prompt"](), tmp_path / "p", model, **notes)
    assert os.listdir(tmp_path) == []


def test_a_prompt_that_its_model_could_not_load_is_not_written(model, tmp_path):
    other = Transformer(Config(**(vars(CONFIG) | dict(width=32))))
    with pytest.raises(
        ValueError, match=r"'vectors' should be \(3, 32\) and is \(3, 16\); it was not written: save it"
    ):
        save(METHODS["prompt"](), tmp_path / "p", other)
    grown = METHODS["prompt"]()
    grown.vectors.data = torch.zeros(4, 16)
    with pytest.raises(ValueError, match=r"'vectors' should be \(3, 16\) and is \(4, 16\); it was not written"):
        save(grown, tmp_path / "p", model)
    assert os.listdir(tmp_path) == []


def test_a_file_that_tells_another_number_of_parameters_is_refused(model, tmp_path):
    save(METHODS["prompt"](), tmp_path / "p", model)
    tensors, about = read(tmp_path / "p", "soft prompt")
    write(tmp_path / "p", "soft prompt", tensors, about | {"parameters": 47})
    with pytest.raises(ValueError, match="should hold 47 numbers and holds 48; write or train this soft prompt again"):
        load(tmp_path / "p", model)
