"""Grades the file that SUBMISSION names, once for each lesson; in practice, without a grade.

SUBMISSION=lessons/01_tokens_become_vectors.ipynb python -m pytest tests/course/graded -k "1."
"""

import os
from functools import cache

import pytest

from minitransformer.course.grading import grade
from minitransformer.course.grading.reports import test_text


def pytest_configure(config):
    config.addinivalue_line("markers", "points(n): what this part is worth")
    config.addinivalue_line("markers", "hint(text): a nudge for who fails it")


@pytest.fixture(scope="session")
def practice(tmp_path_factory):
    path = os.environ.get("SUBMISSION")
    if not path:
        pytest.skip("set SUBMISSION to your notebook or .py to run these on it")

    @cache
    def of(lesson: int) -> dict[str, dict]:
        (row,) = grade([path], lesson, tmp_path_factory.mktemp("out"), profile="local", progress=False)
        if row.get("problem"):
            pytest.fail(row["problem"], pytrace=False)
        return {f"{test['id']} {test['title']}: {test['part']}": test for test in row["tests"]}

    return of


@pytest.fixture
def full_points(practice, request):
    """Fails with what was said, the misconception and the hint, unless everything was earned."""

    def check(lesson: int, name: str) -> None:
        test = practice(lesson)[name]
        if test["earned"] < test["points"]:
            pytest.fail(f"{test['earned']:g} of {test['points']} points: {test_text(test)}", pytrace=False)

    return check
