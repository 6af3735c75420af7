"""What a class's rows say, for everyone who asks: student, teacher, course system, gradebook, terminal."""

import csv
import html
import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as xml

from ..exercises.showing import marked_up, plain_text

STYLE = (
    "<meta charset=utf-8><style>body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc}"
    "section{border-left:4px solid #0072B2;padding:.1em 1em;margin:1em 0}.bar{background:#0072B2;height:.8em}"
    "</style>"
)


def write(rows: list[dict], assignment, out: Path, counts: bool) -> None:
    """All reports; grades only where the profile gives any."""
    folder = out / "students"
    folder.mkdir(exist_ok=True)
    for number, row in enumerate(rows, 1):
        name = f"{number:04} {''.join(c if c.isalnum() else '-' for c in row['name'])[:80]}"
        (folder / f"{name}.html").write_text(student(row), encoding="utf-8")
        if counts:
            (folder / f"{name}.gradescope.json").write_text(json.dumps(gradescope(row), indent=1), encoding="utf-8")
    (out / "summary.txt").write_text(terminal(rows), encoding="utf-8")
    (out / "teacher.html").write_text(teacher(rows, assignment), encoding="utf-8")
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
        said = "\n".join(map(plain_text, each["said"]))
        answered = "" if each["answered"] is None else f"answered {clean(each['answered'])}: "
        found.append(each | {"name": f"question {each['id']}", "said": answered + clean(said)})
    return found


def terminal(rows: list[dict]) -> str:
    """A line for each submission; with only one, a line for each part that lost points."""
    widest = max([len(row["name"]) for row in rows], default=0)
    lines = [f"{row['name']:<{widest}} {row['earned']:>6g} of {row['points']}" for row in rows]
    lines = [f"{line}  {row['problem']}" if row.get("problem") else line for line, row in zip(lines, rows, strict=True)]
    if len(rows) == 1:
        lost = [test for test in tests(rows[0]) if test["earned"] < test["points"]]
        lines += [f"  {test['earned']:g} of {test['points']}  {test['name']}: {test['said']}" for test in lost]
        lines += [f"  note: {clean(note)}" for note in rows[0].get("notes", ())]
    profiles = ", ".join(sorted({row["profile"] for row in rows}))
    return "\n".join([*lines, f"{len(rows)} submissions, isolation profile: {profiles or 'none needed'}", ""])


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
        marks = {each["id"]: each["earned"] for key in ("exercises", "questions") for each in row.get(key, ())}
        scores = [marks.get(name, 0) for name in names]
        table.append([row["name"], row["earned"], row["points"], *scores, row.get("problem", ""), row["profile"]])
    return [[cell(value) for value in line] for line in table]


def page(title: str, *parts: str) -> str:
    return f"<!doctype html><html lang=en>{STYLE}<title>{html.escape(title)}</title>" + "".join(parts) + "</html>"


def student(row: dict) -> str:
    """What was asked, what came, the misconception, the hint."""
    parts = [f"<h1>{html.escape(row['name'])}: {row['earned']:g} of {row['points']} points</h1>"]
    notes = [row["problem"]] if row.get("problem") else row.get("notes", ())
    parts += [f"<p><strong>{html.escape(clean(note))}</strong></p>" for note in notes]
    for each in row.get("exercises", ()):
        lines = [f"<h2>Exercise {each['id']}, {html.escape(each['title'])}: {each['earned']} of {each['points']}</h2>"]
        for part in each["parts"]:
            why = f"<em>{html.escape(part['misconception'])}</em>: " if part["misconception"] else ""
            lines.append(f"<p>{html.escape(part['name'])} ({part['earned']} of {part['points']}): {why}"
                         f"{html.escape(clean(part['came']))}</p>")  # fmt: skip
        lines += [f"<p>Hint: {marked_up(each['hint'])}</p>"] if each["hint"] else []
        parts.append(f"<section>{''.join(lines)}</section>")
    for each in row.get("questions", ()):
        said = "".join(f"<p>{marked_up(clean(line))}</p>" for line in each["said"])
        answered = html.escape(clean(each["answered"] or "nothing"))
        parts.append(f"<section><h2>Question {each['id']}: {each['earned']:g} of 1</h2>{marked_up(each['title'])}"
                     f"<p>You answered: {answered}</p>{said}</section>")  # fmt: skip
    return page(row["name"], *parts, f"<p>Isolation profile: {row['profile']}.</p>")


def teacher(rows: list[dict], assignment) -> str:
    """How the class did, what was hard, what was misunderstood, and what to look at by eye."""
    shares = Counter(min(9, int(10 * row["earned"] / row["points"])) for row in rows)
    spread = [(f"{10 * n}–{10 * n + 10}%", shares[n]) for n in range(10)]
    every = [each for row in rows for key in ("exercises", "questions") for each in row.get(key, ())]
    lost: dict[str, list] = {}
    for each in every:
        lost.setdefault(f"{each['id']} {each['title'][:80]}", []).append(1 - each["earned"] / each["points"])
    hardest = sorted(((name, f"{sum(all_) / len(all_):.0%} lost") for name, all_ in lost.items()), key=lambda pair:
                     -int(pair[1].split("%")[0]))[:8]  # fmt: skip
    wrong = Counter(f"{each['id']} {name}" for each in every if "parts" in each
                    for name in {part["misconception"] for part in each["parts"]} - {None})  # fmt: skip
    flagged = [(row["name"], row["problem"]) for row in rows if row.get("problem")]
    dangerous = {"time-out", "memory", "stopped", "garbled", "too-much", "out-of-time"}
    flagged += [(row["name"], ", ".join(sorted(found))) for row in rows if (found := dangerous & {
                part["misconception"] for each in row.get("exercises", ()) for part in each["parts"]})]  # fmt: skip
    flagged += [(f"{one} and {two}", f"{part:.0%} of their unusual code is alike") for one, two, part in alike(rows)]
    sections = {"How many earned how much": spread, "The hardest": hardest,
                "The most common misconceptions": wrong.most_common(12), "To look at": flagged}  # fmt: skip
    return page(f"Lesson {assignment.lesson}", f"<h1>Lesson {assignment.lesson}: {len(rows)} submissions</h1>",
                *(f"<h2>{title}</h2>{table(lines)}" for title, lines in sections.items()))  # fmt: skip


def table(lines: list[tuple]) -> str:
    rows = ("".join(f"<td>{html.escape(clean(str(value)))}</td>" for value in line) for line in lines)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>" if lines else "<p>Nothing.</p>"


def alike(rows: list[dict], least: int = 10, share: float = 0.8) -> list[tuple[str, str, float]]:
    """Pairs that share most of what few others wrote: to be looked at, never a mark."""
    common = Counter(part for row in rows for part in row.get("code", ()))
    usual = max(2, len(rows) // 10)
    rare = {row["name"]: {part for part in row.get("code", ()) if common[part] <= usual} for row in rows}
    rare = {name: parts for name, parts in rare.items() if len(parts) >= least}
    found = ((a, b, len(rare[a] & rare[b]) / len(rare[a] | rare[b])) for a, b in combinations(rare, 2))
    return sorted((pair for pair in found if pair[2] >= share), key=lambda pair: -pair[2])
