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
               {"meieranna 12345": ["meieranna_12345_678955_lesson1-2.ipynb"], "libo 12346": None}),
    "names that begin with the lesson and a date": (
        ["lesson1_2026_1124_anna.ipynb", "lesson1_2026_1124_bert.ipynb", "lesson_2026_1124_eve.ipynb"],
        {"lesson1_2026_1124_anna": None, "lesson1_2026_1124_bert": None, "lesson_2026_1124_eve": None}),
    "Blackboard": (["Lesson1_s1234_attempt_2026-11-24-10-00-00_lesson1.ipynb", "Lesson1_s1234_attempt_2026-11-23-23-00-00.txt",
                    "Lesson1_s1234_attempt_2026-11-23-23-00-00_lesson1.ipynb"],
                   {"s1234": ["Lesson1_s1234_attempt_2026-11-24-10-00-00_lesson1.ipynb"]}),
    "attempts in folders": (["anna/attempt 2/a.ipynb", "anna/attempt 10/a.ipynb", "anna/attempt 1/b.ipynb"], {"anna": ["a.ipynb"]}),
    "a zip of each": (["anna.zip/x.ipynb", "bert.zip/sub/x.ipynb", "bert.zip/sub/helper.py"],
                      {"anna": ["x.ipynb"], "bert": ["helper.py", "x.ipynb"]}),
    "a class's zip": (["class.zip/anna.ipynb", "class.zip/bert/x.ipynb"],
                      {"class/anna": ["anna.ipynb"], "class/bert": ["x.ipynb"]}),
    "a class's zip of zips": (["class.zip/anna.zip/x.ipynb", "class.zip/bert.zip/x.ipynb", "class.zip/bert.zip/helper.py"],
                              {"class/anna": ["x.ipynb"], "class/bert": ["helper.py", "x.ipynb"]}),
    "only what cannot be read": (["anna/a.pdf", "anna/b.docx"], {"anna": ["a.pdf", "b.docx"]}),
    "long names in Chinese": (["你" * 80 + ".ipynb", "你" * 79 + "好.ipynb"], {"你" * 80: None, "你" * 79 + "好": None}),
    "hidden files": ([".hidden.py", "anna/.ipynb_checkpoints/a.ipynb", "anna/a.ipynb"], {"anna": ["a.ipynb"]}),
}  # fmt: skip


def text_of(name: str) -> str:
    if name.endswith("helper.py"):
        return "x = 1\n"
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
