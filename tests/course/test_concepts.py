"""Every concept is taught somewhere and asked somewhere, and not only by an option that is wrong."""

import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from minitransformer.course import catalogue

sys.path.insert(0, str(Path(__file__).with_name("claims")))

import places

PAGE = places.ROOT / "lessons" / "CONCEPTS.md"
NOT_ASKED = {"distractors", "mistakes", "weak", "id", "kind"}  # what is wrong in a question, or no text of it


class Row(NamedTuple):
    concept: str
    words: list[str]
    taught: list[str]
    asked: list[str]


def rows(page: str) -> list[Row]:
    lines = [line for line in page.splitlines() if line.startswith("| ") and "key words" not in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [Row(concept, *([each.strip() for each in cell.split(",")] for cell in rest)) for concept, *rest in cells]


ROWS = rows(PAGE.read_text(encoding="utf-8"))


def asked_by(question: str) -> str:
    """What a question asks: its text without options that are wrong, distractors and mistakes."""
    lesson = question.split(".")[0]
    items = tomllib.loads((places.folder(lesson) / "questions.toml").read_text(encoding="utf-8"))["items"]
    item = next(each for each in items if each["id"] == question)
    item = {name: part for name, part in item.items() if name not in NOT_ASKED}
    if "options" in item:
        item["options"] = [each for each in item["options"] if each.get("right")]
    return places.plain(" ".join(places.words(item)))


def wanting(row: Row) -> list[str]:
    """What is wrong with a row: places that are none, or that have none of its key words."""
    odd = [place for place in row.taught if not re.fullmatch(r"\d+ §\d+", place)]
    odd += [place for place in row.asked if not re.fullmatch(r"\d+\.q?\d+", place)]
    texts = {place: places.stands_at(place) for place in row.taught if place not in odd}
    for place in row.asked:
        if re.fullmatch(r"\d+\.q\d+", place):
            texts[place] = asked_by(place)
        elif place not in odd:
            catalogue.exercise(place)
    silent = [place for place, text in texts.items() if not any(word.lower() in text.lower() for word in row.words)]
    return [f"{row.concept!r}: {place!r} is no place for it" for place in odd] + [
        f"{row.concept!r}: {place} has none of {row.words}" for place in silent
    ]


def test_every_concept_stands_where_it_is_taught_and_in_what_is_asked():
    assert len(ROWS) > 80 and [each for row in ROWS for each in wanting(row)] == []


def test_key_words_tell_something():
    every = [asked_by(question).lower() for lesson in catalogue.lessons() for question in catalogue.questions(lesson)]
    for row in ROWS:
        held = sum(any(word.lower() in text for word in row.words) for text in every)
        assert held <= len(every) / 3, f"{row.concept!r}: {row.words} stand in {held} of {len(every)} questions"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("| one | adapter | 6 §7 | 6.q2 |", "6.q2 has none of"),  # an adapter is only a distractor there
        ("| one | encoder | 2 §1 | 1.q17 |", "2 §1 has none of"),
        ("| one | encoder | 1.q17 | 1.q17 |", "'1.q17' is no place"),
        ("| one | encoder | 1 §4 | 1 §4 |", "'1 §4' is no place"),
        ("| one | encoder | 1 §4 |  |", "'' is no place"),
        ("| one | encoder |  | 1.q17 |", "'' is no place"),
    ],
)
def test_a_row_without_a_place_that_holds_its_key_words_is_found(row, why):
    (only,) = rows(row)
    assert any(why in each for each in wanting(only))


def test_a_place_that_is_not_there_is_an_error():
    for row in (
        "| one | encoder | 1 §99 | 1.q17 |",
        "| one | encoder | 1 §4 | 1.q99 |",
        "| one | encoder | 1 §4 | 1.99 |",
    ):
        with pytest.raises((KeyError, StopIteration, ValueError)):
            wanting(*rows(row))
