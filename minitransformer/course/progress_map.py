"""One look at all lessons: what is done, what is right, what was predicted, and what came again."""

import html
from dataclasses import dataclass

from . import catalogue, lesson_text
from .display import Shown
from .progress import (
    RECORD,
    coloured,
    credits_of_questions,
    points_of_exercises,
    practised,
    recall,
    shares,
    squares,
)
from .repetition import COUNT, before
from .warm_up import credits_of_warm_up

HEADS = "Lesson", "Exercises", "Questions", "Predictions", "Warm-up"
LEGEND = (
    "■ done, right or near · ◧ in part · ✗ not yet, or off · □ open. "
    "Warm-ups and predictions are never graded; a prediction that is off is one that taught you something."
)
GROUP = 7  # squares that stay together
Credits = list[float | None]


@dataclass(frozen=True)
class Row:
    """One lesson: for each head but the first the squares, and the same in words."""

    title: str
    cells: tuple[tuple[Credits, str], ...]


def progress_map() -> Shown:
    """Where you are in all lessons."""
    lessons = catalogue.lessons()
    troubles = dict.fromkeys(
        each for lesson in lessons for each in (recall(lesson), RECORD.trouble.get(lesson)) if each
    )
    rows = [row_of(lesson) for lesson in lessons]
    return Shown(in_text(rows, [*troubles]), in_html(rows, [*troubles]))


def row_of(lesson: int) -> Row:
    done, answered = shares(points_of_exercises(lesson)), credits_of_questions(lesson)
    kept = practised(lesson)[0].predictions
    guesses = [float(kept[name]) if name in kept else None for name in lesson_text.predictions(lesson)]
    again = credits_of_warm_up(lesson) or [None] * COUNT
    cells = [
        (done, f"{done.count(1)} of {len(done)} done"),
        (answered, f"{sum(each or 0 for each in answered):.3g} of {len(answered)} right"),
        (guesses, f"{len(guesses) - guesses.count(None)} of {len(guesses)} made, {guesses.count(1)} near"),
        (again, f"{again.count(1)} of {len(again)} right at once") if before(lesson) else ([], "none"),
    ]
    return Row(f"{lesson} · {lesson_text.title(lesson)}", tuple(cells))


def in_text(rows: list[Row], troubles: list[str]) -> str:
    """A line for each lesson, and below it one for each kind of thing to do."""
    lines = ["Where you are in all lessons"]
    for row in rows:
        lines.append(row.title)
        for head, (credits, words) in zip(HEADS[1:], row.cells, strict=True):
            lines.append(f"  {head.lower():<12} {squares(credits):<22} {words}")
    return "\n".join([*lines, LEGEND, *(f"{each}." for each in troubles)])


def in_html(rows: list[Row], troubles: list[str]) -> str:
    """A table that also a screen reader can read: it hears the words, and not the squares."""
    line = 'style="border-bottom:1px solid currentColor;text-align:left;vertical-align:top;padding:.3em .6em"'
    heads = "".join(f'<th scope="col" {line}>{head}</th>' for head in HEADS)
    body = "".join(
        f'<tr><th scope="row" {line}>{html.escape(row.title)}</th>'
        + "".join(f"<td {line}>{cell(credits, words)}</td>" for credits, words in row.cells)
        + "</tr>"
        for row in rows
    )
    notes = "".join(f"<div><strong>{html.escape(each)}.</strong></div>" for each in troubles)
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse">'
        '<caption style="text-align:left"><strong>Where you are in all lessons</strong></caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table><small>{LEGEND}</small>{notes}</div>"
    )


def cell(credits: Credits, words: str) -> str:
    """The squares, in groups that are not broken at a line's end, and below them the words."""
    groups = [coloured(credits[start : start + GROUP]) for start in range(0, len(credits), GROUP)]
    marks = " ".join(f'<span style="white-space:nowrap">{each}</span>' for each in groups)
    return f'<div aria-hidden="true">{marks}</div><div style="white-space:nowrap">{words}</div>'
