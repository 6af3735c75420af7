"""The scale study: what is committed is complete, and the command that makes it runs."""

import json
from functools import partial
from importlib import import_module
from itertools import product

import pytest

from minitransformer import Config, Transformer
from minitransformer.base import SIZES, pretrain

scale = import_module("scale")  # benchmarks/scale.py


def test_the_committed_results_are_of_four_sizes_or_more_each_tuned_in_every_way(tokenizer):
    found = json.loads((scale.HERE / "scale.json").read_text())
    sizes = [base["size"] for base in found["bases"]]
    assert len(sizes) >= 4 and sizes == sorted(sizes, key=[*SIZES].index)
    rows = scale.every_seed(found["rows"])
    runs = [(row["size"], row["method"], row["skill"], row["seed"]) for row in rows]
    assert sorted(runs) == sorted(product(sizes, scale.METHODS, scale.SKILLS, range(3)))
    for base in found["bases"]:
        model = Transformer(Config(vocab=len(tokenizer), **SIZES[base["size"]]))
        numbers = sum(parameter.numel() for parameter in model.parameters())
        assert base["parameters"] == numbers
        assert {row["base"] for row in found["rows"] if row["size"] == base["size"]} == {numbers}
    assert scale.lines_of(found | {"rows": rows}) == (scale.HERE / "scale.json").read_text()


def test_the_page_shows_the_committed_results():
    found = json.loads((scale.HERE / "scale.json").read_text())
    page = (scale.HERE.parent / "lessons" / "BEYOND.md").read_text(encoding="utf-8")
    assert scale.table(scale.every_seed(found["rows"])) in page and "(pictures/scale.png)" in page


def test_the_command_trains_tunes_draws_and_does_nothing_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scale, "pretrain", partial(pretrain, steps=2, progress=False))
    where = ["--folder", str(tmp_path), "--out", str(tmp_path / "s.json"), "--picture", str(tmp_path / "s.png")]
    settings = [*where, "--sizes", "tiny", "--seeds", "1", "--steps", "2", "--processes", "1"]
    scale.main(settings)
    first = (tmp_path / "s.json").read_text()
    assert len(json.loads(first)["rows"]) == 9  # three methods on three skills
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "| 116,608 |" in capsys.readouterr().out
    monkeypatch.setattr(scale, "study", lambda *_: pytest.fail("studied again"))
    scale.main(settings)
    assert (tmp_path / "s.json").read_text() == first
