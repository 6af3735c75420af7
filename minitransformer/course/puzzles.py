"""A puzzle of one line: what there is, the target, and what the reader's line makes of it, side by side."""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from . import catalogue
from .differences import type_in_words
from .display import FAIR, GOOD, PLAIN, Shown, box, clean, inline

KINDS = {"b": "True and False", "c": "complex numbers"}
ROOM = 8  # rows or columns of a tensor that are shown


@dataclass(frozen=True)
class Puzzle:
    """`right` makes the target of `inputs()`; each line in `near` is a likely slip, with a word on it."""

    id: str
    title: str
    inputs: Callable[[], Mapping[str, Tensor]]
    right: Callable[..., Tensor]
    near: tuple[tuple[Callable[..., Tensor], str], ...] = ()

    def target(self) -> np.ndarray:
        return self.right(**self.inputs()).numpy()


class NotYet(Exception):
    """A word on what a line does in place of what it should."""


def puzzle(puzzle_id: str, line: object = ...) -> Shown:
    """Try a line, given as a function of what there is; any line that makes the target is right."""
    this = catalogue.look_up("puzzle", puzzle_id, catalogue.puzzles)
    panels = {name: value.numpy() for name, value in this.inputs().items()} | {"target": this.target()}
    try:
        value = line(*this.inputs().values()) if callable(line) else line
        if value is ...:
            return shown(this, PLAIN, "type your line in place of the dots, and run the cell again", panels)
        panels["yours"] = yours = as_array(value)
        compare(this, yours)
    except NotYet as why:
        return shown(this, FAIR, f"not yet. {why}", panels)
    except Exception as error:
        said = clean((str(error).splitlines() or [""])[0], 160)
        return shown(this, FAIR, f"not yet. Your line stops with `{type(error).__name__}`: {said}", panels)
    return shown(this, GOOD, "that is it", panels)


def as_array(value: object) -> np.ndarray:
    """The numbers of a tensor, however it is laid out."""
    if callable(value):
        raise NotYet("Your line gives a function and not what it returns: a call has parentheses")
    if not isinstance(value, Tensor):
        kind = "a NumPy array" if isinstance(value, np.ndarray) else type_in_words(value)
        raise NotYet(f"Your line gives {kind}, and a tensor is wanted")
    try:
        dense = value.detach().to_dense().cpu()
        return (dense.double() if dense.is_floating_point() else dense).numpy()
    except (RuntimeError, NotImplementedError):
        raise NotYet("Your line gives a tensor that cannot be shown here; one with plain numbers is wanted") from None


def compare(this: Puzzle, yours: np.ndarray) -> None:
    """Raise a word on what differs from the target, if anything does."""
    target = this.target()
    wanted, got = (KINDS.get(each.dtype.kind, "numbers") for each in (target, yours))
    if wanted != got:
        raise NotYet(f"A tensor of {wanted} is wanted; yours holds {got}")
    if same(yours, target):
        return
    for slip, word in this.near:
        if same(yours, slip(**this.inputs()).numpy()):
            raise NotYet(word)
    if yours.ndim > 1 and same(yours.T, target):
        raise NotYet("The numbers are right, but rows and columns are exchanged")
    if yours.shape != target.shape:
        raise NotYet(f"Wanted is the shape {target.shape}; yours has the shape {yours.shape}")
    if np.isnan(yours).any():
        raise NotYet("There is NaN in yours: something was divided by 0, or infinity taken from infinity")
    wrong = differing(yours, target)
    raise NotYet(f"The shape is right; {wrong.sum()} of {wrong.size} places differ (marked ≠)")


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and not differing(one, other).any()


def differing(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ~np.isclose(one.astype(float), other.astype(float), 1e-4, 1e-5)


def shown(this: Puzzle, colour: str, verdict: str, panels: Mapping[str, np.ndarray]) -> Shown:
    count = len(catalogue.puzzles(int(this.id.partition(".")[0])))
    title = f"Puzzle {this.id.partition('z')[2]} of {count}, {this.title}"
    grids = {f"{name} {each.shape}": cells(each, panels["target"], name == "yours") for name, each in panels.items()}
    pages = "".join(page(name, rows) for name, rows in grids.items())
    text = f"{title}: {verdict.replace('`', '')}.\n{beside(grids)}"
    return Shown(text, box(colour, f"<strong>{html.escape(title)}</strong>: {inline(verdict)}.", f"<div>{pages}</div>"))


def cells(value: np.ndarray, target: np.ndarray, marked: bool) -> list[list[str]]:
    """What is written into a grid of at most two dimensions; a ≠ marks where it differs from the target."""
    if value.ndim > 2 or max(value.shape, default=1) > ROOM or not value.size:
        return [["(too large to show)" if value.size else "(empty)"]]
    if value.dtype.kind == "f":
        digits = 0 if np.all(value == value.round()) else 2
        texts = [f"{each:.{digits}f}" for each in value.flat]
    else:
        texts = [str(each) for each in value.flat]
    if marked and value.shape == target.shape and value.dtype.kind != "c":
        wrong = differing(value, target).flat
        texts = [f"≠ {text}" if odd else text for text, odd in zip(texts, wrong, strict=True)]
    width = value.shape[-1] if value.ndim else 1
    return [texts[start : start + width] for start in range(0, len(texts), width)]


def page(name: str, rows: list[list[str]]) -> str:
    """A grid with its name above it."""
    odd = "outline:2px dashed;outline-offset:-3px;font-weight:bold"
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{odd if text[0] == "≠" else ""}">{html.escape(text)}</td>' for text in row)
        + "</tr>"
        for row in rows
    )
    caption = f'<caption style="caption-side:top;white-space:nowrap">{html.escape(name)}</caption>'
    return f'<table style="display:inline-table;margin:0 1.5em .3em 0;vertical-align:top">{caption}{body}</table>'


def beside(grids: Mapping[str, list[list[str]]]) -> str:
    """The grids in a terminal, next to each other."""
    columns = []
    for name, rows in grids.items():
        width = max(len(text) for row in rows for text in row)
        lines = [name, *(" ".join(text.rjust(width) for text in row) for row in rows)]
        columns.append([line.ljust(max(map(len, lines))) for line in lines])
    height = max(map(len, columns))
    columns = [lines + [" " * len(lines[0])] * (height - len(lines)) for lines in columns]
    return "\n".join("  " + "    ".join(line).rstrip() for line in zip(*columns, strict=True))
