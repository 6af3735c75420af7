"""The phrasebook world: English sentences with their Chinese translations, and the skills asked for by an instruction.

Words, rules, phrases and instructions are data (`data/english_chinese.toml`); `grammar.py` makes sentences of them, and
this file draws texts, examples of a skill and training batches.
"""

import random
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from . import expect
from .grammar import Grammar
from .tokenizer import END, Tokenizer, batch, split

WORLD = Path(__file__).parent / "data" / "english_chinese.toml"
SPLITS = ("train", "validation", "test")
PARTS = (*SPLITS, "unseen", "words")  # and: sentences with a pairing that training never shows; known words at random
MARKS = ".!?"
KINDS = ("words", "piece", "shuffled")  # of texts without a meaning


@dataclass(frozen=True)
class Sentence:
    """A text; where it has no meaning, as words at random have none, its Chinese and its feeling are empty."""

    english: str
    chinese: str = ""
    feeling: str = ""
    pairing: str = ""  # two of its words that no training sentence has together, if there are such

    @cached_property
    def words(self) -> list[str]:
        tokens = split(self.english)
        return tokens[:-1] if tokens[-1] in MARKS else tokens

    @property
    def mark(self) -> str:
        return self.english[-1] if self.english[-1] in MARKS else ""

    @property
    def part(self) -> str:
        """Where it is drawn; the three splits are told apart by the text alone, so that no sentence can be in two."""
        if not self.chinese:
            return "words"
        if self.pairing:
            return "unseen"
        return ("test", "validation", *["train"] * 8)[zlib.crc32(self.english.encode()) % 10]


class Phrasebook:
    """Draws sentences, examples of a skill, and training batches; everything drawn is told by a seed."""

    def __init__(self, path: str | Path = WORLD):
        world = read_world(path)
        self.grammar = Grammar(world)
        self.phrases = [Sentence(*row) for row in world["phrases"]["rows"]]
        self.fixed = {plain(phrase.english) for phrase in self.phrases}  # what no rule may say in another way
        self.share, self.longest = world["phrases"]["share"], world["longest"]
        self.skills, self.held_out = world["skills"], world["held_out"]
        self.numbers, self.meaning = world["answers"]["numbers"], world["answers"]["meaning"]
        self.opposites = world["tables"]["not"]
        self.practice, self.style = world["practice"], world["style"]
        self.others = world["others"]["words"]

    def sentence(self, rng: random.Random, part: str = "train") -> Sentence:
        """A text of this part. Set phrases are all in the training split: nobody could guess their translation."""
        expect.a(random.Random, rng=rng)
        expect.one_of(PARTS, part=part)
        if part == "words":
            return self.random_text(rng)
        if part == "train" and rng.random() < self.share:
            return rng.choice(self.phrases)
        while True:
            names: set[str] = set()
            drawn = self.grammar.draw("sentence", rng, names)
            pairing = self.grammar.unseen(names)
            if bool(pairing) != (part == "unseen"):
                continue
            english = self.grammar.spell(drawn["en"])
            if english.count(" ") >= self.longest or plain(english) in self.fixed:
                continue
            sentence = Sentence(english, "?", pairing=pairing)
            if sentence.part == part:
                return replace(sentence, chinese=drawn["zh"], feeling=drawn["feeling"])

    def practice_text(self, rng: random.Random, skill: str) -> Sentence:
        """A text to train a skill on: a sentence as people write them, and where no meaning is needed, any words."""
        expect.a(random.Random, rng=rng)
        expect.one_of((*self.skills, *self.held_out), skill=skill)
        kind = "sentence"
        if skill not in self.meaning:
            shares = [self.practice[kind] for kind in KINDS]
            kind, *_ = rng.choices(("sentence", *KINDS), (1 - sum(shares), *shares))
        if kind == "words":
            longest = self.practice["longest"] if rng.random() < self.practice["long"] else self.practice["most"]
            return self.random_text(rng, longest)
        sentence = self.sentence(rng)
        words = sentence.words
        if kind == "piece":
            start = rng.randrange(len(words))
            words = words[start : rng.randint(start + 1, len(words))]
        elif kind == "shuffled":
            words = rng.sample(words, len(words))
        english = self.styled(rng, words, sentence.mark, mixed=skill not in self.meaning)
        return replace(sentence, english=english) if skill in self.meaning else Sentence(english)

    def random_text(self, rng: random.Random, longest: int = 8) -> Sentence:
        """Known words at random, now and then the same few again; the first has a capital, as in a sentence, or not."""
        again = rng.random() < self.practice["again"]
        words = rng.choices(self.words, k=rng.randint(1, 3)) if again else self.words
        words = rng.choices(words, k=rng.randint(1, longest))
        return Sentence(self.styled(rng, [forms(words[0])[1], *words[1:]], rng.choice(MARKS)))

    def styled(self, rng: random.Random, words: Sequence[str], mark: str, mixed: bool = True) -> str:
        """These words as somebody may type them: in small letters or in capitals, without a mark at the end."""
        style, chance = self.style, rng.random()
        if chance < style["lower"]:
            words = [word.lower() for word in words]
        elif chance < style["lower"] + style["capitals"]:
            words = [word.upper() for word in words]
        elif mixed and chance < style["lower"] + style["capitals"] + style["mixed"]:
            words = [rng.choice(forms(word)) for word in words]
        return " ".join(words) + ("" if rng.random() < style["bare"] else mark)

    def answer(self, skill: str, sentence: Sentence) -> str:
        """What this skill makes of a sentence."""
        expect.one_of((*self.skills, *self.held_out), skill=skill)
        expect.a(Sentence, sentence=sentence)
        words, mark = sentence.words, sentence.mark
        if skill in self.meaning and not sentence.chinese:
            raise ValueError(
                f"{skill} needs a sentence that means something, and {sentence.english!r} has no known meaning; "
                "draw it from another part than 'words', or ask for a skill that needs no meaning"
            )
        match skill:
            case "chinese":
                return sentence.chinese
            case "shout":
                return sentence.english.upper()
            case "backwards":
                return " ".join(reversed(words)) + mark
            case "repeat":
                return sentence.english
            case "count":
                return self.number(len(words))
            case "first":
                return words[0]
            case "last":
                return words[-1]
            case "feeling":
                return sentence.feeling
            case "second":
                return words[1] if len(words) > 1 else words[0]
            case "next_to_last":
                return words[-2] if len(words) > 1 else words[0]
            case "shout_last":
                return words[-1].upper()
            case "opposite":
                return self.opposites[sentence.feeling]
            case "twice":
                return " ".join(word for word in words for _ in range(2)) + mark
        raise ValueError(f"the skills are {', '.join([*self.skills, *self.held_out])}; got {skill!r}")

    def number(self, count: int) -> str:
        if count > len(self.numbers):
            raise ValueError(f"this world counts up to {self.numbers[-1]}; got {count} words: shorten the text")
        return self.numbers[count - 1]

    def examples(
        self, skill: str, part: str = "test", count: int = 200, seed: int = 0, instructed: bool | str = False
    ) -> list[tuple[str, str]]:
        """Different (prompt, answer) pairs of one skill, for measuring; asked for in words where `instructed`.

        `part` is one of the splits, "unseen" for sentences with a pairing of words that training never shows, or
        "words" for known words at random. `instructed` may also be one wording.
        """
        expect.one_of((*self.skills, *self.held_out), skill=skill)
        expect.one_of(PARTS, part=part)
        expect.whole(1, count=count)
        expect.whole(*expect.SEEDS, seed=seed)
        expect.a(bool | str, instructed=instructed)
        if part == "words" and skill in self.meaning:
            raise ValueError(f"words at random have no meaning, so {skill} has no answer there; choose another part")
        rng, seen = random.Random(f"{seed} {skill} {part}"), {}
        for _ in range(1000 + 20 * count):
            if len(seen) == count:
                return list(seen.values())
            sentence = self.sentence(rng, part)
            wording = rng.choice(self.wordings(skill)) if instructed is True else instructed or None
            seen.setdefault(sentence, (prompt(sentence.english, wording), self.answer(skill, sentence)))
        raise ValueError(f"the {part} part is too small for {count} different texts; ask for {len(seen)} or fewer")

    def wordings(self, skill: str) -> list[str]:
        expect.one_of((*self.skills, *self.held_out), skill=skill)
        return (self.skills | self.held_out)[skill]

    @cached_property
    def words(self) -> list[str]:
        """Every English word of this world once, without its other spellings; a text of words at random has these."""
        asked = [wording for skill in (self.skills | self.held_out).values() for wording in skill]
        phrases = [phrase.english[0].lower() + phrase.english[1:] for phrase in self.phrases]
        texts = [*self.numbers, *self.opposites, *self.grammar.texts(english=True), *phrases, self.others, *asked]
        found = {}
        for word in (token for text in texts for token in split(text) if token not in MARKS):
            found.setdefault(word.lower(), word)
        return list(found.values())

    def tokenizer(self) -> Tokenizer:
        """Every token of this world: marks, each word in small letters, with a capital and in capitals, Chinese."""
        english = [form for word in self.words for form in forms(word)]
        chinese = [*self.grammar.texts(english=False), *(phrase.chinese for phrase in self.phrases)]
        tokens = [token for text in (": →", *MARKS, *english, *chinese) for token in split(text)]
        return Tokenizer(list(dict.fromkeys([END, *tokens])))


def read_world(path: str | Path) -> dict:
    expect.path(path=path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a world of words like {WORLD}")
    try:
        world = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML file ({error}); correct that line") from None
    if missing := [part for part in tomllib.loads(WORLD.read_text(encoding="utf-8")) if part not in world]:
        raise ValueError(f"{path} is no world of words: it has no [{missing[0]}]; see {WORLD.name}")
    return world


def plain(english: str) -> str:
    """A text as it is compared: without its mark, in small letters."""
    return english.rstrip(MARKS).lower()


def forms(word: str) -> tuple[str, str, str]:
    """A word in small letters, with a capital, in capitals."""
    return word.lower(), word[0].upper() + word[1:].lower(), word.upper()


def prompt(english: str, wording: str | None = None) -> str:
    """What the model reads before it answers."""
    return f"{wording}: {english} →" if wording else f"{english} →"


def length(example: tuple[str, str]) -> int:
    """About how many tokens an example has: words and marks, or Chinese characters."""
    asks, answer = example
    return asks.count(" ") + (answer.count(" ") if answer.isascii() else len(answer))


@dataclass(frozen=True)
class Batches:
    """An endless, seeded stream of (tokens, targets); iterating again starts it again.

    Training texts are the sentences of the training split as people may write them and, for the skills that need no
    meaning, pieces of them and known words at random. With `pool` above 1, so many batches are drawn at once and their
    rows sorted by length, so that little is padded; then they come in any order.
    """

    book: Phrasebook
    tokenizer: Tokenizer
    skills: Sequence[str]
    rows: int = 32
    seed: int = 0
    instructed: float = 0.0  # the share of examples whose skill is asked for in words
    part: str = "train"
    pool: int = 1
    asked: Mapping[str, int] = field(default_factory=dict)  # how often a skill is drawn with its instruction, if not 1
    unasked: Mapping[str, int] = field(default_factory=dict)  # and without it

    def __post_init__(self):
        expect.a(Phrasebook, book=self.book)
        expect.methods("encode", "end", tokenizer=self.tokenizer)
        expect.several(skills=self.skills)
        expect.a(Mapping, asked=self.asked, unasked=self.unasked)
        for skill in (*self.skills, *self.asked, *self.unasked):
            expect.one_of((*self.book.skills, *self.book.held_out), skill=skill)
        expect.whole(1, rows=self.rows, pool=self.pool)
        expect.whole(*expect.SEEDS, seed=self.seed)
        expect.number(0, 1, instructed=self.instructed)
        expect.one_of(PARTS, part=self.part)
        for often in self.asked, self.unasked:
            for weight in often.values():
                expect.number(0, weight=weight)
            if not any(often.get(skill, 1) for skill in self.skills):
                raise ValueError(f"some skill must be drawn; got weights of 0 for all of {expect.shown(self.skills)}")

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = random.Random(self.seed)
        while True:
            examples = [self.example(rng) for _ in range(self.rows * self.pool)]
            if self.pool > 1:
                examples.sort(key=length)
            batches = [examples[start : start + self.rows] for start in range(0, len(examples), self.rows)]
            rng.shuffle(batches)
            for rows in batches:
                yield batch(self.tokenizer, rows)

    def example(self, rng: random.Random) -> tuple[str, str]:
        book, asked = self.book, rng.random() < self.instructed
        often = self.asked if asked else self.unasked
        (skill,) = rng.choices(self.skills, [often.get(skill, 1) for skill in self.skills])
        text = book.practice_text(rng, skill) if self.part == "train" else book.sentence(rng, self.part)
        wording = rng.choice(book.wordings(skill)) if asked else None
        return prompt(text.english, wording), book.answer(skill, text)
