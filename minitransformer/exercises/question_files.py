"""Reads `questions/<lesson>.toml`, and refuses what is incomplete with a line that says where and what."""

import tomllib
from functools import cache
from importlib.resources import files
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


def lessons() -> tuple[int, ...]:
    folder = files(__package__).joinpath("questions")
    return tuple(n for n in range(1, 8) if folder.joinpath(f"{n}.toml").is_file())


@cache
def questions(lesson: int) -> dict[str, Question]:
    """The questions of one lesson by id, in the file's order."""
    if lesson not in lessons():
        raise ValueError(f"the lessons with questions are {', '.join(map(str, lessons()))}; got {lesson!r}")
    return read(files(__package__).joinpath("questions", f"{lesson}.toml"), lesson)


def read(path: Path, lesson: int) -> dict[str, Question]:
    found: dict[str, Question] = {}
    for number, item in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["items"], 1):
        expected = f"{lesson}.q{number}"
        if item.get("id") != expected:
            raise ValueError(f"{path.name}: item {number} should have the id {expected!r}; it has {item.get('id')!r}")
        try:
            found[expected] = build(item)
        except (KeyError, TypeError, ValueError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ValueError(f"{path.name}, {expected}: {missing}") from None
    return found


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
