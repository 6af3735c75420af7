"""The grader: its boundary, its intake, its marks, its reports. Hostile submissions are in test_grading_hostile.py."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases

import minitransformer
import minitransformer.soft_prompts
from minitransformer.course import catalogue, lesson_text
from minitransformer.course.answers import Given
from minitransformer.course.assignment import Assignment
from minitransformer.course.display import clean
from minitransformer.course.grading import grade, marking, reports
from minitransformer.course.isolation import Limits, choose, open_part, profiles

LESSONS = Path(__file__).parents[2] / "lessons"
every_lesson = pytest.mark.parametrize("lesson", catalogue.lessons())


@every_lesson
def test_the_open_part_of_the_course_holds_no_reference_no_judge_and_no_answer(lesson, tmp_path):
    lessons = Assignment.of(lesson)
    folder = open_part.write_open_part(lesson, tmp_path / "open")
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    assert "Suspect(" not in text and "EXERCISES" not in text and not list(folder.rglob("*.ipynb"))
    assert not list(folder.rglob("*.toml")) or {path.parent.name for path in folder.rglob("*.toml")} == {"data"}
    names = {path.stem for path in folder.glob(f"minitransformer/course/lesson{lesson}/*")}
    assert names == {path.stem for path in catalogue.folder(lesson).glob("ask*.py")} | {"__init__"}
    assert (folder / "minitransformer/course/served_model.py").exists() and "class JudgesModel" not in text
    assert set(lessons.names) == set(lessons.exercises)
    for name in ("PromptTuning", "PrefixTuning", "compile_prefix", "PromptBank"):
        assert f"class {name}" not in text and f"def {name}" not in text
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))


@every_lesson
def test_every_exercise_is_given_what_its_first_cell_imports_and_what_it_must_not_have_stays_away(lesson, tmp_path):
    lessons = Assignment.of(lesson)
    home = "minitransformer.soft_prompts"
    soft_prompts = {
        n for n in minitransformer.__all__ if getattr(getattr(minitransformer, n), "__module__", "") == home
    }
    for exercise in lessons.exercises.values():
        given = open_part.provided_sources(exercise)
        for node in ast.walk(ast.parse(lessons.setup)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("minitransformer"):
                away = {alias.name for alias in node.names} & soft_prompts
                assert not {alias.asname or alias.name for alias in node.names} & {*lessons.names.values()}
                assert not away or all(name in given["soft_prompts"] for name in away)
                assert node.module[16:] not in open_part.closed_modules() or node.module[16:] in given


def test_what_an_exercise_asks_for_is_not_handed_out():
    for name in ("2.1", "2.3", "5.1", "5.2", "5.3"):
        assert not open_part.provided_sources(catalogue.exercise(name))
    assert "def compile_prefix" not in open_part.provided_sources(catalogue.exercise("5.4"))["soft_prompts"]


def test_without_the_lessons_there_is_no_assignment(monkeypatch, tmp_path):
    monkeypatch.setattr(lesson_text, "__file__", str(tmp_path / "package" / "course" / "lesson_text.py"))
    with pytest.raises(FileNotFoundError, match=r"there are no lessons at .*: run this in a clone"):
        lesson_text.lessons_folder()


def test_what_is_hidden_says_so_when_it_is_imported(tmp_path):
    folder = open_part.write_open_part(2, tmp_path / "open")
    lines = ["from minitransformer import Hooks, Stack, Recorder, Cache, Transformer, Config, freeze, train, loss",
             "from minitransformer import shared_loss, accuracy, generate, pretrained, Batches, Phrasebook, batch",
             "from minitransformer import Tokenizer, plots, gradients; pretrained()"]  # fmt: skip
    for line in ("import minitransformer.soft_prompts", "from minitransformer.course import check",
                 "from minitransformer import check",
                 "import minitransformer.bank", "plots.grid()", "from minitransformer import PromptTuning",
                 "from minitransformer import compare"):  # fmt: skip
        lines += ["try:", f"    {line}", "except ImportError as e: assert 'while graded' in str(e)",
                  f"else: raise SystemExit({line!r})"]  # fmt: skip
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + "\n".join(lines)
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_profile_that_does_not_work_says_why(monkeypatch):
    monkeypatch.setattr(profiles, "failure", lambda command: "user namespaces are closed")
    with pytest.raises(
        ValueError, match=r"bubblewrap: user namespaces are closed; uid-drop: user.*practise: --profile"
    ):
        choose("auto")
    with pytest.raises(ValueError, match=r"profiles are auto, bubblewrap, uid-drop, local; got 'none'"):
        choose("none")
    assert choose("local").name == "local" and "practice" in choose("local").missing[0]


def test_practice_gives_no_grade(tmp_path, monkeypatch):
    (tmp_path / "a.ipynb").write_text(cases.GOOD)
    grade([tmp_path / "a.ipynb"], 1, tmp_path / "out", profile="local", progress=False)
    (tmp_path / "empty").mkdir()
    assert grade([tmp_path / "empty"], 1, tmp_path / "out", profile="local", progress=False) == []
    written = {path.name for path in (tmp_path / "out").rglob("*")}
    assert not [name for name in written if "gradescope" in name]
    assert "summary.txt" in written and not written & {"gradebook.csv", "results.json", "junit.xml"}


def test_reports_do_not_go_among_the_submissions(tmp_path):
    with pytest.raises(ValueError, match="name an --out outside of them"):
        grade([tmp_path], 1, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"there is nothing at .*nowhere; expected notebooks"):
        grade([tmp_path / "nowhere"], 1, tmp_path / "out")


def test_the_machine_s_trouble_is_no_student_s_and_is_not_kept(tmp_path):
    (tmp_path / "a.ipynb").write_text(cases.GOOD)
    given = dict(lesson=1, out=tmp_path / "out", profile="local", progress=False)
    (row,) = grade([tmp_path / "a.ipynb"], limits=Limits(start=0.001), **given)
    assert row["problem"] == "could not be graded: RuntimeError: the child did not start" and row["earned"] == 0
    assert not [*(tmp_path / "out/rows").iterdir()]


def test_who_used_up_the_time_is_told_so(tmp_path):
    (tmp_path / "a.ipynb").write_text(cases.GOOD)
    (row,) = grade([tmp_path / "a.ipynb"], 1, tmp_path / "out", profile="local", progress=False,
                   limits=Limits(whole=0.001))  # fmt: skip
    assert {test["misconception"] for test in row["tests"] if not test["asked"]} == {"out-of-time"}


def test_who_is_held_up_gets_what_it_earns_in_a_second_try_alone(tmp_path):
    busy = "import time; end = time.process_time() + 0.3\n    while time.process_time() < end: pass"
    slow = cases.HONEST["1.1"].replace("### BEGIN SOLUTION", busy)
    (tmp_path / "a.ipynb").write_text(cases.notebook({"1.1": slow}))
    (row,) = grade([tmp_path / "a.ipynb"], 1, tmp_path / "out", profile="local", progress=False,
                   limits=Limits(start=6000, whole=6000, patience=0.005))  # fmt: skip
    assert row["earned"] > 0 and not row["held_up"]


def test_a_formula_a_control_sign_and_half_a_character_are_made_harmless():
    assert [reports.harmless(text) for text in ("=1", " +1", "-1", "@x")] == ["'=1", "' +1", "'-1", "'@x"]
    assert [reports.harmless(text) for text in ("x=1", -1)] == ["x=1", -1]
    assert clean("a\x1b[31m\nb\ud800") == "a [31m b "


def test_a_student_s_page_shows_a_text_beside_its_rubric(tmp_path):
    lesson = Assignment.of(1)
    text = next(each for each in lesson.questions.values() if each.kind == "text")
    test = marking.question_test(text, Given("in my own words"))
    row = {"name": "ada", "file": "f", "lesson": 1, "profile": "local", "missing": [], "earned": 0.0,
           "points": lesson.points, "tests": [test], "notes": [], "taken": []}  # fmt: skip
    page = reports.of_one(row)["html"]
    assert "in my own words" in page and all(each.name in page for each in text.rubric)


def test_the_line_of_an_error_is_shown_as_code_and_not_without_end(tmp_path):
    cell = "def embed(tokens, table):\n    return table[tokens] *x* nowhere, '" + "`" * 1000 + "'\n"
    (tmp_path / "a.ipynb").write_text(cases.notebook({"1.1": cell}))
    (row,) = grade([tmp_path / "a.ipynb"], 1, tmp_path / "out", profile="local", progress=False)
    page = Path(tmp_path, "out/students", f"{row['file']}.html").read_text(encoding="utf-8")
    assert "stopped with NameError, at the line <code>return table[tokens] *x* nowhere" in page
    assert "'" * 200 not in page and "`" not in page
