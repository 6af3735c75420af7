"""Folders of config.json and safetensors become the same Transformer, or are refused with a reason."""

import json
from pathlib import Path

import damage
import pytest
import torch
from laws import random_model, text
from safetensors.torch import save_file

from minitransformer import Transformer, from_huggingface, generate
from minitransformer.files import llama
from minitransformer.files.llama import llama_name


def weights(model: Transformer) -> dict[str, torch.Tensor]:
    return {llama_name(name): weight.detach().clone() for name, weight in model.state_dict().items()}


def described(model: Transformer) -> dict:
    config = model.config
    return {
        "model_type": "llama",
        "vocab_size": config.vocab,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "intermediate_size": config.hidden,
        "rms_norm_eps": config.eps,
        "rope_theta": config.rope_base,
        "eos_token_id": 3,
        "tie_word_embeddings": config.tied,
    }


def written(folder: Path, about: dict, *parts: dict[str, torch.Tensor]) -> Path:
    """A checkpoint of one file, or of several and an index."""
    (folder / "config.json").write_text(json.dumps(about))
    if len(parts) == 1:
        save_file(parts[0], folder / "model.safetensors")
    else:
        names = {}
        for number, part in enumerate(parts):
            save_file(part, folder / f"part-{number}.safetensors")
            names |= dict.fromkeys(part, f"part-{number}.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return folder


@pytest.fixture
def theirs() -> Transformer:
    return random_model(dtype=torch.float32, rope_base=500.0, end=3)


@torch.no_grad()
def test_a_folder_gives_the_model_it_was_made_of(theirs, tmp_path):
    model, tokenizer = from_huggingface(written(tmp_path, described(theirs), weights(theirs)))
    assert torch.equal(model(text(theirs)), theirs(text(theirs)))
    assert model.config == theirs.config and tokenizer is None
    assert generate(model, [[1, 2]]) == generate(theirs, [[1, 2]])


@torch.no_grad()
def test_a_model_with_two_tables_of_words_comes_with_both(tmp_path):
    theirs = random_model(dtype=torch.float32, rope_base=500.0, end=3, tied=False)
    folder = written(tmp_path, described(theirs), weights(theirs))
    model, _ = from_huggingface(folder)
    assert torch.equal(model(text(theirs)), theirs(text(theirs))) and model.config == theirs.config
    lacking = weights(theirs)
    del lacking["lm_head.weight"]
    save_file(lacking, folder / "model.safetensors")
    with pytest.raises(ValueError, match="lacks 'lm_head\\.weight'"):
        from_huggingface(folder)


@torch.no_grad()
def test_shards_give_the_model_too(theirs, tmp_path):
    every = list(weights(theirs).items())
    model, _ = from_huggingface(written(tmp_path, described(theirs), dict(every[:7]), dict(every[7:])))
    assert torch.equal(model(text(theirs)), theirs(text(theirs)))


@torch.no_grad()
def test_a_word_table_that_is_written_twice_is_one_table(theirs, tmp_path):
    twice = weights(theirs) | {"lm_head.weight": theirs.embedding.weight.detach().clone()}
    model, _ = from_huggingface(written(tmp_path, described(theirs), twice))
    assert torch.equal(model(text(theirs)), theirs(text(theirs)))


@torch.no_grad()
def test_newer_files_say_the_base_of_the_angles_elsewhere(theirs, tmp_path):
    about = described(theirs) | {"rope_parameters": {"rope_type": "default", "rope_theta": theirs.config.rope_base}}
    del about["rope_theta"]
    model, _ = from_huggingface(written(tmp_path, about, weights(theirs)))
    assert torch.equal(model(text(theirs)), theirs(text(theirs)))


@torch.no_grad()
def test_bfloat16_is_bfloat16_throughout_and_nearly_the_same(theirs, tmp_path):
    model, _ = from_huggingface(written(tmp_path, described(theirs), weights(theirs)), torch.bfloat16)
    assert {tensor.dtype for tensor in [*model.parameters(), *model.buffers()]} == {torch.bfloat16}
    right = theirs(text(theirs))
    assert (model(text(theirs)) - right).abs().mean() < 0.05 * right.std()


def test_the_weights_stay_on_the_disk_and_training_does_not_write_to_it(theirs, tmp_path):
    folder = written(tmp_path, described(theirs), weights(theirs))
    before = (folder / "model.safetensors").read_bytes()
    model, _ = from_huggingface(folder)
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(folder) in maps.read_text()
    with torch.no_grad():
        model.embedding.weight.add_(1)
    assert (folder / "model.safetensors").read_bytes() == before
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mistral"}, "model_type 'mistral'; this architecture has 'llama' only"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'; this architecture has 'silu' only"),
        ({"tie_word_embeddings": False}, "lacks 'lm_head.weight'"),
        ({"attention_bias": True}, "attention_bias True"),
        ({"mlp_bias": True}, "mlp_bias True"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling .*linear"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_scaling .*llama3"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"head_dim": 16}, "head_dim 16; here it is width / heads, 8"),
        ({"eos_token_id": [3, 4]}, r"any of the tokens \[3, 4\]; here one token"),
        ({"num_attention_heads": 5}, "describes no model that can be: Config.width must be a multiple of heads"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps should be a number from 1e-30 to 1 and is 'small'; fetch it again"),
        ({"vocab_size": 51}, r"'model.embed_tokens.weight' should be \(51, 32\) and is \(50, 32\)"),
        ({"num_hidden_layers": 2}, "holds 'model.layers.2.*no place for it"),
        ({"num_hidden_layers": 4}, "lacks 'model.layers.3"),
    ],
)
def test_what_the_architecture_does_not_cover_is_refused(change, message, theirs, tmp_path):
    folder = written(tmp_path, described(theirs) | change, weights(theirs))
    with pytest.raises(ValueError, match=message):
        from_huggingface(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}, "there are no biases"),
        ({"lm_head.weight": torch.zeros(50, 32)}, "with one table, and holds two different ones"),
        ({"model.norm.weight": torch.full((32,), torch.nan)}, "NaN or infinite numbers in 'model.norm.weight'"),
        ({"model.norm.weight": torch.ones(32, dtype=torch.int8)}, "should hold torch.float32 and holds torch.int8"),
        ({"model.norm.weight": torch.ones(31)}, r"should be \(32,\) and is \(31,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message, theirs, tmp_path):
    folder = written(tmp_path, described(theirs), weights(theirs) | change)
    with pytest.raises(ValueError, match=message):
        from_huggingface(folder)


def test_other_types_of_numbers_are_refused(theirs, tmp_path):
    with pytest.raises(ValueError, match=r"float32 or torch\.bfloat16; got torch\.float16"):
        from_huggingface(written(tmp_path, described(theirs), weights(theirs)), torch.float16)


def test_a_configuration_that_says_too_little_is_refused(theirs, tmp_path):
    about = described(theirs)
    del about["hidden_size"]
    with pytest.raises(ValueError, match="does not say hidden_size"):
        from_huggingface(written(tmp_path, about, weights(theirs)))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_and_damaged_files_are_refused(name, theirs, tmp_path):
    folder = written(tmp_path, described(theirs), weights(theirs))
    data = (folder / name).read_bytes()
    for damaged in data[: len(data) // 2], b"", b"[]", b"\xff" * 100:
        (folder / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            from_huggingface(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no file .*{name}"):
        from_huggingface(folder)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "is damaged or is no index"),
        ("[]", "it should be names with values and is"),
        ('{"weight_map": {"a": 1}}', "weight_map.a should be the name of a file beside it and is 1"),
        ('{"weight_map": {"a": "../model.safetensors"}}', "weight_map.a should be the name of a file beside it"),
        ('{"weight_map": {"a": "model.safetensors"}}', "promises 'a', which model.safetensors does not hold"),
    ],
)
def test_a_wrong_index_is_refused(index, message, theirs, tmp_path):
    folder = written(tmp_path, described(theirs), weights(theirs))
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ValueError, match=message):
        from_huggingface(folder)


def is_free(path, value):
    """What nothing else in the folder speaks of, and what a folder need not say."""
    number = type(value) in (int, float) and value > 0
    match path:
        case ("rope_theta",):
            return number or value == "gone"
        case ("rms_norm_eps",):
            return False
        case ("eos_token_id",):
            return value in (None, "gone")
        case ("rope_scaling" | "head_dim" | "rope_parameters",):
            return value in (None, "gone", {}) and type(value) is not bool
    return False


def test_no_damaged_folder_is_taken_for_a_good_one(tmp_path):
    theirs = random_model(dtype=torch.float32, vocab=5, width=16, hidden=12, layers=2, end=3)
    about = described(theirs) | {"head_dim": 4, "rope_parameters": None, "rope_scaling": None}
    twice = weights(theirs) | {"lm_head.weight": theirs.embedding.weight.detach().clone()}
    folder = written(tmp_path, about, twice)
    path, config = folder / "model.safetensors", folder / "config.json"
    data, right = path.read_bytes(), damage.plain(from_huggingface(folder))
    header = 8 + int.from_bytes(data[:8], "little")
    changed = [*damage.bytes_changed(data, 150, until=header), *damage.tensors_changed(data)]
    changed = [(name, each) for name, each in changed if name != "missing lm_head.weight"]
    assert damage.outcomes(lambda: from_huggingface(folder), path, right, changed, folder) > 200
    changed = [(name, json.dumps(each).encode()) for name, each in damage.json_changed(about, is_free)]
    changed += [("twice", config.read_bytes()[:-1] + b"," + config.read_bytes()[1:]), ("deep", b"[" * 100_000)]
    assert damage.outcomes(lambda: from_huggingface(folder), config, right, changed, folder) > 100


def test_no_damaged_index_is_taken_for_a_good_one(theirs, tmp_path):
    every = list(weights(theirs).items())
    folder = written(tmp_path, described(theirs), dict(every[:3]), dict(every[3:]))
    save_file({every[0][0]: every[0][1] * 2}, folder / "another.safetensors")
    path, right = folder / "model.safetensors.index.json", damage.plain(from_huggingface(folder))
    names = json.loads(path.read_bytes())["weight_map"]
    changed = [(name, json.dumps(each).encode()) for name, each in damage.json_changed({"weight_map": names})]
    for part in "another.safetensors", "..", "part-0.safetensors/", "a\0b", "part-1.safetensors", "x" * 300:
        changed.append((part, json.dumps({"weight_map": names | {every[0][0]: part}}).encode()))
        changed.append((f"more {part}", json.dumps({"weight_map": names | {"more": part}}).encode()))
    changed.append(("other", json.dumps({"weight_map": names | {every[4][0]: "another.safetensors"}}).encode()))
    assert damage.outcomes(lambda: from_huggingface(folder), path, right, changed, folder) > 80


def test_what_a_configuration_claims_is_refused_before_anything_is_built(theirs, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(llama, "Transformer", never)
    for claim in {"num_hidden_layers": 10**7}, {"max_position_embeddings": 10**8}, {"vocab_size": 10**7}:
        folder = written(tmp_path, described(theirs) | claim, weights(theirs))
        with pytest.raises(ValueError, match=r"describes a model of 10000000 layers|should be"):
            from_huggingface(folder)


def test_double_precision_is_kept_or_refused_and_never_rounded_without_a_word(tmp_path):
    theirs = random_model(dtype=torch.float64)
    folder = written(tmp_path, described(theirs), weights(theirs))
    with pytest.raises(
        ValueError, match=r"as torch\.float64; pass dtype=torch\.float64, or torch\.float32 would round"
    ):
        from_huggingface(folder)
    model, _ = from_huggingface(folder, torch.float64)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), theirs.parameters(), strict=True))


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(theirs, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    folder = written(tmp_path, described(theirs), weights(theirs))
    pairs = tokenizers.Tokenizer(tokenizers.models.BPE({chr(97 + number): number for number in range(51)}, []))
    pairs.save(str(folder / "tokenizer.json"))
    with pytest.raises(
        ValueError, match=r"should name tokens from 0 to 49, as the model has them, and names 50; fetch"
    ):
        from_huggingface(folder)
