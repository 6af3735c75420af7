"""Reports made of a class's rows: for students, the teacher, course systems, the gradebook and the terminal."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from textwrap import shorten

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from ...files.checkpoints import write_whole
from ..assignment import Assignment
from ..display import marked_up, plain_text
from ..isolation import Lost
from . import statistics
from .similarity import alike

UNNAMED = {  # what a judge says where it knows no name for a mistake
    "different-values", "gradient-differs", "no-sense", "raises", "wrong-shape", "wrong-type",
}  # fmt: skip
FOR_STUDENTS = {"student.html": "html", "gradescope.json": "gradescope.json"}
PRIVATE = ("code", "source", "content")  # of a row, and nothing that marks are made of
PAIRS_SHOWN = 100


def file_name(name: str) -> str:
    """What the files of a submission are called: any name, however long or odd, becomes one that every disk takes."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:24]


@cache
def pages() -> Environment:
    made = Environment(loader=PackageLoader(__package__), autoescape=select_autoescape(["html", "xml"]),
                       trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # fmt: skip
    made.filters |= {"said": test_text, "marked_up": lambda text: Markup(marked_up(text))}
    made.filters["brief"] = brief
    made.filters["verdict"] = verdict
    made.filters["lost"] = lambda tests: [test for test in tests if test["earned"] < test["points"]]
    made.filters["named"] = lambda test: f"{test['id']} {test['title']}: {test['part']}"
    return made


def brief(text: str) -> str:
    return shorten(plain_text(text), 80, placeholder=" …")


def verdict(test: dict) -> str:
    """A sign and a word, so that nobody has to see a colour or know the sign."""
    if not test["points"]:
        return "✎ a person reads this"
    if test["earned"] >= test["points"]:
        return "✓ right"
    return "◧ partly right" if test["earned"] > 0 else "✗ not right"


def rendered(template: str, **about: object) -> str:
    return "".join(filter(fits_a_page, pages().get_template(template).render(**about)))


def fits_a_page(sign: str) -> bool:
    """Whether XML and a terminal can take this sign; a half of a character is none."""
    return sign in "\n\t" or (sign >= " " and not "\x7f" <= sign <= "\x9f" and not "\ud800" <= sign <= "\udfff" and
                              sign not in "\ufffe\uffff")  # fmt: skip


def of_one(row: dict) -> dict[str, str]:
    """The reports about one submission, by how their files' names end."""
    made = {ending: rendered(template, row=row) for template, ending in FOR_STUDENTS.items()}
    return made | {"junit": rendered("testsuite.xml", row=row)}


def write(
    rows: list[dict],
    assignment: Assignment,
    out: Path,
    counts: bool,
    own: Iterable[tuple[dict, dict[str, str]]],
    absent: Iterable[str] = (),
) -> None:
    """All reports; grades only where the profile gives any. `own` are the rows with what `of_one` made of them.

    `absent` are the names of who has handed in nothing, where somebody knows.
    """
    suites: dict[str, str] = {}
    written = {"teacher.html", "alike.html", "summary.txt"}
    for row, made in own:
        suites[row["file"]] = made.pop("junit")
        for ending, text in made.items():
            if counts or ending == "html":
                written.add(f"students/{row['file']}.{ending}")
                write_text(out, f"students/{row['file']}.{ending}", text)
    pairs = alike(rows)
    about = {"rows": rows, "lesson": assignment.lesson, "missing": missing(rows)}
    write_text(
        out,
        "alike.html",
        rendered("alike.html", pairs=side_by_side(pairs[:PAIRS_SHOWN]), rest=pairs[PAIRS_SHOWN:], **about),
    )
    write_text(
        out, "teacher.html", rendered("teacher.html", pairs=len(pairs), absent=[*absent], **about, **overall(rows))
    )
    if counts:
        names = [*assignment.exercises, *assignment.questions]
        texts = {"junit.xml": rendered("junit.xml", suites=[Markup(suites[row["file"]]) for row in rows])}
        texts |= {"results.json": results(rows), "gradebook.csv": as_csv(gradebook(rows, names))}
        for name, text in texts.items():
            write_text(out, name, text)
        written |= texts.keys()
    write_text(out, "summary.txt", rendered("summary.txt", **about))
    remove_stale(out, written)


def write_text(out: Path, name: str, text: str) -> None:
    put(out / name, text.encode("utf-8", "replace"))


def put(path: Path, data: bytes) -> None:
    """One file, whole or not at all."""
    with writing(path):
        write_whole(path, data)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Where this cannot be written, an OSError says what to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror}): make room or name another --out, and run the same command "
            "again; what is graded is kept"
        ) from None


def remove_stale(out: Path, written: set[str]) -> None:
    """Reports of an earlier run that this one has not written: of who is gone, or grades where there are none now."""
    ours = [*out.glob("*.html"), *out.glob("*.xml"), out / "results.json", out / "gradebook.csv"]
    ours += [*out.glob("students/*.html"), *out.glob("students/*.gradescope.json")]
    for path in ours:
        if path.relative_to(out).as_posix() not in written:
            path.unlink(missing_ok=True)


def missing(rows: list[dict]) -> list[str]:
    """What the isolation could not close while these were graded, each once."""
    return [*dict.fromkeys(each for row in rows for each in row["missing"])]


def results(rows: list[dict]) -> str:
    return json.dumps([{name: it for name, it in row.items() if name not in PRIVATE} for row in rows], indent=1)


def test_text(test: dict) -> str:
    """What there is to say about a test, as a text."""
    wrong = f"[{test['misconception']}] " if test["misconception"] else ""
    return wrong + plain_text(test["came"] + (f"\nHint: {test['hint']}" if test["hint"] else ""))


def gradebook(rows: list[dict], names: list[str]) -> list[list]:
    table = [["student", "earned", "points", *names, "problem", "profile", "not closed off"]]
    for row in rows:
        marks = [sum(test["earned"] for test in row["tests"] if test["id"] == name) for name in names]
        about = row.get("problem"), row["profile"], "; ".join(row["missing"])
        table.append([row["name"], row["earned"], row["points"], *marks, *about])
    return [[harmless(value) for value in line] for line in table]


def as_csv(table: list[list]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(table)
    return text.getvalue()


def harmless(value: object) -> object:
    """What a spreadsheet would run as a formula is only text."""
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@") else value


def overall(rows: list[dict]) -> dict:
    """How the class did, what was hard, what was misunderstood, what no name is known for, and what to look at."""
    flagged = []
    for row in rows:
        stopped = ", ".join(sorted({test["misconception"] for test in row["tests"]} & Lost.WHY.keys()))
        speaks = row.get("strange") and f"its code speaks of {', '.join(row['strange'])}"
        flagged += [(row, why) for why in (row.get("problem"), stopped, speaks) if why]
    return {"totals": statistics.totals(rows), "flagged": flagged,
            "items": statistics.items(rows), "enough": statistics.ENOUGH,
            "misconceptions": statistics.misconceptions(rows, UNNAMED),
            "unnamed": unnamed(rows), "texts": texts(rows)}  # fmt: skip


def unnamed(rows: list[dict]) -> list[tuple[str, str, list[dict]]]:
    """Mistakes without a name, those of most people first: where, the first line of what was said, and whose."""
    whose: dict[tuple[str, str], dict[str, dict]] = {}
    for row in rows:
        for test in row["tests"]:
            if test["misconception"] in UNNAMED:
                line = shorten(plain_text(test["came"]).partition("\n")[0], 200, placeholder=" …")
                where = f"{test['id']} {test['part']}: {test['misconception']}"
                whose.setdefault((where, line), {})[row["file"]] = row
    ordered = sorted(whose.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(where, line, [*people.values()]) for (where, line), people in ordered]


def texts(rows: list[dict]) -> list[tuple[dict, list[tuple[dict, dict]]]]:
    """The questions that a person reads, and every answer to them with its row."""
    found: dict[str, list[tuple[dict, dict]]] = {}
    for row in rows:
        for test in row["tests"]:
            if test.get("rubric"):
                found.setdefault(test["id"], []).append((row, test))
    return [(answers[0][1], answers) for answers in found.values()]


def side_by_side(pairs: list) -> Iterator[tuple[object, list[tuple[str, str, str]]]]:
    """Each pair with the code of both, exercise by exercise."""
    for pair in pairs:
        one, two = pair.one["source"], pair.two["source"]
        yield pair, [(name, one.get(name, ""), two.get(name, "")) for name in sorted({*one, *two})]
