"""One's own pairs of a text and its answer: read from a spreadsheet's CSV file, and divided into three parts."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import expect
from ..files.spreadsheet import read_sheet

LEAST = 10  # pairs that can be divided


class OwnPair(NamedTuple):
    """A text, its answer, and the group whose pairs are held back together: a text without one is its own group."""

    text: str
    answer: str
    group: str
    line: int = 0  # where it stands in its file


class Parts(NamedTuple):
    """Pairs to learn from, to see when they are learned, and to measure at the end."""

    train: list[OwnPair]
    validation: list[OwnPair]
    test: list[OwnPair]


def read_pairs(path: str | Path) -> list[OwnPair]:
    """The pairs in a CSV file whose first row names the columns text and answer; a pair that comes again counts once.

    A third column, group, may name pairs that belong together.
    """
    pairs: dict[str, OwnPair] = {}

    def add(cells: dict[str, str], line: int) -> None:
        for name in "text", "answer":
            if not cells[name]:
                raise ValueError(f"the {name} is empty")
        pair = OwnPair(cells["text"], cells["answer"], cells.get("group") or cells["text"], line)
        before = pairs.setdefault(pair.text, pair)
        if before.answer != pair.answer:
            raise ValueError(
                f"{pair.text!r} has the answer {pair.answer!r}, and in line {before.line} {before.answer!r}"
            )

    read_sheet(path, ["text", "answer"], add)
    return list(pairs.values())


def split(pairs: Sequence[OwnPair], seed: int) -> Parts:
    """A fifth to test on, a tenth to see when it is learned, at most 200 and 50, the rest to learn from.

    The seed and a pair's group decide where it goes, so pairs that come to the table later move hardly any other.
    """
    expect.whole(*expect.SEEDS, seed=seed)
    if len(pairs) < LEAST:
        raise ValueError(
            f"expected at least {LEAST} pairs, some to learn from and some to test on; got {len(pairs)}: add rows"
        )
    groups: dict[str, list[OwnPair]] = {}
    for pair in sorted(pairs):
        groups.setdefault(pair.group, []).append(pair)
    parts = Parts([], [], [])
    test, validation = min(200, math.ceil(len(pairs) / 5)), min(50, math.ceil(len(pairs) / 10))
    for group in sorted(groups, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest()):
        room = len(parts.test) < test, len(parts.validation) < validation
        part = parts.test if room[0] else parts.validation if room[1] else parts.train
        part.extend(groups[group])
    if len(parts.train) < len(pairs) / 2:
        raise ValueError(
            f"of {len(pairs)} pairs in {len(groups)} groups only {len(parts.train)} would be left to learn from, since "
            "a group is never divided: expected smaller groups"
        )
    return parts
