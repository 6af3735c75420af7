"""How much a lesson gives to read and to do: `python lessons/reading.py [01 02 …]`.

For each section it prints its minutes by the rule of TEACHING.md beside those that the lesson's top says, then what is
too long to read at one go. `tests/course/test_minutes.py` and `tests/course/test_breathing.py` hold both.
"""

import argparse
import csv
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from minitransformer.course import catalogue
from minitransformer.course.lesson_text import Cell, cells, code, lesson_of, source_of
from minitransformer.course.questions import Text

DOING = Path(__file__).with_name("doing.csv")
LONGEST = 90  # words between two cells that are run
QUESTIONS = 3  # one after the other
PER_MINUTE = 200  # words
PUZZLE, PREDICTION, RUN, FORMULA, QUESTION, WARM_UP = 1, 0.5, 0.5, 0.5, 0.5, 4  # minutes for one, reading aside
START, EFFORT = 5, {"●○○": 0.75, "●●○": 1, "●●●": 1.5}  # minutes to begin an exercise, and for a line of its solution

NOTHING_TO_SEE = (
    "progress(",
    "question_points(",
    "from minitransformer.course import ",
)  # what such a cell begins with
HEADER = re.compile(r"\*\*(\d+) minutes · difficulty [●○]{3} · builds on\*\*")
PLAN = re.compile(r"^\| (\d+) · [^|]*\| (\d+) \|", re.MULTILINE)
EXERCISE = re.compile(r"^### Exercise (\d+\.\d+): .+\n+\*about (\d+) minutes? · difficulty ([●○]{3})\*$", re.MULTILINE)
NOT_READ = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$]+\$|^\|[-:| ]+\|$|^\*about \d+ minutes?.*\*$|(?<=\])\([^)]*\)",
    re.DOTALL | re.MULTILINE,
)
WORD = re.compile(r"[^\W_]+(?:['’.,-]?[^\W_]+)*")


def words(text: str) -> int:
    """Words of a text: not its formulas, blocks of code, lines of tables and targets of links."""
    return len(WORD.findall(NOT_READ.sub(" ", text)))


def without_plan(text: str) -> str:
    """The top of a lesson without its table of sections, which nobody reads from left to right."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("|"))


def read_by(cell: Cell, place: int) -> str:
    return without_plan(cell.source) if place == 0 else cell.source


def stretches(lesson: int) -> Iterator[tuple[str, int]]:
    """What is read between two cells of code: its first line, and how many words it has."""
    numbered = enumerate(cells(source_of(lesson)))
    for is_text, run in groupby(numbered, key=lambda pair: pair[1].is_text):
        if is_text:
            texts = [read_by(cell, place) for place, cell in run]
            yield texts[0].split("\n")[0], sum(map(words, texts))


def questions_in_a_row(lesson: int) -> list[list[str]]:
    """The questions that follow each other without anything between."""
    runs = groupby(cells(source_of(lesson)), key=lambda cell: cell.role == "question")
    return [[cell.about for cell in run] for asks, run in runs if asks]


@dataclass(frozen=True)
class Said:
    """What the text says of an exercise."""

    minutes: int
    difficulty: str


def said(lesson: int) -> dict[str, Said]:
    """The minutes and the difficulty that stand below each exercise's heading."""
    text = "\n\n".join(cell.source for cell in cells(source_of(lesson)) if cell.is_text)
    return {name: Said(int(minutes), difficulty) for name, minutes, difficulty in EXERCISE.findall(text)}


def lines_of(exercise: str) -> int:
    """The lines of code that a student writes: the solution's, without those that a program to repair has already."""
    cell = next(each for each in code(lesson_of(exercise)) if (each.role, each.about) == ("exercise", exercise))
    count = 0
    for region in re.findall(r"### BEGIN SOLUTION\n(.*?)### END", cell.source, re.DOTALL):
        written, _, given = region.partition("### INSTEAD")
        known = {line.strip().removeprefix("# ") for line in given.split("\n")}
        count += sum(bool(line.strip()) and line.strip() not in known for line in written.split("\n"))
    return count


def by_rule(exercise: str, difficulty: str) -> float:
    """Minutes of an exercise: some to understand it, and some for each line, by its difficulty."""
    return START + EFFORT[difficulty] * lines_of(exercise)


def doings() -> list[dict[str, str]]:
    """Who did which exercise: how many minutes they held for right afterwards, their lines, and their tries."""
    with DOING.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def by_doing(exercise: str) -> float:
    """The median of what those who did it held for right."""
    return statistics.median(int(each["minutes"]) for each in doings() if each["exercise"] == exercise)


@dataclass
class Section:
    """One of a lesson's sections; the lesson's top counts to the first one, and its end to the last."""

    number: int
    said: int
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def minutes(self) -> float:
        return sum(self.parts.values())

    def add(self, kind: str, minutes: float) -> None:
        self.parts[kind] = self.parts.get(kind, 0) + minutes


def sections(lesson: int) -> list[Section]:
    """Each section with the minutes of its parts, by the rule."""
    every = cells(source_of(lesson))
    plan = {int(number): int(minutes) for number, minutes in PLAN.findall(every[0].source)} or {1: header(lesson)}
    known, found = said(lesson), {number: Section(number, minutes) for number, minutes in plan.items()}
    here = min(plan)
    for place, cell in enumerate(every):
        if cell.is_text and (head := re.match(r"## (\d+) · ", cell.source)) and int(head[1]) in plan:
            here = int(head[1])
        for kind, minutes in cost(cell, place, known):
            found[here].add(kind, minutes)
    return [*found.values()]


def cost(cell: Cell, place: int, known: dict[str, Said]) -> Iterator[tuple[str, float]]:
    """What a cell costs: reading, and what is done in it."""
    if cell.is_text:
        yield "reading", words(read_by(cell, place)) / PER_MINUTE + cell.source.count("$$") / 2 * FORMULA
    elif cell.role == "exercise":
        yield "exercises", known[cell.about].minutes if cell.about in known else by_rule(cell.about, "●●○")
    elif cell.role == "question":
        item = catalogue.question(cell.about)
        if not isinstance(item, Text):  # those that a person reads are planned apart
            yield "questions", QUESTION + words(" ".join(strings(vars(item)))) / PER_MINUTE
    elif cell.source.startswith("puzzle("):
        yield "puzzles", PUZZLE
    elif cell.source.startswith("predict("):
        yield "predictions", PREDICTION
    elif cell.source.startswith("warm_up("):
        yield "warm-up", WARM_UP
    elif not cell.role and not cell.source.startswith(NOTHING_TO_SEE):
        yield "runs", RUN


def strings(value: object) -> Iterator[str]:
    """All texts in a question: what is asked, its options and the reasons that follow an answer."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in strings(each))
    elif isinstance(value, list | tuple | set):
        yield from (text for each in value for text in strings(each))
    elif hasattr(value, "__dataclass_fields__"):
        yield from strings(vars(value))


def header(lesson: int) -> int:
    """The minutes that the top of a lesson says."""
    return int(HEADER.search(cells(source_of(lesson))[0].source)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", type=int, metavar="NN", help="all of them if none is given")
    for lesson in parser.parse_args().lessons or catalogue.lessons():
        rows = sections(lesson)
        print(f"\nlesson {lesson}: {header(lesson)} minutes said, {sum(row.minutes for row in rows):.0f} by the rule")
        for row in rows:
            parts = ", ".join(f"{kind} {minutes:.1f}" for kind, minutes in row.parts.items())
            print(f"  section {row.number}: {row.said} said, {math.ceil(row.minutes)} by the rule ({parts})")
        for name, each in said(lesson).items():
            rule, median = by_rule(name, each.difficulty), by_doing(name)
            print(f"  exercise {name}: {each.minutes} said, {rule:.1f} by the rule, {median:.0f} by doing")
        for name in catalogue.exercises(lesson).keys() - said(lesson).keys():
            print(f"  exercise {name}: no line with minutes and difficulty; {by_rule(name, '●●○'):.1f} if ●●○")
        for start, count in stretches(lesson):
            if count > LONGEST:
                print(f"  too long, {count} words: {start}")
        for row in questions_in_a_row(lesson):
            if len(row) > QUESTIONS:
                print(f"  too many questions in a row: {', '.join(row)}")


if __name__ == "__main__":
    main()
