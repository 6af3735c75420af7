"""What a teacher should look at: submissions that are alike, and code that uses what no exercise needs. No marks.

Code is compared by its syntax, without names, values, comments, formatting and the order of definitions, and without
what everyone was given or is known to write: the lesson's text, its hints, its solutions, known right and wrong
answers. What is left counts the more the fewer people wrote it.
"""

import ast
import builtins
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from .. import catalogue, lesson_text

STRANGE = re.compile(
    r"\b(ctypes|gc|inspect|subprocess|socket|__code__|__globals__|_getframe|importlib|lesson\d+\.ask)\b"
)
RUN = 8  # steps of syntax that are looked at together
LARGEST, LONGEST = 1000, 6000  # runs kept of one submission; signs shown of one piece
ENOUGH, SHARE = 45, 0.6  # unusual runs that two must have in common, and how much that must be of the shorter one's
OTHERS = 6  # as if so many more had been compared, who wrote otherwise: in a small class little is known to be usual
BLOCKS = re.compile(r"```(?:python)?\n(.*?)```|`([^`]+)`", re.DOTALL)
LEFT_OUT = ast.Import | ast.ImportFrom | ast.expr_context | ast.arguments | ast.arg | ast.alias


def traces(pieces: list[tuple[str | None, str]], known: frozenset[str]) -> dict[str, object]:
    """Of a submission's code: its unusual runs, words that no exercise needs, and what a person should see of it."""
    shown: dict[str, str] = {}
    for owner, source in pieces:
        shown[owner or ""] = f"{shown.get(owner or '', '')}\n{source}".strip()[:LONGEST]
    code = "\n".join(source for _, source in pieces)
    runs = sorted({run for _, source in pieces for run in runs_of(source)} - known)
    return {"code": runs[:LARGEST], "strange": sorted(set(STRANGE.findall(code))), "source": shown}


def runs_of(source: str) -> Iterator[str]:
    """A short text for each few steps of syntax in a row, definition by definition; nothing where it cannot be read."""
    with suppress(SyntaxError, ValueError, RecursionError):
        for statement in definitions(ast.parse(source)):
            steps = [*steps_of(statement)]
            for start in range(max(1, len(steps) - RUN + 1)):
                yield hashlib.sha256(" ".join(without_names(steps[start : start + RUN])).encode()).hexdigest()[:10]


def definitions(tree: ast.AST) -> Iterator[ast.AST]:
    """Functions and other statements one by one, also those in classes, so that their order is of no weight."""
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            yield from definitions(each)
        else:
            yield each


def steps_of(node: ast.AST) -> Iterator[str]:
    """The syntax in the order in which it is written. A name begins with a dot, and a library's name has none."""
    if isinstance(node, LEFT_OUT) or is_text(node):
        return
    if isinstance(node, ast.Name):
        yield node.id if node.id in LIBRARY else f".{node.id}"
    elif isinstance(node, ast.Constant):
        yield "value"
    elif isinstance(node, ast.Attribute):
        yield from steps_of(node.value)
        yield f".{node.attr}" if own_attribute(node) else node.attr
    else:
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if name not in ("decorator_list", "returns", "annotation", "type_params"):
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, ast.AST):
                        yield from steps_of(each)


LIBRARY = {*vars(builtins), "torch", "np", "numpy", "nn", "F", "math", "self"}


def own_attribute(node: ast.Attribute) -> bool:
    """Whether the name after the dot is the student's own."""
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def is_text(node: ast.AST) -> bool:
    """A docstring, or another text that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def without_names(steps: list[str]) -> list[str]:
    """The same with numbers for names: what matters is where the same name comes back."""
    names: dict[str, str] = {}
    return [names.setdefault(step, f".{len(names)}") if step[0] == "." else step for step in steps]


def known_code(lesson: int) -> frozenset[str]:
    """The runs of what everyone was given, and of what is known to be written."""
    return frozenset(run for text in known_texts(lesson) for run in runs_of(text))


def known_texts(lesson: int) -> Iterator[str]:
    for cell in lesson_text.cells(lesson_text.source_of(lesson)):
        yield from code_in(cell.source) if cell.is_text else [cell.source]
    for exercise in catalogue.exercises(lesson).values():
        for hint in exercise.hints:
            yield from code_in(hint)
    for path in (path for kind in ("right_", "wrong_") for path in catalogue.folder(lesson).glob(f"{kind}*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from (ast.unparse(each) for each in definitions(tree))
        texts = [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)]
        yield from (text for text in texts if isinstance(text, str))
    yield "def blank():\n    raise NotImplementedError('not written yet')"


def code_in(text: str) -> list[str]:
    """The pieces of code in a text with Markdown."""
    return [block or line for block, line in BLOCKS.findall(text)]


@dataclass(frozen=True)
class Pair:
    """Two submissions and how much of the shorter one's unusual code is in the other, too."""

    one: dict
    two: dict
    share: float


def alike(rows: list[dict]) -> list[Pair]:
    """Pairs that have much in common that few others wrote, those with the most first."""
    rows = [row for row in rows if row.get("code")]
    common = Counter(run for row in rows for run in row["code"])
    shared = {run: place for place, run in enumerate(run for run, count in common.items() if count > 1)}
    everyone = np.log(len(rows) + OTHERS)
    weights = np.array([1 - np.log(common[run]) / everyone for run in shared], np.float32)
    alone = np.array([sum(common[run] == 1 for run in row["code"]) for row in rows])
    has = np.zeros((len(rows), len(shared)), np.float32)
    for number, row in enumerate(rows):
        has[number, [shared[run] for run in row["code"] if run in shared]] = 1
    both = (has * weights) @ has.T
    own = both.diagonal() + alone
    share = both / np.maximum(np.minimum(own[:, None], own[None, :]), 1e-9)
    places = np.argwhere(np.triu((both >= ENOUGH) & (share >= SHARE), 1))
    pairs = [Pair(rows[one], rows[two], float(share[one, two])) for one, two in places]
    return sorted(pairs, key=lambda pair: -pair.share)
