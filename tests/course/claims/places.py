"""Where a claim stands: a section of a lesson's text, a question, an exercise, a page."""

import re
import tomllib
from functools import cache
from pathlib import Path

from minitransformer.course import lesson_text
from minitransformer.course.question_files import with_numbers

ROOT = Path(__file__).parents[3]


def plain(text: str) -> str:
    """A text without its line ends and comment signs, to look for words in it."""
    return " ".join(re.sub(r"\n *# ?", "\n", text).split())


@cache
def stands_at(place: str) -> str:
    """The text of a place."""
    if place.endswith(".md"):
        return plain((ROOT / place).read_text(encoding="utf-8"))
    if section := re.fullmatch(r"(\d+) (?:§(\d+)|close)", place):
        text = lesson_text.source_of(int(section[1])).read_text(encoding="utf-8")
        before, *parts = re.split(r"^# ## ", text, flags=re.MULTILINE)
        numbered = {"0": before} | {part.split(" ")[0]: part for part in parts if re.match(r"\d+ · ", part)}
        rest = [part for part in parts if not re.match(r"\d+ · ", part)]
        return plain(numbered[section[2]] if section[2] else "\n".join(rest))
    if question := re.fullmatch(r"(\d+)\.q\d+", place):
        items = tomllib.loads((folder(question[1]) / "questions.toml").read_text(encoding="utf-8"))["items"]
        item = next(item for item in items if item["id"] == place)
        return plain(" ".join(words(with_numbers(item, item["numbers"][0]) if "numbers" in item else item)))
    if exercise := re.fullmatch(r"(\d+)\.\d+", place):
        return plain("\n".join(path.read_text(encoding="utf-8") for path in sorted(folder(exercise[1]).glob("*.py"))))
    raise ValueError(f"a place is like '3 §4', '3 close', '3.q4', '3.4' or 'README.md'; got {place!r}")


def folder(lesson: str) -> Path:
    return Path(lesson_text.__file__).with_name(f"lesson{lesson}")


def words(item: object) -> list[str]:
    """All texts in a question, whatever its kind."""
    if isinstance(item, dict):
        item = list(item.values())
    return [each for one in item for each in words(one)] if isinstance(item, list) else [str(item)]


def missing(claims: list[tuple[str, str]]) -> list[str]:
    """What is said of those words that do not stand in their place."""
    return [f"{place} does not say {text!r}" for place, text in claims if plain(text) not in stands_at(place)]
