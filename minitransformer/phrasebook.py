"""The phrasebook world: English sentences with their Chinese translations, and the skills asked for by an instruction.

The words, patterns, phrases and instructions are data (`data/english_chinese.toml`); this file draws from them.
"""

import random
import re
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from torch import Tensor

from .tokenizer import END, Tokenizer, batch, split

WORLD = Path(__file__).parent / "data" / "english_chinese.toml"
SPLITS = ("train", "validation", "test")
SLOT = re.compile(r"\{(([a-z]+)\d?)\.[a-z]+\}")


@dataclass(frozen=True)
class Sentence:
    english: str
    chinese: str
    feeling: str

    @property
    def words(self) -> list[str]:
        return split(self.english)[:-1]

    @property
    def mark(self) -> str:
        return self.english[-1]

    @property
    def part(self) -> str:
        """Its split, told by its text alone, so that no sentence can be in two."""
        return ("test", "validation", *["train"] * 8)[zlib.crc32(self.english.encode()) % 10]


class Phrasebook:
    """Draws sentences, examples of a skill, and training batches; everything drawn is told by a seed."""

    def __init__(self, path: str | Path = WORLD):
        world = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        self.words = {
            kind: [SimpleNamespace(**dict(zip(table["columns"], row, strict=True))) for row in table["rows"]]
            for kind, table in world["words"].items()
        }
        self.patterns = [(pattern, dict(SLOT.findall(pattern["en"]))) for pattern in world["patterns"]]
        self.phrases = [Sentence(*row) for row in world["phrases"]["rows"]]
        self.share = world["phrases"]["share"]
        self.skills, self.held_out = world["skills"], world["held_out"]
        self.numbers, self.opposites = world["answers"]["numbers"], world["answers"]["opposites"]

    def sentence(self, rng: random.Random, part: str = "train") -> Sentence:
        """A sentence of this split. Set phrases are all in the training split: nobody could guess their translation."""
        if part == "train" and rng.random() < self.share:
            return rng.choice(self.phrases)
        while True:
            pattern, slots = rng.choice(self.patterns)
            chosen = {name: rng.choice(self.words[kind]) for name, kind in slots.items()}
            if len(set(map(id, chosen.values()))) < len(chosen):
                continue  # two slots of one class never hold the same word
            sentence = Sentence(*(pattern[side].format(**chosen) for side in ("en", "zh", "feeling")))
            if sentence.part == part:
                return sentence

    def answer(self, skill: str, sentence: Sentence) -> str:
        """What this skill makes of a sentence."""
        words, mark = sentence.words, sentence.mark
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
                return self.numbers[len(words) - 1]
            case "first":
                return words[0]
            case "last":
                return words[-1]
            case "feeling":
                return sentence.feeling
            case "second":
                return words[1] if len(words) > 1 else words[0]
            case "opposite":
                return self.opposites[sentence.feeling]
            case "shout_last":
                return words[-1].upper()
            case "shout_backwards":
                return " ".join(reversed(words)).upper() + mark
            case "sorted":
                return " ".join(sorted(words, key=str.lower)) + mark
        raise ValueError(f"the skills are {', '.join([*self.skills, *self.held_out])}; got {skill!r}")

    def examples(
        self, skill: str, part: str = "test", count: int = 200, seed: int = 0, instructed: bool = False
    ) -> list[tuple[str, str]]:
        """Different (prompt, answer) pairs of one skill, for measuring; asked for in words where `instructed`."""
        if part not in SPLITS:
            raise ValueError(f"the splits are {', '.join(SPLITS)}; got {part!r}")
        rng, seen = random.Random(f"{seed} {skill} {part}"), {}
        for _ in range(1000 + 20 * count):
            if len(seen) == count:
                return list(seen.values())
            sentence = self.sentence(rng, part)
            wording = rng.choice(self.wordings(skill)) if instructed else None
            seen.setdefault(sentence, (prompt(sentence.english, wording), self.answer(skill, sentence)))
        raise ValueError(f"the {part} split is too small for {count} different sentences; ask for {len(seen)} or fewer")

    def wordings(self, skill: str) -> list[str]:
        return (self.skills | self.held_out)[skill]

    def tokenizer(self) -> Tokenizer:
        """Every token of this world, in the order in which the file names them."""
        english = [re.sub(SLOT, " ", pattern["en"]) for pattern, _ in self.patterns]
        chinese = [re.sub(SLOT, " ", pattern["zh"]) for pattern, _ in self.patterns]
        cells = [cell for words in self.words.values() for word in words for cell in vars(word).values()]
        english += [phrase.english for phrase in self.phrases] + [cell for cell in cells if cell.isascii()]
        chinese += [phrase.chinese for phrase in self.phrases] + [cell for cell in cells if not cell.isascii()]
        asked = [wording for skill in (self.skills | self.held_out).values() for wording in skill]
        texts = [": →", *self.numbers, *self.opposites, *asked, *english, *map(str.upper, english), *chinese]
        return Tokenizer(list(dict.fromkeys([END, *(token for text in texts for token in split(text))])))


def prompt(english: str, wording: str | None = None) -> str:
    """What the model reads before it answers."""
    return f"{wording}: {english} →" if wording else f"{english} →"


@dataclass(frozen=True)
class Batches:
    """An endless, seeded stream of (tokens, targets); iterating again starts it again."""

    book: Phrasebook
    tokenizer: Tokenizer
    skills: Sequence[str]
    rows: int = 32
    seed: int = 0
    instructed: float = 0.0  # the share of examples whose skill is asked for in words
    part: str = "train"

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = random.Random(self.seed)
        while True:
            yield batch(self.tokenizer, [self.example(rng) for _ in range(self.rows)])

    def example(self, rng: random.Random) -> tuple[str, str]:
        skill, sentence = rng.choice(self.skills), self.book.sentence(rng, self.part)
        wording = rng.choice(self.book.wordings(skill)) if rng.random() < self.instructed else None
        return prompt(sentence.english, wording), self.book.answer(skill, sentence)
