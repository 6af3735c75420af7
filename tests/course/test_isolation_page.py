"""What lessons/ISOLATION.md promises: each line names the tests that hold it, and these exist."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import box_cases

from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import reports
from minitransformer.course.isolation import profiles

HERE = Path(__file__).parent
ENGINES = Path(reports.__file__).parent / "engines"
PAGE = (HERE.parents[1] / "lessons/ISOLATION.md").read_text(encoding="utf-8")
LINES = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line[:1] == "|"]
PROMISES = {cells[0]: cells for cells in LINES if cells[0] and not cells[0].startswith("---")}
TESTS = {node.name for path in HERE.glob("test_*.py") for node in ast.parse(path.read_text("utf-8")).body
         if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}  # fmt: skip


@pytest.mark.parametrize("name", PROMISES)
def test_each_promise_names_tests_that_exist(name):
    named = re.findall(r"`([\w-]+)`", PROMISES[name][-1])
    assert named and {*named} <= TESTS | box_cases.CASES.keys(), {*named} - TESTS - box_cases.CASES.keys()


def test_every_attack_on_the_box_belongs_to_a_promise_and_no_line_is_lost():
    assert len(PROMISES) == sum(line.startswith("| ") for line in PAGE.splitlines()) - 3 > 20  # three lines of headings
    named = {name for cells in PROMISES.values() for name in re.findall(r"`([\w-]+)`", cells[-1])}
    assert box_cases.CASES.keys() <= named


def test_the_page_the_message_and_the_ready_files_name_the_same_rights():
    yaml = pytest.importorskip("yaml")
    assert f"`docker run {profiles.CONTAINER}`" in PAGE
    jobs = yaml.safe_load((ENGINES / "grade.yml").read_text(encoding="utf-8"))["jobs"]
    assert {job["container"]["options"] for job in jobs.values()} == {profiles.CONTAINER}
    pod = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])["securityContext"]
    assert pod["capabilities"]["add"] == re.findall("--cap-add (\\w+)", profiles.CONTAINER) and pod["runAsUser"] == 0
    open_ = {name for name in ("seccomp", "appArmor") if pod[f"{name}Profile"] == {"type": "Unconfined"}}
    assert {name.lower() for name in open_} == {*re.findall(r"(\w+)=unconfined", profiles.CONTAINER)}


def test_the_autograder_gives_no_mark_where_the_grader_refuses(tmp_path):
    refuses = tmp_path / "env" / "bin" / "python"
    refuses.parent.mkdir(parents=True)
    refuses.write_text("#!/bin/sh\necho no safe place to run >&2\nexit 1\n")
    refuses.chmod(0o755)
    surroundings = os.environ | {"AUTOGRADER": f"{tmp_path}/autograder", "ENVIRONMENT": f"{tmp_path}/env"}
    done = subprocess.run([ENGINES / "run_autograder"], env=surroundings, capture_output=True, text=True)
    assert done.returncode != 0 and "no safe place to run" in done.stderr and not (tmp_path / "autograder").exists()


def test_every_report_says_what_was_missing(tmp_path):
    lesson, missing = Assignment.of(1), "a control group for memory"
    row = {"name": "ada", "file": "f", "lesson": 1, "profile": "uid-drop", "missing": [missing], "earned": 0.0,
           "points": lesson.points, "tests": [], "notes": [], "taken": [], "source": {}}  # fmt: skip
    reports.write([row], lesson, tmp_path, True, [(row, reports.of_one(row))])
    for path in tmp_path.rglob("*.*"):
        assert missing in path.read_text(encoding="utf-8"), path
    assert len([*tmp_path.rglob("*.*")]) == 8


def test_without_root_a_report_says_that_there_is_no_user_of_its_own(monkeypatch):
    said = "a user of its own for each submission (only root can give one)"
    monkeypatch.setattr(profiles, "ROOT", False)
    assert said in profiles.missing("bubblewrap") and f"`{said}`" in PAGE
    monkeypatch.setattr(profiles, "ROOT", True)
    assert said not in profiles.missing("bubblewrap")
