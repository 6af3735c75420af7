"""A notebook or a `.py` as cells that Python can read, however it was exported. Nothing is run here."""

import ast
import codecs
import io
import json
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from textwrap import dedent
from tokenize import detect_encoding

from ..display import valid_unicode

LONGEST, LONGEST_OF_ALL, MOST = 200_000, 1_000_000, 20_000  # signs of a cell and of all cells; statements of all cells
MARK = re.compile(r"^# ?(?:In ?\[[^\]\n]*\]:|%%.*)$", re.MULTILINE)  # between the cells of an exported notebook
APART = re.compile(r"\n[ \t]*\n(?=[^\s#)\]}])")  # where one statement of a file may end and the next begin
LINE_MAGIC = re.compile(r"^([ \t]*)(?:[!%?](?:.*\\\n)*.*|[\w.]+\?{1,2}[ \t]*)$", re.MULTILINE)
MADE_BY_MAGIC = re.compile(r"^([ \t]*[\w, ]+=[ \t]*)[!%].*$", re.MULTILINE)
TIMED = re.compile(r"^([ \t]*)%time[ \t]+(?=\S)", re.MULTILINE)
RUNS = re.compile(r"^([ \t]*)%run[ \t]+(?:-\w+[ \t]+)*(?:[^\s/]*/)*(\w+)(?:\.py)?[ \t]*$", re.MULTILINE)
CALLS = re.compile(r"^[,;/]\w.*$", re.MULTILINE)  # IPython: /f a b calls f(a, b)
PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In \[\d+\]:|\.{3,}:)(?: |$)", re.MULTILINE)
WRITES = re.compile(r"%%(?:writefile|file)[ \t]+(?:\S*/)?(\w+)\.py[ \t]*\n")


class Refused(ValueError):
    """What was handed in cannot be read, in one line."""


@dataclass(frozen=True)
class Cell:
    """One cell: where it stands, its name if it has one, its source, and what it shows."""

    place: str  # "cell 3"; where it is a file's, only how far down it starts counts
    tag: str
    source: str
    outputs: list = field(default_factory=list)
    line: int = 0

    def place_of(self, line: int) -> str:
        return self.place or f"line {self.line + line}"


def cells_of(name: str, data: bytes) -> list[Cell]:
    """The code cells of a file, by its suffix."""
    if name.lower().endswith(".py"):
        return cells_of_py(text_of_py(data))
    try:
        return cells_of_notebook(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8: save it as UTF-8, and hand it in again") from None


def text_of_py(data: bytes) -> str:
    """In the encoding that it names, or in that of the editors which name none."""
    with suppress(SyntaxError, UnicodeDecodeError, LookupError):
        return data.decode(detect_encoding(io.BytesIO(data).readline)[0])
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("cp1252", "replace")


def cells_of_notebook(text: str) -> list[Cell]:
    try:
        whole = json.loads(text)
        cells = (
            whole["cells"] if "cells" in whole else [each for sheet in whole["worksheets"] for each in sheet["cells"]]
        )
        code = [cell for cell in cells if cell.get("cell_type") == "code"]
        made = []
        for number, cell in enumerate(code, 1):
            about = cell.get("metadata") or {}
            tag = (about.get("nbgrader") or {}).get("grade_id", cell.get("id"))
            source = valid_unicode("".join(cell["source"] if "source" in cell else cell["input"]))  # input: nbformat 3
            made.append(Cell(f"cell {number}", str(tag), source, list(cell.get("outputs") or ())))
        return made
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused("this is no notebook, or a damaged one: its JSON cannot be read as cells") from None


def cells_of_py(text: str) -> list[Cell]:
    """The cells between a file's marks; without marks the file as a whole, or in parts where only some are Python."""
    text = valid_unicode(re.sub(r"\r\n?", "\n", text)).rstrip("\x1a")  # old editors end a file so
    cells = split(text, MARK)
    if len(cells) == 1 and parsed(text).body is None:
        cells = split(text, APART)
        if not any(parsed(cell.source).body for cell in cells):
            raise Refused("this is no Python: run it once yourself, and hand it in again")
    return cells


def split(text: str, separator: re.Pattern) -> list[Cell]:
    ends = [0, *(match.end() for match in separator.finditer(text)), len(text)]
    cells, line = [], 0
    for start, end in pairwise(ends):
        cells.append(Cell("", "", text[start:end], line=line))
        line += text.count("\n", start, end)
    return cells


@dataclass(frozen=True)
class Parsed:
    """What Python reads in a cell: its source as it was read, and its statements, or else why there are none."""

    source: str
    body: list[ast.stmt] | None = None
    trouble: str = ""


def parsed(source: str) -> Parsed:
    """As it is, or without the lines that only a notebook understands."""
    if len(source) > LONGEST:
        return Parsed(
            source, None, f"is longer than {LONGEST:,} signs and was left out: keep data in a file, and code short"
        )
    source = re.sub(r"\r\n?", "\n", source)
    magic = re.match(r"\s*%%.*(?:\n|$)", source)
    plain = "\n" * magic[0].count("\n") + source[magic.end() :] if magic else source
    trouble = ""
    for text in dict.fromkeys((plain, without_magic(plain), without_magic(dedent(PROMPT.sub("", plain))))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an odd backslash is the student's business
                body = ast.parse(text).body
            inner = wrapped(body)
            return parsed(inner) if inner else Parsed(text, body)
        except SyntaxError as error:
            trouble = f"is not Python, and was left out: line {error.lineno}"
        except (ValueError, MemoryError, RecursionError):
            trouble = "is not Python that can be read, and was left out"
    return Parsed(source, None, "" if magic else trouble)


def without_magic(source: str) -> str:
    source = RUNS.sub(r"\1from \2 import *", CALLS.sub("pass", source))
    source = MADE_BY_MAGIC.sub(r"\1None", TIMED.sub(r"\1", source))
    return LINE_MAGIC.sub(lambda match: match[1] + "pass" + "\n" * match[0].count("\n"), source)


def wrapped(body: list[ast.stmt]) -> str:
    """The cell in a call that nbconvert makes of its magic: get_ipython().run_cell_magic("time", "", "the cell")."""
    match body:
        case [ast.Expr(ast.Call(ast.Attribute(attr="run_cell_magic"), [_, _, ast.Constant(str(source))]))]:
            return source
    return ""


def written_modules(source: str) -> dict[str, bytes]:
    """The module that a cell writes: %%writefile helper.py."""
    match = WRITES.match(source.lstrip())
    return {f"{match[1]}.py": source.lstrip()[match.end() :].encode()} if match else {}
