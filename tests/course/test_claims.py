"""The list of claims is what the tests say, and a claim that no longer stands in its place is noticed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).with_name("claims")))

import list_of_claims
import places


def test_the_list_is_what_the_tests_say():
    written = list_of_claims.PAGE.read_text(encoding="utf-8")
    assert written == list_of_claims.page(), "run `python tests/course/claims/list_of_claims.py`, commit what it writes"


def test_every_claim_of_the_list_stands_in_its_place():
    claims = [(place, text) for found in list_of_claims.guarded().values() for place, text, _ in found]
    assert claims and places.missing(claims) == []


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("1 §4", "The three positions before the difference cannot have noticed it"),
        ("1 §0", "difficulty ●○○"),
        ("1 close", "A frozen model can still be steered"),
        ("1.q7", "no mask at all while generating"),
        ("1.2", "hint"),
        ("README.md", "minitransformer"),
    ],
)
def test_words_are_found_in_their_place_and_nowhere_else(place, text):
    assert places.missing([(place, text)]) == []
    assert places.missing([(place, text[::-1])]) == [f"{place} does not say {text[::-1]!r}"]
    other = "1 §3" if place.endswith("§4") else "1 §4"
    assert place.endswith(".md") or places.missing([(other, text)])


def test_a_place_that_is_none_is_refused():
    with pytest.raises(ValueError, match="a place is like '3 §4'"):
        places.stands_at("lesson 1")
