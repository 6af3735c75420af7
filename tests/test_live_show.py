"""The page from Python: built once and whole, served by this process, and handed the prompt of a notebook."""

import base64
import sys
from urllib.request import urlopen

import pytest
from laws import TINY
from safetensors.torch import load as tensors_of

from minitransformer import Hooks, PromptTuning, live
from minitransformer.__main__ import main
from minitransformer.live import build, showing


@pytest.fixture
def builds(monkeypatch, tmp_path) -> list:
    """A page of one file, and which folders were filled with it."""
    filled = []

    def fill(folder):
        filled.append(folder)
        folder.mkdir()
        (folder / "index.html").write_text("the page")

    monkeypatch.setattr(build, "fill", fill)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    showing.page_address.cache_clear()
    yield filled
    showing.page_address.cache_clear()


def test_it_is_built_once_and_served_by_this_process(builds, caplog):
    address = live.show()
    assert live.show() == address and urlopen(address).read() == b"the page"
    showing.page_address.cache_clear()  # as another process would begin
    live.show()
    assert len(builds) == 1 and caplog.text.count("building the page, some minutes, once") == 1


def test_other_code_is_another_page(builds, monkeypatch, tmp_path):
    monkeypatch.setattr(showing, "PACKAGE", tmp_path)
    (tmp_path / "live").mkdir()
    (tmp_path / "live/page.js").write_text("one")
    before = showing.ready()
    assert showing.ready() == before
    (tmp_path / "live/page.js").write_text("other")
    assert showing.ready() != before and len(builds) == 2


def test_a_prompt_goes_with_the_address(builds):
    prompt = PromptTuning(3, TINY)
    data = base64.b64decode(live.show(prompt).split("#prompt=data:application/octet-stream;base64,")[1])
    assert tensors_of(data)["vectors"].equal(prompt.vectors)


def test_in_a_notebook_it_is_a_frame(builds, monkeypatch):
    monkeypatch.setattr(showing, "in_notebook", lambda: True)
    frame = live.show(height=500)
    assert frame.height == 500 and urlopen(frame.src).read() == b"the page"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(prompt="prompt.safetensors"), "prompt must be a Hooks; got 'prompt.safetensors'"),
        (dict(prompt=Hooks, height=9), "prompt must be a Hooks; got"),
        (dict(height=0), "height must be a whole number of at least 1; got 0"),
    ],
)
def test_what_it_cannot_show_is_refused_before_anything_is_built(builds, given, message):
    with pytest.raises(ValueError, match=message):
        live.show(**given)
    assert not builds


def test_a_build_that_ends_early_leaves_nothing(builds, monkeypatch, tmp_path):
    def fill(folder):
        folder.mkdir()
        raise OSError("npm could not fetch the page's runtime")

    monkeypatch.setattr(build, "fill", fill)
    for folder in showing.ready, lambda: build.build(tmp_path / "play"):
        with pytest.raises(OSError, match="npm could not fetch"):
            folder()
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("play")]


def test_of_two_builds_at_once_the_second_takes_what_the_first_has_made(builds, monkeypatch, tmp_path):
    fill = build.fill

    def overtaken(folder):
        fill(folder)
        monkeypatch.setattr(build, "fill", fill)
        build.build(tmp_path / "play")

    monkeypatch.setattr(build, "fill", overtaken)
    build.build(tmp_path / "play")
    assert (tmp_path / "play/index.html").read_text() == "the page" and len(builds) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["play"]


def test_play_builds_where_it_is_told_and_never_into_other_things(builds, tmp_path, capsys):
    main(["play", "--build-only", "--out", str(tmp_path / "site/play")])
    assert (tmp_path / "site/play/index.html").read_text() == "the page"
    main(["play", "--build-only", "--out", str(tmp_path / "site/play")])
    main(["play", "--build-only"])
    assert len(builds) == 2 and "any static server shows it" in capsys.readouterr().out
    (tmp_path / "own").mkdir()
    (tmp_path / "own/thesis.txt").write_text("mine")
    with pytest.raises(SystemExit, match="own holds something else than the page; name an empty folder"):
        main(["play", "--build-only", "--out", str(tmp_path / "own")])
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["thesis.txt"]


def test_without_ipython_it_is_no_notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert not showing.in_notebook()
