"""A student's week in a real browser: a bundle is unzipped, started, worked in, handed in and graded; nothing is lost.

Optional: pip install selenium, and Chromium with its driver.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from test_clicking_in_browser import ROOT, browser, press_keys, until  # noqa: F401

from minitransformer.__main__ import main
from minitransformer.commands import hand_out_course
from minitransformer.course import answers, catalogue
from minitransformer.course.assignment import Assignment

missing = find_spec("selenium") is None or not shutil.which("chromium") or not shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(missing, reason="selenium or Chromium is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="the grader needs Linux"),
]
COURSE = '[roster]\nfile = "students.csv"\n[lessons.1]\n'
NAME = "01_tokens_become_vectors.ipynb"
RIGHT, WRONG = (catalogue.question(name).for_student("s1") for name in ("1.q6", "1.q7"))


@pytest.fixture
def bundle(tmp_path) -> Path:
    """What a student has unzipped, in a folder with a space; the environment is there, so that nothing is installed."""
    (tmp_path / "course.toml").write_text(COURSE)
    (tmp_path / "students.csv").write_text("id,name\ns1,Anna Lee\n")
    hand_out_course(tmp_path / "course.toml", tmp_path / "out", True, None, "minitransformer")
    packed = shutil.make_archive(str(tmp_path / "s1"), "zip", tmp_path / "out" / "s1")
    folder = tmp_path / "empty place"
    shutil.unpack_archive(packed, folder)
    (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    return folder


@contextmanager
def started(folder: Path):
    """The address that the bundle's own script prints, with its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"
    own = {name: str(folder.parent / name) for name in names}
    # all cells at once: otherwise those out of sight come one by one, which takes half a minute
    settings = folder.parent / "JUPYTER_CONFIG_DIR" / "lab/user-settings/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    surroundings = os.environ | own | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    surroundings.pop("JPY_SESSION_NAME", None)
    path, address = folder.parent / "lab.log", re.compile(rf"http://127\.0\.0\.1:{port}/lab(\?token=\w+)")
    with path.open("w") as log:
        words = ["sh", str(folder / "start.sh"), "--no-browser", f"--port={port}"]
        lab = subprocess.Popen(words, cwd="/", env=surroundings, stdout=log, stderr=log)
        try:
            token = until(lambda: address.search(path.read_text()), "the address with its token")[1]
            yield f"http://127.0.0.1:{port}/lab/tree/{NAME}{token}"
        finally:
            lab.terminate()
            lab.wait(30)


class Page:
    """The notebook in JupyterLab, as a student uses it."""

    def __init__(self, driver, path: Path):
        self.browser, self.path = driver, path

    def find(self, selector: str, within=None) -> list:
        return (within or self.browser).find_elements("css selector", selector)

    def open(self, address: str) -> None:
        self.browser.get(address)
        self.ready()

    def ready(self) -> None:
        """All cells are there, and the kernel waits: a run that is asked for before is lost."""
        count = len(nbformat.read(self.path, 4).cells)
        until(lambda: len(self.find(".jp-Notebook .jp-Cell")) == count, "the notebook")
        until(lambda: self.find(".jp-Notebook-ExecutionIndicator[data-status=idle]"), "the kernel")

    def cell(self, start: str):
        """The last cell whose code starts so, in view."""
        sources = [cell.source for cell in nbformat.read(self.path, 4).cells]
        place = [place for place, source in enumerate(sources) if source.startswith(start)][-1]
        element = self.find(".jp-Notebook .jp-Cell")[place]
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        until(lambda: self.find(".cm-content", element)[0].click() is None, f"the code of the cell {start}")
        return element

    def write(self, start: str, *lines: str) -> None:
        """Type these lines in the place of what stands in the cell."""
        from selenium.webdriver.common.keys import Keys

        self.cell(start)
        press_keys(self.browser, Keys.CONTROL, "a")
        press_keys(self.browser, Keys.DELETE)
        for line in lines:
            press_keys(self.browser, line)
            press_keys(self.browser, Keys.ENTER)  # JupyterLab indents what follows

    def code(self, start: str) -> str:
        return self.find(".cm-content", self.cell(start))[0].text

    def run(self, start: str, wanted: str = "") -> str:
        """Run this cell, and return its output as soon as it holds what is wanted."""
        from selenium.webdriver.common.keys import Keys

        (prompt,) = self.find(".jp-InputPrompt", self.cell(start))
        self.browser.execute_script("arguments[0].textContent = ''", prompt)  # the number of an earlier run
        press_keys(self.browser, Keys.CONTROL, Keys.ENTER)
        until(lambda: prompt.text.strip("[]: ").isdigit(), f"the end of {start}")
        return self.output(start, wanted)

    def output(self, start: str, wanted: str) -> str:
        element = self.cell(start)
        text = lambda: "\n".join(each.text for each in self.find(".jp-OutputArea-output", element))  # noqa: E731
        until(lambda: wanted in text(), f"{wanted!r} below {start}")
        return text()

    def click(self, start: str, label: str) -> None:
        element = self.cell(start)
        buttons = lambda: {each.text: each for each in self.find(".jp-OutputArea .widget-button", element)}  # noqa: E731
        until(lambda: buttons()[label].click() is None, f"the button {label}")

    def save(self) -> None:
        from selenium.webdriver.common.keys import Keys

        before = self.path.stat().st_mtime_ns
        press_keys(self.browser, Keys.CONTROL, "s")
        until(lambda: self.path.stat().st_mtime_ns > before, "the saved notebook")

    def restart_the_kernel(self) -> None:
        from selenium.webdriver.common.keys import Keys

        press_keys(self.browser, Keys.ESCAPE)
        press_keys(self.browser, "00")
        until(lambda: self.find(".jp-Dialog .jp-mod-accept")[0].click() is None, "the question whether to restart")
        until(lambda: not self.find(".jp-Dialog"), "the restart")
        self.ready()


def begin(page: Page) -> None:
    """The lesson's first cells: what it imports, and whose notebook it is."""
    page.run("import torch\n")
    page.run("from minitransformer.course import check")
    page.run("from minitransformer.course import student", "the order and the numbers of s1")


def points_in(strip: str) -> list[float]:
    """What the strip of progress says: the points of the exercises, and those of the questions."""
    return [float(number) for number in re.findall(r"([\d.]+) of \d+", strip)]


def handed_in(bundle: Path, folder: Path) -> Path:
    """As the bundle's README says: the notebook, saved, and the file of answers beside it; here in a zip."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "s1.zip", "w") as packed:
        for path in bundle / NAME, *bundle.glob("answers-lesson*.json"):
            packed.write(path, path.name)
    return folder


def test_a_week_of_a_student_from_the_bundle_to_the_points(bundle, browser, tmp_path):  # noqa: F811
    page, right, wrong = Page(browser, bundle / NAME), f'quiz("{RIGHT.id}"', f'quiz("{WRONG.id}"'
    other = next(label for label, _ in WRONG.lines() if label != WRONG.answer)
    program = "def embed(tokens, table):", "return table[tokens]"
    with started(bundle) as address:
        page.open(address)
        begin(page)
        page.run("def embed(")
        page.run('check("1.1"', "Exercise 1.1 is not written yet")
        page.write("def embed(", *program)
        page.run("def embed(")
        page.run('check("1.1"', "your public checks pass")
        for quiz, label, reply in (right, RIGHT.answer, "✓ right"), (wrong, other, "✗ not it"):
            page.run(quiz)
            page.click(quiz, label)
            page.output(quiz, f"{label}: {reply}")
        seen = page.run("progress(1)", "2 of 8 points")
        page.save()
        page.restart_the_kernel()
        page.open(address)  # loaded anew
        assert page.code("def embed(").split() == " ".join(program).split()
        assert "your public checks pass" in page.output('check("1.1"', "")
        begin(page)
        page.run(wrong, f"your answer {other} is kept")
        page.run(right, f"your answer {RIGHT.answer} is kept")
        page.run("def embed(")
        page.run('check("1.1"', "your public checks pass")
        assert page.run("progress(1)", "2 of 8 points") == seen
        page.save()
    exercises, questions = points_in(seen)
    assert (exercises, questions) == (2, 1)
    kept = json.loads((bundle / answers.file_name(1)).read_text("utf-8"))["answers"]
    assert {name: [each["answer"] for each in given] for name, given in kept.items()} == {
        RIGHT.id: [RIGHT.answer],
        WRONG.id: [other],
    }
    out, course = tmp_path / "graded", tmp_path / "course.toml"
    words = handed_in(bundle, tmp_path / "class"), "--lesson=1", "--profile=local", "--out", out, "--course", course
    main(["grade", *map(str, words)])
    summary = (out / "summary.txt").read_text("utf-8")
    assert re.search(rf"^s1 +{exercises + questions:g} of {Assignment.of(1).points}\b", summary, re.MULTILINE), summary
