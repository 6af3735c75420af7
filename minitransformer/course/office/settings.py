"""A course as its teacher describes it in course.toml: who takes it, what counts until when, what being late costs.

Everything has a default: an empty file is a course of all lessons, equally weighed, in which nobody is late.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...expect import is_number
from ...files.schema import Source
from .. import catalogue
from ..assignment import Assignment

HEADER = re.compile(r"\s*\[\[?\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?")
KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
NAME = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True)
class Late:
    """What being late costs: nothing within so many free days of the whole course, then a share of the points a day."""

    free_days: int = 0
    lost_per_day: float = 0.0
    last_day: int | None = None  # after so many days a lesson earns nothing


@dataclass(frozen=True)
class Lesson:
    """What counts of a lesson, how much, and until when."""

    number: int
    weight: float = 1.0
    due: datetime | None = None
    skip: tuple[str, ...] = ()  # exercises and questions that do not count
    points: Mapping[str, float] = field(default_factory=dict)  # of an exercise or a question, instead of its own
    extensions: Mapping[str, datetime] = field(default_factory=dict)  # students with a later time

    @cached_property
    def items(self) -> dict[str, tuple[float, float]]:
        """Each exercise and question that counts: its own points, and its points in this course."""
        assignment = Assignment.of(self.number)
        own = {each.id: each.points for each in (*assignment.exercises.values(), *assignment.questions.values())}
        worth = {name: (points, float(self.points.get(name, points))) for name, points in own.items()}
        return {name: points for name, points in worth.items() if name not in self.skip and points[1]}

    @property
    def worth(self) -> float:
        return sum(points for _, points in self.items.values())


@dataclass(frozen=True)
class Course:
    title: str
    zone: tzinfo
    roster: Path
    overrides: Path
    names: Mapping[str, str]  # submissions that are known by an odd name, and the student whose they are
    attempts: str  # of several that were graded, the one that counts: the last, or the best
    late: Late
    lessons: Mapping[int, Lesson]
    secret: Path | None = None  # with it nobody can work out the name in another student's notebook


def read_course(path: str | Path) -> Course:
    """What course.toml says; a ValueError names the line where it says what cannot be."""
    source = Source(path, "mend it, and run the same command again")
    try:
        text = source.regular("the description of a course, course.toml").read_text(encoding="utf-8")
        told = tomllib.loads(text)
    except UnicodeDecodeError:
        raise source.wrong("is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise source.wrong(f"is no TOML: {error}") from None
    return Reader(source, text, Path(path).parent).course(told)


@dataclass(frozen=True)
class Reader:
    """Takes what is known out of the tables of a course.toml, and refuses the rest with its line."""

    source: Source
    text: str
    folder: Path

    def course(self, told: dict) -> Course:
        self.known((), told, {"title", "timezone", "attempts", "overrides", "secret", "roster", "late", "lessons"})
        zone = self.zone(told)
        roster = self.table(told, "roster")
        self.known(("roster",), roster, {"file", "names"})
        late = self.table(told, "late")
        self.known(("late",), late, {*Late.__dataclass_fields__})
        secret = self.take(told, ("secret",), None, text, "the name of a file")
        lessons = self.table(told, "lessons") or {str(number): {} for number in catalogue.lessons()}
        return Course(
            title=self.take(told, ("title",), "", text, "a text"),
            zone=zone,
            roster=self.folder / self.take(roster, ("roster", "file"), "students.csv", text, "the name of a CSV file"),
            overrides=self.folder / self.take(told, ("overrides",), "overrides.csv", text, "the name of a CSV file"),
            names=self.take(
                roster, ("roster", "names"), {}, texts, "a submission's name with a student's id: { a = 's1' }"
            ),
            attempts=self.take(told, ("attempts",), "last", lambda it: it in ("last", "best"), "'last' or 'best'"),
            late=Late(
                self.take(late, ("late", "free_days"), 0, whole, "a whole number of days"),
                self.take(late, ("late", "lost_per_day"), 0.0, share, "a share from 0 to 1"),
                self.take(late, ("late", "last_day"), None, whole, "a whole number of days"),
            ),
            lessons={each.number: each for each in (self.lesson(name, zone, lessons[name]) for name in lessons)},
            secret=self.folder / secret if secret else None,
        )

    def lesson(self, name: str, zone: tzinfo, told: object) -> Lesson:
        here = "lessons", name
        if not name.isdecimal() or int(name) not in catalogue.lessons():
            raise self.wrong(here, f"the lessons are {', '.join(map(str, catalogue.lessons()))}; got {name!r}")
        if not isinstance(told, dict):
            raise self.wrong(here, f"expected a table, [lessons.{name}]; got {told!r}")
        self.known(here, told, {*Lesson.__dataclass_fields__} - {"number"})
        assignment = Assignment.of(int(name))
        items = {*assignment.exercises, *assignment.questions}
        skip = self.take(told, (*here, "skip"), [], listed, "a list of exercises and questions")
        points = self.take(told, (*here, "points"), {}, numbers, f"an item with its points: {{ '{name}.1' = 4 }}")
        for key, named in ("skip", skip), ("points", points):
            if strange := [each for each in named if each not in items]:
                near = get_close_matches(strange[0], items, n=1)
                raise self.wrong(
                    (*here, key),
                    f"lesson {name} has no {strange[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                )
        due = self.take(told, (*here, "due"), None, is_time, "a date and time: 2026-11-20T23:59:00")
        extensions = self.take(told, (*here, "extensions"), {}, times, "a student's id with a date and time")
        later = {who: in_zone(when, zone) for who, when in extensions.items()}
        weight = self.take(told, (*here, "weight"), 1.0, positive, "a number above 0")
        return Lesson(int(name), weight, due and in_zone(due, zone), tuple(skip), points, later)

    def zone(self, told: dict) -> tzinfo:
        name = self.take(told, ("timezone",), "UTC", text, "the name of a time zone: Europe/Berlin")
        try:
            return UTC if name == "UTC" else ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            what = f"this machine knows no time zone {name!r}; expected one such as Europe/Berlin (on Windows they come"
            raise self.wrong(("timezone",), f"{what} with  pip install tzdata)") from None

    def table(self, told: dict, name: str) -> dict:
        return self.take(told, (name,), {}, lambda value: isinstance(value, dict), f"a table, [{name}]")

    def take(self, told: dict, here: tuple[str, ...], default, fits: Callable[[object], bool], expected: str):
        value = told.get(here[-1], default)
        if value is not default and not fits(value):
            raise self.wrong(here, f"{here[-1]} should be {expected}; got {value!r}")
        return value

    def known(self, here: tuple[str, ...], told: dict, names: set[str]) -> None:
        for name in told:
            if name not in names:
                near = get_close_matches(name, names, n=1)
                meant = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(sorted(names))}"
                raise self.wrong((*here, name), f"{name!r} is not known here; {meant}")

    def wrong(self, here: tuple[str, ...], what: str) -> ValueError:
        return self.source.wrong(f"line {line_of(self.text, here)}: {what}")


def line_of(text: str, wanted: tuple[str, ...]) -> int:
    """The line of a key, or else of the table that it stands in."""
    table, best, line = (), 0, 1
    for number, row in enumerate(text.splitlines(), 1):
        if header := HEADER.fullmatch(row):
            here = table = parts(header[1])
        elif key := KEY.match(row):
            here = (*table, *parts(key[1]))
        else:
            continue
        if here == wanted[: len(here)] and len(here) > best:
            best, line = len(here), number
    return line


def parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in NAME.findall(key))


def in_zone(when: datetime, zone: tzinfo) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=zone)


def text(value: object) -> bool:
    return isinstance(value, str)


def texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(text, value.values()))


def listed(value: object) -> bool:
    return isinstance(value, list) and all(map(text, value))


def whole(value: object) -> bool:
    return type(value) is int and value >= 0


def share(value: object) -> bool:
    return is_number(value) and 0 <= value <= 1


def positive(value: object) -> bool:
    return is_number(value) and value > 0


def numbers(value: object) -> bool:
    return isinstance(value, dict) and all(is_number(each) and each >= 0 for each in value.values())


def is_time(value: object) -> bool:
    return isinstance(value, datetime)


def times(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_time, value.values()))
