"""A student clicks in JupyterLab, in a real browser. Optional: pip install selenium, and Chromium with its driver."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import nbformat
import pytest
from test_handing_in import graded

from minitransformer.course import answers, catalogue
from minitransformer.course.assignment import Assignment
from minitransformer.course.questions import Match, Numeric, Several, Text

missing = find_spec("selenium") is None or not which("chromium") or not which("chromedriver")
pytestmark = pytest.mark.skipif(missing, reason="selenium or Chromium is not installed")
ROOT = Path(__file__).parents[2]
NAME = "mine.ipynb"
RIGHT = catalogue.question("1.q6").answer


def until(holds, what: str, longest: float = 60):
    """Wait until it holds, and return what it gave."""
    end = time.monotonic() + longest
    while time.monotonic() < end:
        with suppress(Exception):
            if found := holds():
                return found
        time.sleep(0.2)
    raise AssertionError(f"waited in vain for {what}")


@contextmanager
def jupyterlab(folder: Path):
    """The address of a JupyterLab that serves this folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(folder.parent / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **own}
    surroundings.pop("JPY_SESSION_NAME", None)
    settings = folder.parent / "JUPYTER_CONFIG_DIR" / "lab/user-settings/@jupyterlab/notebook-extension"
    settings.mkdir(parents=True, exist_ok=True)  # cells out of sight stay in the page
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--IdentityProvider.token=", "--LabApp.news_url=None"]  # fmt: skip
    log = open(folder.parent / "lab.log", "w")  # noqa: SIM115
    lab = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=log, stderr=log)
    try:
        until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() or True, "JupyterLab")
        yield f"http://127.0.0.1:{port}/lab/tree/{NAME}?reset"
    finally:
        lab.terminate()
        lab.wait(30)
        log.close()


@pytest.fixture
def browser(tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = which("chromium")
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,1000",
                 f"--user-data-dir={tmp_path / 'chromium'}"):  # fmt: skip
        options.add_argument(word)
    driver = webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver")))
    yield driver
    driver.quit()


def press_keys(browser, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    actions = ActionChains(browser)
    for key in keys[:-1]:
        actions.key_down(key)
    actions.send_keys(keys[-1])
    for key in keys[:-1]:
        actions.key_up(key)
    actions.perform()


def run_all(browser, address: str, folder: Path, picture: str) -> None:
    """Open the notebook, and run its cell."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get(address)
    until(lambda: browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell .cm-content"), "the notebook")

    def buttons_after_a_run():
        """A run that is asked for before the kernel is ready is lost: ask again."""
        browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell .cm-content")[0].click()
        press_keys(browser, Keys.CONTROL, Keys.ENTER)
        time.sleep(10)
        return browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea .widget-button")

    until(buttons_after_a_run, "the buttons")
    until(lambda: "1.q6: " in shown(browser), "the line below them")
    browser.save_screenshot(str(folder.parent / picture))


def shown(browser) -> str:
    from selenium.webdriver.common.by import By

    return "\n".join(each.text for each in browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea"))


def bundles(path: Path) -> list[dict]:
    book = nbformat.read(path, 4)
    outputs = [output.get("data", {}) for cell in book.cells for output in cell.outputs]
    return [data[answers.MIME] for data in outputs if answers.MIME in data]


def notebook_of_one_question(tmp_path: Path) -> Path:
    """The folder of a notebook that asks one question."""
    folder = tmp_path / "student"
    folder.mkdir()
    cells = ['from minitransformer.course import quiz\nquiz("1.q6", answer="")']
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells], metadata=spec)
    nbformat.write(book, folder / NAME)
    return folder


def click(browser, label: str) -> None:
    from selenium.webdriver.common.by import By

    buttons = browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea .widget-button")
    next(each for each in buttons if each.text == label).click()


def in_file(folder: Path) -> list[str]:
    kept = json.loads((folder / answers.file_name(1)).read_text())["answers"]
    return [each["answer"] for each in kept["1.q6"]]


def test_after_the_page_is_loaded_anew_the_answer_stands_there_and_the_next_click_is_kept(tmp_path, browser):
    from selenium.webdriver.common.keys import Keys

    folder, other = notebook_of_one_question(tmp_path), next(each for each in "abcd" if each != RIGHT)
    with jupyterlab(folder) as address:
        run_all(browser, address, folder, "1_unanswered.png")
        click(browser, other)
        until(lambda: f"your answer {other} is kept" in shown(browser), "the word that it is kept")
        press_keys(browser, Keys.CONTROL, "s")
        until(lambda: bundles(folder / NAME), "the answer in the saved notebook")
        browser.refresh()
        until(lambda: f"{other}: ✗ not it" in shown(browser), "the reply in the page that was loaded anew")
        assert f"your answer {other} is kept" in shown(browser) and "A click that gets no reply" in shown(browser)
        click(browser, RIGHT)
        until(lambda: f"{RIGHT}: ✓ right" in shown(browser), "the reply to the second answer")
        assert in_file(folder) == [other, RIGHT] and "to another answer, run the cell again" in shown(browser)
        run_all(browser, address, folder, "2_run_again.png")
        until(lambda: f"your answer {RIGHT} (attempt 2) is kept" in shown(browser), "the second answer in the cell")


def test_what_is_clicked_is_saved_with_the_notebook_and_comes_back_after_a_restart(tmp_path, browser):
    from selenium.webdriver.common.keys import Keys

    folder = notebook_of_one_question(tmp_path)
    with jupyterlab(folder) as address:
        run_all(browser, address, folder, "1_unanswered.png")
        click(browser, RIGHT)
        until(lambda: f"your answer {RIGHT} is kept" in shown(browser), "the word that it is kept")
        until(lambda: "✓ right" in shown(browser), "the reply")
        browser.save_screenshot(str(tmp_path / "2_clicked.png"))
        press_keys(browser, Keys.CONTROL, "s")
        expected = [{"id": "1.q6", "answer": RIGHT, "student": "", "attempts": 1}]
        until(lambda: bundles(folder / NAME) == expected, "the answer in the saved notebook")
        assert 'answer=""' in nbformat.read(folder / NAME, 4).cells[0].source
        assert in_file(folder) == [RIGHT]
    with jupyterlab(folder) as address:  # another kernel, another day
        run_all(browser, address, folder, "3_after_a_restart.png")
        until(
            lambda: f"your answer {RIGHT} is kept" in shown(browser) and "✓ right" in shown(browser), "the old answer"
        )
    (folder / answers.file_name(1)).unlink()
    assert bundles(folder / NAME) == expected, "the notebook alone holds the answer"


def solved_without_answers() -> nbformat.NotebookNode:
    """Lesson 1 with its exercises solved, and its questions to be clicked."""
    book = nbformat.read(next(ROOT.glob("lessons/solutions/01_*.ipynb")), 4)
    book.cells = [
        cell for cell in book.cells if cell.id.startswith(("setup", "exercise", "question")) or "quiz," in cell.source
    ]
    for cell in book.cells:
        cell.outputs, cell.execution_count = [], None
        if cell.id.startswith("question"):
            cell.source = f'quiz("{cell.id.removeprefix("question-").replace("-", ".")}", answer="")'
    return book


def click_answer(area, question, text: str) -> None:
    """Give this answer as a student does: by buttons, menus, boxes or a field."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    press = {each.text: each.click for each in area.find_elements(By.CSS_SELECTOR, ".widget-button")}
    if isinstance(question, Match):
        for menu, pair in zip(area.find_elements(By.CSS_SELECTOR, "select"), text.split(), strict=True):
            Select(menu).select_by_visible_text(pair[1:])
    elif isinstance(question, Several):
        for box in area.find_elements(By.CSS_SELECTOR, ".widget-checkbox"):
            if box.text in text.split():
                box.find_element(By.CSS_SELECTOR, "input").click()
    elif isinstance(question, Numeric | Text):
        field = area.find_element(By.CSS_SELECTOR, "textarea, input[type=text]")
        field.send_keys(text)
    else:
        for letter in text.split():
            press[letter]()
    press.get("answer", lambda: None)()


def test_a_lesson_whose_questions_are_all_clicked_earns_full_marks(tmp_path, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    folder, ours = tmp_path / "student", catalogue.questions(1)
    folder.mkdir()
    nbformat.write(solved_without_answers(), folder / NAME)
    with jupyterlab(folder) as address:
        browser.get(address)
        until(lambda: browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell .cm-content"), "the notebook")

        def all_cells_have_run():
            browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell .cm-content")[0].click()
            press_keys(browser, Keys.ESCAPE)
            press_keys(browser, Keys.CONTROL, "a")
            press_keys(browser, Keys.CONTROL, Keys.ENTER)
            time.sleep(15)
            return len(browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea .widget-vbox")) >= len(ours)

        until(all_cells_have_run, "the questions", 120)
        for question in ours.values():
            areas = browser.find_elements(By.CSS_SELECTOR, ".jp-Cell-outputArea")
            area = next(each for each in areas if each.text.startswith(f"{question.id} "))
            browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", area)
            click_answer(area, question, question.answer)
            until(lambda: f"{question.id}: your answer" in area.text, f"the word that {question.id} is kept")  # noqa: B023
        press_keys(browser, Keys.CONTROL, "s")
        until(lambda: {each["id"] for each in bundles(folder / NAME)} == {*ours}, "the answers in the saved notebook")
        browser.save_screenshot(str(tmp_path / "all_clicked.png"))
    for name, files in {"all": [NAME, answers.file_name(1)], "the notebook alone": [NAME]}.items():
        (tmp_path / "class" / name).mkdir(parents=True)
        for each in files:
            (tmp_path / "class" / name / each).write_bytes((folder / each).read_bytes())
    points = Assignment.of(1).points
    assert graded(tmp_path / "class", 1, tmp_path / "out") == {"all": points, "the notebook alone": points}
