"""Reads a lesson's files of questions, and refuses what is incomplete with a line that says where and what."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path

from .questions import Choice, Criterion, Match, Mistake, Numeric, Option, Order, Pair, Question, Rule, Several, Text
from .typed_numbers import number_in

KINDS = {
    "choice": "one option is right",
    "true-false": "a claim: true because …, false because …",
    "diagnose": "symptoms, and what causes them",
    "which-team": "several teams: who is doing what",
    "design-review": "a design document: what is wrong or right with it",
    "multi-tenant": "one model, many customers",
    "latency-critical": "a budget of time",
    "rollout-regression": "it worked, then it shipped: find the cause",
    "analysis": "what follows from a setting",
    "order": "steps to put in order",
    "match": "pairs to find",
    "several": "any number of options is right",
    "numeric": "a number, worked out",
    "text": "an answer in one's own words, which a person reads",
}


FORMS = {  # how a question of a kind is built, and of what; all others are choices
    "order": (Order, {"rules": Rule}),
    "match": (Match, {"pairs": Pair, "distractors": Option}),
    "several": (Several, {"options": Option}),
    "numeric": (Numeric, {"mistakes": Mistake}),
    "text": (Text, {"rubric": Criterion}),
}


def read_questions(paths: Sequence[Path], lesson: int) -> dict[str, Question]:
    """The questions in these files by id, in the order of their numbers, which run from 1 without a gap."""
    questions: dict[str, Question] = {}
    for path in paths:
        for item in tomllib.loads(path.read_text(encoding="utf-8"))["items"]:
            name = item.get("id")
            if not re.fullmatch(rf"{lesson}\.q[1-9][0-9]*", str(name)) or name in questions:
                raise ValueError(f"{path.name}: an id is {lesson}.q1, {lesson}.q2, …, each used once; got {name!r}")
            try:
                questions[name] = build(item)
            except (AttributeError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}, {name}: {error}") from None
    ordered = [f"{lesson}.q{number}" for number in range(1, len(questions) + 1)]
    if lacking := [name for name in ordered if name not in questions]:
        raise ValueError(f"lesson {lesson} has {len(questions)} questions, but none with the id {lacking[0]!r}")
    return {name: questions[name] for name in ordered}


def build(item: dict) -> Question:
    """The question that an item of a file describes; with `numbers`, one variant for each row of them."""
    rows = item.get("numbers")
    if rows is None:
        return build_one(item)
    if item.get("kind") != "numeric" or not isinstance(rows, list) or len(rows) < 2:
        raise ValueError("numbers are for the kind 'numeric': two or more tables such as { P = 4, D = 128 }")
    variants = tuple(build_one(with_numbers(item, row)) for row in rows)
    return replace(variants[0], variants=variants)


def with_numbers(item: dict, numbers: Mapping[str, float]) -> dict:
    """The item with these numbers in its texts, and each value worked out from them."""

    def put_in(name: str, thing: object) -> object:
        if isinstance(thing, dict):
            return {key: put_in(key, each) for key, each in thing.items()}
        if isinstance(thing, list):
            return [put_in(name, each) for each in thing]
        if not isinstance(thing, str):
            return thing
        try:
            said = thing.format_map(numbers)
            return whole(number_in(said)) if name == "value" else said
        except (LookupError, ValueError) as error:
            raise ValueError(f"{thing!r} with the numbers {numbers}: {error}") from None

    return {name: put_in(name, each) for name, each in item.items() if name != "numbers"}


def whole(number: float) -> float:
    return int(number) if number == int(number) else number


def build_one(item: dict) -> Question:
    kind = item.get("kind")
    if kind not in KINDS:
        raise ValueError(f"the kinds are {', '.join(KINDS)}; got {kind!r}")
    form, parts = FORMS.get(kind, (Choice, {"options": Option}))
    made = {
        name: tuple(filled(part, each, f"an entry of {name}") for each in item[name])
        for name, part in parts.items()
        if name in item
    }
    return filled(form, item | made, f"a question of kind {kind!r}")


def filled(form: type, given: dict, what: str):
    """The form with what is given; a ValueError names what is missing and what it does not have."""
    if not isinstance(given, dict):
        raise ValueError(f"{what} is a table such as {{ … = …, … = … }}; got {given!r}")
    known = {field.name: field for field in fields(form) if field.name not in ("student", "variants")}
    if odd := set(given) - set(known):
        raise ValueError(f"{what} has no {', '.join(sorted(odd))}")
    if missing := [name for name, field in known.items() if field.default is MISSING and name not in given]:
        raise ValueError(f"{what} lacks {', '.join(map(repr, missing))}")
    return form(**given)
