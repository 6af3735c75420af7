"""Reads a lesson's files of questions, and refuses what is incomplete with a line that says where and what."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from .questions import Choice, Match, Option, Order, Pair, Question, Rule, check_order

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
}


def read(paths: Sequence[Path], lesson: int) -> dict[str, Question]:
    """The questions in these files by id, in the order of their numbers, which run from 1 without a gap."""
    found: dict[str, Question] = {}
    for path in paths:
        for item in tomllib.loads(path.read_text(encoding="utf-8"))["items"]:
            name = item.get("id")
            if not re.fullmatch(rf"{lesson}\.q[1-9][0-9]*", str(name)) or name in found:
                raise ValueError(f"{path.name}: an id is {lesson}.q1, {lesson}.q2, …, each used once; got {name!r}")
            try:
                found[name] = build(item)
            except (KeyError, TypeError, ValueError) as error:
                missing = f"{error} is missing" if isinstance(error, KeyError) else error
                raise ValueError(f"{path.name}, {name}: {missing}") from None
    ordered = [f"{lesson}.q{number}" for number in range(1, len(found) + 1)]
    if lacking := [name for name in ordered if name not in found]:
        raise ValueError(f"lesson {lesson} has {len(found)} questions, but none with the id {lacking[0]!r}")
    return {name: found[name] for name in ordered}


def build(item: dict) -> Question:
    kind = item["kind"]
    if kind not in KINDS:
        raise ValueError(f"the kinds are {', '.join(KINDS)}; got {kind!r}")
    common = {key: item[key] for key in ("id", "kind", "prompt")} | {"shuffle": item.get("shuffle", 0)}
    forms = {"order": ({"steps", "rules"}, order), "match": ({"pairs", "distractors"}, match)}
    own, form = forms.get(kind, ({"options"}, choice))
    odd = set(item) - set(common) - own
    if odd:
        raise ValueError(f"a question of kind {kind!r} has no {', '.join(sorted(odd))}")
    return form(item, common)


def choice(item: dict, common: dict) -> Choice:
    options = tuple(Option(**option) for option in item["options"])
    if len(options) < 3 or sum(option.right for option in options) != 1:
        raise ValueError("it needs at least three options, exactly one of them with right = true")
    whole([option.text for option in options], [option.reason for option in options])
    return Choice(**common, options=options)


def order(item: dict, common: dict) -> Order:
    rules = tuple(Rule(**rule) for rule in item["rules"])
    whole(list(item["steps"].values()), [rule.reason for rule in rules])
    question = Order(**common, steps=item["steps"], rules=rules)
    check_order(question)
    return question


def match(item: dict, common: dict) -> Match:
    pairs = tuple(Pair(**pair) for pair in item["pairs"])
    distractors = tuple(Option(**option) for option in item["distractors"])
    if len(pairs) < 2 or not distractors:
        raise ValueError("it needs at least two pairs and one distractor, or the last pair is found by elimination")
    whole([pair.left for pair in pairs], [each.reason for each in (*pairs, *distractors)])
    whole([*{pair.right for pair in pairs}, *(option.text for option in distractors)], [])
    return Match(**common, pairs=pairs, distractors=distractors)


def whole(texts: list[str], reasons: list[str]) -> None:
    if not all(text.strip() for text in [*texts, *reasons]):
        raise ValueError("a text or a reason is empty")
    if len(set(texts)) < len(texts):
        raise ValueError(f"two of its texts are the same: {sorted(t for t in texts if texts.count(t) > 1)[0]!r}")
