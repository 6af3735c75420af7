"""`pytest --submission my.ipynb`: points and hints on one screen, and a clear word where it cannot."""

import subprocess
import sys

import pytest

from minitransformer.pytest_plugin import lesson_of, what_is_wrong

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the grader needs Linux")
MINE = """
def answer(): pass
quiz("2.q1", "b")
quiz("2.q3", "z")


class Prompt(Hooks):
    def __init__(self, vectors):
        super().__init__()
        self.vectors = nn.Parameter(vectors.clone())

    def embed(self, x):
        return torch.cat((x, self.vectors.expand(len(x), -1, -1)), dim=1)
"""


def practise(folder, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_points_mistakes_and_hints_fit_on_one_screen(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    code, said = practise(tmp_path, "--submission", "mine.py")
    lines = said.splitlines()
    assert code == 1 and len(lines) <= 24 and max(map(len, lines)) <= 125
    assert "mine.py, lesson 2: 1 of 22 points, for practice" in said and "✓ right: 2.q1" in said
    (where,) = [place for place, line in enumerate(lines) if "✗ 2.1" in line]
    assert "(0 of 4)" in lines[where] and "in front of every text: [" in lines[where + 1] and "Hint: " in said
    assert "2.2, 2.3, 2.q2" in next(line for line in lines if "not done yet" in line)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--submission", "nowhere.ipynb"], "there is no file nowhere.ipynb; beside it there are other.ipynb"),
        (["--submission", "."], "there is no file ."),
        (["--submission", "other.ipynb"], "say it with --lesson 2"),
    ],
)
def test_a_wrong_path_is_told_in_one_sentence(words, told, tmp_path):
    (tmp_path / "other.ipynb").write_text("{}")
    code, said = practise(tmp_path, *words)
    assert code == 4 and told in said and len(said.strip().splitlines()) == 1


def test_the_lesson_is_the_one_that_most_cells_ask_about(tmp_path):
    (tmp_path / "a.ipynb").write_text('{"source": ["check(\\"3.1\\", f)\\n", "quiz(\\"3.q2\\")", "quiz(\'2.q1\')"]}')
    assert lesson_of(tmp_path / "a.ipynb") == 3


def test_a_hint_is_given_once():
    test = {"id": "2.1", "title": "t", "came": "no", "earned": 0, "points": 1, "misconception": None, "hint": "think"}
    said = list(
        what_is_wrong(
            "2.1", [test | {"part": "one"}, test | {"part": "two", "earned": 1, "hint": None}, test | {"part": "three"}]
        )
    )
    assert said == ["  ✗ 2.1 t (1 of 3)", "      one: no", "      three: no", "      Hint: think"]
