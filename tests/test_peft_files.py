"""A folder in PEFT's format: exact there and back, written whole or not at all, read with suspicion."""

import json
import os

import damage
import pytest
import torch
from laws import METHODS, TINY, equal, random_model, soft, text
from safetensors.torch import load_file, save_file

from minitransformer import (
    Gate,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Stack,
    compile_prefix,
    export_peft,
    fingerprint,
    import_peft,
    reparametrise,
)
from minitransformer.files.peft import ABOUT, TENSORS

EXPORTED = ["prompt", "prefix", "key/value prefix", "reparametrised prompt", "reparametrised prefix"]
EXPORTED += ["reparametrised key/value prefix", "prompt and prefix", "all three"]


@pytest.fixture
def model():
    return random_model(dtype=torch.float32)


def folder_of(hooks, model, folder):
    export_peft(hooks, model, folder)
    return folder


def changed(folder, **changes):
    """The same folder, its configuration saying something else; None takes a word away."""
    about = json.loads((folder / ABOUT).read_text()) | changes
    (folder / ABOUT).write_text(json.dumps({key: value for key, value in about.items() if value is not None}))
    return folder


@pytest.mark.parametrize("method", EXPORTED)
@torch.no_grad()
def test_there_and_back_the_logits_are_the_same(model, tmp_path, method):
    hooks = METHODS[method](3)
    again = import_peft(folder_of(hooks, model, tmp_path), model)
    equal(model(text(model), again), model(text(model), hooks), within=2e-5)
    assert again.base == fingerprint(model)


def test_a_prompt_comes_back_bit_for_bit_and_a_prefix_to_a_rounding(model, tmp_path):
    prompt, prefix = METHODS["prompt"](3), METHODS["key/value prefix"](3)
    assert torch.equal(import_peft(folder_of(prompt, model, tmp_path / "a"), model).vectors, prompt.vectors)
    again = import_peft(folder_of(prefix, model, tmp_path / "b"), model)
    assert type(again) is KeyValuePrefix
    for (name, got), expected in zip(again.named_parameters(), prefix.parameters(), strict=True):
        equal(got, expected, within=1e-6)
        assert "keys" in name or torch.equal(got, expected)


def test_what_comes_back_can_be_trained_on(model, tmp_path):
    for method in "prompt", "prefix":
        again = import_peft(folder_of(METHODS[method](3), model, tmp_path), model)
        model(text(model), again).sum().backward()
        assert all(parameter.grad is not None for parameter in again.parameters())


def test_in_the_folder_are_two_files_and_a_row_for_each_virtual_token(model, tmp_path):
    export_peft(METHODS["prefix"](3), model, tmp_path, base_model="models/tiny")
    assert sorted(os.listdir(tmp_path)) == [ABOUT, TENSORS]
    (rows,) = load_file(tmp_path / TENSORS).values()
    assert rows.shape == (3, 2 * TINY.layers * TINY.kv_heads * TINY.head) and rows.dtype == torch.float32
    compiled = compile_prefix(model, METHODS["prefix"](3))
    first = rows.unflatten(1, (2 * TINY.layers, TINY.kv_heads, TINY.head))[0]  # at position 0 nothing is turned
    equal(first[4], compiled.keys[2][:, 0])
    equal(first[5], compiled.values[2][:, 0])
    assert json.loads((tmp_path / ABOUT).read_text()) == {
        "peft_type": "PREFIX_TUNING",
        "task_type": "CAUSAL_LM",
        "num_virtual_tokens": 3,
        "num_layers": 3,
        "num_transformer_submodules": 1,
        "num_attention_heads": 2,
        "token_dim": 16,
        "prefix_projection": False,
        "base_model_name_or_path": "models/tiny",
        "inference_mode": True,
    }


@torch.no_grad()
def test_a_model_of_other_numbers_gets_hooks_of_its_own(tmp_path):
    """Files hold float32; a model in float64 or bfloat16 is handed its own type."""
    for dtype in torch.float64, torch.bfloat16:
        model = random_model(dtype=dtype)
        again = import_peft(folder_of(soft(PrefixTuning, model), model, tmp_path), model)
        assert model(text(model), again).dtype == dtype


@pytest.mark.parametrize(
    ("hooks", "complaint"),
    [
        (lambda: Gate(METHODS["prompt"](3), TINY, 0.3), "no room for a Gate's strength; export what is inside"),
        (lambda: METHODS["prefix in the middle layer"](3), r"one length for all layers; got \[0, 3, 0\]"),
        (lambda: PromptTuning(0, TINY), "PEFT wants 1 to 63 virtual tokens, so that text has room; got 0"),
        (lambda: PromptTuning(64, TINY), "PEFT wants 1 to 63 virtual tokens, so that text has room; got 64"),
        (lambda: Stack(), "PEFT wants 1 to 63 virtual tokens"),
    ],
)
def test_what_peft_cannot_hold_is_refused_before_anything_is_written(model, tmp_path, hooks, complaint):
    with pytest.raises(ValueError, match=complaint):
        export_peft(hooks(), model, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@torch.no_grad()
def test_a_gate_at_full_strength_is_no_obstacle(model, tmp_path):
    hooks = Gate(METHODS["prompt"](3), TINY, 1.0)
    equal(model(text(model), import_peft(folder_of(hooks, model, tmp_path), model)), model(text(model), hooks), 2e-5)


def test_a_soft_prompt_of_another_model_is_neither_exported_nor_imported(model, tmp_path):
    other, prompt = random_model(1, torch.float32), METHODS["prompt"](3)
    export_peft(prompt, model, tmp_path)
    with pytest.raises(ValueError, match=f"made for the model with fingerprint {fingerprint(model)}, this one has"):
        import_peft(tmp_path, other)
    prompt.base = fingerprint(model)
    with pytest.raises(ValueError, match="export it with its own model"):
        export_peft(prompt, other, tmp_path / "other")
    with pytest.raises(ValueError, match="this soft prompt was made for another model"):
        export_peft(METHODS["prompt"](3), random_model(layers=2), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("fails", ["fsync", "replace"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_crash_while_writing_leaves_no_folder_that_could_be_mistaken_for_a_whole_one(
    model, tmp_path, monkeypatch, fails, at
):
    folder, done, calls = folder_of(METHODS["prompt"](2), model, tmp_path), getattr(os, fails), []

    def crash(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return done(*arguments)

    monkeypatch.setattr(os, fails, crash)
    with pytest.raises(KeyboardInterrupt):
        export_peft(METHODS["prefix"](3), model, folder)
    assert os.listdir(folder) == [TENSORS]
    with pytest.raises(FileNotFoundError, match=f"there is no file .*{ABOUT}; expected a folder as PEFT's save_pretr"):
        import_peft(folder, model)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (dict(peft_type="LORA"), "should hold a PROMPT_TUNING or a PREFIX_TUNING; got LORA"),
        (dict(peft_type=None), "should hold a PROMPT_TUNING or a PREFIX_TUNING; got None"),
        (dict(peft_type="PROMPT_TUNING"), "should say num_attention_heads 4 and says 2"),
        (dict(task_type=None), 'should say task_type "CAUSAL_LM" and says null'),
        (dict(task_type="SEQ_2_SEQ_LM"), 'should say task_type "CAUSAL_LM" and says "SEQ_2_SEQ_LM"'),
        (dict(num_virtual_tokens=4), "should say num_virtual_tokens 3 and says 4"),
        (dict(num_virtual_tokens=None), "should say num_virtual_tokens 3 and says null"),
        (dict(num_layers=5), "for this model and its tensor, .* should say num_layers 3 and says 5"),
        (dict(num_attention_heads=4), "should say num_attention_heads 2 and says 4"),
        (dict(token_dim=32), "should say token_dim 16 and says 32"),
        (dict(num_transformer_submodules=True), "num_transformer_submodules should be a whole number from 0 to .*True"),
        (dict(num_layers=3.0), "num_layers should be a whole number .* and is 3.0; write or fetch it again"),
        (dict(num_transformer_submodules=2), "should say num_transformer_submodules 1 and says 2"),
    ],
    ids=str,
)
def test_a_folder_that_says_what_does_not_fit_is_refused(model, tmp_path, changes, complaint):
    folder = folder_of(METHODS["prefix"](3), model, tmp_path)
    with pytest.raises(ValueError, match=complaint):
        import_peft(changed(folder, **changes), model)


@pytest.mark.parametrize("rows", [torch.zeros(3, 95), torch.zeros(3, 192), torch.zeros(64, 96), torch.zeros(0, 96)])
def test_a_tensor_of_another_shape_is_refused(model, tmp_path, rows):
    folder = changed(folder_of(METHODS["prefix"](3), model, tmp_path), num_virtual_tokens=len(rows))
    save_file({"prompt_embeddings": rows}, folder / TENSORS)
    with pytest.raises(ValueError, match=r"expected 1 to 63 rows of 96 numbers, got \("):
        import_peft(folder, model)


@pytest.mark.parametrize(
    "tensors",
    [{"prompt_embeddings": torch.zeros(9)}, {"base_model.lora_A.weight": torch.zeros(3, 96)}, {}],
    ids=lambda tensors: str([*tensors]),
)
def test_other_tensors_are_refused(model, tmp_path, tensors):
    folder = folder_of(METHODS["prefix"](3), model, tmp_path)
    save_file(tensors, folder / TENSORS)
    with pytest.raises(ValueError, match="should hold one tensor, 'prompt_embeddings', of a row a virtual token; got"):
        import_peft(folder, model)


def test_a_damaged_folder_is_refused(model, tmp_path):
    folder = folder_of(METHODS["prefix"](3), model, tmp_path)
    whole = {name: (folder / name).read_bytes() for name in (ABOUT, TENSORS)}
    (folder / ABOUT).write_bytes(whole[ABOUT][:40])
    with pytest.raises(ValueError, match=rf"{ABOUT} is damaged or is no .*\(.*\); write or fetch it again"):
        import_peft(folder, model)
    (folder / ABOUT).write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"should hold PEFT's configuration, names with values; got \[1, 2\]"):
        import_peft(folder, model)
    (folder / ABOUT).write_bytes(whole[ABOUT])
    (folder / TENSORS).write_bytes(whole[TENSORS][:-40])
    with pytest.raises(ValueError, match="is damaged or is no safetensors file"):
        import_peft(folder, model)
    (folder / TENSORS).unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*expected a soft prompt in PEFT's format, not in"):
        import_peft(folder, model)


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_numbers_that_are_none_are_neither_written_nor_read(model, tmp_path, number):
    prompt = METHODS["prompt"](3)
    folder = folder_of(prompt, model, tmp_path)
    before = {name: (folder / name).read_bytes() for name in (ABOUT, TENSORS)}
    prompt.vectors.data[1, 2] = number
    complaint = "holds NaN or infinite numbers in 'prompt_embeddings'"
    with pytest.raises(ValueError, match=f"{complaint}; it was not written, and what stood there is still there"):
        export_peft(prompt, model, folder)
    assert before == {name: (folder / name).read_bytes() for name in (ABOUT, TENSORS)}
    save_file({"prompt_embeddings": prompt.vectors.detach()}, folder / TENSORS)
    with pytest.raises(ValueError, match=f"{complaint}; write or fetch it again"):
        import_peft(folder, model)


def test_an_mlp_stays_at_home(model, tmp_path):
    """What is written is the plain form: as many numbers as the method has without its MLP."""
    export_peft(reparametrise(METHODS["prompt"](3)), model, tmp_path)
    assert load_file(tmp_path / TENSORS)["prompt_embeddings"].shape == (3, TINY.width)


def is_free(path, value):
    """What is for PEFT's records, or need not be said."""
    needed = {"peft_type", "task_type", "num_virtual_tokens"}
    return (
        (bool(path) and (path[0] not in needed and value in (None, "gone")))
        or path in (("base_model_name_or_path",), ("prompt_tuning_init",))
        or (path in (("inference_mode",), ("prefix_projection",)) and value is True)
    )


@pytest.mark.parametrize("method", ["prompt", "key/value prefix"])
def test_no_damaged_folder_is_taken_for_a_good_one(model, tmp_path, method):
    folder = folder_of(METHODS[method](2), model, tmp_path)
    path, about = folder / TENSORS, folder / ABOUT
    data, right = path.read_bytes(), damage.plain(import_peft(folder, model))
    changed = [*damage.bytes_changed(data, 80), *damage.tensors_changed(data)]
    assert damage.outcomes(lambda: import_peft(folder, model), path, right, changed, folder) > 80
    text = about.read_bytes()
    changed = [(name, json.dumps(each).encode()) for name, each in damage.json_changed(json.loads(text), is_free)]
    changed += [("twice", text[:-2] + b"," + text[1:]), ("deep", b"[" * 100_000)]
    assert damage.outcomes(lambda: import_peft(folder, model), about, right, changed, folder) > 50


@pytest.mark.parametrize("method", ["prompt", "key/value prefix"])
def test_the_same_soft_prompt_is_the_same_bytes(model, tmp_path, method):
    written = set()
    for _ in range(6):
        folder = folder_of(METHODS[method](2), model, tmp_path)
        written.add((folder / TENSORS).read_bytes() + (folder / ABOUT).read_bytes())
    assert len(written) == 1


def test_a_prompt_keeps_its_type_of_numbers_and_a_prefix_its_32_bits_or_more(tmp_path):
    for dtype in torch.float64, torch.bfloat16:
        model = random_model(dtype=dtype)
        prompt, prefix = METHODS["prompt"](2).to(dtype), METHODS["key/value prefix"](2).to(dtype)
        again = import_peft(folder_of(prompt, model, tmp_path / "a"), model)
        assert again.vectors.dtype == dtype and torch.equal(again.vectors, prompt.vectors)
        again = import_peft(folder_of(prefix, model, tmp_path / "b"), model)
        assert again.keys[0].dtype == torch.promote_types(dtype, torch.float32)
        equal(again.keys[0].double(), prefix.keys[0].double(), within=1e-6 if dtype == torch.float64 else 1e-2)


def test_an_export_in_the_place_of_another_of_its_size_leaves_a_whole_folder_when_it_fails(
    model, tmp_path, monkeypatch
):
    folder = folder_of(METHODS["prompt"](2), model, tmp_path)
    before = import_peft(folder, model).vectors
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        export_peft(PromptTuning(2, TINY, seed=5), model, folder)
    assert torch.equal(import_peft(folder, model).vectors, before)
