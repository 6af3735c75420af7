"""The phrasebook world: large enough, right, split by sentence and by pairing, told by its seed."""

import random
import re
from collections import Counter
from itertools import islice, pairwise

import pytest
import torch

from minitransformer import Batches, Phrasebook
from minitransformer.grammar import ENGLISH, Grammar, Option, Part
from minitransformer.phrasebook import MARKS, PARTS, SPLITS, WORLD, Sentence, forms, plain
from minitransformer.tokenizer import IGNORED, split

# Written by hand: measure words, 在, 了, 没, 不, 的, 很, 两 and the order of times and places are a Chinese speaker's.
TRANSLATIONS = {
    # what beings do, did, often do, will do, in which places and when
    "The child is sleeping under the tree.": ("孩子在树下面睡觉。", "calm"),
    "A dog is running in the park.": ("一只狗在公园里跑步。", "happy"),
    "Two horses are resting now.": ("两匹马现在在休息。", "calm"),
    "These ducks are starving.": ("这些鸭子在挨饿。", "sad"),
    "My mother is cooking soup in the kitchen.": ("我的妈妈在厨房里做汤。", "happy"),
    "The cat is not sleeping.": ("猫没有在睡觉。", "afraid"),
    "Anna sang in the garden yesterday.": ("安娜昨天在花园里唱歌了。", "happy"),
    "Last night we cried.": ("昨晚我们哭了。", "sad"),
    "The student bought three books.": ("学生买了三本书。", "happy"),
    "My friend found an old watch.": ("我的朋友找到了一块旧手表。", "happy"),
    "Her neighbor sold a red car last week.": ("她的邻居上周卖掉了一辆红色的车。", "calm"),
    "The boy lost two big umbrellas.": ("男孩弄丢了两把大雨伞。", "sad"),
    "The girl did not see the letter.": ("女孩没有看见信。", "afraid"),
    "Peter did not go to school yesterday.": ("彼得昨天没有去学校。", "afraid"),
    "He went to the market last month.": ("他上个月去市场了。", "calm"),
    "The lion was trembling.": ("狮子在发抖。", "afraid"),
    "I drink tea every morning.": ("我每天早上喝茶。", "calm"),
    "She often dances on the beach.": ("她经常在海滩上跳舞。", "happy"),
    "Tom never laughs.": ("汤姆从不笑。", "sad"),
    "In winter the bears sleep in the forest.": ("冬天熊在森林里睡觉。", "calm"),
    "They do not work on Sunday.": ("他们星期天不工作。", "afraid"),
    "Tomorrow I will go to Beijing.": ("明天我会去北京。", "calm"),
    "Lisa will not sing tonight.": ("丽莎今晚不会唱歌。", "sad"),
    "The baby cannot eat meat.": ("宝宝不能吃肉。", "sad"),
    "You must help your brother.": ("你必须帮助你的哥哥。", "happy"),
    "She read a book.": None,  # nothing is read: "read" is a present and a past
    "The teacher is looking for her key.": ("老师在找她的钥匙。", "afraid"),
    "My father waited for us at the station.": ("我的爸爸在车站等了我们。", "calm"),
    # to whom
    "My grandmother gave me an apple.": ("我的奶奶给了我一个苹果。", "happy"),
    "The queen sent Mary a letter.": ("女王寄给了玛丽一封信。", "happy"),
    "Do not give him the knife!": ("别给他刀!", "sad"),
    # how they are, what they like and have
    "My sister is happy today.": ("我的姐姐今天很高兴。", "happy"),
    "We are not tired.": ("我们不累。", "happy"),
    "The snake is very dangerous.": ("蛇非常危险。", "afraid"),
    "Yesterday the teachers were angry.": ("昨天老师很生气。", "afraid"),
    "I am at home.": ("我在家里。", "calm"),
    "My uncle is a doctor.": ("我的叔叔是一位医生。", "calm"),
    "Wei is not a student.": ("小伟不是学生。", "afraid"),
    "The chef likes fish.": ("厨师喜欢鱼。", "happy"),
    "He does not like coffee.": ("他不喜欢咖啡。", "sad"),
    "I love tea and cheese.": ("我爱茶和奶酪。", "happy"),
    "She has two black cats.": ("她有两只黑色的猫。", "happy"),
    "We have five children.": ("我们有五个孩子。", "happy"),
    "John does not have a phone.": ("约翰没有手机。", "sad"),
    "Tom and Anna are hungry.": ("汤姆和安娜很饿。", "sad"),
    "My aunt and I miss you.": ("我的阿姨和我想念你。", "sad"),
    # things
    "This lamp is very expensive.": ("这盏灯非常贵。", "sad"),
    "Those paintings are beautiful!": ("那些画很漂亮!", "happy"),
    "That dress is not clean.": ("那条裙子不干净。", "sad"),
    "Our house is white.": ("我们的房子是白色的。", "calm"),
    "The book is under the bed.": ("书在床下面。", "calm"),
    "There is a lonely cat in the garden.": ("花园里有一只孤独的猫。", "sad"),
    "There are four wolves behind the school.": ("学校后面有四只狼。", "calm"),
    "There is no bird on the bridge.": ("桥上没有鸟。", "afraid"),
    "There is a ticket in front of the door.": ("门前面有一张票。", "calm"),
    "This is your cup.": ("这是你的杯子。", "calm"),
    "What a beautiful flower!": ("多么漂亮的一朵花!", "happy"),
    "It is cold today.": ("今天天气很冷。", "sad"),
    # questions
    "Is the rabbit sleeping?": ("兔子在睡觉吗?", "calm"),
    "Are you happy?": ("你高兴吗?", "happy"),
    "Is that knife sharp?": ("那把刀锋利吗?", "afraid"),
    "Did the nurse close the window?": ("护士关上了窗户吗?", "calm"),
    "Does Paul like milk?": ("保罗喜欢牛奶吗?", "happy"),
    "Do you have a map?": ("你有一张地图吗?", "calm"),
    "Will they travel next year?": ("他们明年会旅行吗?", "happy"),
    "Can the duck swim?": ("鸭子能游泳吗?", "happy"),
    "Is she a singer?": ("她是歌手吗?", "calm"),
    "Who stole my hat?": ("谁偷走了我的帽子?", "afraid"),
    "Who is crying in the room?": ("谁在房间里哭?", "sad"),
    "Who is he?": ("他是谁?", "afraid"),
    "Where is my new shirt?": ("我的新衬衫在哪里?", "afraid"),
    "Where did the dog sleep?": ("狗在哪里睡觉了?", "calm"),
    "When will the king visit us?": ("国王什么时候会看望我们?", "happy"),
    "Why is Emma sad?": ("爱玛为什么难过?", "sad"),
    "What did you see yesterday?": ("你昨天看见了什么?", "calm"),
    "What do the monkeys want?": ("猴子想要什么?", "calm"),
    "How many books do you have?": ("你有多少本书?", "calm"),
    "Whose umbrella is this?": ("这是谁的雨伞?", "calm"),
    # asking for something, and greetings
    "Please open the window.": ("请打开窗户。", "calm"),
    "Do not burn the letter!": ("别烧掉信!", "calm"),
    "Let us eat bread!": ("我们吃面包吧!", "happy"),
    "Good morning David!": ("早上好，大卫!", "happy"),
    # two clauses
    "The boy is laughing and the girl is crying.": ("男孩在笑，女孩在哭。", "sad"),
    "I am tired but I am happy.": ("我很累，但是我很高兴。", "happy"),
    "The dog is afraid because the lion is screaming.": ("因为狮子在尖叫，所以狗很害怕。", "afraid"),
    "Jack did not cry because he found his ball.": ("因为他找到了他的球，所以杰克没有哭。", "happy"),
    "We like cats.": ("我们喜欢猫。", "happy"),
}
MEASURES = {  # how things are counted in Chinese
    "书": "本", "信": "封", "帽子": "顶", "钥匙": "把", "雨伞": "把", "椅子": "把", "桌子": "张", "床": "张",
    "画": "幅", "灯": "盏", "票": "张", "地图": "张", "花": "朵", "杯子": "个", "盘子": "个", "包": "个",
    "盒子": "个", "衬衫": "件", "外套": "件", "裙子": "条", "车": "辆", "自行车": "辆", "船": "条", "笔": "支",
    "刀": "把", "手机": "部", "电脑": "台", "手表": "块", "球": "个", "玩具": "个", "门": "扇", "窗户": "扇",
    "房子": "座", "吉他": "把", "报纸": "份", "礼物": "份", "照片": "张", "戒指": "枚", "苹果": "个", "香蕉": "根",
    "鸡蛋": "个", "蛋糕": "个", "猫": "只", "狗": "只", "鸟": "只", "兔子": "只", "鸭子": "只", "马": "匹",
    "牛": "头", "猪": "头", "老鼠": "只", "狮子": "头", "老虎": "只", "猴子": "只", "熊": "头", "狼": "只",
    "大象": "头", "蛇": "条", "孩子": "个", "男孩": "个", "女孩": "个", "男人": "个", "女人": "个", "宝宝": "个",
    "老师": "位", "学生": "个", "医生": "位", "护士": "位", "农民": "位", "司机": "位", "歌手": "位", "厨师": "位",
    "国王": "位", "女王": "位", "朋友": "个", "邻居": "个", "哥哥": "个", "姐姐": "个", "儿子": "个", "女儿": "个",
}  # fmt: skip
THREE = ("Look out!", "Who stole my hat?", "Two teachers are laughing.")
SKILLS = {  # of these three sentences each, by hand
    "chinese": ["小心!", "谁偷走了我的帽子?", "两位老师在笑。"],
    "shout": ["LOOK OUT!", "WHO STOLE MY HAT?", "TWO TEACHERS ARE LAUGHING."],
    "backwards": ["out Look!", "hat my stole Who?", "laughing are teachers Two."],
    "repeat": ["Look out!", "Who stole my hat?", "Two teachers are laughing."],
    "count": ["two", "four", "four"],
    "first": ["Look", "Who", "Two"],
    "last": ["out", "hat", "laughing"],
    "feeling": ["afraid", "afraid", "happy"],
    "second": ["out", "stole", "teachers"],
    "next_to_last": ["Look", "my", "are"],
    "shout_last": ["OUT", "HAT", "LAUGHING"],
    "opposite": ["calm", "calm", "sad"],
    "twice": [
        "Look Look out out!",
        "Who Who stole stole my my hat hat?",
        "Two Two teachers teachers are are laughing laughing.",
    ],
}
NO_MEANING = [skill for skill in SKILLS if skill not in ("chinese", "feeling", "opposite")]


def readings(grammar: Grammar, english: str) -> set[tuple[str, str]]:
    """Every meaning of a sentence, found by reading it in every way, where the grammar itself only draws."""
    tokens, met = split(english), {}

    def stands(word: str, place: int) -> bool:
        token = tokens[place] if place < len(tokens) else ""
        return (
            token == word
            or (place == 0 and token.lower() == word.lower())
            or (token, word) in (("an", "a"), ("An", "a"))
        )

    def parts(kind: str, name: str, place: int) -> list[tuple[Part, int]]:
        if (kind, name, place) not in met:
            met[kind, name, place] = [
                (Part(option, grammar.tables | inner), end)
                for option in {id(option): option for option in grammar.options[kind]}.values()
                for inner, end in fits(option, PIECE.findall(option.fields[name]), place, {})
            ]
        return met[kind, name, place]

    def fits(option: Option, pieces: list[str], place: int, inner: dict):
        if not pieces:
            yield inner, place
            return
        piece, *rest = pieces
        slot, _, name = piece.strip("{}").partition(".")
        if slot in grammar.tables or not piece.startswith("{"):  # which word of a table is right is seen at the end
            words = grammar.tables[slot].values() if piece.startswith("{") else [piece]
            if any(stands(word, place) for word in words):
                yield from fits(option, rest, place + 1, inner)
            return
        for field in ("one", "base") if name.startswith("{") else (name,):
            for part, end in parts(option.slots[slot], field, place):
                yield from fits(option, rest, end, inner | {slot: part})

    whole = [part for part, end in parts("sentence", "en", 0) if end == len(tokens)]
    return {(part["zh"], part["feeling"]) for part in whole if grammar.spell(part["en"]) == english}


PIECE = re.compile(r"\{\w+\.(?:\{\w+\.(?:\{[^{}]*\}|\w+)\}|\w+)\}|[A-Za-z]+|[.?!]")


def surface(sentence: Sentence) -> set[str]:
    return {word.lower() for word in sentence.words}


@pytest.fixture(scope="module")
def three(book) -> list[Sentence]:
    def meaning(english: str) -> Sentence:
        known = [phrase for phrase in book.phrases if phrase.english == english]
        return known[0] if known else Sentence(english, *next(iter(readings(book.grammar, english))))

    return [meaning(english) for english in THREE]


def test_the_world_is_large_enough(book):
    assert len(book.words) >= 600 and all(word.isalpha() for word in book.words)
    assert len({phrase.english for phrase in book.phrases}) == len(book.phrases) >= 60
    assert len(book.skills) >= 8 and len(book.held_out) >= 4
    assert all(1 <= len(wordings) <= 3 for wordings in (book.skills | book.held_out).values())


def test_no_wording_asks_for_two_skills(book):
    wordings = [wording for skill in (book.skills | book.held_out).values() for wording in skill]
    assert len(set(wordings)) == len(wordings)


def test_look_out_is_xiao_xin(book):
    assert [phrase.chinese for phrase in book.phrases if phrase.english == "Look out!"] == ["小心!"]


@pytest.mark.parametrize("english", TRANSLATIONS)
def test_translations_and_feelings_are_as_written_by_hand(book, english):
    expected = TRANSLATIONS[english]
    assert readings(book.grammar, english) == (set() if expected is None else {expected})


def test_every_rule_is_in_a_translation_written_by_hand(book):
    """All but the variants that differ in their adjective, number or place only; those are in what is drawn below."""
    used: set[int] = set()

    def note(part: Part) -> None:
        used.add(id(part.option))
        for inner in part.inner.values():
            if isinstance(inner, Part):
                note(inner)

    rng = random.Random(0)
    for _ in range(4000):
        note(book.grammar.draw("sentence", rng, set()))
    rules = [option for options in book.grammar.options.values() for option in options if option.slots]
    assert {id(option) for option in rules} <= used  # no rule that nothing draws


def test_everything_counted_has_its_measure_word(book, world):
    counted = {}
    for option in book.grammar.every():
        if "measure" in option.fields and not option.slots:
            counted[option.fields["zh"]] = option.fields["measure"]
    assert counted == MEASURES
    for sentence in world:
        for before in ("一", "两", "三", "四", "五", "六", "七", "八", "九", "十"):
            for place in (found.start() for found in re.finditer(before, sentence.chinese)):
                if sentence.chinese[place : place + 2] not in ("一些", "星期"):
                    assert sentence.chinese[place + 1] in MEASURES.values(), sentence.chinese


def test_two_is_liang_and_never_er_before_a_measure_word(world):
    assert not any("二" in sentence.chinese for sentence in world)
    assert all("两" in sentence.chinese for sentence in world if "two" in surface(sentence))


def test_one_sentence_has_one_meaning(book, world):
    """Read in every way that the grammar allows, a sentence has the Chinese and the feeling it was drawn with."""
    for sentence in random.Random(1).sample(world, 700):
        assert readings(book.grammar, sentence.english) == {(sentence.chinese, sentence.feeling)}, sentence.english


def test_no_set_phrase_can_be_said_by_a_rule_in_another_way(book, world):
    """Whatever its mark and its capitals: who leaves them out means the same."""
    assert not {plain(sentence.english) for sentence in world} & {plain(phrase.english) for phrase in book.phrases}
    assert len({plain(phrase.english) for phrase in book.phrases}) == len(book.phrases)


def test_a_text_without_its_mark_and_capitals_still_has_one_meaning(book):
    rng, met = random.Random(3), {}
    for _ in range(20_000):
        sentence = book.sentence(rng, rng.choice(("train", "unseen")))
        said = sentence.chinese.rstrip("。!?"), sentence.feeling
        assert met.setdefault(plain(sentence.english), said) == said, sentence.english


def test_every_feeling_is_common(world):
    shares = Counter(sentence.feeling for sentence in world)
    assert set(shares) == {"happy", "sad", "afraid", "calm"} and min(shares.values()) > 0.1 * len(world)


def test_a_sentence_reads_well_in_english(book, world):
    for sentence in world:
        assert sentence.english[0].isupper() and sentence.mark in MARKS and "  " not in sentence.english
        assert len(sentence.words) <= len(book.numbers)
        for article, follower in pairwise(sentence.words):
            assert article not in ("a", "an") or (article == "an") == (follower[0] in "aeiou"), sentence.english


@pytest.mark.parametrize("skill", SKILLS)
def test_each_skill_answers_as_written_by_hand(book, three, skill):
    assert [book.answer(skill, sentence) for sentence in three] == SKILLS[skill]


def test_there_is_an_expectation_for_every_skill(book):
    assert list(SKILLS) == [*book.skills, *book.held_out]


def test_one_word_and_texts_without_a_mark_have_every_answer(book):
    for text in "Help!", "help":
        got = {skill: book.answer(skill, Sentence(text, "救命!", "afraid")) for skill in SKILLS}
        word, mark = text.rstrip("!"), text[4:]
        assert got["second"] == got["next_to_last"] == got["first"] == got["last"] == word and got["count"] == "one"
        assert got["backwards"] == got["repeat"] == text and got["twice"] == f"{word} {word}{mark}"
        assert got["shout_last"] == "HELP" and got["shout"] == f"HELP{mark}"
    assert book.answer("backwards", Sentence("red Cat you?")) == "you Cat red?"
    assert book.answer("count", Sentence("tea tea tea tea tea tea tea tea tea tea tea tea")) == "twelve"


def test_words_at_random_have_no_meaning(book):
    for skill in "chinese", "feeling", "opposite":
        with pytest.raises(ValueError, match=f"so {skill} has no answer there; choose another part"):
            book.examples(skill, "words")
        with pytest.raises(ValueError, match="'tea red' has no known meaning; draw it from another part than 'words'"):
            book.answer(skill, Sentence("tea red"))


def test_a_rule_that_asks_for_what_is_not_there_is_refused_by_name(tmp_path):
    text = WORLD.read_text(encoding="utf-8")
    path = tmp_path / "world.toml"
    path.write_text(text.replace("{weather.en}", "{wether.en}"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"a rule has a slot 'wether', but there is nothing of kind 'wether'"):
        Phrasebook(path)


def test_a_text_longer_than_this_world_counts_is_refused_by_count(book):
    with pytest.raises(ValueError, match="this world counts up to twelve; got 13 words: shorten the text"):
        book.answer("count", Sentence("tea " * 12 + "tea"))


def test_an_unknown_skill_or_part_is_refused(book, three):
    with pytest.raises(ValueError, match=r"skill must be one of chinese, shout, .*, twice; got 'dance'"):
        book.answer("dance", three[0])
    with pytest.raises(ValueError, match="part must be one of train, validation, test, unseen, words; got 'exam'"):
        book.examples("chinese", "exam")


def test_the_splits_share_no_sentence_and_leave_none_out(book):
    """About eight in ten sentences to train on; the set phrases all among them; about one in five has a new pairing."""
    rng, sizes = random.Random(4), Counter()
    while sizes.total() < 6000:
        names: set[str] = set()
        drawn = book.grammar.draw("sentence", rng, names)
        sizes[Sentence(book.grammar.spell(drawn["en"]), "x", pairing=book.grammar.unseen(names)).part] += 1
    assert set(sizes) == {*SPLITS, "unseen"} and 0.1 < sizes["unseen"] / 6000 < 0.3
    for part, share in ("train", 0.8), ("validation", 0.1), ("test", 0.1):
        assert abs(sizes[part] / (6000 - sizes["unseen"]) - share) < 0.03


def test_a_sentences_split_is_told_by_its_english_alone(world):
    for sentence in world:
        if not sentence.pairing:
            assert Sentence(sentence.english, "x", "y").part == sentence.part


@pytest.mark.parametrize("part", [*SPLITS, "unseen"])
def test_every_sentence_drawn_for_a_part_is_in_it(book, part):
    rng = random.Random(5)
    drawn = [book.sentence(rng, part) for _ in range(500)]
    phrases = [sentence for sentence in drawn if sentence in book.phrases]
    assert {sentence.part for sentence in drawn if sentence not in phrases} == {part}
    assert bool(phrases) == (part == "train")


def test_a_new_pairing_is_never_in_a_training_sentence_and_always_in_an_unseen_one(book, tokenizer):
    """By the words themselves: two that are kept apart and have one form only never meet in what training shows."""
    rng, grammar = random.Random(6), book.grammar
    words = [option for option in grammar.every() if not option.slots]
    spoken = {(text, option.name) for option in words for name, text in option.fields.items() if name in ENGLISH}
    named = {text: name for text, name in spoken if " " not in name}  # each form with its name
    phrases = [text for text, _ in spoken if " " in text]
    for _ in range(20_000):
        sentence = book.sentence(rng)
        text = "" if sentence in book.phrases else f" {sentence.english[:-1]} "
        for phrase in phrases:
            text = text.replace(f" {phrase} ", " , ")  # in the house: a place, and no house
        names = {named.get(word) or named.get(word.lower(), "") for word in text.split()}
        assert not any(grammar.apart.get(name, set()) & names for name in names), text
    for _ in range(500):
        one, other = book.sentence(rng, "unseen").pairing.split(" + ")
        assert other in grammar.apart[one] and one in grammar.apart[other]


def test_what_is_kept_apart_is_met_with_others_in_training(book):
    """A pairing is new; its two words are not."""
    rng, met = random.Random(7), Counter()
    for _ in range(12_000):
        names: set[str] = set()
        book.grammar.draw("sentence", rng, names)
        if not book.grammar.unseen(names):
            met.update(names)
    assert all(met[name] >= 5 for name in book.grammar.apart)


def test_words_at_random_are_drawn_from_the_whole_vocabulary(book, tokenizer):
    rng, drawn = random.Random(8), Counter()
    for _ in range(4000):
        text = book.sentence(rng, "words")
        assert text.part == "words" and 1 <= len(text.words) <= 8 and not text.chinese
        drawn.update(word.lower() for word in text.words)
    assert {*drawn} == {word.lower() for word in book.words}
    assert all(form in tokenizer.ids for word in book.words for form in forms(word))


def test_training_texts_are_as_people_write_them(book):
    """With and without a mark, in small letters, in capitals; longer than eight words; in any order where it may be."""
    rng = random.Random(9)
    for skill in "repeat", "chinese":
        texts = [book.practice_text(rng, skill) for _ in range(3000)]
        assert 0.2 < sum(not text.mark for text in texts) / 3000 < 0.4
        assert 0.1 < sum(text.english.islower() for text in texts) / 3000 < 0.25
        assert sum(text.english.isupper() for text in texts) >= 100
        assert max(len(text.words) for text in texts) == 12 and min(len(text.words) for text in texts) == 1
        assert all(text.chinese for text in texts) == (skill == "chinese")


def test_every_set_phrase_is_trained_on(book):
    rng = random.Random(10)
    drawn = {plain(book.practice_text(rng, "chinese").english) for _ in range(12_000)}
    assert {plain(phrase.english) for phrase in book.phrases} <= drawn


def test_phrases_that_a_caller_takes_out_are_not_drawn(tokenizer):
    book = Phrasebook()
    book.phrases = [phrase for phrase in book.phrases if phrase.english != "Look out!"]
    rng = random.Random(11)
    assert not any(plain(book.practice_text(rng, "chinese").english) == "look out" for _ in range(8000))
    assert book.tokenizer().ids.keys() <= tokenizer.ids.keys()


@pytest.mark.parametrize("part", PARTS)
def test_examples_differ_from_each_other_and_are_asked_for_as_wished(book, part):
    for instructed in (False, True):
        pairs = book.examples("backwards", part, count=200, instructed=instructed)
        assert len(pairs) == len(set(pairs)) == 200
        assert all((":" in asks) == instructed and asks.endswith(" →") for asks, _ in pairs)
    wordings = Counter(asks.split(":")[0] for asks, _ in pairs)
    assert set(wordings) == set(book.skills["backwards"])
    pairs = book.examples("backwards", part, count=20, instructed="reverse the words")
    assert all(asks.startswith("reverse the words: ") for asks, _ in pairs)


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
