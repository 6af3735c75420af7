"""One submission for each student, whatever folders, zips and names it comes in; the last attempt counts."""

# ruff: noqa: E501

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases

from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import finding, intake

TIMES = []  # what was put, in order: later is younger
ANSWERS = '{"format": 1, "answers": {}}'
# what is handed in, as paths where "x.zip/" is a zip -> the names of rows, with the files that count
CLASSES = {
    "flat": (["anna.ipynb", "bert.py"], {"anna": ["anna.ipynb"], "bert": ["bert.py"]}),
    "a notebook and a py of one name": (["anna.ipynb", "anna.py"], {"anna": ["anna.ipynb", "anna.py"]}),
    "a suffix in capitals": (["victim.PY", "eve.IPYNB"], {"victim": ["victim.PY"], "eve": ["eve.IPYNB"]}),
    "folders": (["anna/hand in.ipynb", "bert/x.py"], {"anna": ["hand in.ipynb"], "bert": ["x.py"]}),
    "a folder with all sorts": (
        ["anna/lesson.ipynb", "anna/helper.py", "anna/answers-lesson1.json", "anna/report.pdf", "bert/lesson.ipynb"],
        {"anna": ["answers-lesson1.json", "helper.py", "lesson.ipynb", "report.pdf"], "bert": ["lesson.ipynb"]}),
    "folders in a folder": (["lesson1/anna/a.ipynb", "lesson1/bert/a.ipynb"],
                            {"lesson1/anna": ["a.ipynb"], "lesson1/bert": ["a.ipynb"]}),
    "names in a folder": (["lesson1/anna.ipynb", "lesson1/bert.ipynb"],
                          {"lesson1/anna": ["anna.ipynb"], "lesson1/bert": ["bert.ipynb"]}),
    "two drafts in a folder": (["anna/draft.ipynb", "anna/lesson1.ipynb", "bert/lesson1.ipynb"],
                               {"anna": ["draft.ipynb", "lesson1.ipynb"], "bert": ["lesson1.ipynb"]}),
    "Moodle's folders": (
        ["Anna Meier_1234567_assignsubmission_file_/01_tokens.ipynb", "Anna Meier_1234567_assignsubmission_file_/a.pdf",
         "Anna Meier_7654321_assignsubmission_file_/01_tokens.ipynb"],
        {"Anna Meier 1234567": ["01_tokens.ipynb", "a.pdf"], "Anna Meier 7654321": ["01_tokens.ipynb"]}),
    "Moodle's flat form": (["Anna Meier_1234567_assignsubmission_file_lesson1.ipynb",
                            "Bo Li_1234568_assignsubmission_file_lesson1.ipynb"],
                           {"Anna Meier 1234567": None, "Bo Li 1234568": None}),
    "Moodle's zip": (["all.zip/Anna Meier_1234567_assignsubmission_file_/a.ipynb",
                      "all.zip/Bo Li_1234568_assignsubmission_file_/a.ipynb"],
                     {"all/Anna Meier 1234567": ["a.ipynb"], "all/Bo Li 1234568": ["a.ipynb"]}),
    "Canvas": (["meieranna_12345_678901_lesson1.ipynb", "meieranna_12345_678955_lesson1-2.ipynb",
                "meieranna_12345_678911_lesson1-1.ipynb", "libo_LATE_12346_678902_lesson1.ipynb"],
               {"meieranna 12345": ["lesson1.ipynb"], "libo 12346": None}),
    "names that begin with the lesson and a date": (
        ["lesson1_2026_1124_anna.ipynb", "lesson1_2026_1124_bert.ipynb", "lesson_2026_1124_eve.ipynb"],
        {"lesson1_2026_1124_anna": None, "lesson1_2026_1124_bert": None, "lesson_2026_1124_eve": None}),
    "Blackboard": (["Lesson1_s1234_attempt_2026-11-24-10-00-00_lesson1.ipynb", "Lesson1_s1234_attempt_2026-11-23-23-00-00.txt",
                    "Lesson1_s1234_attempt_2026-11-23-23-00-00_lesson1.ipynb"],
                   {"s1234": ["lesson1.ipynb"]}),
    "attempts in folders": (["anna/attempt 2/a.ipynb", "anna/attempt 10/a.ipynb", "anna/attempt 1/b.ipynb"], {"anna": ["a.ipynb"]}),
    "a zip of each": (["anna.zip/x.ipynb", "bert.zip/sub/x.ipynb", "bert.zip/sub/helper.py"],
                      {"anna": ["x.ipynb"], "bert": ["helper.py", "x.ipynb"]}),
    "a class's zip": (["class.zip/anna.ipynb", "class.zip/bert/x.ipynb"],
                      {"class/anna": ["anna.ipynb"], "class/bert": ["x.ipynb"]}),
    "a class's zip of zips": (["class.zip/anna.zip/x.ipynb", "class.zip/bert.zip/x.ipynb", "class.zip/bert.zip/helper.py"],
                              {"class/anna": ["x.ipynb"], "class/bert": ["helper.py", "x.ipynb"]}),
    "only what cannot be read": (["anna/a.pdf", "anna/b.docx"], {"anna": ["a.pdf", "b.docx"]}),
    "long names in Chinese": (["你" * 80 + ".ipynb", "你" * 79 + "好.ipynb"], {"你" * 80: None, "你" * 79 + "好": None}),
    "a student's zips": (["anna/hw1.zip/x.ipynb", "anna/hw1 final.zip/y.ipynb", "bert/x.ipynb"],
                         {"anna": ["y.ipynb"], "bert": ["x.ipynb"]}),
    "a zip of a student and a notebook": (["anna.zip/old.ipynb", "anna.ipynb"], {"anna": ["anna.ipynb"]}),
    "a helper beside notebooks": (["anna.ipynb", "bert.ipynb", "carl.ipynb", "helper.py"],
                                  {"anna": ["anna.ipynb"], "bert": ["bert.ipynb", "helper.py"], "carl": ["carl.ipynb", "helper.py"]}),
    "a submission that another one imports": (["thief.ipynb", "victim.py"],
                                              {"thief": ["thief.ipynb"], "victim": ["victim.py"]}),
    "Moodle with an umlaut in two forms": (
        ["Anna Mu\u0308ller_12345_assignsubmission_file_/hw.ipynb", "Anna M\u00fcller_12345_assignsubmission_file_/hw.py",
         "Anna M\u00fcller_12345_assignsubmission_onlinetext_/onlinetext.html"],
        {"Anna M\u00fcller 12345": ["hw.ipynb", "hw.py", "onlinetext.html"]}),
    "Moodle's flat form with what belongs to it": (
        ["Bo Li_12345_assignsubmission_file_bert.ipynb", "Bo Li_12345_assignsubmission_file_helper.py",
         "Bo Li_12345_assignsubmission_file_answers-lesson1.json"],
        {"Bo Li 12345": ["answers-lesson1.json", "bert.ipynb", "helper.py"]}),
    "Canvas with what belongs to it": (
        ["mullerannA_LATE_12345_67890_bert-1.ipynb", "mullerannA_LATE_12345_67891_helper.py",
         "mullerannA_12345_66890_bert.ipynb", "mullerannA_LATE_12345_67892_answers-lesson1-1.json",
         "o'neill-smithjo_12346_67893_hw-1.ipynb"],
        {"mullerannA 12345": ["answers-lesson1.json", "bert.ipynb", "helper.py"], "o'neill-smithjo 12346": ["hw.ipynb"]}),
    "a date after a word": (["hw_2026_1124_anna.ipynb", "hw_2026_1124_bert.ipynb"],
                            {"hw_2026_1124_anna": None, "hw_2026_1124_bert": None}),
    "Blackboard with what belongs to it": (
        ["hw_s1_attempt_2026-11-24-10-00-00_bert.ipynb", "hw_s1_attempt_2026-11-24-10-00-00_helper.py",
         "hw_s1_attempt_2026-11-24-10-00-00.txt"], {"s1": ["hw_s1_attempt_2026-11-24-10-00-00.txt", "bert.ipynb", "helper.py"]}),
    "hidden files": ([".hidden.py", "anna/.ipynb_checkpoints/a.ipynb", "anna/a.ipynb"], {"anna": ["a.ipynb"]}),
}  # fmt: skip


def text_of(name: str) -> str:
    if name.endswith(("helper.py", "plus.py")):
        return "x = 1\n"
    if name.endswith(("bert.ipynb", "thief.ipynb")):
        return cases.notebook({"import": "from helper import x\nfrom victim import *\n"} | cases.HONEST)
    if name.endswith("carl.ipynb"):
        return cases.notebook({"run": "%run helper.py"} | cases.HONEST)
    return (
        ANSWERS if name.endswith(".json") else cases.GOOD if "ipynb" in name.lower() else "".join(cases.HONEST.values())
    )


def put(top: Path, name: str) -> None:
    """A file at this path, made of zips where a part of it is called so."""
    parts = name.split("/")
    zips = [n for n, part in enumerate(parts[:-1]) if part.endswith(".zip")]
    if not zips:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(name), encoding="utf-8")
        TIMES.append(path)
        os.utime(path, (2e9 + len(TIMES),) * 2)
        return
    outer, rest = top / "/".join(parts[: zips[0] + 1]), parts[zips[0] + 1 :]
    if any(part.endswith(".zip") for part in rest[:-1]):
        inner = top.parent / "unzipped" / outer.name
        put(inner, "/".join(rest))
        outer.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(outer, "w") as archive:
            for path in inner.rglob("*.zip"):
                archive.write(path, path.relative_to(inner))
        return
    outer.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(outer, "a") as archive:
        archive.writestr("/".join(rest), text_of(name))
    TIMES.append(outer)
    os.utime(outer, (2e9 + len(TIMES),) * 2)


@pytest.mark.parametrize("name", CLASSES)
def test_each_student_has_one_submission_with_the_files_of_the_last_attempt(name, tmp_path):
    paths, expected = CLASSES[name]
    for path in paths:
        put(tmp_path / "in", path)
    found = finding.find_submissions([tmp_path / "in"])
    assert sorted(each.name for each in found) == sorted(expected)
    for each in found:
        files = expected[each.name]
        assert files is None or sorted(file.name for file in each.files) == sorted(files)
        if any(file.name.lower().endswith((".ipynb", ".py")) for file in each.files):
            assert intake.read(finding.contents(each), Assignment.of(1)).code.keys() == {"1.1", "1.2", "1.3"}


def test_the_attempts_that_are_left_aside_are_named(tmp_path):
    for path in CLASSES["Canvas"][0]:
        put(tmp_path, path)
    (note,) = next(each for each in finding.find_submissions([tmp_path]) if each.name == "meieranna 12345").notes
    assert "the last attempt counts" in note and "lesson1-1.ipynb" in note and "lesson1-2" not in note


def found_in(tmp_path: Path, put_there: list[str], *named: str) -> dict[str, list[str]]:
    """The names of rows, with the files that count, where these are named on the command line."""
    for path in put_there:
        put(tmp_path, path)
    return {each.name: sorted(file.name for file in each.files)
            for each in finding.find_submissions([tmp_path / name for name in named])}  # fmt: skip


@pytest.mark.parametrize(
    ("named", "rows"),
    [(["a/hw.ipynb", "b/hw.ipynb"], {"a/hw": ["hw.ipynb"], "b/hw": ["hw.ipynb"]}),
     (["a", "b"], {"a/hw": ["hw.ipynb"], "b/hw": ["hw.ipynb"], "other": ["other.ipynb"]}),
     (["a/hw.ipynb", "a/hw.ipynb", "a"], {"hw": ["hw.ipynb"]}),
     (["a/hw.ipynb", "b/other.ipynb"], {"hw": ["hw.ipynb"], "other": ["other.ipynb"]})],
)  # fmt: skip
def test_files_of_one_name_in_different_folders_are_different_students(named, rows, tmp_path):
    assert found_in(tmp_path, ["a/hw.ipynb", "b/hw.ipynb", "b/other.ipynb"], *named) == rows


def test_whom_a_course_system_knows_by_a_number_is_one_student_in_two_downloads(tmp_path):
    name = "Anna Meier_12345_assignsubmission_file_"
    rows = found_in(
        tmp_path, [f"monday.zip/{name}/a.ipynb", f"tuesday.zip/{name}/b.ipynb"], "monday.zip", "tuesday.zip"
    )
    assert rows == {"tuesday/Anna Meier 12345": ["b.ipynb"]}


def test_a_zip_and_a_notebook_of_one_student_are_attempts_and_the_younger_counts(tmp_path):
    assert found_in(tmp_path, ["anna.ipynb", "anna.zip/x.ipynb"], ".") == {"anna": ["x.ipynb"]}
    os.utime(tmp_path / "anna.ipynb", (3e9, 3e9))
    (found,) = finding.find_submissions([tmp_path])
    assert [file.name for file in found.files] == ["anna.ipynb"]
    assert found.notes == ("the last attempt counts; left aside: x.ipynb",)


def test_a_module_that_nobody_imports_and_that_answers_nothing_has_a_row_that_says_so(tmp_path):
    for path in ("anna.ipynb", "plus.py"):
        put(tmp_path, path)
    _, plus = finding.find_submissions([tmp_path])
    notes = intake.read(finding.contents(plus), Assignment.of(1)).notes
    assert any("nothing of lesson 1 was found in this file" in note for note in notes)


def test_a_helper_beside_a_notebook_that_is_named_alone_is_read_and_a_submission_is_not(tmp_path):
    rows = found_in(tmp_path, ["thief.ipynb", "helper.py", "victim.py"], "thief.ipynb")
    assert rows == {"thief": ["helper.py", "thief.ipynb"]}


def test_answers_beside_several_submissions_are_nobody_s_and_everyone_is_told(tmp_path):
    for path in ("anna.ipynb", "carl.ipynb", "answers-lesson1.json"):
        put(tmp_path, path)
    for found in finding.find_submissions([tmp_path]):
        assert len(found.files) == 1 and "put it into its student's folder" in found.notes[0]


def test_answers_beside_a_notebook_that_is_named_alone_are_read(tmp_path):
    put(tmp_path, "mine.ipynb")
    put(tmp_path, "answers-lesson1.json")
    (found,) = finding.find_submissions([tmp_path / "mine.ipynb"])
    assert set(finding.contents(found)) == {"mine.ipynb", "answers-lesson1.json"}


@pytest.mark.parametrize("name", cases.FILES)
def test_what_cannot_be_read_is_refused_with_one_line(name, tmp_path):
    make, word = cases.FILES[name]
    make(tmp_path / name)
    (found,) = finding.find_submissions([tmp_path])
    assert found.name == name.rpartition(".")[0]
    with pytest.raises(finding.Refused, match=word):
        intake.read(finding.contents(found), Assignment.of(1))


def test_a_zip_in_zips_without_end_or_of_too_much_is_refused_in_one_line(tmp_path):
    data = cases.zipped(("a.py", b"x = 1"))
    for depth in range(9):
        data = cases.zipped((f"{depth}.zip", data))
    (tmp_path / "deep.zip").write_bytes(data)
    inner = cases.zipped(*[(f"{n}.ipynb", bytes(8 << 20)) for n in range(30)])
    (tmp_path / "quine.zip").write_bytes(cases.zipped(*[(f"{n}.zip", inner) for n in range(30)]))
    for found in finding.find_submissions([tmp_path]):
        with pytest.raises(finding.Refused, match="zip"):
            finding.contents(found)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    os.symlink("/etc", tmp_path / "in" / "folder")
    (found,) = finding.find_submissions([tmp_path / "in"])
    with pytest.raises(finding.Refused):
        finding.contents(found)


@pytest.mark.parametrize(("deep", "long"), [(1500, 100), (1900, 1)])
def test_folders_without_end_cost_their_own_student_only(deep, long, tmp_path, monkeypatch):
    (tmp_path / "eve").mkdir()
    (tmp_path / "bert.py").write_text("x = 1")
    monkeypatch.chdir(tmp_path / "eve")
    for _ in range(deep):
        os.mkdir("d" * long)
        os.chdir("d" * long)
    Path("hidden.py").write_text("x = 1")
    found = {each.name: each for each in finding.find_submissions([tmp_path])}
    assert found.keys() == {"bert", "eve"} and [*finding.contents(found["bert"])] == ["bert.py"]
    with pytest.raises(finding.Refused, match="expected a notebook"):
        finding.contents(found["eve"])
    os.chdir(tmp_path)
    subprocess.run(["rm", "-rf", tmp_path / "eve"], check=True)  # pytest's own removal does not go so deep
