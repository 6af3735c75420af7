"""The built page in a real Chromium: it trains, its gradients are torch's, and each program shows what it must.

It needs a page: `minitransformer play --build-only`, and its folder in the environment variable LIVE_PAGE.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from threading import Thread

import pytest
import torch

import minitransformer
from minitransformer import PrefixTuning, PromptTuning, batch, load, pretrained, save
from minitransformer.files.checkpoints import fingerprint
from minitransformer.gradients import record_step
from minitransformer.live.serving import address, server
from minitransformer.live.showing import as_link
from minitransformer.losses import loss as loss_of

pytest.importorskip("selenium")
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
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
    gone = [StaleElementReferenceException]  # what is drawn again is another element
    return WebDriverWait(browser, seconds, poll_frequency=0.1, ignored_exceptions=gone).until(lambda _: true())


def text(page, name: str) -> str:
    return page.find_element(By.ID, name).text


def press(page, name: str) -> None:
    until(page, page.find_element(By.ID, name).is_enabled)
    page.find_element(By.ID, name).click()


def train_to(page, answer: str) -> None:
    """Until it is right and stays so where the training is paused, which takes a step more."""
    for _ in range(10):
        press(page, "go")
        until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#answer.right"))
        press(page, "go")
        until(page, lambda: text(page, "go") == "Train")
        if text(page, "answer") == answer:
            return
    raise AssertionError(f"got {text(page, 'answer')}")


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


def test_pairs_of_one_s_own_are_learned_and_too_few_are_refused(page):
    choose(page, "skill", "own")
    write(page, "pairs", "Look out! = two\t")
    press(page, "once")
    until(page, lambda: "four pairs or more" in text(page, "mistake"))
    asked = "Look out!", "The cat is sleeping.", "Thank you.", "The old dog sleeps."
    write(page, "pairs", "\n".join(f"{each} = {each.upper()}" for each in asked) + "\t")
    write(page, "sentence", "The old cat is sleeping.\t")
    write(page, "wanted", "THE OLD CAT IS SLEEPING.\t")
    train_to(page, "THE OLD CAT IS SLEEPING.")


def write(page, name: str, what: str) -> None:
    box = page.find_element(By.ID, name)
    box.clear()
    box.send_keys(what)


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


def test_stale_gradients_add_up(page):
    run_program(page, "stale")
    norms = []
    for step in range(1, 7):
        press(page, "once")
        until(page, lambda step=step: text(page, "steps") == str(step))
        norms.append(float(text(page, "norm")))
    assert norms[-1] > 2 * norms[0]


def choose(page, name: str, value: str) -> None:
    Select(page.find_element(By.ID, name)).select_by_value(value)


def vectors(page) -> int:
    return int(page.find_element(By.ID, "length").get_attribute("value"))


def test_a_vector_by_hand_changes_the_answer_at_once_and_comes_back(page):
    train_to(page, "小心!")
    trained, nearest = text(page, "answer"), text(page, "nearest")
    for place in range(4):  # each of them times -30: one of them matters
        choose(page, "which", str(place))
        box = page.find_element(By.ID, "factor")
        box.clear()
        box.send_keys("-30")
        press(page, "scale")
        until(page, lambda place=place: text(page, "nearest").splitlines()[place] != nearest.splitlines()[place])
    until(page, lambda: text(page, "answer") != trained)
    press(page, "take")
    until(page, lambda: vectors(page) == 3)
    press(page, "back")
    until(page, lambda: (vectors(page), text(page, "answer"), text(page, "nearest")) == (4, trained, nearest))


def test_a_vector_becomes_a_word_or_changes_places_or_is_moved_by_keys_and_dragged(page):
    words = lambda: [line.split(": ")[1].split()[0] for line in text(page, "nearest").splitlines()]  # noqa: E731
    page.find_element(By.ID, "by").send_keys("dog")
    press(page, "replace")
    until(page, lambda: words()[0] == "dog")
    press(page, "swap")
    until(page, lambda: words()[1] == "dog")
    page.find_element(By.ID, "by").send_keys("s and cats")
    press(page, "replace")
    until(page, lambda: "one word" in text(page, "mistake"))
    spot = lambda: [float(dot("p1").get_attribute(axis)) for axis in ("cx", "cy")]  # noqa: E731
    dot = lambda name: page.find_element(By.CSS_SELECTOR, f'#plane [data-vector="{name[1:]}"]')  # noqa: E731
    before = spot()
    page.execute_script("arguments[0].focus()", dot("p1"))
    page.switch_to.active_element.send_keys("\ue014")
    until(page, lambda: spot() != before)
    before = until(page, spot)
    ActionChains(page).drag_and_drop_by_offset(dot("p1"), -40, 30).perform()
    until(page, lambda: spot() != before)
    scale = 320 / page.find_element(By.ID, "plane").size["width"]
    assert spot() == pytest.approx([before[0] - 40 * scale, before[1] + 30 * scale], abs=2)


def test_attention_on_the_vectors_is_shown_for_each_head_and_as_their_mean(page):
    def shares(head: str) -> torch.Tensor:  # (L, P+1)
        choose(page, "head", head)
        rows = page.find_elements(By.CSS_SELECTOR, "#shares tbody tr")
        return torch.tensor([[float(each) for each in row.text.split()[-5:]] for row in rows])

    mean, heads = shares(""), torch.stack([shares(str(head)) for head in range(4)])
    assert torch.allclose(heads.mean(0), mean, atol=0.011) and (heads[0] - heads[1]).abs().max() > 0.1
    assert torch.allclose(heads.sum(-1), torch.ones(4, 4), atol=0.03)


def test_compiled_to_a_prefix_it_says_the_same(page):
    train_to(page, "小心!")
    press(page, "compile")
    until(page, lambda: "the answer is 小心!" in text(page, "compiled"))
    apart = float(text(page, "compiled").split("at most ")[1].split(";")[0])
    assert apart < 1e-4
    assert page.find_element(By.ID, "method").get_attribute("value") == "key_value" and text(page, "answer") == "小心!"
    press(page, "once")  # and is trained on
    until(page, lambda: text(page, "time") and not page.find_element(By.ID, "mistake").text)


def test_a_link_holds_the_whole_state(page):
    train_to(page, "小心!")
    press(page, "language")
    state = lambda: {name: text(page, name) for name in ("answer", "steps", "loss", "nearest")}  # noqa: E731
    before = state()
    press(page, "link")
    address = page.current_url
    page.get("about:blank")
    page.get(address)
    until(page, lambda: page.execute_script("return document.documentElement.dataset.ready"))
    assert state() == before and page.execute_script("return document.documentElement.lang") == "zh"


def test_a_prompt_that_python_saved_is_loaded_and_one_from_here_is_saved(page, base, tmp_path):
    model, tokenizer = base
    hooks = PrefixTuning.from_tokens(model, tokenizer.encode("shout:"))
    save(hooks, tmp_path / "shout.safetensors", model)
    page.find_element(By.ID, "load").send_keys(str(tmp_path / "shout.safetensors"))
    until(page, lambda: "2 vectors" in text(page, "kept"))
    assert text(page, "answer") == "LOOK OUT!"
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    press(page, "save")
    until(page, lambda: (tmp_path / "soft_prompt.safetensors").exists())
    assert torch.equal(load(tmp_path / "soft_prompt.safetensors", model).vectors, hooks.vectors)
    (tmp_path / "wrong.safetensors").write_text("text,answer")
    page.find_element(By.ID, "load").send_keys(str(tmp_path / "wrong.safetensors"))
    until(page, lambda: "no soft prompt" in text(page, "mistake"))


def reveal(page, challenge: str) -> str:
    choose(page, "challenge", challenge)
    press(page, "try")
    until(page, lambda: text(page, "revealed"))
    assert text(page, "revealed") == "Choose an answer first."
    page.execute_script("document.querySelector('#guesses input').click()")
    press(page, "try")
    until(page, lambda: text(page, "revealed").startswith(("As you said.", "It is:")))
    return text(page, "revealed")


def test_each_question_is_answered_by_its_own_experiment(page):
    train_to(page, "小心!")
    said = reveal(page, "matters")
    losses = dict(part.split() for part in said.split("without ")[1].rstrip(".").split(", "))
    most = max(losses, key=lambda name: float(losses[name]))
    assert len(losses) == 4 and (f"It is: {most}." in said or (said.startswith("As you said") and most == "p0"))
    assert "not the same" in reveal(page, "nothing")
    assert reveal(page, "compiled").startswith("As you said.")
    before, after = re.search(r"before (\d+) of 12, afterwards (\d+)", reveal(page, "thawed_base")).groups()
    assert int(before) >= 11 and int(after) < int(before)
    choose(page, "method", "prefix")
    until(page, lambda: not page.find_element(By.ID, "try").is_enabled())


def test_an_address_leads_to_a_question_or_to_a_prompt_beside_the_page(page, listening, base):
    model, tokenizer = base
    page.get(f"{listening}?#challenge=compiled")
    until(page, lambda: page.execute_script("return document.documentElement.dataset.ready"))
    assert page.find_element(By.ID, "challenge").get_attribute("value") == "compiled"
    path = Path(PAGE) / "beside.safetensors"
    try:
        save(PromptTuning.from_tokens(model, tokenizer.encode("shout:")), path, model)
        page.get("about:blank")
        page.get(f"{listening}#prompt={path.name}")
        until(page, lambda: page.execute_script("return document.documentElement.dataset.ready"))
        assert text(page, "answer") == "LOOK OUT!" and vectors(page) == 2
        page.get("about:blank")
        page.get(f"{listening}#prompt={as_link(PromptTuning.from_tokens(model, tokenizer.encode('repeat:')))}")
        until(page, lambda: page.execute_script("return document.documentElement.dataset.ready"))
        assert text(page, "answer") == "Look out!" and not text(page, "mistake")
        press(page, "link")
        page.execute_script("location.hash = 'challenge=nothing'")  # on the open page as well
        until(page, lambda: page.find_element(By.ID, "challenge").get_attribute("value") == "nothing")
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("prompt=nowhere.safetensors", "no file /nowhere.safetensors"),
        ("prompt=http://localhost:1/p.safetensors", "only name a file beside this page"),
        ("prompt=style.css", "no soft prompt"),
        ("state=%7B%7D", "does not hold a state"),
    ],
)
def test_an_address_that_leads_nowhere_is_explained_and_the_page_works(page, asked, said):
    page.execute_script("location.hash = arguments[0]", asked)
    until(page, lambda: said in text(page, "mistake"))
    press(page, "once")
    until(page, lambda: text(page, "steps") == "1" and not text(page, "mistake"))


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
    photograph(page, f"zh-{width}-{scheme}")


def photograph(page, name: str, height: int | None = None) -> None:
    """A picture of the page into the folder LIVE_PICTURES, where there is one: the README's is taken here."""
    if folder := os.environ.get("LIVE_PICTURES"):
        whole = height or page.execute_script("return document.documentElement.scrollHeight")
        size = page.execute_script("return innerWidth")
        metrics = {"width": size, "height": whole, "deviceScaleFactor": 1, "mobile": False}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        page.save_screenshot(f"{folder}/{name}.png")


def test_the_picture_in_the_readme_is_of_a_trained_prompt_and_the_backward_pass(page):
    look(page, 1000)
    train_to(page, "小心!")
    show_backward(page, "landed on the learned vectors alone")
    bottom = page.execute_script("return document.getElementById('stack').getBoundingClientRect().bottom + scrollY")
    photograph(page, "live", int(bottom) + 12)
    assert text(page, "answer") == "小心!"


def test_the_page_says_which_model_it_shows_and_loads_from_nowhere_else(page, listening):
    model = pretrained()[0]
    assert fingerprint(model) in text(page, "about")
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert loaded and all(name.startswith(listening) for name in loaded)
