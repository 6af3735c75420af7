"""The built page in a real Chromium: it trains, its gradients are torch's, and each program shows what it must.

It needs a page: `minitransformer play --build-only`, and its folder in the environment variable LIVE_PAGE.
"""

import os
import shutil
import subprocess
from pathlib import Path
from threading import Thread

import pytest
import torch

import minitransformer
from minitransformer import PromptTuning, batch, pretrained
from minitransformer.files.checkpoints import fingerprint
from minitransformer.gradients import record_step
from minitransformer.live.serving import address, server
from minitransformer.losses import loss as loss_of

pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

PAGE, DRIVER = os.environ.get("LIVE_PAGE"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not PAGE or not DRIVER, reason="needs chromedriver, and a built page in LIVE_PAGE")
LOCK = Path(minitransformer.__file__).parent / "live"
ASK = """
const [vectors, rows, tokens, targets, done] = arguments;
(async () => {
const { Engine } = await import("./engine.js");
const engine = new Engine();
await engine.call("load");
const text = (ids) => [BigInt64Array.from(ids, BigInt), [rows, ids.length / rows]];
const inputs = { "hooks.vectors": [Float32Array.from(vectors), [vectors.length / 128, 128]] };
const run = await engine.call("run", {
  graph: "prompt-step", inputs: { ...inputs, tokens: text(tokens), targets: text(targets) },
  wanted: ["loss", "gradient.hooks.vectors", "stream_norms"],
});
engine.worker.terminate();
done(Object.values(run).map(([numbers]) => [...numbers]));
})();
"""


@pytest.fixture(scope="module")
def listening():
    with server(Path(PAGE)) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield address(listening)
        listening.shutdown()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for argument in "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en":
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.set_script_timeout(120)
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, listening):
    """Loaded and ready, at 1280 pixels, light, and without movement."""
    look(browser, 1280)
    browser.get(listening)
    until(browser, lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


def look(browser, width: int, scheme: str = "light") -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wishes.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def until(browser, true, seconds: int = 90):
    return WebDriverWait(browser, seconds, poll_frequency=0.1).until(lambda _: true())


def text(page, name: str) -> str:
    return page.find_element(By.ID, name).text


def press(page, name: str) -> None:
    until(page, page.find_element(By.ID, name).is_enabled)
    page.find_element(By.ID, name).click()


def train_to(page, answer: str) -> None:
    press(page, "go")
    until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#answer.right"))
    press(page, "go")
    until(page, lambda: text(page, "go") == "Train")
    assert text(page, "answer") == answer


def run_program(page, name: str) -> None:
    page.find_element(By.CSS_SELECTOR, f"#program [value={name}]").click()
    until(page, lambda: text(page, "steps") == "0")


def cells(page, kind: str, where: str = "td > .cell") -> int:
    return len(page.find_elements(By.CSS_SELECTOR, f"{where}{kind}"))


def show_backward(page, said: str) -> None:
    press(page, "backward")
    until(page, lambda: said in text(page, "phase"))


def test_a_prompt_learns_to_say_it_in_chinese_and_only_its_vectors_have_gradients(page):
    assert text(page, "answer") != "小心!"
    train_to(page, "小心!")
    show_backward(page, "landed on the learned vectors alone")
    assert cells(page, ".learned.gradient") == 4 and not cells(page, ".learned.none")
    assert cells(page, ".none", ".parameters > .cell") == cells(page, "", ".parameters > .cell") == 38


def test_another_skill_and_sentence_of_one_s_own_are_learned_as_well(page):
    Select(page.find_element(By.ID, "skill")).select_by_value("backwards")
    box = page.find_element(By.ID, "sentence")
    box.clear()
    box.send_keys("The old dog sleeps.\t")
    until(page, lambda: page.find_element(By.ID, "wanted").get_attribute("value") == "sleeps dog old The.")
    train_to(page, "sleeps dog old The.")


def test_a_word_that_nobody_knows_is_named(page):
    box = page.find_element(By.ID, "sentence")
    box.clear()
    box.send_keys("Lookk out!\t")
    until(page, lambda: "does not know Lookk" in text(page, "mistake"))


@pytest.mark.parametrize(("rows", "length"), [(2, 4), (5, 9)])
def test_loss_and_gradients_in_the_browser_are_torch_s(page, rows, length, base, book):
    model, tokenizer = base
    prompt = PromptTuning(length, model.config, seed=rows)
    tokens, targets = batch(tokenizer, book.examples("first", "test", rows))
    vectors, ids = prompt.vectors.flatten().tolist(), [each.flatten().tolist() for each in (tokens, targets)]
    loss, gradient, norms = page.execute_async_script(ASK, vectors, rows, *ids)
    wanted = record_step(model, tokens, targets, prompt)
    loss_of(model, tokens, targets, prompt).backward()
    for got, right in (loss, [wanted.loss]), (gradient, prompt.vectors.grad), (norms, wanted.activations):
        assert torch.allclose(torch.tensor(got), torch.as_tensor(right).flatten(), rtol=1e-5, atol=1e-5)


def test_unfrozen_the_base_gets_gradients_that_nobody_uses(page):
    run_program(page, "thawed")
    show_backward(page, "each of its 38 parameters received a gradient")
    assert cells(page, ".gradient", ".parameters > .cell") == 38


def test_in_the_optimizer_the_base_changes_and_another_skill_breaks(page):
    before = text(page, "others")
    assert before == "LOOK OUT!"
    run_program(page, "trained")
    press(page, "go")
    until(page, lambda: text(page, "others") != before)
    press(page, "go")
    until(page, lambda: text(page, "go") == "Train")
    press(page, "again")
    until(page, lambda: text(page, "others") == before)


@pytest.mark.parametrize("program", ["no_grad", "detach"])
def test_cut_off_from_the_loss_nothing_is_learned(page, program):
    run_program(page, program)
    show_backward(page, "does not require grad")
    assert not cells(page, ".gradient")
    before = text(page, "nearest")
    press(page, "once")
    until(page, lambda: text(page, "steps") == "1")
    assert text(page, "nearest") == before


def test_the_stack_is_walked_by_arrow_keys_and_says_what_each_cell_is(page):
    show_backward(page, "landed")
    cell = page.find_element(By.CSS_SELECTOR, "#cells .cell[tabindex='0']")
    page.execute_script("arguments[0].focus()", cell)
    first = text(page, "detail")
    page.switch_to.active_element.send_keys("\ue014")  # the arrow to the right
    assert "gradient" in first and text(page, "detail") not in ("", first)


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    for name in "package.json", "package-lock.json":
        shutil.copy(LOCK / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=folder, check=True, capture_output=True)
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_sticks_out(page, axe, width, scheme):
    look(page, width, scheme)
    press(page, "language")
    assert page.execute_script("return document.documentElement.lang") == "zh"
    press(page, "once")
    until(page, lambda: text(page, "steps") == "1")
    press(page, "backward")
    until(page, lambda: cells(page, ".learned.gradient") == 4)
    page.execute_script(axe)
    found = page.execute_async_script("axe.run().then(arguments[0])")["violations"]
    assert not [(each["id"], each["nodes"][0]["html"]) for each in found]
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_page_says_which_model_it_shows_and_loads_from_nowhere_else(page, listening):
    model = pretrained()[0]
    assert fingerprint(model) in text(page, "about")
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert loaded and all(name.startswith(listening) for name in loaded)
