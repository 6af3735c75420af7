"""A training on one's own pairs, whole: what it writes, that it goes on after a stop, and what it refuses."""

import csv
import json
from pathlib import Path

import pytest
import torch

from minitransformer import generate, import_peft, load
from minitransformer.commands import tune_own_pairs
from minitransformer.real import own_tuning
from minitransformer.real.own_pairs import OwnPair, read_pairs, split
from minitransformer.real.own_tuning import Settings, tune

QUICK = Settings("prefix", length=4, steps=60, rows=16)


@pytest.fixture(scope="module")
def shouted(tmp_path_factory, base):
    """Forty sentences and the same in capitals, as a spreadsheet writes them."""
    from minitransformer import Phrasebook

    path = tmp_path_factory.mktemp("own") / "pairs.csv"
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "answer"])
        rows.writerows([asks.removesuffix(" →"), says] for asks, says in Phrasebook().examples("shout", "test", 40))
    return path


@pytest.fixture(scope="module")
def tuned(shouted, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "adapter"
    return folder, tune(*base, read_pairs(shouted), folder, QUICK, progress=False)


def test_the_tuned_prompt_is_right_where_no_prompt_is_not(tuned):
    right = tuned[1]["right"]
    assert right["tuned"] >= 0.8 > 0.3 >= right["no prompt"]
    assert all(answer["wanted"].isupper() for answer in tuned[1]["answers"])


def test_the_pairs_held_back_are_not_among_those_learned_from(tuned):
    counts = tuned[1]["pairs"]
    assert counts["test"] == 8 and counts["validation"] == 4 and sum(counts.values()) == counts["train"] + 12


def test_what_is_written_says_the_same_through_both_formats(tuned, base):
    model, tokenizer = base
    folder, results = tuned
    for hooks in load(folder / "prompt.safetensors", model), import_peft(folder, model):
        for answer in results["answers"]:
            (said,) = generate(model, [tokenizer.encode(f"{answer['text']} →")], hooks, max_new_tokens=20)
            assert tokenizer.decode(said) == answer["tuned"]
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["right"] == results["right"]
    assert not [*folder.glob("unfinished*")]


def test_a_training_that_was_stopped_goes_on_and_ends_the_same(shouted, base, tmp_path, monkeypatch):
    calls, score, slow = [], own_tuning.score, Settings(length=1, steps=30)

    def stopped(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*given)

    monkeypatch.setattr(own_tuning, "score", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune(*base, read_pairs(shouted), tmp_path / "adapter", slow, progress=False)
    assert {file.name for file in (tmp_path / "adapter").iterdir()} >= {"settings.json", "unfinished.safetensors"}
    results = tune(*base, read_pairs(shouted), tmp_path / "adapter", slow, progress=False)
    assert len(calls) == len(results["validation"]) + 1  # what was done before the stop was not done again
    assert results == tune(*base, read_pairs(shouted), tmp_path / "at once", slow, progress=False)
    for name in "prompt.safetensors", "adapter_model.safetensors":
        assert (tmp_path / "adapter" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes()


def test_a_folder_with_something_else_in_it_is_left_alone(shouted, base, tuned, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "settings.json").write_bytes((tuned[0] / "settings.json").read_bytes())
    for folder, settings, said in (
        (tmp_path, QUICK, "something else"),
        (tmp_path / "file", QUICK, "something else"),
        (tuned[0], QUICK, "came to its end"),
        (begun, Settings("prefix", length=5, steps=60, rows=16), "other length"),
    ):
        with pytest.raises(ValueError, match=said) as refused:
            tune(*base, read_pairs(shouted), folder, settings, progress=False)
        assert "another folder" in str(refused.value)
    assert (tmp_path / "thesis.txt").read_text() == "mine" and len([*tmp_path.iterdir()]) == 3


def test_words_that_the_model_does_not_know_and_long_texts_are_told_with_their_lines(base, tmp_path):
    path = tmp_path / "pairs.csv"
    known = "".join(f"{word},YES\n" for word in base[1].vocabulary if word.isalpha() and len(word) == 4)
    path.write_text(f"text,answer\nLook ot!,LOOK\n{'cat ' * 200},CAT\n{known}", encoding="utf-8")
    with pytest.raises(ValueError) as refused:
        tune(*base, read_pairs(path), tmp_path / "out", QUICK)
    assert "line 2" in str(refused.value) and "'ot'" in str(refused.value)
    assert "line 3" in str(refused.value) and "room for" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_braces_in_texts_and_instructions_are_no_places_to_fill_in(base):
    pair = own_tuning.OwnPair("{x} {0}", "{}", "g")
    assert own_tuning.LINES.pair(pair) == (" {x} {0} ->", " {}")
    assert own_tuning.LINES.in_front("Fill in {}", [pair]) == "Fill in {}\n {x} {0} -> {}\n"


def test_equally_many_right_answers_are_told_apart_by_how_likely_they_are(base):
    model, tokenizer = base
    pairs = [("Look out! →", "LOOK OUT!"), ("Thank you. →", "THANK YOU.")]
    words = own_tuning.hard_prompt(model, tokenizer, "shout:")
    nothing, asked = (own_tuning.score(model, tokenizer, pairs, hooks) for hooks in (own_tuning.NO_HOOKS, words))
    assert nothing < asked and int(nothing) == own_tuning.right(model, tokenizer, pairs)


def test_the_command_says_what_was_held_back_what_is_right_and_where_it_is(shouted, tmp_path, capsys):
    tune_own_pairs(shouted, "base", tmp_path / "adapter", "prefix", 4, 20, 8, 0, "shout", "float32")
    said = capsys.readouterr().out
    for words in "8 held back", "no prompt", "instruction", "examples", "tuned", "prompt.safetensors", "PeftModel":
        assert words in said
    assert "8 pairs say little" in said
    torch.manual_seed(0)


def test_the_command_says_so_where_training_did_not_help(shouted, tmp_path, capsys):
    tune_own_pairs(shouted, "base", tmp_path / "adapter", "prompt", 1, 1, 1, 0, "shout", "float32")
    assert "does not beat" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name, said",
    [("smollm3", "smollm2, base"), ("nowhere.safetensors", "nowhere.safetensors"), ("tests", "config.json")],
)
def test_a_model_that_is_not_there_is_told_so(name, said, shouted, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        tune_own_pairs(shouted, name, tmp_path / "adapter", "prompt", 1, 1, 1, 0, "", "float32")
    assert not (tmp_path / "adapter").exists()


def test_the_page_speaks_of_this_base_and_of_what_is_held_back(base):
    page = (Path(__file__).parents[1] / "lessons" / "YOUR_OWN_DATA.md").read_text(encoding="utf-8")
    assert f"{len(base[1]):,} words" in page
    parts = split([OwnPair(f"{n}", "x", f"{n}") for n in range(2000)], seed=0)
    assert (len(parts.test), len(parts.validation)) == (200, 50) and "at most 50" in page and "at most 200" in page
