"""A small grammar: parts of sentences made of words and of other parts, each with its English, Chinese and feeling.

A part has fields, and a field is a template: {thing.many} is the field `many` of its part `thing`. What stands inside
is filled in first, so {was.{subject.number}} looks up the subject's number in the table `was`.
"""

import random
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

SLOT = re.compile(r"\{(\w+)\.(\w+)\}")  # the innermost ones: nothing in braces inside
OPENING = re.compile(r"\{([a-z_]+\d?)\.")
ENGLISH = ("en", "many", "base", "one", "past", "ing")  # the fields that hold English; those with Chinese show it
SPOKEN = ("is", "was", "does", "has")  # the tables whose words are said


@dataclass(frozen=True)
class Option:
    """One way to make a part: a word, or a rule with slots for other parts."""

    name: str  # of a word: its English; of a rule: what it does to the sentence, if that has a name
    fields: dict[str, str]
    slots: dict[str, str] = field(default_factory=dict)  # and the kind of part that each of them takes


@dataclass
class Part:
    """An option whose slots are filled; its fields are texts, made when they are asked for."""

    option: Option
    inner: dict[str, "Part | dict[str, str]"]

    def __getitem__(self, name: str) -> str:
        text = "" if name == "nothing" else self.option.fields[name]
        while "{" in text:
            text = SLOT.sub(self.fill, text)
        return text

    def fill(self, slot: re.Match) -> str:
        return self.inner[slot[1]][slot[2]]


class Grammar:
    """Draws parts of a kind, each option of the kind as often as it should be."""

    def __init__(self, world: dict):
        self.tables = world["tables"]
        self.options: dict[str, list[Option]] = defaultdict(list)
        for kind, table in world["words"].items():
            for row in table["rows"]:
                self.options[kind].append(Option(row[0], dict(zip(table["columns"], row, strict=True))))
        for kind, rules in world["rules"].items():
            for rule in rules:
                fields = {name: text for name, text in rule.items() if name not in ("often", "name")}
                opened = dict.fromkeys(slot for text in fields.values() for slot in OPENING.findall(text))
                slots = {slot: slot.rstrip("2") for slot in opened if slot not in self.tables}
                option = Option(rule.get("name", ""), fields, slots)
                self.options[kind] += [option] * rule.get("often", 1)
                self.options["construction"] += [option] if option.name else []
        for kind, members in world["unions"].items():
            self.options[kind] = [option for member in members for option in self.options[member]]
        self.options = dict(self.options)
        self.check()
        self.spelling = [(re.compile(wrong), right) for wrong, right in world["spelling"].items()]
        self.apart = pairs_apart(self, world["unseen"])

    def check(self) -> None:
        for option in self.every():
            for slot, kind in option.slots.items():
                if not self.options.get(kind):
                    raise ValueError(
                        f"a rule has a slot {slot!r}, but there is nothing of kind {kind!r}; expected one of "
                        f"{', '.join(self.options)}: write [words.{kind}] or [[rules.{kind}]], or correct the slot"
                    )

    def draw(self, kind: str, rng: random.Random, names: set[str]) -> Part:
        """A part of this kind at random; the names of what it is made of are added to `names`."""
        options = self.options[kind]
        option = options[int(rng.random() * len(options))]
        inner = self.tables.copy()
        for slot, of_kind in option.slots.items():
            part = self.draw(of_kind, rng, names)
            while slot != of_kind and part.option is inner[of_kind].option and not part.option.slots:
                part = self.draw(of_kind, rng, names)  # thing and thing2 are two different words
            inner[slot] = part
        if option.name:
            names.add(option.name)
        return Part(option, inner)

    def texts(self, english: bool) -> Iterator[str]:
        """Everything that its words and rules may say in English, or in Chinese, without the slots."""
        if english:
            yield from (word for name in SPOKEN for word in self.tables[name].values())
        for option in self.every():
            for name, text in option.fields.items():
                while "{" in text:
                    text = re.sub(r"\{[^{}]*\}", " ", text)
                if name in ENGLISH if english else not text.isascii():
                    yield text

    def every(self) -> list[Option]:
        """Each word and rule once, however often it is drawn and under however many names."""
        return [*{id(option): option for options in self.options.values() for option in options}.values()]

    def spell(self, english: str) -> str:
        """One space between words, a capital at the start, "an" before a vowel."""
        text = " ".join(english.split()).replace(" .", ".").replace(" ?", "?").replace(" !", "!")
        for wrong, right in self.spelling:
            text = wrong.sub(right, text)
        return text[0].upper() + text[1:]

    def unseen(self, names: set[str]) -> str:
        """A pairing, among these names, that training never shows; or nothing."""
        found = [(one, other) for one in names for other in self.apart.get(one, frozenset()) & names]
        return " + ".join(min(found)) if found else ""


def pairs_apart(grammar: Grammar, unseen: dict) -> dict[str, set[str]]:
    """Each name with those that it never meets in training: one in so many, told by a checksum."""
    apart = defaultdict(set)
    for kind, other_kind in unseen["pairs"]:
        for one, other in product(grammar.options[kind], grammar.options[other_kind]):
            both = sorted((one.name, other.name))
            common = {*unseen["common"], ""} & {*both} or one.name == other.name
            if not common and zlib.crc32(" + ".join(both).encode()) % unseen["one_in"] == 0:
                apart[one.name].add(other.name)
                apart[other.name].add(one.name)
    return dict(apart)
