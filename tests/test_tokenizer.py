"""The tokenizer: exact for everything in the world, clear about everything else."""

import pytest
import torch

from minitransformer import Tokenizer, batch
from minitransformer.phrasebook import prompt
from minitransformer.tokenizer import IGNORED

SMALL = Tokenizer(["<end>", "Look", "out", "!", "→", "小", "心", "shout", ":"])


def test_everything_in_the_world_comes_back_exactly(book, tokenizer, world):
    """Each sentence with one (skill, wording) after the other, so that each skill meets thousands of sentences."""
    asked = [(skill, wording) for skill in book.skills | book.held_out for wording in [None, *book.wordings(skill)]]
    for number, sentence in enumerate([*world, *book.phrases * len(asked)]):
        skill, wording = asked[number % len(asked)]
        asks, answer = prompt(sentence.english, wording), book.answer(skill, sentence)
        for text in (asks, answer, sentence.chinese, f"{asks} {answer}"):
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_english_tokens_are_words_and_marks_and_chinese_ones_characters(tokenizer):
    ids = tokenizer.encode("in Chinese: Look out! → 小心!")
    assert tokenizer.tokens(ids) == ["in", "Chinese", ":", "Look", "out", "!", "→", "小", "心", "!"]
    assert SMALL.encode("Look out! →") == [1, 2, 3, 4]
    assert SMALL.encode("shout: Look out! → 小心!") == [7, 8, 1, 2, 3, 4, 5, 6, 3]
    assert SMALL.decode([7, 8, 1, 2, 3, 4, 5, 6, 3]) == "shout: Look out! → 小心!"
    assert SMALL.encode("") == [] and SMALL.decode([]) == ""


def test_the_spelling_matters(tokenizer):
    assert len({tokenizer.encode(text)[0] for text in ("look", "Look", "LOOK")}) == 3
    with pytest.raises(ValueError, match=r"'lOOk' .* is none of them"):
        tokenizer.encode("lOOk")


def test_ids_may_be_a_tensor():
    assert SMALL.decode(torch.tensor([1, 2, 3])) == "Look out!"


def test_an_unknown_word_is_named_with_its_nearest_known_ones(tokenizer):
    message = rf"this tokenizer knows {len(tokenizer)} words and marks, and 'rabbot' \(near it: rabbit, .*\) is none"
    with pytest.raises(ValueError, match=message + r" of them; write the text with words of tokenizer\.vocabulary"):
        tokenizer.encode("The rabbot is sleeping by the river.")
    with pytest.raises(ValueError, match=r"knows 9 words and marks, and '山' \(nothing is near it\) is none of them"):
        SMALL.encode("小山")


def test_all_unknown_words_of_a_text_are_named_at_once_whatever_their_capitals(tokenizer):
    with pytest.raises(ValueError) as refused:
        tokenizer.encode("The rabbot is Sleping by the RIVVER, rabbot!")
    message = str(refused.value)
    assert "'rabbot' (near it: rabbit" in message and "'Sleping' (near it: Sleeping" in message
    assert "'RIVVER' (near it: RIVER" in message and "',' (nothing is near it) are none of them" in message
    assert message.count("'rabbot'") == 1 and "'The'" not in message and "'by'" not in message


@pytest.mark.parametrize("wrong", [9, -1])
def test_ids_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"ids must be token ids from 0 to 8; got {wrong} among them"):
        SMALL.decode([1, wrong, 2])


@pytest.mark.parametrize("vocabulary", [["<end>", "a", "a"], ["a", "b"]])
def test_a_vocabulary_lists_each_token_once_and_knows_the_end(vocabulary):
    with pytest.raises(ValueError, match="a vocabulary lists each token once and contains '<end>'; this one does not"):
        Tokenizer(vocabulary)


def test_a_batch_aims_at_the_answer_and_its_end_and_at_nothing_else():
    tokens, targets = batch(SMALL, [("Look out! →", "小心!"), ("out! →", "out")])
    x = IGNORED
    assert tokens.tolist() == [[1, 2, 3, 4, 5, 6, 3], [2, 3, 4, 2, 0, 0, 0]]
    assert targets.tolist() == [[x, x, x, 5, 6, 3, 0], [x, x, 2, 0, x, x, x]]
    assert tokens.dtype == targets.dtype == torch.long


def test_a_batch_never_shows_the_end_it_asks_for(book, tokenizer):
    """The input stops before the end token, and each target is the input one place later."""
    examples = book.examples("chinese", count=20)
    tokens, targets = batch(tokenizer, examples)
    for row, (asks, answer) in enumerate(examples):
        wanted = targets[row] != IGNORED
        whole = [*tokenizer.encode(f"{asks} {answer}"), tokenizer.end]
        assert tokens[row, : len(whole) - 1].tolist() == whole[:-1]
        assert tokens[row, len(whole) - 1 :].eq(tokenizer.end).all()
        assert targets[row, wanted].tolist() == [*tokenizer.encode(answer), tokenizer.end]
        assert wanted.nonzero()[0] == len(tokenizer.encode(asks)) - 1


def test_words_with_accents_stay_whole_for_worlds_in_other_languages():
    french = Tokenizer(["<end>", "L'élève", "où", "est", "?"])
    assert french.decode(french.encode("L'élève est où?")) == "L'élève est où?"
