"""Questions that grade themselves. An answer is a short text: a letter, an order of letters, or pairs like 1c 2a.

Each knows what it shows (in an order drawn once from its id), the right answer, and what to say about any other.
"""

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase


@dataclass(frozen=True)
class Reply:
    """What an answer earned, from 0 to 1, and what there is to say about it."""

    credit: float
    said: tuple[str, ...]


@dataclass(frozen=True)
class Option:
    text: str
    reason: str
    right: bool = False


@dataclass(frozen=True)
class Rule:
    """One step must come before another, and why."""

    first: str
    then: str
    reason: str


@dataclass(frozen=True)
class Pair:
    left: str
    right: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """One of several options is right, and each has its reason."""

    id: str
    kind: str
    prompt: str
    options: tuple[Option, ...]
    shuffle: int = 0

    ask = "one letter"
    example = "b"

    @property
    def shown(self) -> list[Option]:
        return shuffled(self.id, self.options, self.shuffle)

    @property
    def labels(self) -> str:
        return ascii_lowercase[: len(self.options)]

    @property
    def answer(self) -> str:
        return self.labels[[option.right for option in self.shown].index(True)]

    def lines(self) -> list[tuple[str, str]]:
        return [(letter, option.text) for letter, option in zip(self.labels, self.shown, strict=True)]

    def grade(self, answer: str) -> Reply:
        letter = answer.strip().lower()
        if len(letter) != 1 or letter not in self.labels:
            raise ValueError(unfit(self, answer))
        option = self.shown[self.labels.index(letter)]
        return Reply(float(option.right), (f"{letter} is {'right' if option.right else 'not it'}: {option.reason}",))


@dataclass(frozen=True)
class Order:
    """Steps to put in order, as far as the rules say: what no rule orders may stand either way round."""

    id: str
    kind: str
    prompt: str
    steps: dict[str, str]  # key -> text
    rules: tuple[Rule, ...]
    shuffle: int = 0

    ask = "all letters, in order"

    @property
    def example(self) -> str:
        return " ".join(reversed(self.labels))

    @property
    def before(self) -> set[tuple[str, str]]:
        """All pairs of steps whose order matters: the rules and what follows from them."""
        pairs = {(rule.first, rule.then) for rule in self.rules}
        for middle in self.steps:
            pairs |= {(a, d) for a, b in pairs if b == middle for c, d in pairs if c == middle}
        return pairs

    @property
    def shown(self) -> list[str]:
        """The keys, in an order that gives nothing away: about half of the pairs stand wrong."""
        for draw in range(100):
            keys = shuffled(self.id, tuple(self.steps), self.shuffle + 1000 * draw)
            if 0.3 <= self.share(keys) <= 0.7:
                return keys
        return shuffled(self.id, tuple(self.steps), self.shuffle)

    def share(self, keys: Sequence[str]) -> float:
        return sum(keys.index(first) < keys.index(then) for first, then in self.before) / len(self.before)

    @property
    def labels(self) -> str:
        return ascii_lowercase[: len(self.steps)]

    @property
    def answer(self) -> str:
        """One right order: the one nearest to the file's."""
        keys, letters = list(self.steps), dict(zip(self.shown, self.labels, strict=True))
        done: list[str] = []
        while keys:
            free = next(key for key in keys if not any((other, key) in self.before for other in keys))
            done.append(keys.pop(keys.index(free)))
        return " ".join(letters[key] for key in done)

    def lines(self) -> list[tuple[str, str]]:
        return [(letter, self.steps[key]) for letter, key in zip(self.labels, self.shown, strict=True)]

    def grade(self, answer: str) -> Reply:
        letters = re.findall(r"[a-z]", answer.lower())
        if sorted(letters) != list(self.labels):
            raise ValueError(unfit(self, answer))
        keys = [self.shown[self.labels.index(letter)] for letter in letters]
        names = dict(zip(self.shown, self.labels, strict=True))
        credit = self.share(keys)
        broken = [rule for rule in self.rules if keys.index(rule.first) > keys.index(rule.then)]
        if not broken:
            return Reply(1.0, ("right: every step comes after all that it needs",))
        rule = min(broken, key=lambda rule: keys.index(rule.then))
        pairs = f"{credit:.0%} of the pairs whose order matters are right"
        return Reply(credit, (pairs, f"{names[rule.first]} must come before {names[rule.then]}: {rule.reason}"))


@dataclass(frozen=True)
class Match:
    """Things to pair with their descriptions, some of which fit nothing."""

    id: str
    kind: str
    prompt: str
    pairs: tuple[Pair, ...]
    distractors: tuple[Option, ...]
    shuffle: int = 0

    ask = "a pair for each number"
    example = "1c 2a …"

    @property
    def lefts(self) -> list[Pair]:
        return shuffled(f"{self.id} left", self.pairs, self.shuffle)

    @property
    def shown(self) -> list[str]:
        return shuffled(
            self.id, tuple(dict.fromkeys(each.right for each in self.pairs)) + self.wrong_texts, self.shuffle
        )

    @property
    def wrong_texts(self) -> tuple[str, ...]:
        return tuple(option.text for option in self.distractors)

    @property
    def labels(self) -> str:
        return ascii_lowercase[: len(self.shown)]

    @property
    def answer(self) -> str:
        letters = dict(zip(self.shown, self.labels, strict=True))
        return " ".join(f"{number}{letters[pair.right]}" for number, pair in enumerate(self.lefts, 1))

    def lines(self) -> list[tuple[str, str]]:
        lefts = [(str(number), pair.left) for number, pair in enumerate(self.lefts, 1)]
        return lefts + list(zip(self.labels, self.shown, strict=True))

    def grade(self, answer: str) -> Reply:
        chosen = {int(number): letter for number, letter in re.findall(r"(\d+)\s*[-:=]?\s*([a-z])", answer.lower())}
        if sorted(chosen) != list(range(1, len(self.pairs) + 1)) or not set(chosen.values()) <= set(self.labels):
            raise ValueError(unfit(self, answer))
        said, right = [], 0
        reasons = {option.text: option.reason for option in self.distractors}
        for number, pair in enumerate(self.lefts, 1):
            text = self.shown[self.labels.index(chosen[number])]
            if text == pair.right:
                right += 1
            else:
                said.append(f"{number}{chosen[number]} is not it: {reasons.get(text, pair.reason)}")
        return Reply(right / len(self.pairs), (f"{right} of {len(self.pairs)} pairs are right", *said))


Question = Choice | Order | Match


def shuffled(key: str, things: Sequence, salt: int) -> list:
    """The same order each time, told by the key and the salt alone."""
    things = list(things)
    random.Random(zlib.crc32(f"{key} {salt}".encode())).shuffle(things)
    return things


def unfit(question: Question, answer: object) -> str:
    letters = f"from a to {question.labels[-1]}"
    return f"{question.id} takes {question.ask} {letters}, such as {question.example!r}; got {answer!r}"


def check_order(question: Order) -> None:
    """A rule about an unknown step, or steps that wait for each other, cannot be."""
    unknown = {key for rule in question.rules for key in (rule.first, rule.then)} - set(question.steps)
    if unknown:
        raise ValueError(f"{question.id} has rules about steps that it does not list: {', '.join(sorted(unknown))}")
    circle = [a for a, b in question.before if a == b]
    if circle:
        raise ValueError(f"{question.id} has steps that wait for each other: {', '.join(sorted(circle))}")
    if len(question.before) < 2:
        raise ValueError(f"{question.id} needs rules that order at least two pairs of its steps")
