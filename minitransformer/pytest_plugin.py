"""`pytest --submission my.ipynb`: one's own notebook, part by part, with points and hints, on one screen."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

TESTS = Path(__file__).parent / "course" / "practice_tests.py"
ASKS = re.compile(r"""(?:check|hint|quiz|answer|reveal)\(\\?["'](\d+)\.""")
WIDE, LINES = 116, 3  # of what is said about one part


def pytest_addoption(parser) -> None:
    group = parser.getgroup("minitransformer", "grading one's own notebook, for practice")
    group.addoption("--submission", metavar="FILE", help="a notebook or a .py: each part of its lesson is a test")
    group.addoption("--lesson", type=int, metavar="N", help="its lesson (default: the one that its cells ask about)")


def pytest_configure(config) -> None:
    if (named := config.getoption("submission")) is None:
        return
    import pytest

    try:
        lesson = config.getoption("lesson") or lesson_of(Path(named))
    except (ValueError, OSError) as error:
        raise pytest.UsageError(str(error)) from None
    config.args = [str(TESTS)]
    config.option.tbstyle, config.option.verbose, config.option.reportchars = "no", -2, ""
    config.addinivalue_line("markers", "lesson(number): the lesson that this is a part of")
    config.pluginmanager.register(Practice(Path(named), lesson), "practice")


def lesson_of(path: Path) -> int:
    """The lesson that most of its cells ask about; refused where nothing is there, or nothing tells."""
    if sys.platform != "linux":
        raise ValueError(
            "the grader needs Linux, where it can shut code in: take WSL on Windows, a container on macOS, or check(…) "
            "in the notebook, which tells the same"
        )
    if not path.is_file():
        there = sorted(each.name for each in Path(path.parent).glob("*.ipynb"))[:5] if path.parent.is_dir() else []
        beside = f"; beside it there are {', '.join(there)}" if there else ""
        raise ValueError(f"there is no file {path}{beside}: give the path of your notebook")
    asked = Counter(ASKS.findall(path.read_text(encoding="utf-8", errors="replace")))
    if not asked:
        raise ValueError(f"{path} asks about no exercise, so its lesson is not known: say it with --lesson 2")
    return int(asked.most_common(1)[0][0])


class Practice:
    """Grades the notebook once, for practice; gives each part its result, and prints the points at the end."""

    def __init__(self, path: Path, lesson: int):
        self.path, self.lesson, self.row = path, lesson, {}

    def grade(self, folder: Path) -> dict:
        """What it earned: the row that `minitransformer grade` makes, without a grade."""
        if not self.row:
            from .course.grading import grade

            (self.row,) = grade([self.path], self.lesson, folder, profile="local", progress=False)
        return self.row

    def pytest_collection_modifyitems(self, config, items) -> None:
        mine = [item for item in items if item.get_closest_marker("lesson").args == (self.lesson,)]
        if len(mine) < len(items):
            config.hook.pytest_deselected(items=[item for item in items if item not in mine])
        items[:] = mine

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if not self.row:
            return
        from .course.grading.statistics import is_blank

        write, tests = terminalreporter.write_line, self.row["tests"]
        write("")
        if self.row.get("problem"):
            write(f"{self.path}: {self.row['problem']}")
            return
        write(f"{self.path}, lesson {self.lesson}: {self.row['earned']:g} of {self.row['points']} points, for practice")
        by_name: dict[str, list[dict]] = {}  # what was begun
        for test in tests:
            if test["points"] and not is_blank(test):
                by_name.setdefault(test["id"], []).append(test)
        right = [name for name, parts in by_name.items() if all(test["earned"] >= test["points"] for test in parts)]
        for name, parts in by_name.items():
            if name not in right:
                for line in what_is_wrong(name, parts):
                    write(line)
        if right:
            write(f"  ✓ right: {', '.join(right)}")
        if blank := dict.fromkeys(test["id"] for test in tests if test["points"] and is_blank(test)):
            write(f"  not done yet: {', '.join(blank)}")
        write("Your code ran with limits, but not shut in. Marks that count are made with other inputs.")


def what_is_wrong(name: str, parts: list[dict]) -> Iterator[str]:
    """What an exercise or a question earned, what is not right in each part, and one hint."""
    from .course.grading.reports import test_text

    earned, points = (sum(test[key] for test in parts) for key in ("earned", "points"))
    title = "" if parts[0]["title"] == "question" else f" {parts[0]['title']}"
    yield f"  ✗ {name}{title} ({earned:g} of {points:g})"
    for test in parts:
        if test["earned"] < test["points"]:
            part = "" if test["title"] == "question" else f"{test['part']}: "
            yield from wrapped(part + test_text(test | {"hint": None}))
    for hint in dict.fromkeys(test["hint"] for test in parts if test["hint"]):
        yield from wrapped(f"Hint: {hint}")


def wrapped(text: str) -> list[str]:
    return wrap(" ".join(text.split()), WIDE, initial_indent=" " * 6, subsequent_indent=" " * 8, max_lines=LINES)
