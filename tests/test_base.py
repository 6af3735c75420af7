"""The shipped base: what its card says is so, and it is worth tuning."""

import json
import subprocess
import sys

import pytest
import torch

from minitransformer import Phrasebook, Tokenizer, accuracy, batch, fingerprint, generate, loss, pretrained
from minitransformer.__main__ import main
from minitransformer.base import (
    BASE,
    COLUMNS,
    RECIPE,
    SIZES,
    describe,
    pretrain,
    questions,
    scores,
    untrained,
)  # fmt: skip
from minitransformer.files.checkpoints import load_model, save_model
from minitransformer.hooks import Recorder
from minitransformer.model import Config
from minitransformer.phrasebook import prompt

SKILLS = Phrasebook().skills
MEANING = Phrasebook().meaning
LEAST = {"test": 0.98, "unseen": 0.95, "words": 0.95}  # exact match asked for in words, where the texts are drawn
UNUSUAL = {  # asked for as a student may: no mark, small letters, any order, one word and twelve, each by hand
    "shout: good night my friend": "GOOD NIGHT MY FRIEND",
    "say it loudly: purple": "PURPLE",
    "shout: the cat and the dog and the bird and my horse sleep": "THE CAT AND THE DOG AND THE BIRD AND MY HORSE SLEEP",
    "backwards: river moon two": "two moon river",
    "reverse the words: Tom SINGS Beautiful songs?": None,  # songs is no word of this world
    "reverse the words: tea Milk RED because": "because RED Milk tea",
    "repeat: yes": "yes",
    "say it again: Are hungry lions my sister?": "Are hungry lions my sister?",
    "copy the sentence: TOMORROW WE WILL DANCE": "TOMORROW WE WILL DANCE",
    "count the words: sun moon star sky sea snow wind rain fire music song game": "twelve",
    "how many words: hello": "one",
    "first word: green chairs sleep never": "green",
    "name the last word: green chairs sleep never": "never",
    "in Chinese: the dog is sleeping in the garden": "狗在花园里睡觉。",
    "translate into Chinese: my mother is a teacher": "我的妈妈是一位老师。",
    "say it in Chinese: look out": "小心!",
    "name the feeling: the girl is not laughing": "sad",
    "which feeling: the snake is dangerous!": "afraid",
}


@pytest.fixture(scope="module")
def card():
    return load_model(BASE)[2]


@pytest.fixture(scope="module")
def measured(base, book) -> dict:
    """The card's figures, measured again on the same texts."""
    model, tokenizer = base
    return scores(model, questions(book, tokenizer))


def test_it_is_small_enough_to_ship():
    assert BASE.stat().st_size <= 5 * 2**20


def test_its_tokenizer_is_the_phrasebooks(base, tokenizer):
    model, shipped = base
    assert shipped.vocabulary == tokenizer.vocabulary
    assert (model.config.vocab, model.config.end) == (len(tokenizer), tokenizer.end)
    assert {name: getattr(model.config, name) for name in SIZES["base"]} == SIZES["base"]


def test_it_is_in_float32_and_finite_and_can_be_trained():
    model, tokenizer = pretrained()
    for parameter in model.parameters():
        assert parameter.dtype == torch.float32 and parameter.isfinite().all() and parameter.requires_grad
    assert torch.isfinite(loss(model, *batch(tokenizer, [("shout: Look out! →", "LOOK OUT!")])))


def test_the_card_in_its_metadata_says_how_it_came_to_be(base, book, card):
    model, _ = base
    keys = ["recipe", "size", "parameters", "fingerprint", "minutes", "threads", "processes", "torch", "date", "scores"]
    assert set(card) == {*keys, "held_out"} and card["size"] == "base" and card["held_out"] == list(book.held_out)
    assert card["recipe"] == RECIPE | dict(seed=card["recipe"]["seed"], steps=card["recipe"]["steps"])
    assert card["parameters"] == sum(parameter.numel() for parameter in model.parameters()) <= 1_300_000
    assert 0 < card["minutes"] <= 40
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


@pytest.mark.parametrize("part", LEAST)
@pytest.mark.parametrize("skill", SKILLS)
def test_it_knows_every_taught_skill_however_it_is_asked_for(base, book, skill, part):
    """On sentences, on pairings that training never showed and on words at random; on other texts than the card's."""
    if part == "words" and skill in MEANING:
        pytest.skip("words at random have no meaning")
    model, tokenizer = base
    for wording in book.wordings(skill):
        examples = book.examples(skill, part, count=150, seed=7, instructed=wording)
        assert accuracy(model, batch(tokenizer, examples)) >= LEAST[part] - 0.02, wording  # 150 texts tell no better


def test_the_card_keeps_what_was_aimed_at(card, book):
    for skill in book.skills:
        score = card["scores"][skill]
        for column, part in COLUMNS.items():
            assert score.get(column, 1) >= LEAST[part], (skill, column)
        assert score["without"] <= 0.4, skill


def test_it_is_torn_when_not_asked_for_anything(card, book):
    """Torn and not dumb: now and then it happens to do what was wanted."""
    torn = [card["scores"][skill]["without"] for skill in book.skills]
    assert 0.03 <= sum(torn) / len(torn) <= 0.25


def test_words_do_not_call_up_a_held_out_skill_unless_it_is_put_together_from_two(card, book):
    asked = {skill: card["scores"][skill]["with"] for skill in book.held_out}
    assert 0.4 <= asked.pop("shout_last") <= 0.9 and max(asked.values()) <= 0.1
    assert max(card["scores"][skill]["without"] for skill in book.held_out) <= 0.1


def test_the_cards_scores_are_those_measured_again(card, measured):
    assert list(measured) == list(card["scores"])
    for skill, score in card["scores"].items():
        assert measured[skill]["wordings"].keys() == score["wordings"].keys()
        for column in (*COLUMNS, "without"):  # on another machine one sentence may fall otherwise
            assert measured[skill].get(column) == (pytest.approx(score[column], abs=0.006) if column in score else None)


def test_one_command_measures_and_prints_the_card_again(card, monkeypatch, capsys):
    monkeypatch.setattr("minitransformer.base.scores", lambda model, asked: card["scores"])  # measured above
    main(["card"])
    assert capsys.readouterr().out == BASE.with_suffix(".md").read_text(encoding="utf-8")


def test_a_model_without_a_card_or_of_another_world_is_not_measured(base, card, tmp_path):
    model, tokenizer = base
    words = [word for word in tokenizer.vocabulary if word != "pink"] + ["plum"]
    for wrong, about, message in (
        (tokenizer, {"made": "elsewhere"}, "has no card to print: expected a base model"),
        (Tokenizer(words), card, "other words than this world has: name its own world, --world FILE"),
    ):
        save_model(tmp_path / "m.safetensors", model, wrong, about)
        with pytest.raises(SystemExit, match=message):
            main(["card", str(tmp_path / "m.safetensors")])


@pytest.mark.parametrize("asked", UNUSUAL)
def test_it_answers_whatever_a_student_composes(base, asked):
    model, tokenizer = base
    if UNUSUAL[asked] is None:
        with pytest.raises(ValueError, match=r"'songs' \(near it: sons, song"):
            tokenizer.encode(asked)
    else:
        (answer,) = generate(model, [tokenizer.encode(prompt(asked))], max_new_tokens=64)
        assert tokenizer.decode(answer) == UNUSUAL[asked]


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
    greetings = [option for option in book.grammar.options["sentence"] if option.name == "greeting"]
    book.grammar.options["sentence"] = greetings
    with pytest.raises(ValueError, match=r"the test part is too small for 200 different texts; ask for \d+ or fewer"):
        pretrain(tmp_path / "base.safetensors", book)


def test_the_first_weights_look_at_the_words_just_before(tokenizer):
    """In the first layer, in the two heads that share its first key head; for these, any text is the same."""
    model = untrained(Config(vocab=len(tokenizer), **SIZES["base"]), tokenizer)
    recorder = Recorder(("weights",))
    model(torch.randint(len(tokenizer), (5, 20)), recorder)
    for head, back in (0, 1), (1, 2):
        weights = recorder["weights", 0][:, head].diagonal(-back, 1, 2)  # what each place gives to the one so far back
        assert weights[:, 5:].mean() > 0.5


def test_the_spellings_of_a_word_start_out_alike(tokenizer):
    vectors = untrained(Config(vocab=len(tokenizer), **SIZES["base"]), tokenizer).embedding.weight

    def likeness(one: str, other: str) -> float:
        return torch.cosine_similarity(vectors[tokenizer.ids[one]], vectors[tokenizer.ids[other]], 0).item()

    for one, other in ("cat", "Cat"), ("cat", "CAT"), ("Cat", "CAT"):
        assert likeness(one, other) > likeness("dog", other) + 0.2


def test_the_same_seed_gives_the_same_first_weights_and_another_seed_others(tokenizer):
    def first(seed: int) -> str:
        torch.manual_seed(seed)
        return fingerprint(untrained(Config(vocab=len(tokenizer), **SIZES["tiny"]), tokenizer))

    assert first(0) == first(0) != first(1)


def test_a_model_is_trained_and_its_card_written(tmp_path, monkeypatch):
    """The whole way, in a few steps of the smallest size; nothing unfinished is left beside it."""
    monkeypatch.setattr("minitransformer.base.questions", lambda book, tokenizer: questions(book, tokenizer, count=5))
    one = pretrain(tmp_path / "one.safetensors", steps=3, size="tiny", progress=False)
    two = pretrain(tmp_path / "two.safetensors", steps=3, size="tiny", progress=False)
    assert one["fingerprint"] == two["fingerprint"] and one["parameters"] < 200_000
    assert (tmp_path / "one.md").read_text(encoding="utf-8") == describe(one)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.md", "one.safetensors", "two.md", "two.safetensors",
    ]  # fmt: skip
