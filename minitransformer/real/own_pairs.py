"""One's own pairs of a text and its answer: read from a spreadsheet's CSV file, and divided into three parts."""

import csv
import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .. import expect
from ..files.schema import Source

NAMES = "text", "answer"  # in the first row; a third, "group", may name pairs that belong together
SEPARATORS = ",;\t"
LEAST, SHOWN = 10, 5  # pairs that can be divided; faults that are told
WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # how .xlsx and .ods, and .xls begin


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

    Columns are separated by commas, semicolons or tabs, as the spreadsheet likes it. Faults are told with their lines.
    """
    expect.path(path=path)
    source = Source(path, "mend it in the spreadsheet, and export it again as CSV in UTF-8")
    text = decoded(source.regular("a table of pairs, as CSV").read_bytes(), source)
    lines = [*io.StringIO(text, newline="")]
    begins = int(bool(lines) and lines[0].lower().startswith("sep="))  # a line of Excel's own
    separator, names = columns(lines[begins : begins + 1], source)
    rows = [row for row in table(lines[begins:], separator, begins, source) if any(row[1])][1:]
    pairs: dict[str, OwnPair] = {}
    faults = []
    for line, cells in rows:
        try:
            pair = as_pair(cells, names, line)
            before = pairs.setdefault(pair.text, pair)
            if before.answer != pair.answer:
                raise ValueError(
                    f"{pair.text!r} has the answer {pair.answer!r}, and in line {before.line} {before.answer!r}"
                )
        except ValueError as fault:
            faults.append(f"line {line}: {fault}")
    if faults:
        raise source.wrong(f"has faults: {shown(faults)}")
    if not pairs:
        raise source.wrong("has a first row, and no pairs under it")
    return list(pairs.values())


def shown(faults: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(faults[:SHOWN]) + more


def decoded(data: bytes, source: Source) -> str:
    if data.startswith(WORKBOOK):
        raise source.wrong("is a workbook, not a CSV file: open it, and take  Save as: CSV UTF-8")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise source.wrong(f"is not text in UTF-8: line {line} holds other bytes") from None
    if "\0" in text:
        raise source.wrong(f"is not text: line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a zero byte")
    if not text.strip():
        raise source.wrong("is empty; expected a first row with the names text and answer, and a row for each pair")
    return text


def columns(first: list[str], source: Source) -> tuple[str, list[str]]:
    """What separates the columns, and their names."""
    for separator in SEPARATORS:
        names = [cell.strip().lower() for cell in next(csv.reader(first, delimiter=separator), [])]
        if set(NAMES) <= {*names}:
            if twice := [name for name in (*NAMES, "group") if names.count(name) > 1]:
                raise source.wrong(f"has the name {twice[0]} twice in its first row")
            return separator, names
    came = "".join(first).strip()
    raise source.wrong(f"should have a first row with the names text and answer; got {came[:60]!r}")


def table(lines: list[str], separator: str, before: int, source: Source) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row without the spaces around them, and the number of the line in which it begins."""
    reader, line = csv.reader(lines, delimiter=separator, strict=True), before + 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise source.wrong(f"has quotes that do not pair up, from line {line}: {error}") from None


def as_pair(cells: list[str], names: list[str], line: int) -> OwnPair:
    if len(cells) != len(names):
        count = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
        raise ValueError(f"{count} where the first row has {len(names)}; a comma within a text needs quotes around it")
    named = dict(zip(names, cells, strict=True))
    for name in NAMES:
        if not named[name]:
            raise ValueError(f"the {name} is empty")
    return OwnPair(named["text"], named["answer"], named.get("group") or named["text"], line)


def split(pairs: Sequence[OwnPair], seed: int) -> Parts:
    """A fifth to test on, a tenth to see when it is learned, at most 200 and 50, the rest to learn from.

    The seed and a pair's group decide where it goes, so pairs that come to the table later move hardly any other.
    """
    expect.whole(*expect.SEEDS, seed=seed)
    if len(pairs) < LEAST:
        raise ValueError(f"expected at least {LEAST} pairs, some to learn from and some to test on; got {len(pairs)}")
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
