"""What a class's rows say, for everyone who asks: student, teacher, course system, gradebook, terminal."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree as xml

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..exercises.showing import marked_up, plain_text
from .likeness import alike

LOST = {"time-out", "memory", "stopped", "garbled", "too-much", "out-of-time"}


def write(rows: list[dict], assignment, out: Path, counts: bool) -> None:
    """All reports; grades only where the profile gives any."""
    pages = Environment(loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"clean": clean, "marked_up": lambda text: Markup(marked_up(clean(text, 4000)))}
    folder = out / "students"
    folder.mkdir(exist_ok=True)
    for number, row in enumerate(rows, 1):
        name = f"{number:04} {''.join(sign if sign.isalnum() else '-' for sign in row['name'])[:80]}"
        (folder / f"{name}.html").write_text(pages.get_template("student.html").render(row=row), encoding="utf-8")
        if counts:
            (folder / f"{name}.gradescope.json").write_text(json.dumps(gradescope(row), indent=1), encoding="utf-8")
    overview = pages.get_template("teacher.html").render(assignment=assignment, rows=rows, **overall(rows))
    (out / "teacher.html").write_text(overview, encoding="utf-8")
    (out / "summary.txt").write_text(terminal(rows), encoding="utf-8")
    if counts:
        xml.ElementTree(junit(rows)).write(out / "junit.xml", encoding="utf-8", xml_declaration=True)
        (out / "results.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        with open(out / "gradebook.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(gradebook(rows, assignment))


def clean(text: str, longest: int = 400) -> str:
    """A student's text, fit for a terminal, XML and a page: no control signs, no halves of characters, not too long."""
    kept = "".join(sign if sign.isprintable() else " " for sign in text[:longest])
    return kept.encode("utf-8", "replace").decode()


def cell(value: object) -> object:
    """What a spreadsheet would run as a formula is only text."""
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@") else value


def tests(row: dict) -> list[dict]:
    """Every part and every question of a row as one test: its name, points, and what there is to say."""
    found = []
    for each in row.get("exercises", ()):
        for part in each["parts"]:
            wrong = f"[{part['misconception']}] " if part["misconception"] else ""
            hint = f"\nHint: {plain_text(each['hint'])}" if part["earned"] < part["points"] else ""
            name = f"{each['id']} {each['title']}: {part['name']}"
            found.append(part | {"name": name, "said": clean(wrong + part["came"]) + hint})
    for each in row.get("questions", ()):
        answered = "" if each["answered"] is None else f"answered {clean(each['answered'])}: "
        said = answered + clean("\n".join(map(plain_text, each["said"])), 4000)
        found.append(each | {"name": f"question {each['id']}", "said": said})
    return found


def terminal(rows: list[dict]) -> str:
    """A line for each submission; with only one, a line for each part that lost points."""
    widest = max([len(row["name"]) for row in rows], default=0)
    lines = [
        f"{row['name']:<{widest}} {row['earned']:>6g} of {row['points']}  {row.get('problem', '')}" for row in rows
    ]
    if len(rows) == 1:
        lost = [test for test in tests(rows[0]) if test["earned"] < test["points"]]
        lines += [f"  {test['earned']:g} of {test['points']}  {test['name']}: {test['said']}" for test in lost]
        lines += [f"  note: {clean(note)}" for note in rows[0].get("notes", ())]
    profiles = ", ".join(sorted({row["profile"] for row in rows}))
    return "\n".join([*map(str.rstrip, lines), f"{len(rows)} submissions, isolation profile: {profiles or 'none'}", ""])


def gradescope(row: dict) -> dict:
    shown = [
        {"name": test["name"], "score": test["earned"], "max_score": test["points"], "output": test["said"],
         "status": "passed" if test["earned"] == test["points"] else "failed", "output_format": "text",
         "visibility": "visible"} for test in tests(row)
    ]  # fmt: skip
    about = {"score": row["earned"], "output": row.get("problem") or f"isolation profile: {row['profile']}"}
    return about | {"visibility": "visible", "stdout_visibility": "hidden", "tests": shown}


def junit(rows: list[dict]) -> xml.Element:
    top = xml.Element("testsuites")
    for row in rows:
        found = tests(row) or [{"name": "submission", "earned": 0, "points": 1, "said": row.get("problem", "")}]
        failed = [test for test in found if test["earned"] < test["points"]]
        suite = xml.SubElement(top, "testsuite", name=row["name"], tests=str(len(found)), failures=str(len(failed)))
        for test in found:
            case = xml.SubElement(suite, "testcase", classname=row["name"], name=test["name"])
            if test in failed:
                xml.SubElement(case, "failure", message=f"{test['earned']:g} of {test['points']}").text = test["said"]
    return top


def gradebook(rows: list[dict], assignment) -> list[list]:
    names = [*assignment.exercises, *assignment.questions]
    table = [["student", "earned", "points", *names, "problem", "profile"]]
    for row in rows:
        marks = {each["id"]: each["earned"] for each in items(row)}
        scores = [marks.get(name, 0) for name in names]
        table.append([row["name"], row["earned"], row["points"], *scores, row.get("problem", ""), row["profile"]])
    return [[cell(value) for value in line] for line in table]


def items(row: dict) -> list[dict]:
    return [*row.get("exercises", ()), *row.get("questions", ())]


def overall(rows: list[dict]) -> dict:
    """How the class did, what was hard, what was misunderstood, and what to look at by eye."""
    shares = Counter(min(9, int(10 * row["earned"] / row["points"])) for row in rows)
    lost, wrong, flagged = defaultdict(list), Counter(), []
    for row in rows:
        named = {(each["id"], part["misconception"]) for each in items(row) for part in each.get("parts", ())}
        wrong.update(f"{exercise} {name}" for exercise, name in named if name)
        for each in items(row):
            lost[f"{each['id']} {clean(each['title'], 80)}"].append(1 - each["earned"] / each["points"])
        stopped = sorted(LOST & {name for _, name in named})
        flagged += [(row["name"], why) for why in (row.get("problem"), ", ".join(stopped)) if why]
        flagged += [(row["name"], f"its code speaks of {', '.join(row['strange'])}")] if row.get("strange") else []
    flagged += [(f"{one} and {two}", f"{share:.0%} of their unusual code is alike") for one, two, share in alike(rows)]
    hardest = sorted(((sum(all_) / len(all_), name) for name, all_ in lost.items()), reverse=True)[:8]
    spread = [(f"{10 * n}–{10 * n + 10}%", shares[n]) for n in range(10)]
    return {"spread": spread, "hardest": hardest, "wrong": wrong.most_common(12), "flagged": flagged}
