"""The built page in a real Firefox, over the protocol that Firefox itself speaks (WebDriver BiDi): no driver is needed.

It needs a page: `minitransformer play --build-only`, and its folder in the environment variable LIVE_PAGE.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
import torch

from minitransformer import PromptTuning, batch
from minitransformer.live.serving import address, server
from minitransformer.losses import loss as loss_of

websocket = pytest.importorskip("websocket")

PAGE, FIREFOX = os.environ.get("LIVE_PAGE"), shutil.which("firefox") or shutil.which("firefox-esr")
pytestmark = pytest.mark.skipif(not PAGE or not FIREFOX, reason="needs Firefox, and a built page in LIVE_PAGE")
STEP = """(async () => {
const { Engine } = await import("./engine.js");
const engine = new Engine(), [vectors, tokens, targets] = %s;
await engine.call("load");
const text = (ids) => [BigInt64Array.from(ids.flat(), BigInt), [ids.length, ids[0].length]];
const tensor = [Float32Array.from(vectors.flat()), [vectors.length, vectors[0].length]];
const { loss, "gradient.hooks.vectors": gradient } = await engine.call("run", {
  graph: "prompt-step", inputs: { "hooks.vectors": tensor, tokens: text(tokens), targets: text(targets) },
});
engine.worker.terminate();
return JSON.stringify([loss[0][0], [...gradient[0]]]);
})()"""


class Tab:
    """One tab of a running Firefox."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(f"{address}/session", timeout=120, suppress_origin=True)
        self.count = 0
        self.send("session.new", capabilities={})
        self.context = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method: str, **params) -> dict:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.count:
            pass  # an event; only answers are waited for
        assert answer["type"] == "success", answer
        return answer["result"]

    def close(self) -> None:
        self.socket.close()

    def open(self, url: str) -> None:
        self.send("browsingContext.navigate", context=self.context, url=url, wait="complete")
        self.until("document.documentElement.dataset.ready === 'yes'")

    def value(self, expression: str):
        """Of JavaScript: a text, a number or a truth value."""
        target = {"context": self.context}
        got = self.send("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert got["type"] == "success", got
        return got["result"].get("value")

    def until(self, true: str, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not self.value(true):
            assert time.monotonic() < end, f"not true in {seconds} s: {true}"
            time.sleep(0.1)

    def press(self, name: str) -> None:
        self.until(f"!document.getElementById('{name}').disabled")
        self.value(f"document.getElementById('{name}').click()")

    def text(self, name: str) -> str:
        return self.value(f"document.getElementById('{name}').textContent")


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Tab]:
    profile = tmp_path_factory.mktemp("firefox")
    (profile / "user.js").write_text('user_pref("intl.accept_languages", "en");\n', encoding="utf-8")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    log = profile / "said.txt"
    with log.open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as firefox:
        try:
            with closing(Tab(listening_at(log))) as tab:
                yield tab
        finally:
            firefox.terminate()


def listening_at(log: Path, seconds: float = 60) -> str:
    """Firefox chooses a free port, and says which."""
    end = time.monotonic() + seconds
    while not (found := re.search(r"BiDi listening on (ws://\S+)\n", log.read_text(errors="replace"))):
        assert time.monotonic() < end, log.read_text(errors="replace")
        time.sleep(0.1)
    return found[1]


@pytest.fixture
def page(tab) -> Iterator[Tab]:
    with server(Path(PAGE)) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        tab.open(address(listening))
        yield tab
        listening.shutdown()


def test_in_firefox_a_prompt_learns_to_say_it_in_chinese_and_backward_lands_on_it_alone(page):
    assert page.text("answer") != "小心!"
    page.press("go")
    page.until("document.querySelector('#answer.right') !== null")
    page.press("go")
    page.until("document.getElementById('go').textContent === 'Train'")
    assert page.text("answer") == "小心!"
    page.press("backward")
    page.until("document.getElementById('phase').textContent.includes('landed on the learned vectors alone')")
    count = "document.querySelectorAll('{}').length".format
    assert page.value(count("td > .cell.learned.gradient")) == 4
    assert page.value(count(".parameters > .cell.none")) == page.value(count(".parameters > .cell")) == 38


def test_in_firefox_loss_and_gradient_are_torch_s(page, base, book):
    model, tokenizer = base
    prompt = PromptTuning(5, model.config, seed=3)
    tokens, targets = batch(tokenizer, book.examples("first", "test", 3))
    given = [each.tolist() for each in (prompt.vectors.detach(), tokens, targets)]
    loss, gradient = json.loads(page.value(STEP % json.dumps(given)))
    wanted = loss_of(model, tokens, targets, prompt)
    wanted.backward()
    for got, right in (loss, wanted.detach()), (gradient, prompt.vectors.grad.flatten()):
        assert torch.allclose(torch.tensor(got), right, rtol=1e-5, atol=1e-5)
