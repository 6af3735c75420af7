"""Who takes the course, who hands in together, and whom the name of a submission means."""

import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ...files.spreadsheet import read_sheet

NUMBER = re.compile(r"(?P<name>.+?)[ _](?P<number>\d{3,})(?: again)*")  # as a course system's number follows a name


class Student(NamedTuple):
    id: str
    name: str = ""
    email: str = ""
    login: str = ""
    moodle: str = ""  # the numbers that course systems know somebody by
    canvas: str = ""
    section: str = ""
    team: str = ""  # those with the same one hand in together

    def in_notebook(self, secret: bytes) -> str:
        """The name that draws this student's questions; with a secret nobody else can work it out."""
        return f"{self.id} {hmac.digest(secret, self.id.encode(), 'sha256').hex()[:8]}" if secret else self.id

    @property
    def calls(self) -> set[str]:
        """What names this student and nobody else."""
        return {each.casefold() for each in (self.id, self.email, self.login, self.email.partition("@")[0]) if each}


class Roster:
    """The students of a course, in the order of their table."""

    def __init__(self, students: Iterable[Student], names: Mapping[str, str] | None = None):
        self.students = {each.id: each for each in students}
        self.names = names or {}
        self.called: dict[str, list[Student]] = {}
        self.spelled: dict[object, list[Student]] = {}
        for each in self.students.values():
            for call in each.calls:
                self.called.setdefault(call, []).append(each)
            for spelling in {words(each.name), *run_together(each.name)} - {(), ""}:
                self.spelled.setdefault(spelling, []).append(each)

    def whose(self, submission: str) -> Student:
        """Whose this submission is; a ValueError says why nobody, or nobody alone, is meant."""
        if submission in self.names:
            return self.students[self.names[submission]]
        base = submission.rpartition("/")[2]
        for meant in self.ways(base):
            people = sorted({each.id for each in meant})
            if len(people) == 1 or (people and {*people} <= {each.id for each in self.team(people[0])}):
                return self.students[people[0]]
            if people:
                raise ValueError(f"it may be {' or '.join(people)}")
        raise ValueError("nobody in the roster is called so")

    def team(self, student: str) -> list[Student]:
        """This student and who hands in together with this one."""
        one = self.students[student]
        return [each for each in self.students.values() if each is one or (one.team and each.team == one.team)]

    def ways(self, base: str) -> Iterable[list[Student]]:
        """Whom the name means: by a course system's number and its name, by an id or address, by a name, by a part."""
        match = NUMBER.fullmatch(base)
        if match and not self.called.get(base.casefold()):
            named = [*self.called.get(match["name"].casefold(), ()), *self.named(match["name"])]
            numbered = [each for each in self.students.values() if match["number"] in (each.moodle, each.canvas)]
            both = [each for each in named if each in numbered]
            yield both or [*named, *numbered]
        yield self.called.get(base.casefold(), [])
        yield self.named(base)
        yield [each for part in re.split(r"[\s_]+", base.casefold()) for each in self.called.get(part, ())]

    def absent(self, submissions: Iterable[str]) -> list[str]:
        """The names of those whose none of these submissions is."""
        there = set()
        for name in submissions:
            with suppress(ValueError):
                there.update(each.id for each in self.team(self.whose(name).id))
        return [each.name or each.id for each in self.students.values() if each.id not in there]

    def named(self, name: str) -> list[Student]:
        """Those with these words for a name, in any order, or with a name whose words make this one."""
        return self.spelled.get(words(name), []) or self.spelled.get(
            letters(name) if len(words(name)) == 1 else None, []
        )


def read_roster(path: Path, names: Mapping[str, str] | None = None) -> Roster:
    """The students in a CSV file with a column id and, as far as they are known, name, email, login, moodle, canvas."""
    seen: dict[str, int] = {}

    def student(cells: dict[str, str], line: int) -> Student:
        if not cells["id"]:
            raise ValueError("the id is empty")
        if cells["id"] in seen:
            raise ValueError(f"the id {cells['id']} stands in line {seen[cells['id']]}, too")
        seen[cells["id"]] = line
        return Student(**{name: cells.get(name, "") for name in Student._fields})

    students = read_sheet(path, ["id"], student)
    for submission, who in (names or {}).items():
        if who not in seen:
            raise ValueError(
                f"the roster {path} has no student {who!r}, whose {submission!r} is said to be: mend the name"
            )
    return Roster(students, names)


def letters(name: str) -> str:
    """A name's letters, without accents, capitals and what stands between."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    return "".join(sign for sign in plain if sign.isalpha())


def words(name: str) -> tuple[str, ...]:
    return tuple(sorted(letters(word) for word in re.split(r"[\s,]+", name) if letters(word)))


def run_together(name: str) -> set[str]:
    """The letters of a name, from whichever of its words a course system begins with."""
    parts = [letters(word) for word in re.split(r"[\s,]+", name) if letters(word)]
    return {"".join(parts[start:] + parts[:start]) for start in range(len(parts))}
