"""A whole class, in practice: one submission costs no other anything, and a run that was cut short goes on."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases

from minitransformer.__main__ import main
from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import Limits, classroom, grade, reports
from minitransformer.course.grading.grader import Desk, Grader, is_sound
from minitransformer.course.grading.workers import Bounds, Died, Workers

ANSWERS = cases.notebook({}, {"1.q3": "a"})  # no code: graded at once
SLOW = cases.notebook({"1.2": "import time\ntime.sleep(1.5)\n" + cases.HONEST["1.2"]}, {"1.q3": "a"})
SURROUNDINGS = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def handed_in(folder: Path, names: list[str], text: str = ANSWERS) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.ipynb").write_text(text)
    return folder


def practise(folder: Path, out: Path, **named: object) -> dict[str, dict]:
    rows = grade([folder], 1, out, profile="local", progress=False, **{"processes": 2} | named)
    return {row["name"]: row for row in rows}


def student_pages(out: Path) -> set[str]:
    """Whose pages are there, by what stands in them."""
    texts = [path.read_text("utf-8") for path in out.glob("students/*.html")]
    return {text.partition("<title>")[2].partition("</title>")[0] for text in texts}


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def command(folder: Path, out: Path, temporary: Path, *more: str) -> subprocess.Popen:
    temporary.mkdir(exist_ok=True)
    words = "grade", folder, "--lesson", "1", "--out", out, "--profile", "local", "--processes", "2", *more
    return subprocess.Popen([sys.executable, "-m", "minitransformer", *map(str, words)], start_new_session=True,
                            env=SURROUNDINGS | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def wait_for_rows(out: Path, count: int) -> None:
    until = time.monotonic() + 120
    while len([*out.glob("rows/*.json")]) < count:
        assert time.monotonic() < until
        time.sleep(0.02)


def all_ended(family: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(family, timeout=20)[1]


def nothing_in(folder: Path) -> bool:
    until = time.monotonic() + 20
    while [*folder.iterdir()] and time.monotonic() < until:
        time.sleep(0.1)
    return not [*folder.iterdir()]


# one submission, one fate


def test_a_bomb_at_the_intake_costs_its_own_submission_only(tmp_path):
    folder = handed_in(tmp_path / "class", ["anna", "zoe"])
    cell = {"cell_type": "code", "id": "x", "metadata": {}, "outputs": [], "source": "a;" * 190_000}
    (folder / "bomb.ipynb").write_text(json.dumps({"cells": [cell] * 14, "nbformat": 4}))
    rows = practise(folder, tmp_path / "out")
    assert rows["anna"]["earned"] == rows["zoe"]["earned"] == 1 and rows["bomb"]["earned"] == 0
    assert {path.name for path in (tmp_path / "out/rows").iterdir()} >= {
        rows[n]["file"] + ".json" for n in ("anna", "zoe")
    }


class FakeWorkers:
    """Gives prepared results, those of each job in turn, and writes down who was asked together."""

    def __init__(self, results: dict[str, list]):
        self.left, self.asked = {name: [*rows] for name, rows in results.items()}, []

    def results(self, jobs, at_once):
        self.asked.append(([job[1].name for job in jobs], at_once))
        for place, (_, submission) in enumerate(jobs):
            result = self.left[submission.name].pop(0)
            yield place, result if isinstance(result, Died) else json.dumps(result).encode()


@pytest.fixture
def grader(tmp_path) -> Grader:
    (tmp_path / "rows").mkdir()
    return Grader(1, "local", (), Limits(), b"s" * 32, tmp_path / "rows")


@pytest.fixture
def desk(grader, tmp_path, monkeypatch) -> Desk:
    """A grader at work in this process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Desk(grader)


def made_up(grader: Grader, name: str, misconception: str | None = None, **more: object) -> dict:
    test = {"id": "1.1", "title": "t", "part": "p", "asked": None, "came": "c", "earned": 0, "points": 2,
            "misconception": misconception, "hint": None}  # fmt: skip
    return grader.empty_row(name) | {"tests": [test], "content": "x", "held_up": True, "seconds": 1.0} | more


def class_rows(grader: Grader, results: dict[str, list]) -> tuple[list[dict], list]:
    workers = FakeWorkers(results)
    submissions = [classroom.finding.SubmissionFile(name, ()) for name in results]
    bar = classroom.tqdm(disable=True)
    return classroom.class_rows(workers, grader, submissions, [True] * len(results), 2, bar), workers.asked


@pytest.mark.parametrize("lost", ["time-out", "out-of-time", "stopped"])
def test_what_neighbours_may_have_cost_is_tried_once_more_alone_and_then_counts(grader, lost):
    better = made_up(grader, "anna", earned=2.0)
    again = made_up(grader, "carl", lost)
    rows, asked = class_rows(grader, {"anna": [made_up(grader, "anna", lost), better],
                                      "bert": [made_up(grader, "bert")], "carl": [again, again]})  # fmt: skip
    assert asked == [(["anna", "bert", "carl"], 2), (["anna", "carl"], 1)]
    handed_in = {"handed_in": {"when": None, "late": False}}
    assert rows[0] == better | handed_in and rows[2] == again | handed_in
    kept = {path.name for path in grader.rows.iterdir()}
    written_down = {"anna", "bert", *({"carl"} if lost == "stopped" else {})}  # what ran out of time never is
    assert kept == {f"{reports.file_name(name)}.json" for name in written_down}


def test_a_loop_that_used_up_its_own_time_is_not_waited_for_twice_and_yet_not_kept(grader):
    _, asked = class_rows(grader, {"anna": [made_up(grader, "anna", "time-out", held_up=False)]})
    assert asked[1] == ([], 1) and not [*grader.rows.iterdir()]


def test_who_dies_gets_a_row_that_says_so_and_a_second_chance(grader):
    died = Died("the process that graded it was ended by SIGKILL")
    rows, asked = class_rows(grader, {"anna": [died, made_up(grader, "anna")], "bert": [died, died],
                                      "carl": [made_up(grader, "carl") | {"earned": "many"}] * 2})  # fmt: skip
    assert asked[1] == (["anna", "bert", "carl"], 1) and not rows[0].get("problem")
    assert rows[1]["problem"] == f"could not be graded: {died.why}" and is_sound(rows[1])
    assert rows[2]["problem"] == "could not be graded: its row is damaged"
    assert [path.name for path in grader.rows.iterdir()] == [f"{reports.file_name('anna')}.json"]


def test_a_report_that_cannot_be_made_is_this_student_s_alone(grader):
    class Fails:
        def results(self, jobs, at_once):
            yield 1, json.dumps(reports.of_one(jobs[1][1])).encode()
            yield 0, Died("it took longer than 300 s")

    rows = [made_up(grader, "anna", earned=2.0), made_up(grader, "bert")]
    made = {row["name"]: texts["html"] for row, texts in classroom.pages(Fails(), rows, 1)}
    assert "anna: 2 of " in made["anna"] and "could not be made: it took longer" in made["anna"]
    assert "could not" not in made["bert"]


def test_names_that_differ_in_case_only_or_are_odd_have_pages_of_their_own(tmp_path):
    names = ["Anna", "anna", "ANNA", "漢" * 80, "=1+1", "<b>x", "a\tb", "  ", "con"]
    folder = handed_in(tmp_path / "class", names)
    rows = practise(folder, tmp_path / "out")
    files = [path.name for path in (tmp_path / "out/students").iterdir()]
    assert len(rows) == len(names) == len({name.lower() for name in files})
    assert all(name.isascii() and len(name) < 60 for name in files)


# cut short


def test_a_command_that_is_killed_leaves_nothing_and_goes_on_where_it_was(tmp_path):
    names = [f"student{number}" for number in range(6)]
    folder = handed_in(tmp_path / "class", names, SLOW)
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    with command(folder, out, temporary) as running:
        wait_for_rows(out, 2)
        family = psutil.Process(running.pid).children(recursive=True)
        running.kill()
    rows = contents(out / "rows")
    assert len(family) > 2 and all_ended(family) and nothing_in(temporary)
    assert 2 <= len(rows) < 6 and contents(out / "rows") == rows
    again = practise(folder, out)
    whole = practise(folder, tmp_path / "whole", secret=out / "secret")
    assert {name: row["earned"] for name, row in again.items()} == {name: row["earned"] for name, row in whole.items()}
    assert {name: data for name, data in contents(out / "rows").items() if name in rows} == rows
    assert student_pages(out) == set(names)


def test_a_ctrl_c_is_one_line_and_ends_everything(tmp_path, heeded):
    folder = handed_in(tmp_path / "class", [f"student{number}" for number in range(6)], SLOW)
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    with command(folder, out, temporary) as running:
        wait_for_rows(out, 1)
        family = psutil.Process(running.pid).children(recursive=True)
        os.killpg(running.pid, signal.SIGINT)
        said, warned = running.communicate(timeout=30)
    lines = [line for line in warned.replace("\r", "\n").splitlines() if line.strip() and "submission/s" not in line
             and "s/submission" not in line]  # fmt: skip
    assert len(lines) == 1 and lines[0].startswith("minitransformer: stopped: ") and not said
    assert lines[0].endswith(" of 6 graded; run the same command to go on")
    assert running.returncode == 130 and all_ended(family) and nothing_in(temporary)


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"[]", b"{}", b'{"content": 1}', b"\xff\xfe", b"[" * 100_000,
                                    "points", "tests", "earned", "name", "content", "notes"])  # fmt: skip
def test_a_damaged_row_is_graded_again(desk, tmp_path, damage):
    (submission,) = classroom.finding.find_submissions([handed_in(tmp_path / "class", ["anna"])])
    row, place = desk.grade_one(submission), desk.grader.place("anna")
    assert row["earned"] == 1 and desk.kept_row(submission) is None
    classroom.keep(row, desk.grader)
    assert desk.kept_row(submission) == row
    if isinstance(damage, str):
        damage = json.dumps({name: it for name, it in row.items() if name != damage}).encode()
    place.write_bytes(damage)
    assert desk.kept_row(submission) is None
    again = desk.grade_one(submission)
    classroom.keep(again, desk.grader)
    assert again["tests"] == row["tests"] and desk.kept_row(submission) == again


def test_a_row_of_somebody_else_is_no_row(desk, tmp_path):
    one, two = classroom.finding.find_submissions([handed_in(tmp_path / "class", ["anna", "bert"])])
    classroom.keep(desk.grade_one(one), desk.grader)
    desk.grader.place("bert").write_bytes(desk.grader.place("anna").read_bytes())
    assert desk.kept_row(two) is None and desk.grade_one(two)["name"] == "bert"


# what is there is whole, and true


def test_shards_in_one_folder_become_the_whole_class_and_who_is_gone_is_gone(tmp_path):
    names = ["anna", "bert", "carl", "dora", "emil"]
    folder, out = handed_in(tmp_path / "class", names), tmp_path / "out"
    (out / "students").mkdir(parents=True)
    (out / "students/0003 fred.html").write_text("from an older version")
    parts = [[*practise(folder, out, shard=(part, 2))] for part in (1, 2)]
    assert parts == [["anna", "carl", "emil"], ["bert", "dora"]]
    assert student_pages(out) == set(names) and "5 submissions" in (out / "summary.txt").read_text()
    (folder / "bert.ipynb").write_text(cases.notebook({}, {"1.q3": "b"}))  # the row of the old file is not true now
    (folder / "emil.ipynb").unlink()
    (folder / "~zoe.ipynb").write_text(ANSWERS)
    times = {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    assert [*practise(folder, out, shard=(1, 2))] == ["anna", "carl", "~zoe"]
    assert student_pages(out) == {"anna", "carl", "dora", "~zoe"}
    assert not [path for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert not {"emil", "fred"} & set((out / "teacher.html").read_text("utf-8").split())


FULL = r"cannot be written \(No space left on device\): make room"


@pytest.mark.parametrize("name", ["teacher.html", "alike.html", "summary.txt", "results.json", "gradebook.csv",
                                  "gradescope.json", "students/"])  # fmt: skip
def test_a_full_disk_is_one_line_and_what_was_there_stays_whole(tmp_path, monkeypatch, grader, name):
    def write(people: list[str]) -> None:
        rows = [made_up(grader, person) for person in people]
        own = [(row, reports.of_one(row)) for row in rows]
        reports.write(rows, Assignment.of(1), tmp_path, True, own)

    def full(path, data):
        if name in str(path):
            raise OSError(28, "No space left on device")
        write_whole(path, data)

    write(["anna"])
    before, write_whole = contents(tmp_path), reports.write_whole
    monkeypatch.setattr(reports, "write_whole", full)
    with pytest.raises(OSError, match=FULL) as failed:
        write(["anna", "bert"])
    assert "\n" not in str(failed.value)
    after = contents(tmp_path)
    assert all(after[path] for path in before) and [after[path] == before[path] for path in before if name in path]
    monkeypatch.undo()
    write(["anna", "bert"])
    assert student_pages(tmp_path) == {"anna", "bert"}


def test_a_disk_that_is_full_before_the_reports_is_told_in_the_same_words(monkeypatch, grader):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reports, "write_whole", full)
    with pytest.raises(OSError, match=FULL):
        classroom.keep(made_up(grader, "anna"), grader)


@pytest.mark.parametrize("secret", [b"", b"short", b" \n" * 40])
def test_a_secret_that_is_none_is_refused(tmp_path, secret):
    (tmp_path / "secret").write_bytes(secret)
    with pytest.raises(ValueError, match=r"is too short .*expected at least 16 bytes, got \d+; remove the file"):
        practise(handed_in(tmp_path / "class", ["anna"]), tmp_path / "out", secret=tmp_path / "secret")
    assert (tmp_path / "secret").read_bytes() == secret


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path):
    made = classroom.secret_bytes(tmp_path / "place/secret")
    assert len(made) >= 32 and made == classroom.secret_bytes(tmp_path / "place/secret")
    assert (tmp_path / "place/secret").stat().st_mode & 0o777 == 0o600
    assert made != classroom.secret_bytes(tmp_path / "other")
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["secret"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    folder = handed_in(tmp_path / "class", ["anna"])
    (tmp_path / "file").touch()
    for out in tmp_path / "file" / "out", Path("/proc/out"):
        with pytest.raises(SystemExit) as ended:
            main(["grade", str(folder), "--lesson", "1", "--out", str(out), "--profile", "local"])
        said = str(ended.value.code)
        assert str(out) in said and "name another --out" in said and "\n" not in said


def test_files_that_a_killed_run_was_writing_are_removed_and_a_running_one_s_are_not(tmp_path):
    (tmp_path / "rows").mkdir()
    old, new = tmp_path / "rows/.x.json.1.unfinished", tmp_path / ".teacher.html.2.unfinished"
    for path in old, new:
        path.touch()
    os.utime(old, (1, 1))
    classroom.remove_unfinished(tmp_path)
    assert not old.exists() and new.exists()


def test_the_grader_s_memory_stays_the_same(tmp_path, grader):
    folder = handed_in(tmp_path / "class", [f"student{number:02}" for number in range(20)])
    submissions = classroom.finding.find_submissions([folder])
    sizes = []
    with Workers(grader.prepare, Bounds()) as workers:
        for _ in workers.results([("grade_one", each) for each in submissions], 1):
            sizes.append(psutil.Process(workers.server.pid).memory_info().rss)
    assert len(sizes) == 20 and max(sizes) - sizes[0] < 5 << 20


def test_the_hidden_inputs_change_with_the_student_s_file_and_name_and_with_the_secret(tmp_path, desk, monkeypatch):
    seen = []
    monkeypatch.setattr("minitransformer.course.grading.grader.mark", lambda *given: seen.append(given[2]) or [])
    cases = [("anna", "a", "x"), ("anna", "b", "x"), ("anna", "b", "x "), ("bert", "b", "x "), ("bert", "b", "x ")]
    for place, (name, secret, text) in enumerate(cases):
        desk.grader = replace(desk.grader, secret=secret.encode())
        (submission,) = classroom.finding.find_submissions(
            [handed_in(tmp_path / f"class{place}", [name], ANSWERS + text[1:])]
        )
        desk.grade_one(submission)
    assert len(set(seen)) == 4 and seen[3] == seen[4]
