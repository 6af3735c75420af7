"""Answers to questions as they are kept: in a file beside the notebook, and in what a question's cell shows.

The file is `answers-lesson1.json`, one for each lesson, with every attempt in order; the last one counts:
`{"format": 1, "answers": {"1.q1": [{"answer": "a", "student": ""}, {"answer": "b", "student": ""}]}}`.
What is never graded stands beside them under "practice" (see practice.py); whoever grades reads "answers" alone.
A cell shows the same as `{"id": "1.q1", "answer": "b", "student": "", "attempts": 2}` under the type MIME.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..files.checkpoints import write_whole

MIME = "application/vnd.minitransformer.answer+json"
FORMAT = 1
LONGEST = 20_000  # signs of one answer


class NewerFormat(ValueError):
    """The file is whole, and this version cannot know what it says."""


@dataclass(frozen=True)
class Given:
    """An answer as it was given. Its letters stand for the options in the order that this student sees.

    `tries` are all attempts in order where they are known, this one included.
    """

    text: str
    student: str = ""
    attempts: int = 1
    tries: tuple["Given", ...] = field(default=(), compare=False, repr=False)


def file_name(lesson: int) -> str:
    return f"answers-lesson{lesson}.json"


def read(data: bytes) -> dict[str, Given]:
    """The answers in a file by question; a ValueError says that it is damaged."""
    try:
        attempts = content(data)["answers"]
        return {name: last_of([attempt(each) for each in tried]) for name, tried in attempts.items() if tried}
    except NewerFormat:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("this is no file of answers, or a damaged one: its JSON cannot be read as answers") from None


def content(data: bytes) -> dict:
    """All that a file says."""
    whole = json.loads(data.decode("utf-8-sig"))
    version = whole.get("format", FORMAT)
    if type(version) is not int:
        raise TypeError
    if version > FORMAT:
        raise NewerFormat(f"was written by a newer minitransformer (format {version}, and this one knows {FORMAT})")
    return whole


def practice(data: bytes) -> dict:
    """What a file says beside the answers; a ValueError says that it is damaged."""
    read(data)
    practised = content(data).get("practice")
    return practised if type(practised) is dict else {}


def in_output(shown: Mapping) -> tuple[str, Given]:
    """The question and the answer that a cell shows; a ValueError for anything else."""
    try:
        attempts = shown["attempts"]
        if type(attempts) is not int:
            raise TypeError
        return text_in(shown, "id"), replace(attempt(shown), attempts=attempts)
    except (TypeError, KeyError):
        raise ValueError("this output is no answer") from None


def last_of(tries: list[Given]) -> Given:
    return replace(tries[-1], attempts=len(tries), tries=tuple(tries))


def attempt(entry: Mapping) -> Given:
    return Given(text_in(entry, "answer"), text_in(entry, "student"))


def text_in(entry: Mapping, name: str) -> str:
    text = entry[name]
    if type(text) is not str or len(text) > LONGEST:
        raise TypeError
    return text


def keep(path: Path, question: str, answer: str, student: str) -> int:
    """Add an attempt to the file, which is made if it is not there; return how many there are now."""
    whole = content_of(path)
    tried = whole["answers"].setdefault(question, [])
    tried.append({"answer": answer, "student": student})
    write(path, whole)
    return len(tried)


def keep_practice(path: Path, practised: dict) -> None:
    """Put this in the place of what the file said beside the answers, which stay as they are."""
    whole = content_of(path)
    whole["practice"] = practised
    write(path, whole)


def content_of(path: Path) -> dict:
    return content(path.read_bytes()) if path.exists() else {"format": FORMAT, "answers": {}}


def write(path: Path, whole: dict) -> None:
    write_whole(path, json.dumps(whole, indent=1, ensure_ascii=False).encode())
