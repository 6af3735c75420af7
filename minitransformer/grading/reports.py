"""What a class's rows say, for everyone who asks: student, teacher, course system, gradebook, terminal."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from textwrap import shorten

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..exercises.showing import marked_up, plain_text
from .course import Assignment
from .likeness import alike

LOST = {"time-out", "memory", "stopped", "garbled", "too-much", "out-of-time"}


def write(rows: list[dict], assignment: Assignment, out: Path, counts: bool) -> None:
    """All reports; grades only where the profile gives any."""
    pages = Environment(loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"tests": tests, "marked_up": lambda text: Markup(marked_up(text))}
    folder = out / "students"
    folder.mkdir(exist_ok=True)

    def page(template: str, path: Path, **about: object) -> None:
        path.write_text(pages.get_template(template).render(rows=rows, lesson=assignment.lesson, **about), "utf-8")

    page("teacher.html", out / "teacher.html", **overall(rows))
    (out / "summary.txt").write_text(terminal(rows), "utf-8")
    for number, row in enumerate(rows, 1):
        name = f"{number:04} {''.join(sign if sign.isalnum() else '-' for sign in row['name'])[:80]}"
        page("student.html", folder / f"{name}.html", row=row)
        if counts:
            (folder / f"{name}.gradescope.json").write_text(json.dumps(gradescope(row), indent=1), "utf-8")
    if counts:
        page("junit.xml", out / "junit.xml")
        (out / "results.json").write_text(json.dumps(rows, indent=1), "utf-8")
        with open(out / "gradebook.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(gradebook(rows, assignment))


def tests(row: dict) -> list[dict]:
    """Every part of a row as one test: its name, points, and what there is to say."""
    found = []
    for item in row["items"]:
        for part in item["parts"]:
            lost = part["earned"] < part["points"]
            wrong = f"[{part['misconception']}] " if part["misconception"] else ""
            hint = f"\nHint: {plain_text(item['hint'])}" if lost and item["hint"] else ""
            about = {"name": f"{item['id']} {item['title']}: {part['name']}", "lost": lost}
            found.append(part | about | {"said": wrong + plain_text(part["came"]) + hint})
    whole = {"name": "submission", "earned": 0.0, "points": row["points"], "lost": True}
    return found or [whole | {"said": row.get("problem", "")}]


def terminal(rows: list[dict]) -> str:
    """A line for each submission; with only one, a line for each part that lost points."""
    widest = max([len(row["name"]) for row in rows], default=0)
    lines = [
        f"{row['name']:<{widest}} {row['earned']:>6g} of {row['points']}  {row.get('problem', '')}" for row in rows
    ]
    if len(rows) == 1:
        lost = [test for test in tests(rows[0]) if test["lost"]]
        lines += [f"  {test['earned']:g} of {test['points']}  {test['name']}: {test['said']}" for test in lost]
        lines += [f"  note: {note}" for note in rows[0].get("notes", ())]
    profiles = ", ".join(sorted({row["profile"] for row in rows}))
    return "\n".join([*map(str.rstrip, lines), f"{len(rows)} submissions, isolation profile: {profiles or 'none'}", ""])


def gradescope(row: dict) -> dict:
    shown = [
        {"name": test["name"], "score": test["earned"], "max_score": test["points"], "output": test["said"],
         "status": "failed" if test["lost"] else "passed", "output_format": "text", "visibility": "visible"}
        for test in tests(row)
    ]  # fmt: skip
    about = {"score": row["earned"], "output": f"isolation profile: {row['profile']}", "tests": shown}
    return about | {"visibility": "visible", "stdout_visibility": "hidden"}


def gradebook(rows: list[dict], assignment: Assignment) -> list[list]:
    names = [*assignment.exercises, *assignment.questions]
    table = [["student", "earned", "points", *names, "problem", "profile"]]
    for row in rows:
        marks = dict.fromkeys(names, 0) | {item["id"]: item["earned"] for item in row["items"]}
        table.append([row["name"], row["earned"], row["points"], *marks.values(), row.get("problem"), row["profile"]])
    return [[harmless(value) for value in line] for line in table]


def harmless(value: object) -> object:
    """What a spreadsheet would run as a formula is only text."""
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@") else value


def overall(rows: list[dict]) -> dict:
    """How the class did, what was hard, what was misunderstood, and what to look at by eye."""
    shares = Counter(min(9, int(10 * row["earned"] / row["points"])) for row in rows)
    lost, wrong, flagged = defaultdict(list), Counter(), []
    for row in rows:
        named = {(item["id"], part["misconception"]) for item in row["items"] for part in item["parts"]}
        wrong.update(f"{exercise} {name}" for exercise, name in named if name)
        for item in row["items"]:
            title = shorten(plain_text(item["asked"] or item["title"]), 80, placeholder=" …")
            lost[f"{item['id']} {title}"].append(1 - item["earned"] / item["points"])
        stopped = sorted(LOST & {name for _, name in named})
        speaks = f"its code speaks of {', '.join(row['strange'])}" if row.get("strange") else None
        flagged += [(row["name"], why) for why in (row.get("problem"), ", ".join(stopped), speaks) if why]
    flagged += [(f"{one} and {two}", f"{share:.0%} of their unusual code is alike") for one, two, share in alike(rows)]
    hardest = sorted(((sum(each) / len(each), name) for name, each in lost.items()), reverse=True)[:8]
    spread = [(f"{10 * n}–{10 * n + 10}%", shares[n]) for n in range(10)]
    return {"spread": spread, "hardest": hardest, "wrong": wrong.most_common(12), "flagged": flagged}
