"""Questions that grade themselves. An answer is a short text: a letter, an order of letters, or pairs like 1c 2a.

Each knows what it shows (in an order drawn once from its id), the right answer, and what to say about any other.
"""

import random
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase


@dataclass(frozen=True)
class Reply:
    """What an answer earned, from 0 to 1, and what there is to say about it, line by line."""

    credit: float
    lines: tuple[str, ...]


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


@dataclass(frozen=True, kw_only=True)
class Question:
    """What all questions have; each form knows what is `shown` behind its letters, its `answer`, and how to `grade`."""

    id: str
    kind: str
    prompt: str
    shuffle: int = 0

    @property
    def labels(self) -> str:
        return ascii_lowercase[: len(self.shown)]

    def letters(self) -> dict:
        """The letter of each thing that is shown."""
        return dict(zip(self.shown, self.labels, strict=True))

    def shuffled(self, things: Iterable, name: str = "", draw: int = 0) -> list:
        """The same order each time: it is drawn from the question's id."""
        things = list(things)
        random.Random(zlib.crc32(f"{self.id}{name} {self.shuffle + 1000 * draw}".encode())).shuffle(things)
        return things

    def refused(self, answer: str) -> ValueError:
        letters = f"from a to {self.labels[-1]}"
        return ValueError(f"{self.id} takes {self.ask} {letters}, such as {self.example!r}; got {answer!r}")


@dataclass(frozen=True, kw_only=True)
class Choice(Question):
    """One of several options is right, and each has its reason."""

    options: tuple[Option, ...]

    ask = "one letter"
    example = "b"

    def __post_init__(self):
        if len(self.options) < 3 or sum(option.right for option in self.options) != 1:
            raise ValueError("it needs at least three options, exactly one of them with right = true")
        check_texts([option.text for option in self.options], self.options)

    @property
    def shown(self) -> list[Option]:
        return self.shuffled(self.options)

    @property
    def answer(self) -> str:
        return next(letter for option, letter in self.letters().items() if option.right)

    def lines(self) -> list[tuple[str, str]]:
        return [(letter, option.text) for option, letter in self.letters().items()]

    def grade(self, answer: str) -> Reply:
        letter = answer.strip().lower()
        if len(letter) != 1 or letter not in self.labels:
            raise self.refused(answer)
        option = self.shown[self.labels.index(letter)]
        return Reply(float(option.right), (f"{letter} is {'right' if option.right else 'not it'}: {option.reason}",))


@dataclass(frozen=True, kw_only=True)
class Order(Question):
    """Steps to put in order, as far as the rules say: what no rule orders may stand either way round."""

    steps: dict[str, str]  # key -> text
    rules: tuple[Rule, ...]

    ask = "all letters, in order"

    def __post_init__(self):
        check_texts(self.steps.values(), self.rules)
        unknown = {key for rule in self.rules for key in (rule.first, rule.then)} - set(self.steps)
        if unknown:
            raise ValueError(f"{self.id} has rules about steps that it does not list: {', '.join(sorted(unknown))}")
        circle = [a for a, b in self.before if a == b]
        if circle:
            raise ValueError(f"{self.id} has steps that wait for each other: {', '.join(sorted(circle))}")
        if len(self.before) < 2:
            raise ValueError(f"{self.id} needs rules that order at least two pairs of its steps")

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
        orders = [self.shuffled(self.steps, draw=draw) for draw in range(100)]
        return next((keys for keys in orders if 0.3 <= self.share(keys) <= 0.7), orders[0])

    def share(self, keys: Sequence[str]) -> float:
        return sum(keys.index(first) < keys.index(then) for first, then in self.before) / len(self.before)

    @property
    def answer(self) -> str:
        """One right order: the one nearest to the file's."""
        keys, letters, before = list(self.steps), self.letters(), self.before
        done: list[str] = []
        while keys:
            free = next(key for key in keys if not any((other, key) in before for other in keys))
            done.append(keys.pop(keys.index(free)))
        return " ".join(letters[key] for key in done)

    def lines(self) -> list[tuple[str, str]]:
        return [(letter, self.steps[key]) for key, letter in self.letters().items()]

    def grade(self, answer: str) -> Reply:
        letters, names = re.findall(r"[a-z]", answer.lower()), self.letters()
        if sorted(letters) != list(self.labels):
            raise self.refused(answer)
        keys = sorted(names, key=lambda key: letters.index(names[key]))
        credit = self.share(keys)
        broken = [rule for rule in self.rules if keys.index(rule.first) > keys.index(rule.then)]
        if not broken:
            return Reply(1.0, ("right: every step comes after all that it needs",))
        rule = min(broken, key=lambda rule: keys.index(rule.then))
        pairs = f"{credit:.0%} of the pairs whose order matters are right"
        return Reply(credit, (pairs, f"{names[rule.first]} must come before {names[rule.then]}: {rule.reason}"))


@dataclass(frozen=True, kw_only=True)
class Match(Question):
    """Things to pair with their descriptions, some of which fit nothing."""

    pairs: tuple[Pair, ...]
    distractors: tuple[Option, ...]

    ask = "a pair for each number"
    example = "1c 2a …"

    def __post_init__(self):
        if len(self.pairs) < 2 or not self.distractors:
            raise ValueError("it needs at least two pairs and one distractor, or the last pair is found by elimination")
        check_texts([pair.left for pair in self.pairs], (*self.pairs, *self.distractors))
        check_texts([*self.rights, *self.wrong_texts])

    @property
    def lefts(self) -> list[Pair]:
        return self.shuffled(self.pairs, " left")

    @property
    def rights(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pair.right for pair in self.pairs))

    @property
    def wrong_texts(self) -> tuple[str, ...]:
        return tuple(option.text for option in self.distractors)

    @property
    def shown(self) -> list[str]:
        return self.shuffled(self.rights + self.wrong_texts)

    @property
    def answer(self) -> str:
        letters = self.letters()
        return " ".join(f"{number}{letters[pair.right]}" for number, pair in enumerate(self.lefts, 1))

    def lines(self) -> list[tuple[str, str]]:
        lefts = [(str(number), pair.left) for number, pair in enumerate(self.lefts, 1)]
        return lefts + list(zip(self.labels, self.shown, strict=True))

    def grade(self, answer: str) -> Reply:
        chosen = {int(number): letter for number, letter in re.findall(r"(\d+)\s*[-:=]?\s*([a-z])", answer.lower())}
        if sorted(chosen) != list(range(1, len(self.pairs) + 1)) or not set(chosen.values()) <= set(self.labels):
            raise self.refused(answer)
        lines, right = [], 0
        reasons = {option.text: option.reason for option in self.distractors}
        for number, pair in enumerate(self.lefts, 1):
            text = self.shown[self.labels.index(chosen[number])]
            if text == pair.right:
                right += 1
            else:
                lines.append(f"{number}{chosen[number]} is not it: {reasons.get(text, pair.reason)}")
        return Reply(right / len(self.pairs), (f"{right} of {len(self.pairs)} pairs are right", *lines))


def check_texts(texts: Iterable[str], reasoned: Iterable = ()) -> None:
    """Every text and every reason says something, and no text stands twice."""
    texts = list(texts)
    if not all(text.strip() for text in [*texts, *(each.reason for each in reasoned)]):
        raise ValueError("a text or a reason is empty")
    if len(set(texts)) < len(texts):
        raise ValueError(f"two of its texts are the same: {sorted(t for t in texts if texts.count(t) > 1)[0]!r}")
