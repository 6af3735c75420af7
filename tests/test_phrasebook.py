"""The phrasebook world: large enough, right, split by sentence, told by its seed."""

import re
from collections import Counter
from itertools import islice, pairwise

import pytest
import torch

from minitransformer import Batches, Phrasebook
from minitransformer.phrasebook import SPLITS, Sentence, prompt
from minitransformer.tokenizer import IGNORED

# One or two of each pattern, written by hand: measure words, 了, 的 and 两 are where a Chinese speaker puts them.
TRANSLATIONS = {
    "The child is sleeping under the tree.": "孩子在树下睡觉。",
    "The doctor is singing on the bridge.": "医生在桥上唱歌。",
    "Two teachers are laughing.": "两位老师在笑。",
    "Three girls are dancing.": "三个女孩在跳舞。",
    "The dog is running in the park.": "狗在公园里跑。",
    "Two horses are resting.": "两匹马在休息。",
    "Five cows are playing.": "五头牛在玩。",
    "Four ducks are starving.": "四只鸭子在挨饿。",
    "The student bought three books.": "学生买了三本书。",
    "The cook lost two umbrellas.": "厨师弄丢了两把雨伞。",
    "My friend found an old watch.": "我的朋友找到了一块旧手表。",
    "My neighbor sold a red car.": "我的邻居卖掉了一辆红色的车。",
    "The girl did not see the letter.": "女孩没有看见信。",
    "Who stole my hat?": "谁偷走了我的帽子?",
    "Where is my new shirt?": "我那件新衬衫在哪里?",
    "This lamp is very expensive.": "这盏灯很贵。",
    "That painting is very beautiful.": "那幅画很漂亮。",
    "There is a lonely cat in the garden.": "花园里有一只孤独的猫。",
    "That cow is very lazy.": "那头牛很懒惰。",
    "Yesterday the teacher was tired.": "昨天老师很累。",
    "My child is very happy today.": "我的孩子今天很高兴。",
    "The cook likes soup.": "厨师喜欢汤。",
    "The girl gave the teacher a flower.": "女孩给了老师一朵花。",
    "The doctor gave the child an umbrella.": "医生给了孩子一把雨伞。",
    "I fear that dangerous dog.": "我害怕那只危险的狗。",
    "I miss this clever horse.": "我想念这匹聪明的马。",
}
MEASURES = {  # how things are counted in Chinese
    "书": "本", "信": "封", "帽子": "顶", "钥匙": "把", "雨伞": "把", "椅子": "把", "画": "幅", "灯": "盏", "票": "张",
    "地图": "张", "花": "朵", "杯子": "个", "包": "个", "衬衫": "件", "车": "辆", "笔": "支", "手表": "块",
    "猫": "只", "狗": "只", "鸟": "只", "兔子": "只", "鸭子": "只", "马": "匹", "牛": "头",
    "孩子": "个", "女孩": "个", "老师": "位", "学生": "个", "医生": "位", "厨师": "位", "朋友": "个", "邻居": "个",
}  # fmt: skip
SKILLS = {  # of three sentences each, by hand
    "chinese": ["小心!", "谁偷走了我的帽子?", "两位老师在笑。"],
    "shout": ["LOOK OUT!", "WHO STOLE MY HAT?", "TWO TEACHERS ARE LAUGHING."],
    "backwards": ["out Look!", "hat my stole Who?", "laughing are teachers Two."],
    "repeat": ["Look out!", "Who stole my hat?", "Two teachers are laughing."],
    "count": ["two", "four", "four"],
    "first": ["Look", "Who", "Two"],
    "last": ["out", "hat", "laughing"],
    "feeling": ["afraid", "afraid", "happy"],
    "second": ["out", "stole", "teachers"],
    "opposite": ["calm", "calm", "sad"],
    "shout_last": ["OUT", "HAT", "LAUGHING"],
    "shout_backwards": ["OUT LOOK!", "HAT MY STOLE WHO?", "LAUGHING ARE TEACHERS TWO."],
    "sorted": ["Look out!", "hat my stole Who?", "are laughing teachers Two."],
}


@pytest.fixture(scope="module")
def by_english(book, world) -> dict[str, Sentence]:
    return {sentence.english: sentence for sentence in [*world, *book.phrases]}


def test_the_world_is_large_enough(book):
    content = {"person", "animal", "thing", "food", "act", "move", "deed", "look", "nature", "quality", "mood"}
    words = {word.en for kind in content for word in book.words[kind]}
    assert len(words) >= 60 and all(word.isalpha() for word in words)
    assert len(book.patterns) >= 10
    assert len({phrase.english for phrase in book.phrases}) == len(book.phrases) >= 40
    assert len(book.skills) >= 8 and len(book.held_out) >= 4
    assert all(1 <= len(wordings) <= 3 for wordings in (book.skills | book.held_out).values())


def test_no_wording_asks_for_two_skills(book):
    wordings = [wording for skill in (book.skills | book.held_out).values() for wording in skill]
    assert len(set(wordings)) == len(wordings)


def test_look_out_is_xiao_xin(by_english):
    assert by_english["Look out!"].chinese == "小心!"


@pytest.mark.parametrize("english", TRANSLATIONS)
def test_translations_are_as_written_by_hand(by_english, english):
    assert by_english[english].chinese == TRANSLATIONS[english]


def test_every_pattern_has_a_translation_written_by_hand(book):
    for pattern, slots in book.patterns:
        known = lambda slot, slots=slots: "|".join(getattr(word, slot[2]) for word in book.words[slots[slot[1]]])  # noqa: E731
        shape = re.sub(
            r"\{(\w+)\.(\w+)\}",
            lambda slot, known=known: f"({known(slot)})",
            re.sub(r"([.?])$", r"[\1]", pattern["en"]),
        )
        assert any(re.fullmatch(shape, english) for english in TRANSLATIONS), pattern["en"]


def test_everything_counted_has_its_measure_word(book, world):
    counted = {word.zh: word.measure for kind in book.words.values() for word in kind if hasattr(word, "measure")}
    assert counted == MEASURES
    for sentence in world:
        for before in ("一", "两", "三", "四", "五", "这", "那"):
            place = sentence.chinese.find(before)
            assert place < 0 or sentence.chinese[place + 1] in MEASURES.values(), sentence.chinese


def test_one_sentence_has_one_meaning(book, world):
    """No English sentence can be made in two ways, with two translations or two feelings."""
    everything = [sentence.english for sentence in [*world, *book.phrases]]
    assert len(set(everything)) == len(everything)
    assert {sentence.feeling for sentence in world} == set(book.opposites) == {"happy", "sad", "afraid", "calm"}


def test_a_pattern_sentence_reads_well_in_english(world):
    for sentence in world:
        assert sentence.english[0].isupper() and sentence.mark in ".?" and "  " not in sentence.english
        words = sentence.words
        for article, follower in pairwise(words):
            assert article not in ("a", "an") or (article == "an") == (follower[0] in "aeiou"), sentence.english


@pytest.mark.parametrize("skill", SKILLS)
def test_each_skill_answers_as_written_by_hand(book, by_english, skill):
    sentences = [by_english[text] for text in ("Look out!", "Who stole my hat?", "Two teachers are laughing.")]
    assert [book.answer(skill, sentence) for sentence in sentences] == SKILLS[skill]


def test_there_is_an_expectation_for_every_skill(book):
    assert list(SKILLS) == [*book.skills, *book.held_out]


def test_one_word_sentences_have_every_answer(book, by_english):
    help_ = by_english["Help!"]
    got = {skill: book.answer(skill, help_) for skill in SKILLS}
    assert got["second"] == got["first"] == got["last"] == "Help" and got["count"] == "one"
    assert got["backwards"] == got["sorted"] == got["repeat"] == "Help!" and got["shout_last"] == "HELP"


def test_an_unknown_skill_or_split_is_refused(book, by_english):
    with pytest.raises(ValueError, match=r"the skills are chinese, shout, .*, sorted; got 'dance'"):
        book.answer("dance", by_english["Look out!"])
    with pytest.raises(ValueError, match="the splits are train, validation, test; got 'exam'"):
        book.examples("chinese", "exam")


def test_the_splits_share_no_sentence_and_leave_none_out(book, world):
    """Every sentence there is, by its text alone: about eight in ten to train on; the set phrases all among them."""
    sizes = Counter(sentence.part for sentence in world)
    assert set(sizes) == set(SPLITS)
    for part, share in ("train", 0.8), ("validation", 0.1), ("test", 0.1):
        assert abs(sizes[part] / len(world) - share) < 0.02
    assert not {sentence.english for sentence in world} & {phrase.english for phrase in book.phrases}


def test_a_sentences_split_is_told_by_its_english_alone(world):
    assert all(Sentence(sentence.english, "x", "y").part == sentence.part for sentence in world[:200])


@pytest.mark.parametrize("part", SPLITS)
def test_every_sentence_drawn_for_a_split_is_in_it(book, world, tokenizer, part):
    allowed = {sentence.english for sentence in world if sentence.part == part}
    if part == "train":
        allowed |= {phrase.english for phrase in book.phrases}
    examples = [book.examples(skill, part, 100, seed=seed) for skill in ("repeat", "chinese") for seed in (0, 1)]
    drawn = [asks.removesuffix(" →") for pairs in examples for asks, _ in pairs]
    for tokens, targets in islice(Batches(book, tokenizer, ["repeat"], rows=50, part=part), 10):
        for row, aim in zip(tokens, targets, strict=True):  # the prompt's last token, →, already aims at the answer
            drawn.append(tokenizer.decode(row[: (aim != IGNORED).nonzero()[0]]))
    assert len(drawn) == 900 and set(drawn) <= allowed
    assert part == "train" or not set(drawn) & {phrase.english for phrase in book.phrases}


def test_every_set_phrase_is_trained_on(book):
    asked = {asks for asks, _ in book.examples("chinese", "train", 4000)}
    assert {prompt(phrase.english) for phrase in book.phrases} <= asked


def test_examples_differ_from_each_other_and_are_asked_for_as_wished(book):
    for instructed in (False, True):
        pairs = book.examples("backwards", count=200, instructed=instructed)
        assert len(pairs) == len(set(pairs)) == 200
        assert all((":" in asks) == instructed and asks.endswith(" →") for asks, _ in pairs)
    wordings = Counter(asks.split(":")[0] for asks, _ in pairs)
    assert set(wordings) == set(book.skills["backwards"])


def test_with_and_without_instruction_the_held_out_skills_have_examples_too(book):
    for skill in book.held_out:
        (asks, answer), *_ = book.examples(skill, count=3, instructed=True)
        assert asks.startswith(f"{book.held_out[skill][0]}: ") and answer


def test_one_seed_gives_the_same_batches_and_another_seed_others(book, tokenizer):
    def start(seed, **changes):
        return [*islice(Batches(book, tokenizer, list(book.skills), rows=8, seed=seed, **changes), 3)]

    one, same, other = start(1), start(1), start(2)
    assert all(torch.equal(a, b) for x, y in zip(one, same, strict=True) for a, b in zip(x, y, strict=True))
    assert not any(a.shape == b.shape and torch.equal(a, b) for (a, _), (b, _) in zip(one, other, strict=True))
    assert book.examples("last", seed=1) == Phrasebook().examples("last", seed=1) != book.examples("last", seed=2)


def test_iterating_again_starts_again_and_two_iterators_do_not_disturb_each_other(book, tokenizer):
    batches = Batches(book, tokenizer, ["chinese"], rows=4)
    first, (one, two) = [*islice(batches, 5)], (iter(batches), iter(batches))
    for expected in first:
        assert torch.equal(next(one)[0], expected[0]) and torch.equal(next(two)[0], expected[0])


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_the_share_of_instructed_examples_is_as_asked(book, tokenizer, share):
    colon = tokenizer.ids[":"]
    batches = islice(Batches(book, tokenizer, list(book.skills), rows=100, instructed=share), 10)
    asked = torch.cat([tokens.eq(colon).any(1) for tokens, _ in batches]).double().mean().item()
    assert asked == share if share in (0.0, 1.0) else abs(asked - share) < 0.05  # 3.4 standard deviations


def test_only_the_skills_asked_for_are_drawn(book, tokenizer):
    _, targets = next(iter(Batches(book, tokenizer, ["count"], rows=50)))
    answers = {tokenizer.decode(row[row != IGNORED]) for row in targets}
    assert answers <= {f"{number}<end>" for number in book.numbers}
