"""No text is long without something to do in it, and questions come a few at a time."""

import sys
from pathlib import Path

import pytest

from minitransformer.course import lesson_text

sys.path.insert(0, str(Path(__file__).parents[2] / "lessons"))

import reading

every_lesson = pytest.mark.parametrize("lesson", lesson_text.sources())


@every_lesson
def test_after_ninety_words_comes_a_run_a_picture_or_a_question(lesson):
    too_long = {start: count for start, count in reading.stretches(lesson) if count > reading.LONGEST}
    assert not too_long, "cut words, or let something run in between; two cells of text in a row count as one"


@every_lesson
def test_at_most_three_questions_follow_each_other(lesson):
    rows = reading.questions_in_a_row(lesson)
    assert rows and [row for row in rows if len(row) > reading.QUESTIONS] == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A **tuned** prompt's `vectors` don't move.", 6),
        ("The loss $-\\log p$ is 0.69 here:\n\n$$a + b = c \\in \\mathbb{R}$$\n\nSo.", 6),
        ("```python\nfor x in y: print(x)\n```\nRun it.", 2),
        ("| fact | why |\n|---|---|\n| frozen | it is |", 5),
        ("See [lesson 2](02_soft_prompts.ipynb).", 3),
        ("### Exercise 1.1: look\n\n*about 6 minutes · difficulty ●○○*\n\nGo.", 4),
    ],
)
def test_words_are_counted_and_formulas_code_and_lines_of_tables_are_not(text, count):
    assert reading.words(text) == count


def written(tmp_path, monkeypatch, text):
    path = tmp_path / "09_made.py"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(reading, "source_of", lambda lesson: path)


def test_cells_of_text_in_a_row_are_one_text_and_a_table_at_the_top_is_not_counted(tmp_path, monkeypatch):
    top = "# %% [markdown]\n# # Lesson 9\n#\n# | 1 · One | 5 |\n\n"
    rest = "# %% [markdown]\n# two words\n\n# %%\n1\n\n# %% [markdown]\n# | one | two |\n"
    written(tmp_path, monkeypatch, top + rest)
    assert [*reading.stretches(9)] == [("# Lesson 9", 4), ("| one | two |", 2)]


def test_questions_without_anything_between_are_in_a_row(tmp_path, monkeypatch):
    cells = [f'# %% question="1.q{number}"\nquiz("1.q{number}")\n' for number in (1, 2, 3)]
    written(tmp_path, monkeypatch, "\n".join([*cells[:2], "# %%\n1\n", cells[2]]))
    assert reading.questions_in_a_row(9) == [["1.q1", "1.q2"], ["1.q3"]]
