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

from minitransformer.course import answers, catalogue

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


def test_what_is_clicked_is_saved_with_the_notebook_and_comes_back_after_a_restart(tmp_path, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    folder = tmp_path / "student"
    folder.mkdir()
    cells = ['from minitransformer.course import quiz\nquiz("1.q6", answer="")']
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells], metadata=spec)
    nbformat.write(book, folder / NAME)
    with jupyterlab(folder) as address:
        run_all(browser, address, folder, "1_unanswered.png")
        buttons = browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea .widget-button")
        next(each for each in buttons if each.text == RIGHT).click()
        until(lambda: f"your answer {RIGHT} is kept" in shown(browser), "the word that it is kept")
        until(lambda: "✓ right" in shown(browser), "the reply")
        browser.save_screenshot(str(tmp_path / "2_clicked.png"))
        press_keys(browser, Keys.CONTROL, "s")
        expected = [{"id": "1.q6", "answer": RIGHT, "student": "", "attempts": 1}]
        until(lambda: bundles(folder / NAME) == expected, "the answer in the saved notebook")
        assert 'answer=""' in nbformat.read(folder / NAME, 4).cells[0].source
        kept = json.loads((folder / answers.file_name(1)).read_text())["answers"]
        assert kept == {"1.q6": [{"answer": RIGHT, "student": ""}]}
    with jupyterlab(folder) as address:  # another kernel, another day
        run_all(browser, address, folder, "3_after_a_restart.png")
        until(
            lambda: f"your answer {RIGHT} is kept" in shown(browser) and "✓ right" in shown(browser), "the old answer"
        )
    (folder / answers.file_name(1)).unlink()
    assert bundles(folder / NAME) == expected, "the notebook alone holds the answer"
