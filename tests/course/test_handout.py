"""What students get: nothing of the solutions, something that starts, and all of it or nothing."""

import json
import os
import re
import subprocess

import nbformat
import pytest

from minitransformer.commands import combine_marks, hand_out_course
from minitransformer.course import catalogue
from minitransformer.course.answers import Given
from minitransformer.course.grading.marking import question_test
from minitransformer.course.lesson_text import cells, sources
from minitransformer.course.office import handout

COURSE = """
title = "Prompts, winter"
timezone = "Europe/Berlin"
[lessons.2]
due = 2026-11-06T23:59:00
extensions = { s2 = 2026-11-20T12:00:00 }
[lessons.3]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "course.toml").write_text(COURSE, encoding="utf-8")
    (tmp_path / "students.csv").write_text("id,name\ns1,Anna Lee\ns2,Ben Lee\n", encoding="utf-8")
    return tmp_path


def everything(folder) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8") for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_bundle_holds_the_lessons_that_count_and_says_when_they_are_due(folder, capsys):
    hand_out_course(folder / "course.toml", folder / "out", False, None, "minitransformer==9")
    files = everything(folder / "out")
    assert [*files] == [
        "02_soft_prompts.ipynb",
        "03_one_training_step.ipynb",
        "README.md",
        "start.command",
        "start.ps1",
        "start.sh",
    ]
    assert "# Prompts, winter" in files["README.md"] and "Friday 06 November 2026, 23:59 CET" in files["README.md"]
    assert "minitransformer==9" in files["start.sh"]
    subprocess.run(["sh", "-n", folder / "out" / "start.sh"], check=True)
    assert (folder / "out" / "start.sh").stat().st_mode & 0o111


@pytest.mark.parametrize(("user", "first"), [("1000", []), ("0", ["--allow-root"])])
def test_the_start_script_hands_on_its_words_and_root_may_start_it(folder, user, first):
    hand_out_course(folder / "course.toml", folder / "out", False, None, "minitransformer==9")
    tools = folder / "tools"
    for place in tools, folder / "out/.venv/bin":
        place.mkdir(parents=True)
    for path, does in {
        tools / "id": f"echo {user}",
        folder / "out/.venv/bin/minitransformer": "",
        folder / "out/.venv/bin/python": 'pwd; for word; do echo "$word"; done',
    }.items():
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
    words = ["sh", folder / "out/start.sh", "--no-browser", "--port", "8888"]
    about = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd="/", env=about, capture_output=True, text=True, check=True)
    started = ["-m", "jupyterlab", ".", *first, "--no-browser", "--port", "8888"]
    assert done.stdout.splitlines() == [str((folder / "out").resolve()), *started]


def test_no_solution_key_or_teachers_text_is_in_a_bundle(folder):
    hand_out_course(folder / "course.toml", folder / "out", True, None, "minitransformer==9")
    files = everything(folder / "out")
    books = [json.loads(said) for name, said in files.items() if name.endswith("ipynb")]
    text = "".join("".join(cell["source"]) for book in books for cell in book["cells"])
    text += "".join(said for name, said in files.items() if not name.endswith("ipynb"))
    every = [cell.source for lesson in (2, 3) for cell in cells(sources()[lesson])]
    shown = "".join(source for source in every if "SOLUTION" not in source)
    inside = re.compile(r"### BEGIN SOLUTION\n(.*?)### (?:INSTEAD|END SOLUTION)", re.DOTALL)
    solved = [line.strip() for source in every for part in inside.findall(source) for line in part.splitlines()]
    solved = [line for line in solved if len(line) > 30 and line not in shown]
    assert len(solved) > 8 and not [line for line in solved if line in text]
    assert not any(cell.get("outputs") for book in books for cell in book["cells"])
    questions = [question for lesson in (2, 3) for question in catalogue.questions(lesson).values()]
    reasons = [option.reason for question in questions for option in getattr(question, "options", ())]
    assert len(reasons) > 40 and not [reason for reason in reasons if reason in text]


def test_each_student_gets_a_notebook_with_questions_in_an_order_of_its_own(folder):
    hand_out_course(folder / "course.toml", folder / "out", True, None, "minitransformer==9")
    assert {path.name for path in (folder / "out").iterdir()} == {"s1", "s2"}
    book = nbformat.read(folder / "out" / "s2" / "02_soft_prompts.ipynb", 4)
    nbformat.validate(book)
    (cell,) = [cell for cell in book.cells if "student('s2')" in cell.source]
    exec(cell.source, {})
    assert catalogue.question("2.q1").for_student("s1").shown != catalogue.question("2.q1").for_student("s2").shown
    assert "20 November 2026, 12:00" in (folder / "out" / "s2" / "README.md").read_text("utf-8")
    assert "06 November 2026" in (folder / "out" / "s1" / "README.md").read_text("utf-8")


def test_a_wheel_travels_with_the_bundle_where_there_is_one(folder):
    (folder / "minitransformer-9-py3-none-any.whl").write_bytes(b"PK")
    hand_out_course(folder / "course.toml", folder / "out", False, folder / "minitransformer-9-py3-none-any.whl", "")
    assert '"minitransformer-9-py3-none-any.whl"' in (folder / "out" / "start.sh").read_text("utf-8")
    assert (folder / "out" / "minitransformer-9-py3-none-any.whl").is_file()


def test_nothing_is_written_over_and_nothing_is_half_written(folder, monkeypatch):
    (folder / "out").mkdir()
    with pytest.raises(ValueError, match="out is there already"):
        hand_out_course(folder / "course.toml", folder / "out", False, None, "minitransformer==9")
    calls, write = [], handout.write_bundle

    def full_disk(*given):
        calls.append(given)
        if len(calls) == 2:
            raise OSError("no space left")
        write(*given)

    monkeypatch.setattr(handout, "write_bundle", full_disk)
    with pytest.raises(OSError, match="no space"):
        hand_out_course(folder / "course.toml", folder / "new", True, None, "minitransformer==9")
    assert {path.name for path in folder.iterdir()} == {"course.toml", "students.csv", "out"}


@pytest.mark.parametrize("odd", ["../s1", "a/b", ".."])
def test_an_id_that_leads_elsewhere_is_refused(odd, folder):
    (folder / "students.csv").write_text(f"id\n{odd}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        hand_out_course(folder / "course.toml", folder / "out", True, None, "minitransformer==9")
    assert not (folder / "out").exists()


def test_with_a_secret_a_student_s_questions_cannot_be_worked_out_from_the_id(folder, capsys):
    (folder / "course.toml").write_text('secret = "kept"\n' + COURSE, encoding="utf-8")
    hand_out_course(folder / "course.toml", folder / "out", True, None, "minitransformer==9")
    (name,) = re.findall(r"student\('(s2 [0-9a-f]{8})'\)", everything(folder / "out" / "s2")["02_soft_prompts.ipynb"])
    hand_out_course(folder / "course.toml", folder / "again", True, None, "minitransformer==9")
    assert everything(folder / "again") == everything(folder / "out")
    marked = question_test(catalogue.question("2.q1"), Given("a", name))
    row = {"name": "s1", "lesson": 2, "handed_in": {}, "tests": [marked]}
    (folder / "graded").mkdir()
    (folder / "graded" / "results.json").write_text(json.dumps([row]), encoding="utf-8")
    combine_marks(folder / "course.toml", [folder / "graded"], folder / "marks")
    assert "answered in the notebook of Ben Lee" in (folder / "marks" / "gradebook.csv").read_text("utf-8-sig")
    (folder / "kept").write_text("short")
    with pytest.raises(ValueError, match=r"got 5; remove the file.* handed out before have other names"):
        combine_marks(folder / "course.toml", [folder / "graded"], folder / "marks")
    (folder / "kept").unlink()
    with pytest.raises(FileNotFoundError, match="copy it here"):
        combine_marks(folder / "course.toml", [folder / "graded"], folder / "marks")
