"""Reports made of a class's rows: for students, the teacher, course systems, the gradebook and the terminal."""

import csv
import json
from collections import Counter
from pathlib import Path
from textwrap import shorten

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from ..assignment import Assignment
from ..display import marked_up, plain_text
from ..isolation import Lost
from .similarity import alike


def write(rows: list[dict], assignment: Assignment, out: Path, counts: bool) -> None:
    """All reports; grades only where the profile gives any."""
    pages = Environment(loader=PackageLoader(__package__), autoescape=select_autoescape(["html", "xml"]),
                        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # fmt: skip
    pages.filters |= {"said": test_text, "marked_up": lambda text: Markup(marked_up(text))}
    pages.filters["lost"] = lambda tests: [test for test in tests if test["earned"] < test["points"]]
    pages.filters["named"] = lambda test: f"{test['id']} {test['title']}: {test['part']}"
    (out / "students").mkdir(exist_ok=True)

    def page(template: str, name: str | None = None, **about: object) -> None:
        text = pages.get_template(template).render(rows=rows, lesson=assignment.lesson, **about)
        (out / (name or template)).write_text(text, "utf-8")

    page("teacher.html", **overall(rows))
    page("summary.txt")
    for number, row in enumerate(rows, 1):
        name = f"students/{number:04} {''.join(sign if sign.isalnum() else '-' for sign in row['name'])[:80]}"
        page("student.html", f"{name}.html", row=row)
        if counts:
            page("gradescope.json", f"{name}.gradescope.json", row=row)
    if counts:
        page("junit.xml")
        (out / "results.json").write_text(json.dumps(rows, indent=1), "utf-8")
        with open(out / "gradebook.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(gradebook(rows, [*assignment.exercises, *assignment.questions]))


def test_text(test: dict) -> str:
    """What there is to say about a test, as a text."""
    wrong = f"[{test['misconception']}] " if test["misconception"] else ""
    return wrong + plain_text(test["came"] + (f"\nHint: {test['hint']}" if test["hint"] else ""))


def gradebook(rows: list[dict], names: list[str]) -> list[list]:
    table = [["student", "earned", "points", *names, "problem", "profile"]]
    for row in rows:
        marks = [sum(test["earned"] for test in row["tests"] if test["id"] == name) for name in names]
        table.append([row["name"], row["earned"], row["points"], *marks, row.get("problem"), row["profile"]])
    return [[harmless(value) for value in line] for line in table]


def harmless(value: object) -> object:
    """What a spreadsheet would run as a formula is only text."""
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@") else value


def overall(rows: list[dict]) -> dict:
    """How the class did, what was hard, what was misunderstood, and what to look at."""
    spread, points, earned, wrong, flagged = Counter(), Counter(), Counter(), Counter(), []
    for row in rows:
        spread[min(9, int(10 * row["earned"] / row["points"]))] += 1
        for test in row["tests"]:
            about = shorten(plain_text(test["asked"] or test["title"]), 80, placeholder=" …")
            points[f"{test['id']} {about}"] += test["points"]
            earned[f"{test['id']} {about}"] += test["earned"]
        named = {(test["id"], test["misconception"]) for test in row["tests"] if test["misconception"]}
        wrong.update(f"{exercise} {name}" for exercise, name in named)
        stopped = ", ".join(sorted({name for _, name in named} & Lost.WHY.keys()))
        speaks = row.get("strange") and f"its code speaks of {', '.join(row['strange'])}"
        flagged += [(row["name"], why) for why in (row.get("problem"), stopped, speaks) if why]
    flagged += [(f"{one} and {two}", f"{share:.0%} of their unusual code is alike") for one, two, share in alike(rows)]
    hardest = sorted(((1 - earned[name] / points[name], name) for name in points if points[name]), reverse=True)[:8]
    return {"spread": [(f"{10 * n}–{10 * n + 10}%", spread[n]) for n in range(10)], "hardest": hardest,
            "wrong": wrong.most_common(12), "flagged": flagged}  # fmt: skip
