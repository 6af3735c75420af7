"""GGUF files become the same Transformer, or are refused with a reason; the gguf package writes them here."""

import sys
from pathlib import Path

import damage
import numpy as np
import pytest
import torch
from laws import random_model, text

from minitransformer import Transformer, from_gguf
from minitransformer.files.gguf import gguf_name

gguf = pytest.importorskip("gguf")
tokenizers = pytest.importorskip("tokenizers")

VOCABULARY = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "th", "<|end|>"]


def side_by_side(weight: np.ndarray, heads: int) -> np.ndarray:
    """As llama.cpp's converter writes queries and keys: feature i beside feature i + d/2."""
    half = len(weight) // heads // 2
    order = [head * 2 * half + side * half + i for head in range(heads) for i in range(half) for side in (0, 1)]
    return weight[order]


def weights(model: Transformer) -> dict[str, np.ndarray]:
    found = {gguf_name(name): weight.detach().numpy() for name, weight in model.state_dict().items()}
    for name in found:
        if "attn_q." in name or "attn_k." in name:
            found[name] = side_by_side(found[name], model.config.heads if "_q." in name else model.config.kv_heads)
    return found


def described(model: Transformer) -> dict:
    config = model.config
    return {
        "llama.context_length": config.context,
        "llama.embedding_length": config.width,
        "llama.block_count": config.layers,
        "llama.attention.head_count": config.heads,
        "llama.attention.head_count_kv": config.kv_heads,
        "llama.feed_forward_length": config.hidden,
        "llama.attention.layer_norm_rms_epsilon": config.eps,
        "llama.rope.freq_base": config.rope_base,
        "llama.vocab_size": config.vocab,
    }


SPOKEN = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": VOCABULARY,
    "tokenizer.ggml.token_type": [*[1] * (len(VOCABULARY) - 1), 3],
    "tokenizer.ggml.merges": ["t h"],
    "tokenizer.ggml.eos_token_id": len(VOCABULARY) - 1,
}


def written(path: Path, about: dict, tensors: dict, kind: str = "llama", quantised=None) -> Path:
    writer = gguf.GGUFWriter(path, kind)
    for key, value in about.items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add.get(type(value), writer.add_array)(key, value)
    for name, tensor in tensors.items():
        if quantised is not None and tensor.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(tensor, quantised), raw_dtype=quantised)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def theirs() -> Transformer:
    return random_model(dtype=torch.float32, vocab=len(VOCABULARY), width=64, hidden=96)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.gguf"


@torch.no_grad()
def test_a_file_gives_the_model_it_was_made_of(theirs, path):
    model, tokenizer = from_gguf(written(path, described(theirs), weights(theirs)))
    right = theirs(text(theirs))
    assert (model(text(theirs)) - right).abs().max() < 1e-4 < right.std()  # the file keeps eps as float32
    assert tokenizer is None and model.config.end is None


@torch.no_grad()
def test_a_file_with_two_tables_of_words_gives_both(path):
    theirs = random_model(dtype=torch.float32, vocab=len(VOCABULARY), width=64, hidden=96, tied=False)
    model, _ = from_gguf(written(path, described(theirs), weights(theirs)))
    right = theirs(text(theirs))
    assert (model(text(theirs)) - right).abs().max() < 1e-4 < right.std()


@pytest.mark.parametrize("quantised", ["Q4_1", "Q8_0", "F16", "BF16"])
@torch.no_grad()
def test_quantised_weights_are_dequantised_as_the_format_says(quantised, theirs, path):
    kind = gguf.GGMLQuantizationType[quantised]
    model, _ = from_gguf(written(path, described(theirs), weights(theirs), quantised=kind))
    for parameter in theirs.parameters():
        if parameter.dim() == 2:  # rows are quantised one by one, so their order does not matter
            rounded = gguf.quants.dequantize(gguf.quants.quantize(parameter.numpy(), kind), kind)
            parameter.copy_(torch.from_numpy(rounded))
    right = theirs(text(theirs))
    assert (model(text(theirs)) - right).abs().max() < 1e-4 < right.std()


@torch.no_grad()
def test_bfloat16_is_bfloat16_throughout(theirs, path):
    model, _ = from_gguf(written(path, described(theirs), weights(theirs)), torch.bfloat16)
    assert {tensor.dtype for tensor in [*model.parameters(), *model.buffers()]} == {torch.bfloat16}
    right = theirs(text(theirs))
    assert (model(text(theirs)) - right).abs().mean() < 0.05 * right.std()


def test_the_tokenizer_comes_from_the_file(theirs, path):
    about = described(theirs) | SPOKEN
    del about["llama.vocab_size"]  # the tokens tell
    model, tokenizer = from_gguf(written(path, about, weights(theirs)))
    assert tokenizer.tokens(tokenizer.encode("th12<|end|>")) == ["th", "1", "2", "<|end|>"]
    assert model.config.end == tokenizer.end == len(VOCABULARY) - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "sets llama.rope.scaling.type to 'yarn', which this architecture does"),
        ({"llama.expert_count": 8}, "sets llama.expert_count to 8"),
        ({"llama.rope.dimension_count": 8}, "sets llama.rope.dimension_count to 8; here it is width / heads, 16"),
        ({"llama.attention.head_count": 5}, "describes no model that can be"),
        ({"llama.block_count": 4}, "lacks 'blk.3"),
        ({"llama.vocab_size": 300}, r"'token_embd.weight' should be \(300, 64\)"),
        ({"tokenizer.ggml.model": "llama"}, "a tokenizer of the kind 'llama'; byte-level pairs, 'gpt2', are read"),
        ({"tokenizer.ggml.pre": "llama-bpe"}, "the way called 'llama-bpe', which is not known here"),
        ({"tokenizer.ggml.add_bos_token": True}, "sets tokenizer.ggml.add_bos_token, so every text gets something"),
        ({"tokenizer.ggml.add_space_prefix": True}, "sets tokenizer.ggml.add_space_prefix"),
    ],
)
def test_what_is_not_covered_is_refused(change, message, theirs, path):
    written(path, described(theirs) | SPOKEN | change, weights(theirs))
    with pytest.raises(ValueError, match=message):
        from_gguf(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blk.0.attn_q.bias": np.zeros(64, np.float32)}, "there are no biases"),
        ({"output.weight": np.zeros((9, 64), np.float32)}, r"'output.weight' should be .* and is \(9, 64\)"),
        ({"rope_freqs.weight": np.zeros(8, np.float32)}, "holds 'rope_freqs.weight'"),
        ({"output_norm.weight": np.full(64, np.nan, np.float32)}, "NaN or infinite numbers in 'output_norm.weight'"),
        ({"blk.0.attn_q.weight": np.zeros((63, 64), np.float32)}, r"should be \(64, 64\) and is \(63, 64\)"),
        ({"output_norm.weight": np.ones(64, np.int8)}, "keeps 'output_norm.weight' as I8, which cannot be read"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message, theirs, path):
    written(path, described(theirs), weights(theirs) | change)
    with pytest.raises(ValueError, match=message):
        from_gguf(path)


def test_another_kind_of_model_is_refused(theirs, path):
    written(path, described(theirs), weights(theirs), kind="gemma")
    with pytest.raises(ValueError, match="a model of the kind 'gemma'; expected 'llama'"):
        from_gguf(path)


def test_a_file_that_says_too_little_is_refused(theirs, path):
    about = described(theirs)
    del about["llama.block_count"]
    with pytest.raises(ValueError, match=r"does not say llama\.block_count"):
        from_gguf(written(path, about, weights(theirs)))


def test_missing_and_damaged_files_are_refused(theirs, path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_gguf(path)
    data = written(path, described(theirs) | SPOKEN, weights(theirs)).read_bytes()
    for damaged in b"", b"GGUF", b"\xff" * 100, *(data[: len(data) * part // 12] for part in range(1, 12)), data[:-1]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged or is no GGUF file"):
            from_gguf(path)


def test_without_the_library_it_is_said_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ImportError, match=r"pip install --no-deps -r lessons/requirements-real\.txt"):
        from_gguf(path)


@pytest.fixture
def small() -> Transformer:
    return random_model(dtype=torch.float32, vocab=len(VOCABULARY), width=8, hidden=6, layers=1, heads=2, kv_heads=1)


def spots(data: bytes, until: int) -> list[int]:
    """The places of a header whose bytes something else in the file speaks of."""
    free = []
    for name in "llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon", "llama.context_length":
        start = data.find(name.encode()) + len(name) + 4
        free.append(range(start, start + 4))
    free.append(range(data.find(b"tokenizer.ggml.tokens") + 40, data.find(b"tokenizer.ggml.merges")))
    free.append(
        range(data.find(b"tokenizer.ggml.eos_token_id") + 27 + 4, data.find(b"tokenizer.ggml.eos_token_id") + 35)
    )
    return [place for place in range(until) if not any(place in part for part in free)]


def test_no_damaged_file_is_taken_for_a_good_one(small, path):
    data = written(path, described(small) | SPOKEN, weights(small)).read_bytes()
    right, start = damage.plain(from_gguf(path)), data.rfind(b"output_norm.weight")
    changed = [("longer", data + bytes(64)), *((f"cut {size}", data[:size]) for size in range(0, len(data), 997))]
    known = spots(data, start)
    for place in known[::7]:
        changed.append((f"bit at {place}", data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]))
        for size in 2**64 - 1, 2**40:
            around = data[:place], size.to_bytes(8, "little"), data[place + 8 :]
            if {*range(place, place + 8)} <= {*known}:
                changed.append((f"{size} at {place}", b"".join(around)))
    assert damage.outcomes(lambda: from_gguf(path), path, right, changed) > 300


@pytest.mark.parametrize("place", [8, 16], ids=["tensors", "values"])
@pytest.mark.parametrize("count", [0, 1, 10**7, 2**40, 2**64 - 1])
def test_a_file_that_claims_another_number_of_things_is_refused(small, path, place, count):
    data = written(path, described(small), weights(small)).read_bytes()
    path.write_bytes(data[:place] + count.to_bytes(8, "little") + data[place + 8 :])
    with pytest.raises(ValueError, match=r"is damaged or is no GGUF file|lacks|holds a model of the kind|expected"):
        from_gguf(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"llama.context_length": 10**8}, "llama.context_length should be a whole number from 1 to 1048576"),
        (
            {"llama.block_count": 10**7},
            "describes a model of 10000000 layers; expected at most 11, as it holds 11 tensors",
        ),
        ({"llama.embedding_length": 10**9}, "llama.embedding_length should be"),
        ({"general.alignment": 7}, "general.alignment should be 8 or 16"),
        ({"general.alignment": 64}, "should begin at"),
        (
            {"tokenizer.ggml.token_type": [1, 3]},
            "should name 258 different tokens and their types, and names 258 and 2",
        ),
        ({"tokenizer.ggml.merges": ["th"]}, r"merges\[0\] should be two pieces with a space between and is 'th'"),
        ({"tokenizer.ggml.merges": ["x yz"]}, "has a tokenizer that cannot be read here: vocabulary and merges do not"),
        ({"tokenizer.ggml.eos_token": 3}, "sets tokenizer.ggml.eos_token, which is not known here"),
        ({"tokenizer.ggml.pre": None}, "does not say tokenizer.ggml.pre"),
        ({"tokenizer.ggml.model": None}, "does not say tokenizer.ggml.model"),
    ],
)
def test_a_header_that_cannot_be_is_refused(small, path, change, message):
    about = {name: value for name, value in (described(small) | SPOKEN | change).items() if value is not None}
    written(path, about, weights(small))
    with pytest.raises(ValueError, match=message):
        from_gguf(path)


def test_a_name_that_is_there_twice_is_refused(small, path):
    data = written(path, described(small) | {"llama.block_couns": 1}, weights(small)).read_bytes()
    path.write_bytes(data.replace(b"llama.block_couns", b"llama.block_count"))
    with pytest.raises(ValueError, match=r"it says llama\.block_count twice"):
        from_gguf(path)
    data = written(path, described(small), weights(small)).read_bytes()
    path.write_bytes(data.replace(b"blk.0.ffn_up.weight", b"blk.0.attn_q.weight"))
    with pytest.raises(ValueError, match=r"blk\.0\.attn_q\.weight is kept as 0, or is there twice"):
        from_gguf(path)
