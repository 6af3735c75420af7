"""Questions that grade themselves. An answer is a text: letters, pairs like 1c 2a, a number, or a student's own words.

Each knows what it shows (in an order drawn from its id and the student's name), the right answer, and what to say
about any other. Guessing earns nothing: where there is partial credit, it begins above what luck brings.
"""

import math
import random
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from string import ascii_lowercase
from typing import Self

from .typed_numbers import number_in


@dataclass(frozen=True)
class Reply:
    """What an answer earned, from 0 to 1 or nothing yet (a person decides), and what there is to say about it."""

    credit: float | None
    lines: tuple[str, ...]

    @property
    def word(self) -> str:
        if self.credit is None:
            return "a person reads this"
        return {1.0: "✓ right", 0.0: "✗ not it"}.get(self.credit, f"◧ {self.credit:.0%} right")


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
class Mistake:
    """A wrong number that people arrive at, and how."""

    value: float
    reason: str


@dataclass(frozen=True)
class Criterion:
    """What a reader of a text looks at, and its levels from the lowest to the highest."""

    name: str
    levels: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What all questions have; each form knows what is `shown` behind its letters, its `answer`, and how to `grade`."""

    id: str
    kind: str
    prompt: str
    shuffle: int = 0
    student: str = ""

    points = 1  # and none where a person reads the answer, by a rubric
    rubric = ()
    shown = ()

    def for_student(self, name: str) -> Self:
        """The same question in the order that this student sees; "" is the order of the solved notebooks."""
        return replace(self, student=name)

    @property
    def labels(self) -> str:
        return ascii_lowercase[: len(self.shown)]

    def letters(self) -> dict:
        """The letter of each thing that is shown."""
        return dict(zip(self.shown, self.labels, strict=True))

    def shuffled(self, things: Iterable, name: str = "", draw: int = 0) -> list:
        """The same order each time: it is drawn from the question's id and the student's name."""
        things = list(things)
        drawn_from = f"{self.id}{name} {self.shuffle + 1000 * draw}" + (f" {self.student}" if self.student else "")
        random.Random(zlib.crc32(drawn_from.encode("utf-8", "replace"))).shuffle(things)
        return things

    def lines(self) -> list[tuple[str, str]]:
        """What stands below the prompt: a label and a text each."""
        return []

    def chosen(self, answer: str) -> list[Option]:
        """What a readable answer says, thing by thing in words, and which of it is right."""
        return []

    def refused(self, answer: str) -> ValueError:
        letters = f", from a to {self.labels[-1]}" if self.labels else ""
        return ValueError(f"{self.id} takes {self.ask}{letters}, such as {self.example!r}; got {shortened(answer)!r}")


@dataclass(frozen=True)
class Options(Question):
    """Some of several options are right, and each has its reason."""

    options: tuple[Option, ...]

    @property
    def shown(self) -> list[Option]:
        return self.shuffled(self.options)

    @property
    def answer(self) -> str:
        return " ".join(letter for option, letter in self.letters().items() if option.right)

    def lines(self) -> list[tuple[str, str]]:
        return [(letter, option.text) for option, letter in self.letters().items()]

    def chosen(self, answer: str) -> list[Option]:
        """The options whose letters an answer holds."""
        letters = {*re.findall(rf"(?<![a-z])[{self.labels}](?![a-z])", plain(answer))}
        return [option for option, letter in self.letters().items() if letter in letters]


@dataclass(frozen=True)
class Choice(Options):
    """One option is right: all or nothing."""

    ask = "one letter"
    example = "b"

    def __post_init__(self):
        if len(self.options) < 3 or sum(option.right for option in self.options) != 1:
            raise ValueError("it needs at least three options, exactly one of them with right = true")
        check_texts([option.text for option in self.options], self.options)

    def grade(self, answer: str) -> Reply:
        letter = re.sub(r"^\((.)\)$|^(.)[).:]$", r"\1\2", plain(answer))
        if len(letter) != 1 or letter not in self.labels:
            raise self.refused(answer)
        option = self.shown[self.labels.index(letter)]
        return Reply(float(option.right), (f"{letter} is {'right' if option.right else 'not it'}: {option.reason}",))


@dataclass(frozen=True)
class Several(Options):
    """Any number of options is right.

    The share of the right ones that are chosen, less the share of the wrong ones, is 0 on average for whoever takes
    all, none, or some at random. Below 0 nothing is lost, so luck would earn after all; therefore credit begins where
    that difference is one half, and a random choice earns .03 to .12.
    """

    ask = "the letters of all right options"
    example = "a c"

    def __post_init__(self):
        right = sum(option.right for option in self.options)
        if not 4 <= len(self.options) <= 7 or not 0 < right < len(self.options):
            raise ValueError("it needs 4 to 7 options, at least one with right = true and at least one without")
        check_texts([option.text for option in self.options], self.options)

    def grade(self, answer: str) -> Reply:
        chosen = set("".join(word for word in re.findall(r"\w+", plain(answer)) if word != "and"))
        if not chosen or not chosen <= set(self.labels):
            raise self.refused(answer)
        right = {letter for option, letter in self.letters().items() if option.right}
        wrong = set(self.labels) - right
        credit = above(len(chosen & right) / len(right) - len(chosen & wrong) / len(wrong), luck=0.5)
        lines = [
            f"{letter} {'is missing' if option.right else 'does not belong here'}: {option.reason}"
            for option, letter in self.letters().items()
            if option.right != (letter in chosen)
        ]
        belonging = [
            f"{letter} belongs here: {option.reason}" for option, letter in self.letters().items() if option.right
        ]
        return Reply(credit, tuple(lines or belonging))


@dataclass(frozen=True)
class Order(Question):
    """Steps to put in order, as far as the rules say: what no rule orders may stand either way round.

    A random order has half of the pairs right, and seldom more than 70%: credit begins there.
    """

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

    @cached_property
    def before(self) -> set[tuple[str, str]]:
        """All pairs of steps whose order matters: the rules and what follows from them."""
        pairs = {(rule.first, rule.then) for rule in self.rules}
        for middle in self.steps:
            pairs |= {(a, d) for a, b in pairs if b == middle for c, d in pairs if c == middle}
        return pairs

    @cached_property
    def shown(self) -> list[str]:
        """The keys, in an order that gives nothing away, nor does its reverse: about half of the pairs stand wrong."""
        orders = (self.shuffled(self.steps, draw=draw) for draw in count())
        return next(keys for keys in orders if 0.3 <= self.share(keys) <= 0.7)

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
        keys, names = self.keys_in(answer), self.letters()
        share, broken = self.share(keys), self.broken(keys)
        if not broken:
            return Reply(1.0, ("right: every step comes after all that it needs",))
        rule = min(broken, key=lambda rule: keys.index(rule.then))
        pairs = f"{share:.0%} of the pairs whose order matters are right; points begin above 70%"
        return Reply(
            above(share, luck=0.7), (pairs, f"{names[rule.first]} must come before {names[rule.then]}: {rule.reason}")
        )

    def keys_in(self, answer: str) -> list[str]:
        """The steps in the order of an answer."""
        letters, names = re.findall(r"\w", plain(answer)), self.letters()
        if sorted(letters) != list(self.labels):
            raise self.refused(answer)
        return sorted(names, key=lambda key: letters.index(names[key]))

    def broken(self, keys: Sequence[str]) -> list[Rule]:
        return [rule for rule in self.rules if keys.index(rule.first) > keys.index(rule.then)]

    def chosen(self, answer: str) -> list[Option]:
        """Each rule that the order breaks."""
        steps = self.steps
        return [
            Option(f"“{steps[rule.then]}” before “{steps[rule.first]}”", rule.reason)
            for rule in self.broken(self.keys_in(answer))
        ]


@dataclass(frozen=True)
class Match(Question):
    """Things to pair with their descriptions, some of which fit nothing. Luck finds one: it earns nothing."""

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
        chosen = self.letters_in(answer)
        lines, right = [], 0
        reasons = {option.text: option.reason for option in self.distractors}
        for number, pair in enumerate(self.lefts, 1):
            text = self.shown[self.labels.index(chosen[number])]
            if text == pair.right:
                right += 1
            else:
                lines.append(f"{number}{chosen[number]} is not it: {reasons.get(text, pair.reason)}")
        credit = above(right / len(self.pairs), luck=1 / len(self.pairs))
        return Reply(credit, (f"{right} of {len(self.pairs)} pairs are right; the first earns nothing yet", *lines))

    def letters_in(self, answer: str) -> dict[int, str]:
        """The letter that an answer gives to each number."""
        chosen = {int(number): letter for number, letter in re.findall(r"(\d+)\W*([a-z])", plain(answer))}
        if sorted(chosen) != list(range(1, len(self.pairs) + 1)) or not set(chosen.values()) <= set(self.labels):
            raise self.refused(answer)
        return chosen

    def chosen(self, answer: str) -> list[Option]:
        texts = {letter: text for text, letter in self.letters().items()}
        letters = self.letters_in(answer)
        pairs = [(pair, texts[letters[number]]) for number, pair in enumerate(self.lefts, 1)]
        return [Option(f"{pair.left} → {text}", pair.reason, pair.right == text) for pair, text in pairs]


@dataclass(frozen=True)
class Numeric(Question):
    """A number; wrong numbers that people arrive at are answered with how."""

    value: float
    reason: str
    tolerance: float = 0
    unit: str = ""
    mistakes: tuple[Mistake, ...] = ()
    variants: tuple[Self, ...] = ()  # the same question with other numbers in it; the first is this one

    example = "1,200"

    def __post_init__(self):
        numbers = [self.value, self.tolerance, *(mistake.value for mistake in self.mistakes)]
        if odd := [number for number in numbers if type(number) not in (int, float) or not math.isfinite(number)]:
            raise ValueError(f"value, tolerance and the values of mistakes are numbers; got {odd[0]!r}")
        if self.tolerance < 0 or (self.value != int(self.value) and not self.tolerance):
            raise ValueError(f"a value that is no whole number needs a tolerance above 0; got {self.tolerance}")
        check_texts([], [self, *self.mistakes])
        for place, mistake in enumerate(self.mistakes):
            if any(self.close(mistake.value, other) for other in [self.value, *numbers[2 : 2 + place]]):
                raise ValueError(f"the mistake {mistake.value} lies within the tolerance of the value or of another")

    def for_student(self, name: str) -> Self:
        """The same question with this student's numbers."""
        drawn = zlib.crc32(f"{self.id} {name}".encode("utf-8", "replace")) if name else 0
        one = self.variants[drawn % len(self.variants)] if self.variants else self
        return replace(one, student=name, variants=self.variants)

    @property
    def ask(self) -> str:
        return f"a number ({self.unit})" if self.unit else "a number"

    @property
    def answer(self) -> str:
        return f"{self.value}"

    def close(self, one: float, other: float) -> bool:
        """The same within the tolerance, and within what floats round."""
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=self.tolerance * (1 + 1e-9))

    def grade(self, answer: str) -> Reply:
        try:
            number = number_in(answer, self.unit)
        except ValueError as why:
            raise ValueError(f"{self.refused(answer)}: {why}") from None
        if self.close(number, self.value):
            return Reply(1.0, (f"right: {self.reason}",))
        known = [mistake.reason for mistake in self.mistakes if self.close(number, mistake.value)]
        return Reply(0.0, (f"{number:,.12g} is not it: {(known or [UNKNOWN])[0]}",))

    def chosen(self, answer: str) -> list[Option]:
        number = number_in(answer, self.unit)
        return [Option(f"{number:,.12g} {self.unit}".strip(), "", self.close(number, self.value))]


@dataclass(frozen=True, kw_only=True)
class Text(Question):
    """An answer in the student's own words, which a person reads: it earns no points by itself."""

    rubric: tuple[Criterion, ...]
    model: str
    weak: str = ""

    points = 0
    ask = "your own words"
    example = "I expect … because …"

    def __post_init__(self):
        if not self.rubric or any(type(each.levels) is not list or len(each.levels) < 2 for each in self.rubric):
            raise ValueError("it needs a rubric: at least one criterion, each with levels, a list of two or more texts")
        for criterion in self.rubric:
            check_texts([criterion.name, *criterion.levels])
        check_texts([criterion.name for criterion in self.rubric])
        check_texts([self.prompt, self.model])

    @property
    def answer(self) -> str:
        return self.model

    def grade(self, answer: str) -> Reply:
        if not re.search(r"\w", answer):
            raise self.refused(answer)
        weaker = (f"**A weaker answer**: {self.weak}",) if self.weak else ()
        levels = (f"**{criterion.name}**: {' → '.join(criterion.levels)}" for criterion in self.rubric)
        looks_at = "Compare yours with the model answer. A person who reads it looks at this, from little to much:"
        return Reply(None, (f"**A model answer**: {self.model}", *weaker, looks_at, *levels))


UNKNOWN = "work it out once more in small steps, and write down what you count."


def above(share: float, luck: float) -> float:
    """Credit from 0 to 1 for what lies above the share that luck brings."""
    return max(0.0, round((share - luck) / (1 - luck), 9))


def plain(answer: str) -> str:
    """Small letters for capitals, and for those of other widths."""
    return unicodedata.normalize("NFKC", answer).strip().lower()


def shortened(answer: str) -> str:
    return answer if len(answer) <= 80 else f"{answer[:80]} …"


def check_texts(texts: Iterable[str], reasoned: Iterable = ()) -> None:
    """Every text and every reason says something, and no text stands twice."""
    texts = list(texts)
    if not all(text.strip() for text in [*texts, *(each.reason for each in reasoned)]):
        raise ValueError("a text or a reason is empty")
    if len(set(texts)) < len(texts):
        raise ValueError(f"two of its texts are the same: {sorted(t for t in texts if texts.count(t) > 1)[0]!r}")
