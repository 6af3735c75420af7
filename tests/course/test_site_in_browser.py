"""The site in a real Chromium: it fits one screen, can be read by everybody, keeps the theme and finds words.

Optional: `pip install selenium`, and Chromium with its driver; for what axe says, npm as well.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import minitransformer

pytest.importorskip("selenium")
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not DRIVER, reason="needs Chromium and chromedriver")
LOCK = Path(minitransformer.__file__).parent / "live"  # what npm brings, by a lock file
SIZES = {1280: 800, 390: 844}
LOADED = "return location.href === arguments[0] && document.readyState === 'complete' && 'reachable' in window"
every_look = [(width, scheme) for width in SIZES for scheme in ("light", "dark")]


@pytest.fixture
def opened(browser, whole_site):
    """Opens a page of the site from the disk; nothing is remembered from another test."""

    def open_(name: str, width: int = 1280, scheme: str = "light", medium: str = "screen"):
        metrics = {"width": width, "height": SIZES[width], "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features, "media": medium})
        place = (whole_site / name).as_uri()
        browser.get(place)  # which sometimes comes back before the page's own script has run
        until(browser, lambda: browser.execute_script(LOADED, place))
        return browser

    open_("index.html").execute_script("localStorage.clear()")
    return open_


@pytest.fixture
def on_the_disk(whole_site):
    """The page for what is not there, which otherwise takes its style from the site's address."""
    page = whole_site / "404-on-the-disk.html"
    page.write_text(re.sub("<base[^>]*>", "", (whole_site / "404.html").read_text("utf-8")), encoding="utf-8")
    yield page.name
    page.unlink()


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    if not shutil.which("npm"):
        pytest.skip("npm is not installed; it brings axe")
    folder = tmp_path_factory.mktemp("axe")
    for name in "package.json", "package-lock.json":
        shutil.copy(LOCK / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=folder, check=True, capture_output=True)
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def until(browser, true):
    return WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: true())


def violations(page, axe: str) -> list[tuple[str, str]]:
    """What axe says of a page, with all that is folded open."""
    page.execute_script("for (const each of document.querySelectorAll('details')) each.open = true; reachable()")
    page.execute_script(axe)
    found = page.execute_async_script("axe.run().then(arguments[0])")["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]


def sticks_out(page) -> bool:
    return page.execute_script("return document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize(("width", "scheme"), every_look)
def test_the_front_page_fits_one_screen_and_axe_finds_nothing(opened, axe, width, scheme):
    page = opened("index.html", width, scheme)
    assert page.execute_script("return document.documentElement.scrollHeight <= innerHeight") and not sticks_out(page)
    assert violations(page, axe) == []


@pytest.mark.parametrize(("name", "scheme"), [("02_soft_prompts", "dark"), ("teaching", "light"), ("course", "dark")])
def test_axe_finds_nothing_in_a_lesson_or_a_document(opened, axe, name, scheme):
    assert violations(opened(f"{name}.html", 390, scheme), axe) == []


@pytest.mark.weekly
@pytest.mark.parametrize(("width", "scheme"), every_look)
def test_axe_finds_nothing_on_any_page_and_nothing_sticks_out(opened, whole_site, on_the_disk, axe, width, scheme):
    for name in [*sorted({path.name for path in whole_site.glob("*.html")} - {"404.html"}), on_the_disk]:
        page = opened(name, width, scheme)
        assert violations(page, axe) == [] and not sticks_out(page), name


def test_the_search_finds_optimizers_for_optimizer_and_loads_its_index_only_then(opened):
    page = opened("index.html")
    assert not page.execute_script("return typeof SECTIONS !== 'undefined'")
    lists = []
    for typed in "optimizer", "optimizers":
        box = page.find_element(By.ID, "search")
        box.clear()
        box.send_keys(typed)
        until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#found a"))
        lists.append([each.get_attribute("href") for each in page.find_elements(By.CSS_SELECTOR, "#found a")])
    assert lists[0] == lists[1] and len(lists[0]) == 12
    box.send_keys("\n")
    until(page, lambda: page.current_url == lists[0][0])


def background(page) -> str:
    return page.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_the_button_turns_the_light_off_and_the_next_page_remembers(opened):
    page = opened("index.html")
    assert background(page) == "rgb(255, 255, 255)"
    page.find_element(By.ID, "theme").click()
    dark = background(page)
    assert dark != "rgb(255, 255, 255)" and page.find_element(By.ID, "theme").get_attribute("aria-pressed") == "true"
    assert background(opened("teaching.html")) == dark
    page.find_element(By.ID, "theme").click()
    assert background(opened("index.html", scheme="dark")) == "rgb(255, 255, 255)"  # against the system's wish


def test_without_a_choice_it_is_as_the_system_wishes(opened):
    assert background(opened("teaching.html", scheme="light")) == "rgb(255, 255, 255)"
    assert background(opened("teaching.html", scheme="dark")) != "rgb(255, 255, 255)"


def test_on_paper_it_is_black_on_white_and_only_the_text(opened):
    page = opened("02_soft_prompts.html", scheme="dark", medium="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert not page.find_element(By.TAG_NAME, "nav").is_displayed()
    assert page.find_element(By.TAG_NAME, "h1").is_displayed()


def test_the_live_page_comes_when_it_is_asked_for_and_has_the_focus(opened):
    page = opened("index.html", 390)
    assert not page.find_elements(By.TAG_NAME, "iframe")
    page.find_element(By.CSS_SELECTOR, "#live a").click()
    frame = page.find_element(By.TAG_NAME, "iframe")
    assert frame.get_attribute("title") and page.switch_to.active_element == frame
    page.switch_to.frame(frame)
    until(page, lambda: page.find_element(By.TAG_NAME, "h1").text == "play")
    page.switch_to.default_content()
    assert not sticks_out(page)


def test_what_is_wider_than_the_page_can_be_scrolled_by_keys(opened):
    page = opened("claims.html", 390)
    assert page.execute_script("""return [...document.querySelectorAll(".scroll")].every(
        (each) => (each.scrollWidth > each.clientWidth) === (each.tabIndex === 0))""")
    assert page.execute_script("return document.querySelectorAll('.scroll[tabindex]').length") > 1
