"""The grader: its boundary, its intake, its marks, its reports. Hostile submissions are in test_grading_hostile.py."""

import ast
import csv
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases

from minitransformer.exercises import catalogue
from minitransformer.grading import Limits, course, grade, intake, isolation, reports, terminal, wire

LESSONS = Path(__file__).parent.parent / "lessons"
working = [name for name, profile in isolation.PROFILES.items() if profile.counts and profile.problem() is None]
isolated = pytest.mark.skipif(not working, reason="no isolation profile that gives grades works on this machine")
every_lesson = pytest.mark.parametrize("lesson", catalogue.LESSONS)


def back(value):
    message = wire.packed(3, "gave", value)
    header, data = wire.LENGTHS.unpack(message[: wire.LENGTHS.size])
    start = wire.LENGTHS.size
    assert len(message) == start + header + data
    return wire.unpacked(message[start : start + header], message[start + header :])


@pytest.mark.parametrize("value", [None, True, 3, 0.1, float("inf"), "小心!", (1, [2.5, {"a": "b"}], ()), {}])
def test_plain_data_crosses_the_boundary_as_it_is(value):
    assert back(value) == (3, "gave", value) and type(back(value)[2]) is type(value)


@pytest.mark.parametrize("dtype", wire.ARRAYS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (3, 0, 2)])
def test_arrays_cross_the_boundary_bit_by_bit(dtype, shape):
    sent = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    _, _, (came, again) = back((sent, sent))
    for each in came, again:
        assert each.dtype == sent.dtype and each.shape == sent.shape and each.tobytes() == sent.tobytes()


@pytest.mark.parametrize(
    ("tree", "data"),
    [
        ({"array": ["float32", [2]]}, b"1234"),  # too few bytes
        ({"array": ["float32", [1]]}, b"12345678"),  # too many
        ({"array": ["object", [1]]}, b"12345678"),
        ({"array": ["float32", [-1]]}, b""),
        ({"array": ["float32", [1 << 31, 0]]}, b""),
        ({"array": ["float32", [1] * 9]}, b"1234"),
        ({"array": ["float32", [True]]}, b"1234"),
        ({"tuple": 3}, b""),
        ({"eval": ["1"]}, b""),
        ({"list": [], "tuple": []}, b""),
        ([1], b""),
        (1 << 63, b""),
    ],
)
def test_what_is_no_message_is_refused(tree, data):
    with pytest.raises(wire.Garbled):
        wire.unpacked(json.dumps([1, "gave", tree]).encode(), data)


@pytest.mark.parametrize("header", [b"", b"[1]", b"\xff", b'["1","gave",1]', b"[1,2,3]", b"[" * 100_000])
def test_a_header_that_is_none_is_refused(header):
    with pytest.raises(wire.Garbled):
        wire.unpacked(header, b"")


def test_a_byte_that_is_neither_true_nor_false_becomes_a_truth():
    _, _, came = wire.unpacked(b'[1,"gave",{"array":["bool",[2]]}]', b"\x02\x00")
    assert came.tobytes() == b"\x01\x00"


@every_lesson
def test_the_open_part_of_the_course_holds_no_reference_no_judge_and_no_answer(lesson, tmp_path):
    assignment = course.Assignment.of(lesson)
    folder = course.build(assignment, tmp_path / "open")
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    assert "Suspect(" not in text and "EXERCISES" not in text and not list(folder.rglob("*.ipynb"))
    assert not list(folder.rglob("questions")) and not (folder / "minitransformer/exercises/lesson1.py").exists()
    assert set(assignment.names) == set(assignment.exercises)
    for name in () if assignment.given else ("PromptTuning", "PrefixTuning", "compile_prefix", "PromptBank"):
        assert f"class {name}" not in text and f"def {name}" not in text
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))


def test_what_is_hidden_says_so_when_it_is_imported(tmp_path):
    folder = course.build(course.Assignment.of(2), tmp_path / "open")
    for line in ("from minitransformer import PromptTuning", "import minitransformer.soft_prompts",
                 "from minitransformer.exercises import check", "from minitransformer import check",
                 "import minitransformer.bank", "from minitransformer import compare"):  # fmt: skip
        code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{line}"
        ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
        assert "is not available while graded" in ended.stderr, line
        break  # each costs an import of torch; the others are asked in one process below
    lines = ["from minitransformer import Hooks, Stack, Recorder, Cache, Transformer, Config, freeze, train, loss",
             "from minitransformer import shared_loss, accuracy, generate, pretrained, Batches, Phrasebook, batch",
             "from minitransformer import Tokenizer, plots, gradients; pretrained()"]  # fmt: skip
    for line in ("import minitransformer.soft_prompts", "from minitransformer.exercises import check",
                 "from minitransformer import check", "import minitransformer.bank", "plots.grid",
                 "from minitransformer import compare"):  # fmt: skip
        lines += ["try:", f"    {line}", "except ImportError as e: assert 'while graded' in str(e)",
                  f"else: raise SystemExit({line!r})"]  # fmt: skip
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + "\n".join(lines)
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def submission(text: str, name: str = "a.ipynb", lesson: int = 1) -> intake.Submission:
    return intake.read(name, text.encode(), course.Assignment.of(lesson))


def test_only_exercise_cells_and_literal_answers_are_taken_from_a_notebook():
    text = cases.notebook(cases.HONEST | {"9.9": "launch_missiles()"}, {"1.q1": "b a", "1.q2": ""})
    found = submission(text)
    assert [owner for owner, _ in found.pieces] == ["1.1", "1.2", "1.3"]
    assert found.answers == {"1.q1": "b a"}


def test_a_cell_that_lost_its_name_is_known_by_what_it_defines():
    found = submission(cases.notebook({"x": cases.HONEST["1.2"], "y": cases.HONEST["1.1"]}))
    assert [owner for owner, _ in found.pieces] == ["1.2", "1.1"]


def test_a_file_gives_its_definitions_and_none_of_its_calls():
    text = "import torch\nlaunch_missiles()\nroot = 0.5\n@torch.no_grad()\ndef embed(tokens, table):\n    return 1\n"
    text += "def helper():\n    pass\nquiz('1.q3', answer='c')\n"
    found = submission(text, "a.py")
    assert [owner for owner, _ in found.pieces] == [None, None, "1.1", None]
    assert found.pieces[2][1].startswith("@torch.no_grad()") and found.answers == {"1.q3": "c"}


def test_shell_lines_are_left_out_and_named():
    found = submission(cases.notebook({"1.1": "!ls\n%time\ndef embed(tokens, table):\n    return table[tokens] % 2\n"}))
    assert found.pieces == [("1.1", "pass\npass\ndef embed(tokens, table):\n    return table[tokens] % 2\n")]
    assert found.notes == ["lines that start with ! or % were left out of exercise 1.1"]


def test_the_wrong_lesson_s_file_is_told_so():
    assert "nothing of lesson 1 was found" in submission("x = 1\n", "a.py").notes[0]


@pytest.mark.parametrize("name", cases.FILES)
def test_what_cannot_be_read_is_refused_with_one_line(name, tmp_path):
    make, word = cases.FILES[name]
    make(tmp_path / name)
    (found,) = intake.find([tmp_path])
    with pytest.raises(intake.Refused, match=word):
        intake.read(name, intake.content(found), course.Assignment.of(1))


def test_folders_zips_and_files_of_any_are_found_in_order(tmp_path):
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna/hand in.ipynb").write_text(cases.GOOD)
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr("bert.ipynb", cases.GOOD)
        archive.writestr("carl/x.py", "x = 1")
    with zipfile.ZipFile(tmp_path / "dora.zip", "w") as archive:
        archive.writestr("whatever.ipynb", cases.GOOD)
    (tmp_path / "emil.py").write_text("x = 1")
    names = [found.name for found in intake.find([tmp_path])]
    assert names == ["anna/hand in", "class/bert", "class/carl/x", "dora", "emil"]


def test_a_profile_that_does_not_work_says_why(monkeypatch):
    monkeypatch.setattr(isolation, "works", lambda command, user=0: "user namespaces are closed")
    monkeypatch.setattr(isolation.os, "geteuid", lambda: 1000)
    with pytest.raises(ValueError, match=r"bubblewrap: user namespaces are closed; uid-drop: it needs root.*local"):
        isolation.choose("auto")
    with pytest.raises(ValueError, match=r"profiles are auto, bubblewrap, uid-drop, local; got 'none'"):
        isolation.choose("none")


def test_a_network_that_could_not_be_closed_is_in_the_report(monkeypatch):
    drop = isolation.PROFILES["uid-drop"]
    monkeypatch.setattr(isolation, "works", lambda command, user=0: "not permitted")
    assert drop.label() == "uid-drop, network open" and drop.command(Path("c"), Path("s"))[0] == [sys.executable]
    monkeypatch.setattr(isolation, "works", lambda command, user=0: None)
    assert drop.label() == "uid-drop" and drop.command(Path("c"), Path("s"))[0][:2] == ["unshare", "--net"]


@pytest.fixture(scope="session")
def small_class(tmp_path_factory):
    """One solved, one blank, one half done, one that cannot be read; graded once."""
    if not working:
        pytest.skip("no isolation profile that gives grades works on this machine")
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("out")
    (folder / "blank.ipynb").write_bytes(next(LESSONS.glob("01_*.ipynb")).read_bytes())
    (folder / "solved.ipynb").write_bytes(next(LESSONS.glob("solutions/01_*.ipynb")).read_bytes())
    half = {"1.1": cases.HONEST["1.1"], "1.2": "def visible(queries, keys):\n    return torch.ones(queries, keys, "
            "dtype=torch.bool).tril()\n"}  # fmt: skip
    (folder / "half.ipynb").write_text(cases.notebook(half, {"1.q3": "a", "1.q4": "§", "1.q1": "a b c d e"}))
    (folder / "broken.ipynb").write_text("{")
    rows = grade([folder], 1, out, limits=Limits(call=30), processes=1, progress=False)
    return folder, out, {row["name"]: row for row in rows}


def test_solved_earns_all_blank_nothing_and_half_its_part(small_class):
    *_, rows = small_class
    assert {name: (row["earned"], row["points"]) for name, row in rows.items() if name != "half"} == {
        "solved": (20, 20), "blank": (0, 20), "broken": (0, 20)}  # fmt: skip
    half = rows["half"]
    assert [each["earned"] for each in half["exercises"]] == [2, 1, 0]
    assert half["exercises"][1]["parts"][1]["misconception"] == "wrong-corner"
    assert {part["came"] for part in half["exercises"][2]["parts"]} == {"not written yet"}
    credit = {each["id"]: each["earned"] for each in half["questions"]}
    assert credit["1.q3"] == 1 and credit["1.q4"] == 0 and 0 < credit["1.q1"] < 1
    assert half["earned"] == pytest.approx(3 + sum(credit.values()), abs=1e-3)


def test_a_second_run_grades_nothing_again_and_says_the_same(small_class, monkeypatch):
    folder, out, rows = small_class
    monkeypatch.setattr(isolation, "Child", None)
    monkeypatch.setattr("minitransformer.grading.marking.Child", None)  # would fail if it were asked
    again = grade([folder], 1, out, limits=Limits(call=30), processes=1, progress=False)
    assert {row["name"]: row for row in again} == rows


def test_every_report_is_there_and_can_be_read_by_its_reader(small_class):
    _, out, rows = small_class
    with open(out / "gradebook.csv", newline="", encoding="utf-8") as file:
        book = list(csv.DictReader(file))
    assert [(line["student"], float(line["earned"])) for line in book] == [(n, r["earned"]) for n, r in rows.items()]
    suites = xml.parse(out / "junit.xml").getroot()
    assert {suite.get("name"): int(suite.get("failures")) for suite in suites}["solved"] == 0
    scope = json.loads(next(out.glob("students/*half.gradescope.json")).read_text())
    assert sum(test["score"] for test in scope["tests"]) == pytest.approx(scope["score"], abs=1e-2)
    assert sum(test["max_score"] for test in scope["tests"]) == 20
    assert {test["status"] for test in scope["tests"]} == {"passed", "failed"}
    page = next(out.glob("students/*half.html")).read_text(encoding="utf-8")
    assert "wrong-corner" in page and "Hint:" in page and "isolation" in page.lower() and "http" not in page
    teacher = (out / "teacher.html").read_text(encoding="utf-8")
    assert "1.2 wrong-corner" in teacher and "damaged" in teacher
    assert "solved" in (out / "summary.txt").read_text() and working[0] in (out / "summary.txt").read_text()


def test_one_submission_alone_is_told_what_lost_which_points(small_class):
    *_, rows = small_class
    text = terminal([rows["half"]])
    assert "0 of 1  1.2 who may see whom: more keys than queries: [wrong-corner]" in text and "Hint:" in text


def test_the_hidden_inputs_change_with_the_student_s_file_and_with_the_secret(tmp_path, monkeypatch):
    from minitransformer.grading import classroom

    seen = []
    monkeypatch.setattr(classroom, "mark", lambda *given: seen.append(given[-1]) or {"exercises": [], "questions": []})
    for number, text in enumerate([cases.GOOD, cases.GOOD, cases.GOOD + " "]):
        (tmp_path / "a.ipynb").write_text(text)
        grade([tmp_path / "a.ipynb"], 1, tmp_path / f"out{number}", profile="local", progress=False,
              secret=tmp_path / f"secret{number % 2}")  # fmt: skip
    assert len(set(seen)) == 3 and (tmp_path / "secret0").stat().st_mode & 0o777 == 0o600


def test_practice_gives_no_grade(tmp_path, monkeypatch):
    monkeypatch.setattr("minitransformer.grading.classroom.mark", lambda *given: {"exercises": [], "questions": []})
    (tmp_path / "a.ipynb").write_text(cases.GOOD)
    grade([tmp_path / "a.ipynb"], 1, tmp_path / "out", profile="local", progress=False)
    written = {path.name for path in (tmp_path / "out").rglob("*")}
    assert not [name for name in written if "gradescope" in name]
    assert "summary.txt" in written and not written & {"gradebook.csv", "results.json", "junit.xml"}


def test_reports_do_not_go_among_the_submissions(tmp_path):
    with pytest.raises(ValueError, match="name an --out outside of them"):
        grade([tmp_path], 1, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"there is nothing at .*nowhere; expected notebooks"):
        grade([tmp_path / "nowhere"], 1, tmp_path / "out")


def test_shards_are_parts_that_make_up_the_class(tmp_path, monkeypatch):
    monkeypatch.setattr("minitransformer.grading.classroom.mark", lambda *given: {"exercises": [], "questions": []})
    folder = tmp_path / "class"
    folder.mkdir()
    for name in "abcde":
        (folder / f"{name}.ipynb").write_text(cases.GOOD)
    parts = [[row["name"] for row in grade([folder], 1, tmp_path / "out", profile="local", progress=False,
              shard=(n, 2), processes=1)] for n in (1, 2)]  # fmt: skip
    assert parts == [["a", "c", "e"], ["b", "d"]]


def test_a_formula_a_control_sign_and_half_a_character_are_made_harmless():
    assert [reports.cell(text) for text in ("=1", " +1", "-1", "@x")] == ["'=1", "' +1", "'-1", "'@x"]
    assert [reports.cell(text) for text in ("x=1", -1)] == ["x=1", -1]
    assert reports.clean("a\x1b[31m\nb\ud800") == "a [31m b "


def test_copies_are_flagged_and_what_everyone_writes_is_not():
    usual = [f"u{n}" for n in range(400)]
    rows = [{"name": f"s{n}", "code": usual + [f"{n}-{m}" for m in range(20)]} for n in range(30)]
    rows.append(rows[3] | {"name": "copy"})
    assert [pair[:2] for pair in reports.alike(rows)] == [("s3", "copy")]


@isolated
@every_lesson
def test_solved_notebooks_earn_everything_and_untouched_ones_nothing(lesson, tmp_path):
    paths = [next(LESSONS.glob(f"{folder}{lesson:02}_*.ipynb")) for folder in ("solutions/", "")]
    for path, name in zip(paths, ("solved", "untouched"), strict=True):
        (tmp_path / f"{name}.ipynb").write_bytes(path.read_bytes())
    rows = grade(sorted(tmp_path.glob("*.ipynb")), lesson, tmp_path / "out", processes=1, progress=False)
    assert [row["earned"] for row in rows] == [rows[0]["points"], 0]


ENGINES = Path(course.__file__).parent / "engines"


@pytest.mark.parametrize("name", ["setup.sh", "run_autograder"])
def test_the_container_s_scripts_are_shell(name):
    assert subprocess.run(["bash", "-n", ENGINES / name], check=False).returncode == 0
    assert (ENGINES / name).stat().st_mode & 0o111


def test_the_workflow_is_a_workflow_whose_shards_are_all_of_them():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ENGINES / "grade.yml").read_text())["jobs"]
    parts = jobs["shard"]["strategy"]["matrix"]["part"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "grade submissions" in step.get("run", "")]
    assert len(runs) == 2 and f'--shard "$PART/{len(parts)}"' in runs[0] and "--shard" not in runs[1]
    assert parts == list(range(1, len(parts) + 1)) and jobs["reports"]["needs"] == "shard"
    assert all(step.keys() <= {"uses", "with", "run", "env"} for job in jobs.values() for step in job["steps"])


def test_the_dockerfile_copies_what_is_there():
    words = [line.split() for line in (ENGINES / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    assert all((ENGINES.parents[2] / source).exists() for _, source, _ in words)


def test_the_engines_use_options_that_the_command_has(capsys):
    from minitransformer.__main__ import main

    with pytest.raises(SystemExit):
        main(["grade", "--help"])
    known = capsys.readouterr().out
    if "SUBMISSION" not in known:
        pytest.skip("the command is not wired yet")
    for path in ENGINES.iterdir():
        for line in re.findall(r"-m minitransformer grade(?:.*\\\n)*.*", path.read_text()):
            assert all(option in known for option in re.findall(r"--[a-z]+", line)), line
