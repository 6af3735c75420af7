"""What AUTHORING.md says is true: its files, added to a copy of the repository, are all that it takes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minitransformer.course.assignment import Assignment

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "lessons" / "AUTHORING.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"`([\w/.]+\.(?:py|toml))`(, before the last cells)?:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE
)
GRADED = """
from pathlib import Path
from minitransformer.course.grading import grade
for row in grade({paths!r}, {lesson}, Path("graded"), profile="local", progress=False, processes=1):
    print(row["name"], row["earned"], "of", row["points"], row.get("problem", ""))
"""


class Copy:
    """A copy of the repository to which one chapter of the guide was added."""

    def __init__(self, folder: Path, chapter: str, number: int = 9):
        self.folder = folder
        for name in "minitransformer", "lessons":
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_site"))
        (text,) = re.findall(rf"^## {chapter}\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE)
        text = re.sub(r"(?<!\d)0?9(?!\d)", f"{number}", text) if number != 9 else text  # every 9 will do
        for name, where, body in BLOCK.findall(text):
            path = folder / name
            assert path.exists() == bool(where), f"{name}: only a lesson's text is edited"
            path.parent.mkdir(parents=True, exist_ok=True)
            if where:
                self.extend(path, body)
            else:
                path.write_text(body, encoding="utf-8")

    def extend(self, text: Path, cells: str) -> None:
        """Put cells into a lesson's text, before the strip and the points at its end."""
        start, end = re.split(r"(?=^# %%\nprogress\()", text.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text.write_text(f"{start}{cells}\n{end}", encoding="utf-8")

    def run(self, *command: object) -> str:
        """What this command says when it runs in the copy."""
        paths = os.pathsep.join(map(str, (self.folder, self.folder / "lessons")))
        surroundings = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=self.folder, env=surroundings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def grade(self, lesson: int, *paths: str) -> list[str]:
        return self.run("-c", GRADED.format(paths=list(paths), lesson=lesson)).splitlines()


KNOWN_ANSWERS = """
from minitransformer.course.catalogue import exercise, known_answers
from minitransformer.course.exercise import in_process, judge
from minitransformer.course.lesson_text import lesson_of, reference
known, lesson = exercise({id!r}), lesson_of({id!r})
wrong, right = (known_answers(lesson, kind)[known.id] for kind in ("wrong", "right"))
assert len(wrong) >= 3 and len(right) >= 2
for answer in (reference(known.id), *right):
    outcome = judge(known, in_process(known, answer), 1)
    assert outcome.passed, outcome
for name, answer in wrong:
    outcome = judge(known, in_process(known, answer), 1)
    assert [each.misconception.name for each in outcome.findings] == [name], outcome
"""


STUDENT = """
from minitransformer.course.lesson_text import source_of
from notebooks import executed, notebook, stray_errors
assert stray_errors(executed(notebook(source_of(9), solved=False))) == []
"""


def points(graded: list[str]) -> list[str]:
    return [" ".join(line.split()[-3:]) for line in graded]


def test_a_lesson(tmp_path):
    """From its text to both notebooks, run solved and blank, and graded."""
    copy = Copy(tmp_path, "A lesson")
    copy.run("lessons/build.py", "09")
    assert "09_one_vector: as its source makes it" in copy.run("lessons/build.py", "--quick", "09")
    copy.run("-c", STUDENT)
    copy.run("-c", KNOWN_ANSWERS.format(id="9.1"))
    graded = [line for folder in ("solutions/", "") for line in copy.grade(9, f"lessons/{folder}09_one_vector.ipynb")]
    assert points(graded) == ["2.0 of 2", "0.0 of 2"]


def test_a_lesson_whose_number_has_two_digits(tmp_path):
    copy = Copy(tmp_path, "A lesson", 12)
    copy.run("-c", KNOWN_ANSWERS.format(id="12.1"))
    assert points(copy.grade(12, "lessons/source/12_one_vector.py")) == ["1.0 of 2"]  # the question has no answer there


MADE = """
import sys
from pathlib import Path
from minitransformer.course.lesson_text import source_of
from notebooks import notebook, text_of
for solved in (False, True):
    Path(f"{{('blank', 'solved')[solved]}}.ipynb").write_text(text_of(notebook(source_of({lesson}), solved)))
"""


def test_a_claim(tmp_path):
    """Its test runs, fails where the lesson says something else, and is listed."""
    copy, claims = Copy(tmp_path, "A claim"), Path("tests/course/claims")
    for name in "conftest.py", "places.py", "list_of_claims.py":
        shutil.copy(ROOT / claims / name, tmp_path / claims)
    options = "-q", "-p", "no:cacheprovider", "-o", "markers=claim: what the test guards"
    assert "1 passed" in copy.run("-m", "pytest", *options, claims / "test_words.py")
    copy.run(claims / "list_of_claims.py")
    assert "| 2 §3 | The blocks never see words |" in (tmp_path / "lessons/CLAIMS.md").read_text("utf-8")
    (text,) = (tmp_path / "lessons/source").glob("02_*.py")
    text.write_text(text.read_text(encoding="utf-8").replace("never see words", "see words"), encoding="utf-8")
    with pytest.raises(AssertionError, match="2 §3 does not say 'The blocks never see words'"):
        copy.run("-m", "pytest", *options, claims / "test_words.py")


def test_an_exercise(tmp_path):
    """Four files, and its cells in the text: it is asked in both notebooks, and counts in the grader."""
    copy = Copy(tmp_path, "An exercise")
    copy.run("-c", KNOWN_ANSWERS.format(id="2.4") + MADE.format(lesson=2))
    assert "Exercise 2.4 is not written yet" in (copy.folder / "blank.ipynb").read_text(encoding="utf-8")
    (copy.folder / "mine.py").write_text("def lengths(vectors):\n    return (vectors**2).sum(1).sqrt()\n")
    blank, mine = points(copy.grade(2, "blank.ipynb", "mine.py"))
    possible = Assignment.of(2).points + 1
    assert (blank, mine) == (f"0.0 of {possible}", f"1.0 of {possible}")


ASKED = """
from minitransformer.course import catalogue, quiz
from minitransformer.course.question_files import KINDS
from minitransformer.course.quizzes import gift, moodle, qti
new = [each for each in catalogue.questions(2).values() if int(each.id[3:]) > 13]
assert sorted(each.kind for each in new) == sorted(KINDS)
for each in new:
    shown = quiz(each.id, each.answer)
    assert ("✓ right" if each.points else "a person reads this") in shown.text and each.prompt[:20] in shown.text
    print(f'\\n# %% question="{each.id}"\\nquiz("{each.id}")')
for form in moodle, qti, gift:
    assert form.write((2,))
"""


def test_questions_of_every_kind(tmp_path):
    """One file, and their cells in the text: they are shown, answered, and counted."""
    copy = Copy(tmp_path, "Questions")
    cells = copy.run("-c", ASKED)
    copy.extend(copy.folder / "lessons/source/02_soft_prompts.py", cells)
    copy.run("-c", MADE.format(lesson=2))
    solved = (copy.folder / "solved.ipynb").read_text(encoding="utf-8")
    new = re.findall(r'quiz\(\\"(2\.q(?:1[4-9]|2\d))\\", answer=\\"(.+?)\\"\)', solved)
    assert len(new) == cells.count("quiz(") == 14
    (copy.folder / "mine.py").write_text("\n".join(f"quiz({name!r}, answer={answer!r})" for name, answer in new))
    blank, mine = points(copy.grade(2, "blank.ipynb", "mine.py"))
    possible = Assignment.of(2).points + 13  # a person reads the text
    assert (blank, mine) == (f"0.0 of {possible}", f"13.0 of {possible}")


DRAWN = """
import matplotlib
from minitransformer import pictures
from minitransformer.course.lesson9.plots import lengths
matplotlib.rcParams["font.size"] = 31
ax = lengths([1.0, 2.0], [1.5, 0.5])
assert ax.title.get_fontfamily() == pictures.FONTS
data, about = ax._repr_mimebundle_()
assert data["text/plain"] == "length of each vector: 1.00 then 1.50, 2.00 then 0.50" == about["image/png"]["alt"]
assert ax.xaxis.label.get_fontsize() < 12 and matplotlib.rcParams["font.size"] == 31
assert lengths([1.0], [2.0], ax) is ax
"""


def test_a_picture(tmp_path):
    """One file: it looks like the others, is told in words, and leaves the reader's settings alone."""
    copy = Copy(tmp_path, "A picture")
    (copy.folder / "minitransformer/course/lesson9/__init__.py").touch()
    copy.run("-W", "error", "-c", DRAWN)


def test_a_tuning_method(tmp_path):
    """One file, and none of ours: trained, saved, loaded, compared, and mixed with others in a bank."""
    copy = Copy(tmp_path, "A tuning method")
    said = copy.run("-W", "error", "use_it.py").splitlines()
    assert [line.split()[0] for line in said[:2]] == ["prompt", "mixed"] and len(said) == 3
