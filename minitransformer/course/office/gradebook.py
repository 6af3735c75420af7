"""One row for each student of a course, out of what was graded: nothing is run again.

A mark that a person changes stands in overrides.csv and stays there, with who changed it and why.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ...expect import is_number
from ...files.schema import Source
from ...files.spreadsheet import read_sheet
from .roster import Roster, Student
from .settings import Course, Lesson, in_zone

DAY = 24 * 60 * 60
NO_NAME = "questions answered in a notebook without a name"
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Graded:
    """What one submission earned, as `grade` wrote it down: a share of each item's points."""

    name: str
    lesson: int
    shares: Mapping[str, float]
    problem: str = ""
    when: datetime | None = None  # without a time zone: in the course's own
    late: bool = False  # as the course system says, which may not say when
    answered_as: frozenset[str] = frozenset()  # the names in the notebook under which questions were answered
    by: str = ""  # who handed it in, if that is another one of the team


class Override(NamedTuple):
    points: float
    who: str
    why: str


Overrides = Mapping[tuple[str, int], Mapping[str, Override]]  # by student and lesson, and then by item


@dataclass
class Mark:
    """What a student gets for a lesson."""

    points: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass
class Book:
    """The marks of each student, lesson by lesson, and the submissions that are nobody's, with why."""

    course: Course
    roster: Roster
    marks: dict[str, dict[int, Mark]]
    strangers: list[tuple[Graded, str]]

    def percent(self, student: str) -> float:
        """The weighed mean of the lessons that are worth something."""
        lessons = [each for each in self.course.lessons.values() if each.worth]
        shares = [each.weight * self.marks[student][each.number].points / each.worth for each in lessons]
        return 100 * sum(shares) / sum(each.weight for each in lessons) if lessons else 0.0


def combine(
    course: Course, roster: Roster, graded: Iterable[Graded], overrides: Overrides, secret: bytes = b""
) -> Book:
    """Whose each submission is, which of them counts, what it earns late or changed by hand.

    A lesson of which nothing was graded yet is no part of the book.
    """
    graded = [replace(each, when=each.when and in_zone(each.when, course.zone)) for each in graded]
    begun = {each.lesson for each in graded} | {lesson for _, lesson in overrides}
    course = replace(course, lessons={number: each for number, each in course.lessons.items() if number in begun})
    own: dict[tuple[str, int], list[Graded]] = {}
    strangers = []
    for each in graded:
        if each.lesson not in course.lessons:
            strangers.append((each, "this lesson does not count in this course"))
            continue
        try:
            who = roster.whose(each.name)
        except ValueError as why:
            strangers.append((each, str(why)))
            continue
        for one in roster.team(who.id):
            by = "" if one is who else who.name or who.id
            own.setdefault((one.id, each.lesson), []).append(replace(each, by=by))
    names = {each.in_notebook(secret): each for each in roster.students.values()}
    no_due = datetime.max.replace(tzinfo=course.zone)
    in_order = sorted(course.lessons.values(), key=lambda lesson: (lesson.due or no_due, lesson.number))
    marks = {}
    for who in roster.students:
        free = course.late.free_days
        marks[who] = {}
        for lesson in in_order:
            changed = overrides.get((who, lesson.number), {})
            ways = [
                (*mark(course, lesson, who, each, changed, free), each) for each in own.get((who, lesson.number), ())
            ]
            if not ways:
                marks[who][lesson.number] = by_hand(lesson, changed, ["not handed in"])
                continue
            made, used, counts = best(ways) if course.attempts == "best" else last(ways)
            marks[who][lesson.number] = made
            free -= used
            made.notes += other_hands(counts, roster.team(who), names, bool(secret))
    return Book(course, roster, marks, strangers)


def other_hands(graded: Graded, team: list[Student], names: Mapping[str, Student], each_own: bool) -> list[str]:
    """That another one of the team handed it in; that questions were answered under the name of another student."""
    notes = [f"handed in by {graded.by}"] if graded.by else []
    for name in sorted(graded.answered_as):
        whose = names.get(name)
        if whose and whose not in team:
            notes.append(f"questions answered in the notebook of {whose.name or whose.id}")
        elif not whose and each_own:
            notes.append(f"questions answered under a name that is nobody's ({name})" if name else NO_NAME)
    return notes


def best(ways: list[tuple[Mark, int, Graded]]) -> tuple[Mark, int, Graded]:
    return max(ways, key=lambda way: way[0].points)


def last(ways: list[tuple[Mark, int, Graded]]) -> tuple[Mark, int, Graded]:
    """By their times; those without a time in the order in which they came."""
    readable = [way for way in ways if not way[2].problem] or ways
    return max(enumerate(readable), key=lambda way: (way[1][2].when or LONG_AGO, way[0]))[1]


def mark(
    course: Course, lesson: Lesson, who: str, graded: Graded, changed: Mapping[str, Override], free: int
) -> tuple[Mark, int]:
    """What a submission is worth, and how many free days it uses up."""
    if graded.problem:
        return by_hand(lesson, changed, [graded.problem]), 0
    earned = {name: worth * graded.shares.get(name, 0.0) for name, (_, worth) in lesson.items.items()}
    lost, used, notes = lateness(course, lesson, who, graded, free)
    points, by_whom = with_changes(lesson, earned, changed)
    return Mark(round(points * (1 - lost), 2), notes + by_whom), used


def by_hand(lesson: Lesson, changed: Mapping[str, Override], notes: list[str]) -> Mark:
    """The mark of who handed in nothing that could be read: what a person gives."""
    points, by_whom = with_changes(lesson, dict.fromkeys(lesson.items, 0.0), changed)
    return Mark(round(points, 2), notes + by_whom)


def with_changes(
    lesson: Lesson, earned: Mapping[str, float], changed: Mapping[str, Override]
) -> tuple[float, list[str]]:
    kept = {name: each for name, each in changed.items() if name in earned}
    notes = [f"{name}: {each.points:g} by {each.who} ({each.why})" for name, each in kept.items()]
    return sum((earned | {name: each.points for name, each in kept.items()}).values()), notes


def lateness(course: Course, lesson: Lesson, who: str, graded: Graded, free: int) -> tuple[float, int, list[str]]:
    """The share that is lost, the free days that are used, and what to say of it."""
    due, late = lesson.extensions.get(who, lesson.due), course.late
    if due is None or (graded.when is None and not graded.late):
        return 0.0, 0, []
    if graded.when is None:
        days, said = 1, "late, the course system does not say how much: taken as 1 day"
    else:
        days = math.ceil((graded.when - due).total_seconds() / DAY)
        said = f"{days} day{'s' * (days != 1)} late"
    if days <= 0:
        return 0.0, 0, []
    if late.last_day is not None and days > late.last_day:
        return 1.0, 0, [f"{said}: too late, taken until day {late.last_day}"]
    used = min(days, max(free, 0))
    lost = min(1.0, (days - used) * late.lost_per_day)
    return lost, used, [said + (f", {used} of them free" if used else "") + (f", {lost:.0%} lost" if lost else "")]


def read_graded(folder: Path) -> list[Graded]:
    """What a folder of `grade` holds."""
    source = Source(
        Path(folder) / "results.json", "run  minitransformer grade  again, with a profile that gives grades"
    )
    rows = source.parsed(source.regular("what  minitransformer grade  writes").read_bytes(), "no list of results")
    if not isinstance(rows, list):
        raise source.wrong("should hold a list of results")
    return [one_row(row, place, source) for place, row in enumerate(rows)]


def one_row(row: object, place: int, source: Source) -> Graded:
    try:
        tests: dict[str, list[tuple[float, float]]] = {}
        for test in row["tests"]:
            if not is_number(test["earned"]) or not is_number(test["points"]):
                raise ValueError
            tests.setdefault(str(test["id"]), []).append((test["earned"], test["points"]))
        sums = {name: [sum(numbers) for numbers in zip(*parts, strict=True)] for name, parts in tests.items()}
        shares = {name: earned / points if points else 0.0 for name, (earned, points) in sums.items()}
        answered_as = frozenset(str(test["student"]) for test in row["tests"] if "student" in test)
        told = row.get("handed_in") or {}
        when = told.get("when") and datetime.fromisoformat(told["when"])
        problem, late = str(row.get("problem") or ""), bool(told.get("late"))
        return Graded(str(row["name"]), int(row["lesson"]), shares, problem, when, late, answered_as)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise source.wrong(f"is damaged: its row {place + 1} is no result") from None


def read_overrides(path: Path, course: Course, roster: Roster) -> Overrides:
    """Marks that a person gave instead, or for what no program reads; a file that is not there has none."""
    made: dict[tuple[str, int], dict[str, Override]] = {}

    def override(cells: dict[str, str], line: int) -> None:
        who, item = cells["student"], cells["item"]
        if who not in roster.students:
            raise ValueError(f"the roster has no student {who!r}")
        lesson = course.lessons.get(int(cells["lesson"])) if cells["lesson"].isdecimal() else None
        if lesson is None or item not in lesson.items:
            raise ValueError(f"lesson {cells['lesson']!r} has no item {item!r} that counts")
        try:
            points = float(cells["points"])
        except ValueError:
            points = math.nan
        most = lesson.items[item][1]
        if not 0 <= points <= most:
            raise ValueError(f"the points of {item} are a number from 0 to {most:g}; got {cells['points']!r}")
        for name in "who", "why":
            if not cells[name]:
                raise ValueError(f"{name} is empty: say who changed the mark, and why")
        made.setdefault((who, lesson.number), {})[item] = Override(points, cells["who"], cells["why"])

    if path.exists():
        read_sheet(path, ["student", "lesson", "item", "points", "who", "why"], override)
    return made


def shown(points: float) -> str:
    return f"{points:.2f}".rstrip("0").rstrip(".")


def as_table(book: Book) -> list[list[str]]:
    lessons = sorted(book.course.lessons)
    rows = [["id", "name", "email", *(f"lesson {number}" for number in lessons), "percent", "notes"]]
    for each in book.roster.students.values():
        marks = book.marks[each.id]
        notes = [f"lesson {number}: {note}" for number in lessons for note in marks[number].notes]
        points = [shown(marks[number].points) for number in lessons]
        rows.append([each.id, each.name, each.email, *points, f"{book.percent(each.id):.1f}", "; ".join(notes)])
    return rows


def for_moodle(book: Book) -> list[list[str]]:
    """Moodle's import maps the columns of a file by their names: Grades, Import, CSV file."""
    lessons = sorted(book.course.lessons)
    rows = [["Email address", "ID number", *(f"Lesson {number}" for number in lessons)]]
    for each in book.roster.students.values():
        rows.append([each.email, each.id, *(shown(book.marks[each.id][number].points) for number in lessons)])
    return rows


def for_canvas(book: Book) -> list[list[str]]:
    """Canvas imports a gradebook with a row of what each assignment is worth, and students by their numbers."""
    lessons = sorted(book.course.lessons)
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *(f"Lesson {number}" for number in lessons)]]
    worth = [shown(book.course.lessons[number].worth) for number in lessons]
    rows.append(["    Points Possible", "", "", "", "", *worth])
    for each in book.roster.students.values():
        points = (shown(book.marks[each.id][number].points) for number in lessons)
        rows.append([last_first(each), each.canvas, each.id, each.login or each.email, each.section, *points])
    return rows


def last_first(student: Student) -> str:
    first, _, family = student.name.rpartition(" ")
    return f"{family}, {first}" if first and "," not in student.name else student.name or student.id
