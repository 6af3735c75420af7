"""The shipped base: what its card says is so, and it is worth tuning."""

import json
import subprocess
import sys

import pytest
import torch

from minitransformer import Phrasebook, accuracy, batch, fingerprint, generate, loss
from minitransformer.base import BASE, RECIPE, SIZES, describe, pretrain
from minitransformer.files.checkpoints import load_model


@pytest.fixture(scope="module")
def card():
    return load_model(BASE)[2]


@pytest.fixture(scope="module")
def torn(base, book):
    """Exact match on 100 held-out sentences per taught skill, without an instruction."""
    model, tokenizer = base
    return {skill: accuracy(model, batch(tokenizer, book.examples(skill, count=100, seed=7))) for skill in book.skills}


def test_it_is_small_enough_to_ship():
    assert BASE.stat().st_size <= 4 * 2**20


def test_its_tokenizer_is_the_phrasebooks(base, tokenizer):
    model, shipped = base
    assert shipped.vocabulary == tokenizer.vocabulary
    assert (model.config.vocab, model.config.end) == (len(tokenizer), tokenizer.end)
    assert {name: getattr(model.config, name) for name in SIZES["base"]} == SIZES["base"]


def test_it_is_in_float32_and_finite_and_can_be_trained(base):
    model, tokenizer = base
    for parameter in model.parameters():
        assert parameter.dtype == torch.float32 and parameter.isfinite().all() and parameter.requires_grad
    assert torch.isfinite(loss(model, *batch(tokenizer, [("shout: Look out! →", "LOOK OUT!")])))


def test_the_card_in_its_metadata_says_how_it_came_to_be(base, book, card):
    model, _ = base
    assert set(card) >= {"recipe", "parameters", "fingerprint", "minutes", "threads", "torch", "date", "scores"}
    assert card["recipe"] == RECIPE | dict(seed=card["recipe"]["seed"], steps=card["recipe"]["steps"])
    assert card["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert 0 < card["minutes"] <= 10
    assert list(card["scores"]) == [*book.skills, *book.held_out]
    assert json.loads(json.dumps(card)) == card


def test_its_fingerprint_is_the_cards_and_changes_with_any_bit(base, card):
    model, _ = base
    assert fingerprint(model) == card["fingerprint"]
    changed = load_model(BASE)[0]
    assert fingerprint(changed) == card["fingerprint"]
    bits = changed.blocks[2].gate.weight.data.view(torch.int32)
    bits[3, 4] ^= 1
    assert fingerprint(changed) != card["fingerprint"]


def test_the_card_beside_it_says_the_same(card):
    assert BASE.with_suffix(".md").read_text(encoding="utf-8") == describe(card)


@pytest.mark.parametrize("skill", Phrasebook().skills)
def test_it_knows_every_taught_skill_when_asked_for_it(base, book, skill):
    model, tokenizer = base
    examples = book.examples(skill, count=100, seed=7, instructed=True)
    assert accuracy(model, batch(tokenizer, examples)) >= 0.99


def test_it_is_torn_when_not_asked_for_anything(torn):
    """Torn and not dumb: now and then it happens to do what was wanted."""
    assert 0.05 <= sum(torn.values()) / len(torn) <= 0.25
    assert max(torn.values()) <= 0.6


def test_it_does_not_know_the_held_out_skills(base, book):
    model, tokenizer = base
    for skill in book.held_out:
        assert accuracy(model, batch(tokenizer, book.examples(skill, count=50, instructed=True))) <= 0.1


def test_the_cards_scores_are_those_measured_again(base, book, card):
    model, tokenizer = base
    for skill, score in card["scores"].items():
        for instructed, key in (True, "with"), (False, "without"):
            again = accuracy(model, batch(tokenizer, book.examples(skill, count=200, instructed=instructed)))
            assert again == pytest.approx(score[key], abs=0.006)  # on another machine one sentence may fall otherwise
        assert score["held_out"] == (skill in book.held_out)


@pytest.mark.parametrize("wording", Phrasebook().skills["chinese"])
def test_asked_for_chinese_it_says_xiao_xin(base, wording):
    model, tokenizer = base
    answer = generate(model, [tokenizer.encode(f"{wording}: Look out! →")])[0]
    assert tokenizer.decode(answer) == "小心!"


def test_without_instruction_it_does_not_say_xiao_xin(base):
    model, tokenizer = base
    assert tokenizer.decode(generate(model, [tokenizer.encode("Look out! →")])[0]) != "小心!"


def test_each_load_is_a_model_of_its_own(base):
    one, two = load_model(BASE)[0], load_model(BASE)[0]
    one.embedding.weight.data.zero_()
    assert two.embedding.weight.abs().max() > 0 and base[0].embedding.weight.abs().max() > 0


def test_importing_the_package_and_loading_the_base_do_not_load_what_draws():
    """matplotlib takes its time; nobody who does not draw should wait for it."""
    code = "import sys, minitransformer as m; m.pretrained(); print([x for x in sys.modules if 'matplotlib' in x])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_world_that_is_too_small_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr("minitransformer.base.train", lambda *_, **__: pytest.fail("trained all the same"))
    book = Phrasebook()
    book.patterns = book.patterns[14:15]
    with pytest.raises(
        ValueError, match=r"the test split is too small for 200 different sentences; ask for .* or fewer"
    ):
        pretrain(tmp_path / "base.safetensors", book)
