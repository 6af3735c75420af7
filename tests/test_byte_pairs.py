"""Byte-level pairs: the GGUF names for cutting a text, exact round trips, and clear refusals."""

import sys

import pytest

from minitransformer import BytePairs, batch

tokenizers = pytest.importorskip("tokenizers")

BYTES = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = [*BYTES, "12", "th", "the", "Ġthe", "<|end|>"]
MERGES = ["1 2", "t h", "th e", "Ġ the"]
END = len(VOCABULARY) - 1


def made(cut: str = "smollm", merges: list[str] = MERGES) -> BytePairs:
    return BytePairs.from_merges(VOCABULARY, merges, ["<|end|>"], cut, END)


@pytest.mark.parametrize("text", ["the theme", "  two  spaces\n", "小心! 🐦", "12 + 12<|end|>", "", "naïve\x00\t"])
def test_every_text_comes_back_as_it_was(text):
    assert made().decode(made().encode(text)) == text


def test_merges_are_applied_and_special_tokens_stand_for_themselves():
    assert made().tokens(made().encode("the the<|end|>")) == ["the", " the", "<|end|>"]
    assert made().end == END == made().encode("<|end|>")[0] and len(made()) == len(VOCABULARY)


def test_smollm_splits_digits_one_by_one_and_gpt_2_does_not():
    assert made("smollm").tokens(made("smollm").encode("12")) == ["1", "2"]
    assert made("gpt-2").tokens(made("gpt-2").encode("12")) == ["12"]


@pytest.mark.parametrize(("gone", "text"), [("\x04", "a\x04b"), ("a", "cat"), ("\xf0", "a \N{BIRD}"), ("\xb0", "小")])
def test_a_text_that_would_lose_a_byte_is_refused_and_names_the_sign(gone, text):
    letter = {0x04: "\u0104"}.get(ord(gone), gone)
    pairs = BytePairs.from_merges([each for each in VOCABULARY if each != letter], [], ["<|end|>"], "smollm", END)
    with pytest.raises(ValueError, match=r"has no tokens for .*: take them out"):
        pairs.encode(text)
    assert pairs.decode(pairs.encode("the <|end|>")) == "the <|end|>"


def test_an_unknown_way_of_cutting_is_refused():
    with pytest.raises(ValueError, match=r"the way called 'qwen2', which is not known here.*known are gpt-2, smollm"):
        made("qwen2")


@pytest.mark.parametrize("merges", [["the dog"], ["the"], ["t h e"]])
def test_merges_of_another_vocabulary_are_refused(merges):
    with pytest.raises(ValueError, match="vocabulary and merges do not go together"):
        made(merges=merges)


def test_ids_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=rf"token ids run from 0 to {END}; got {END + 1}"):
        made().decode([0, END + 1])


def test_batches_are_made_with_it_as_with_the_other_tokenizer():
    tokens, targets = batch(made(), [("the", " the")])
    assert tokens.tolist() == [[END - 2, END - 1]] and targets.tolist() == [[END - 1, END]]


def test_a_file_gives_the_tokenizer_and_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    made().pairs.save(str(path))
    assert BytePairs.from_file(path, END).encode("the 12") == made().encode("the 12")
    path.write_text("{}")
    with pytest.raises(ValueError, match="is damaged or is no tokenizer"):
        BytePairs.from_file(path, END)


def test_a_tokenizer_that_adds_tokens_of_its_own_is_refused(tmp_path):
    pairs = made().pairs
    pairs.post_processor = tokenizers.processors.TemplateProcessing("<|end|> $A", special_tokens=[("<|end|>", END)])
    pairs.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="puts tokens of its own around every text"):
        BytePairs.from_file(tmp_path / "tokenizer.json", END)


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install --no-deps -r lessons/requirements-real\.txt"):
        made()
