"""Predict first, then run: a guess is committed to before the measurement, and shown beside it afterwards."""

import html
import re
from collections.abc import Mapping

from .display import FAIR, GOOD, PLAIN, Shown, box
from .lesson_text import lesson_of
from .progress import RECORD, note

SIDES = "right", "right", "left"  # of the names, the numbers and their bars

ID = re.compile(r"[1-9][0-9]*\.p[1-9][0-9]*")
Guess = float | str | Mapping[str, float]


def predict(prediction_id: str, guess: Guess | None) -> Shown:
    """Commit to a guess: a number, a word, or a number for each of several names."""
    if guess is None:
        RECORD.guesses.pop(prediction_id, None)
        text = f"Prediction {prediction_id}: replace None by your guess before you go on. Being wrong costs nothing."
        return Shown(text, box(FAIR, html.escape(text)))
    if not isinstance(guess, float | int | str | Mapping):
        raise ValueError(f"a guess is a number, a word, or a dict of numbers; got a {type(guess).__name__}")
    RECORD.guesses[prediction_id] = guess
    text = f"Prediction {prediction_id}: you guess {formatted(guess)}. Now run the next cell."
    return Shown(text, box(PLAIN, html.escape(text)))


def guessed(prediction_id: str) -> Guess | None:
    """The guess, for a picture of your own; None where none was made."""
    return RECORD.guesses.get(prediction_id)


def reveal(prediction_id: str, measured: Guess) -> Shown:
    """The guess beside what was measured."""
    guess = guessed(prediction_id)
    if guess is not None and ID.fullmatch(prediction_id):
        note(lesson_of(prediction_id), "add_prediction", prediction_id, near(guess, measured))
    if isinstance(measured, str):
        verdict = "" if guess is None else " — as you said" if guess == measured else " — not as you said"
        text = f"Prediction {prediction_id}: guessed {formatted(guess)}, measured {formatted(measured)}{verdict}."
        return Shown(text, box(GOOD if guess == measured else PLAIN, html.escape(text)))
    rows = side_by_side(guess, measured)
    largest = largest_of(rows)
    lines = [f"Prediction {prediction_id}: your guess beside the measurement"]
    bars = []
    for name, mine, value in rows:
        for who, number, colour in ("guess", mine, FAIR), ("measured", value, PLAIN):
            label, length = f"{name} {who}".strip(), 0 if number is None else round(40 * abs(number) / largest)
            lines.append(f"  {label:>24} {formatted(number):>8} {'█' * length}")
            bars.append(bar(label, formatted(number), length, colour))
    return Shown("\n".join(lines), box(PLAIN, f"<strong>{lines[0]}</strong>", f"<table>{''.join(bars)}</table>"))


def side_by_side(guess: Guess | None, measured: float | Mapping) -> list[tuple[str, float | None, float]]:
    """Each number's name, its guess, and what was measured."""
    guesses = guess if isinstance(guess, Mapping) else {"": guess if isinstance(guess, float | int) else None}
    values = measured if isinstance(measured, Mapping) else {"": measured}
    return [(name, guesses.get(name), value) for name, value in values.items()]


def largest_of(rows: list[tuple[str, float | None, float]]) -> float:
    return max([abs(number) for _, *pair in rows for number in pair if number is not None], default=0) or 1


def near(guess: Guess, measured: Guess) -> bool:
    """The same word; or numbers whose bars differ by no more than a quarter of the longest one."""
    if isinstance(measured, str):
        return guess == measured
    rows = side_by_side(guess, measured)
    return all(mine is not None and abs(mine - value) <= largest_of(rows) / 4 for _, mine, value in rows)


def bar(label: str, number: str, length: int, colour: str) -> str:
    """A row of a table: however long its name is, the number stands beside it and not under it."""
    stripe = f'<div style="height:.8em;width:{length / 2}em;background:{colour}"></div>'
    cells = zip(SIDES, (html.escape(label), html.escape(number), stripe), strict=True)
    row = "".join(f'<td style="text-align:{side}">{cell}</td>' for side, cell in cells)
    return f"<tr>{row}</tr>"


def formatted(guess: Guess | None) -> str:
    if isinstance(guess, Mapping):
        return ", ".join(f"{name} {formatted(number)}" for name, number in guess.items())
    if guess is None or isinstance(guess, str):
        return guess or "no guess"
    return f"{guess:,}" if isinstance(guess, int) else f"{guess:.3g}"
