"""Tables that a spreadsheet has exported as CSV, however it writes them; what is wrong is told with its line."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from .. import expect
from .schema import Source

SEPARATORS = ",;\t"
SHOWN = 5  # faults that are told
WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # how .xlsx and .ods, and .xls begin
Row = TypeVar("Row")


def read_sheet(path: str | Path, names: Sequence[str], use: Callable[[dict[str, str], int], Row]) -> list[Row]:
    """What `use` makes of each row, given its cells by their columns' names and its line; empty rows are passed over.

    The first row has the columns' names, of which `names` must be there. Columns are separated by commas, semicolons or
    tabs. All that is wrong is told at once, also what `use` refuses with a ValueError.
    """
    expect.path(path=path)
    source = Source(path, "mend it in the spreadsheet, and export it again as CSV in UTF-8")
    text = decoded(source.regular("a table, as CSV").read_bytes(), names, source)
    lines = [*io.StringIO(text, newline="")]
    begins = int(lines[0].lower().startswith("sep="))  # a line of Excel's own
    separator, columns = first_row(lines[begins : begins + 1], names, source)
    rows = [row for row in table(lines[begins:], separator, begins, source) if any(row[1])][1:]
    made, faults = [], []
    for line, cells in rows:
        try:
            if len(cells) != len(columns):
                count = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
                raise ValueError(
                    f"{count} where the first row has {len(columns)}; a comma within a text needs quotes around it"
                )
            made.append(use(dict(zip(columns, cells, strict=True)), line))
        except ValueError as fault:
            faults.append(f"line {line}: {fault}")
    if faults:
        raise source.wrong(f"has faults: {shown(faults)}")
    return made


def shown(faults: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(faults[:SHOWN]) + more


def decoded(data: bytes, names: Sequence[str], source: Source) -> str:
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
        raise source.wrong(f"is empty; expected a first row with the names {' and '.join(names)}, and rows below it")
    return text


def first_row(first: list[str], wanted: Sequence[str], source: Source) -> tuple[str, list[str]]:
    """What separates the columns, and their names."""
    for separator in SEPARATORS:
        names = [cell.strip().lower() for cell in next(csv.reader(first, delimiter=separator), [])]
        if {*wanted} <= {*names}:
            if twice := [name for name in names if name and names.count(name) > 1]:
                raise source.wrong(f"has the name {twice[0]} twice in its first row")
            return separator, names
    came = "".join(first).strip()
    raise source.wrong(f"should have a first row with the names {' and '.join(wanted)}; got {came[:60]!r}")


def table(lines: list[str], separator: str, before: int, source: Source) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row without the spaces around them, and the number of the line in which it begins."""
    reader, line = csv.reader(lines, delimiter=separator, strict=True), before + 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise source.wrong(f"has quotes that do not pair up, from line {line}: {error}") from None
