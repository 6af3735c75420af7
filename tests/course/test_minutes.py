"""The minutes that lessons and exercises say are those of one rule, and the pages repeat them."""

import re
import sys
from pathlib import Path

import pytest

from minitransformer.course import catalogue, lesson_text

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path.insert(0, str(LESSONS))

import reading  # noqa: E402

every_lesson = pytest.mark.parametrize("lesson", lesson_text.sources())


@every_lesson
def test_each_exercise_says_its_minutes_and_its_difficulty_below_its_heading(lesson):
    assert sorted(reading.said(lesson)) == sorted(catalogue.exercises(lesson))


@every_lesson
def test_the_minutes_of_an_exercise_are_those_of_the_rule(lesson):
    for name, said in reading.said(lesson).items():
        rule = reading.by_rule(name, said.difficulty)
        assert rule - 1 <= said.minutes <= 1.5 * rule, f"{name}: {said.minutes} minutes, and {rule:.1f} by the rule"


@every_lesson
def test_no_exercise_says_less_than_those_who_did_it(lesson):
    for name, said in reading.said(lesson).items():
        assert said.minutes >= reading.by_doing(name), name


def test_each_exercise_was_done_and_all_at_the_first_try_as_the_page_for_teachers_says():
    done = reading.doings()
    assert {each["exercise"] for each in done} == {name for n in lesson_text.sources() for name in reading.said(n)}
    assert {each["tries"] for each in done} == {"1"}


@every_lesson
def test_the_minutes_at_the_top_cover_what_there_is_to_read_and_to_do(lesson):
    rows = reading.sections(lesson)
    rule, told = sum(row.minutes for row in rows), reading.header(lesson)
    assert rule <= told <= 1.2 * rule + 5, f"{told} minutes at the top, {rule:.0f} by the rule: see lessons/reading.py"


@every_lesson
def test_the_sections_add_up_to_the_minutes_at_the_top_and_each_covers_its_own(lesson):
    rows = reading.sections(lesson)
    assert sum(row.said for row in rows) == reading.header(lesson)
    short = {row.number: f"{row.said}, by the rule {row.minutes:.1f}" for row in rows if row.said < row.minutes - 2}
    assert not short


@pytest.mark.parametrize("page", ["README.md", "TEACHING.md"])
def test_the_pages_say_the_same_minutes_as_the_lessons(page):
    text = (LESSONS / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) (?:·|\|)[^|]*\| (\d+) \|", text, re.MULTILINE)
    assert {int(lesson): int(minutes) for lesson, minutes in rows} == {
        lesson: reading.header(lesson) for lesson in lesson_text.sources()
    }


def test_a_program_to_repair_counts_only_the_lines_that_change():
    assert reading.lines_of("1.1") == 1 and reading.lines_of("1.3") == 3  # written from nothing
    assert reading.lines_of("3.4") == 2  # the cause and one line: two of three lines stand there already


def test_what_costs_time_is_counted(tmp_path, monkeypatch):
    text = """# %% [markdown]
# # Lesson 9
#
# **9 minutes · difficulty ●○○ · builds on**: nothing.
#
# | 1 · One | 9 |

# %% setup="9"
import torch

# %%
from minitransformer.course import puzzle

# %%
warm_up(9)

# %% [markdown]
# ## 1 · One
#
# Two words, and $$x$$

# %%
puzzle("1.z1", lambda table: table[2])

# %%
predict("9.p1", 1)

# %%
reveal("9.p1", 1)

# %% question="1.q14"
quiz("1.q14")

# %% exercise="1.1"
pass

# %%
progress(9)
"""
    path = tmp_path / "09_made.py"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(reading, "source_of", lambda lesson: path)
    (only,) = reading.sections(9)
    expected = {"warm-up": 4, "puzzles": 1, "predictions": 0.5, "runs": 0.5, "exercises": 6}  # a text is not counted
    assert only.said == 9 and {kind: only.parts[kind] for kind in expected} == expected and len(only.parts) == 6
    assert 0.5 < only.parts["reading"] < 0.6
