"""SmolLM2 through this code is SmolLM2: the logits and texts of transformers, the tokens that its own rules demand."""

import random
from itertools import pairwise

import pytest
import torch

from minitransformer import BytePairs, Transformer, from_gguf, generate
from minitransformer.optional import smollm2

for needed in "gguf", "tokenizers", "transformers":
    pytest.importorskip(needed, exc_type=ImportError)
regex = pytest.importorskip("regex")  # transformers brings it
try:
    PATH = smollm2()
except FileNotFoundError as missing:
    pytest.skip(str(missing), allow_module_level=True)


@pytest.fixture(scope="module")
def real() -> tuple[Transformer, BytePairs]:
    return from_gguf(PATH)


@pytest.fixture(scope="module")
def theirs():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(PATH.parent, gguf_file=PATH.name, dtype=torch.float32).eval()


TEXTS = [
    "The capital of France is Paris, and that of Italy is",
    "<|im_start|>user\nWrite the opposite of hot.<|im_end|>\n<|im_start|>assistant\n",
    "def add(a, b):\n    return a +",
    "In 1984, 2,500 people",
]


@torch.no_grad()
def test_the_logits_are_those_of_transformers(real, theirs):
    model, tokenizer = real
    for text in TEXTS:
        tokens = torch.tensor([tokenizer.encode(text)])
        logits = model(tokens)
        assert (logits - theirs(tokens).logits).abs().max() < 1e-3 < logits.std()


@torch.no_grad()
def test_the_greedy_texts_are_those_of_transformers(real, theirs):
    model, tokenizer = real
    prompts = [tokenizer.encode(text) for text in TEXTS]
    for prompt, ours in zip(prompts, generate(model, prompts, max_new_tokens=24), strict=True):
        prompt = torch.tensor([prompt])
        said = theirs.generate(prompt, attention_mask=prompt.new_ones(prompt.shape), max_new_tokens=24, do_sample=False)
        expected = said[0, prompt.shape[1] :].tolist()
        assert ours == (expected[: expected.index(tokenizer.end)] if tokenizer.end in expected else expected)


def reference_tokens(
    text: str, ids: dict[str, int], ranks: dict[tuple[str, str], int], special: list[str]
) -> list[int]:
    """SmolLM2's rules, one by one and slowly: special tokens, single digits, GPT-2's words, bytes, merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}
    found = []
    for part in regex.split("(" + "|".join(map(regex.escape, special)) + ")", text):
        if part in special:
            found.append(ids[part])
            continue
        for piece in regex.findall(r"\p{N}|\P{N}+", part):
            for word in regex.findall(
                r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", piece
            ):
                symbols = [letters[byte] for byte in word.encode()]
                while len(symbols) > 1:
                    pairs = list(pairwise(symbols))
                    best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
                    if best not in ranks:
                        break
                    place = pairs.index(best)
                    symbols[place : place + 2] = ["".join(best)]
                found += [ids[symbol] for symbol in symbols]
    return found


WORDS = """the Transformer don't we'll've I'M naïve Straße 小心 привет 🐦 e\u0301 ½ ² ٣٤ x=3.14 0x1F 007 1,000 3rd
2026-11-21 v2b3 100% <|im_end|> <|im_start|> () {}[] !?... — a.b/c?d=1 _ ' \""""


def mixed(count: int) -> list[str]:
    """Words, numbers, signs, spaces and scripts thrown together, told by a seed."""
    rng = random.Random(0)
    parts = [*WORDS.split(), "\t", "\n", "\n\n", "\r\n", "    ", "\u00a0", "\u3000"]
    joins = ["", " ", " ", "  ", "\n"]
    return ["".join(rng.choice(parts) + rng.choice(joins) for _ in range(rng.randint(1, 9))) for _ in range(count)]


def test_mixed_texts_are_tokenized_as_the_model_s_own_rules_demand(real):
    import gguf

    fields = gguf.GGUFReader(PATH).fields
    vocabulary, merges, types = (
        fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "merges", "token_type")
    )
    special = [token for token, kind in zip(vocabulary, types, strict=True) if kind == 3]
    ids = {token: number for number, token in enumerate(vocabulary)}
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
    _, tokenizer = real
    assert not [token for token in vocabulary if regex.search(r"\p{N}\p{N}|Ġ\p{N}", token)]  # so digits stand alone
    texts = mixed(200)
    wrong = [text for text in texts if tokenizer.encode(text) != reference_tokens(text, ids, ranks, special)]
    assert wrong == []
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts
    assert sum(any(sign.isdigit() for sign in text) for text in texts) > 100


@torch.no_grad()
def test_bfloat16_says_nearly_the_same(real):
    model, tokenizer = real
    half, _ = from_gguf(PATH, torch.bfloat16)
    prompt = tokenizer.encode(TEXTS[0])
    assert half.embedding.weight.dtype == torch.bfloat16
    assert generate(half, [prompt], max_new_tokens=2) == generate(model, [prompt], max_new_tokens=2)
