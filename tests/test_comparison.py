"""Methods side by side: each row a run, every number one that can be recomputed."""

from dataclasses import replace

import pytest
import torch

from minitransformer import Config, PrefixTuning, PromptTuning, Transformer, accuracy, compare
from minitransformer.comparison import (
    Task,
    full_fine_tuning,
    instruction,
    no_prompt,
    one_new_token,
    skill_task,
    soft_prompt,
    step_flops,
    with_new_token,
)

CONFIG = Config(vocab=12, context=32, width=16, layers=2, heads=2, kv_heads=1, hidden=24)


class Constant:
    """Endless batches whose answer is always 7."""

    def __init__(self, seed):
        self.seed = seed

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            tokens = torch.randint(1, 6, (4, 3), generator=generator)
            yield tokens, torch.tensor([[-100, -100, 7]]).expand(4, -1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(CONFIG)


@pytest.fixture
def task():
    test = next(iter(Constant(99)))
    return Task("seven", Constant, test, test)


def test_every_baseline_is_one_call_and_leaves_the_model_as_it_was(model, task):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows = [
        no_prompt(model, task),
        instruction(model, task),
        soft_prompt(model, task, PromptTuning(2, CONFIG), "prompt", steps=5),
        full_fine_tuning(model, task, steps=60, peak=1e-2),
        one_new_token(model, task, steps=5),
    ]
    assert [row["method"] for row in rows] == ["no prompt", "instruction", "prompt", "full", "one new token"]
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert [row["parameters"] for row in rows] == [0, 0, 2 * 16, everything, 16]
    assert all(row["bytes"] == 4 * row["parameters"] for row in rows)
    assert rows[0]["accuracy"] == accuracy(model, task.test)
    assert rows[3]["accuracy"] == 1.0  # all parameters can learn to say 7
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_task_may_be_tested_elsewhere_too(model, task):
    hard = task.test[0], torch.full_like(task.test[1], -100).index_fill(1, torch.tensor([2]), 6)
    further = replace(task, elsewhere={"hard": hard, "same": task.test})
    row = full_fine_tuning(model, further, steps=60, peak=1e-2)  # which learns to say 7, and never 6
    assert row["hard"] == 0 and row["same"] == row["accuracy"] == 1


@pytest.mark.parametrize("until", [None, 0.8])
def test_a_training_ends_when_enough_of_the_validation_is_right(base, book, until):
    model, tokenizer = base
    task = skill_task(book, tokenizer, "chinese", rows=16, count=50)
    backwards = replace(task, validation=skill_task(book, tokenizer, "backwards", count=50).validation)
    rows = [compare(model, [each], ["prompt"], [4], [0], 30, 0, False, until)[0] for each in (task, backwards)]
    learned, never = (row["flops"] for row in rows)
    assert (learned in (never / 3, 2 * never / 3)) if until else learned == never  # looked at after every tenth step
    assert all(row["accuracy"] > 0.7 for row in rows)


def test_a_task_without_validation_is_refused_before_any_training(model, task, monkeypatch):
    monkeypatch.setattr("minitransformer.comparison.train", lambda *_, **__: pytest.fail("something was trained"))
    known = replace(task, validation=task.test)
    with pytest.raises(ValueError, match="nothing tells when 'seven' is learned"):
        compare(model, [known, task], ["prompt"], [1], [0], 40, progress=False, until=0.9)


def test_words_at_random_are_no_test_for_a_skill_that_needs_meaning(book, tokenizer):
    for skill, parts in ("last", ["unseen", "words"]), ("feeling", ["unseen"]):
        elsewhere = skill_task(book, tokenizer, skill, count=5, parts=["unseen", "words"]).elsewhere
        assert [*elsewhere] == parts and all(len(tokens) == 5 for tokens, _ in elsewhere.values())


def test_a_new_token_is_all_that_its_baseline_trains(model, task, monkeypatch):
    trained = []
    larger = with_new_token(model)
    monkeypatch.setattr("minitransformer.comparison.with_new_token", lambda _: trained.append(larger) or larger)
    start = {name: tensor.clone() for name, tensor in larger.state_dict().items()}
    one_new_token(model, task, steps=5)
    for name, tensor in larger.state_dict().items():
        if name == "embedding.weight":
            assert torch.equal(tensor[:-1], start[name][:-1]) and not torch.equal(tensor[-1], start[name][-1])
        else:
            assert torch.equal(tensor, start[name])


def test_compare_runs_every_combination_and_several_processes_find_the_same(model, task):
    settings = dict(methods=["prompt", "prefix"], lengths=[1, 3], seeds=[0, 1], steps=3, progress=False)
    rows = compare(model, [task], **settings)
    assert [(row["method"], row["length"], row["seed"]) for row in rows] == [
        (method, length, seed) for method in ("prompt", "prefix") for length in (1, 3) for seed in (0, 1)
    ]
    apart = compare(model, [task], processes=2, **settings)
    timeless = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    assert [{key: value for key, value in row.items() if key != "seconds"} for row in apart] == timeless


def test_an_unknown_method_is_named(model, task):
    with pytest.raises(ValueError, match="the methods are prompt, prefix, key/value; got adapter"):
        compare(model, [task], methods=["adapter"])


def test_flops_are_those_of_the_matrix_products(model):
    tokens, targets = next(iter(Constant(0)))
    counted = step_flops(model.requires_grad_(False), (tokens, targets), PrefixTuning(1, CONFIG))
    rows, width, hidden, kv = tokens.numel(), 16, 24, 8
    per_token = 2 * (2 * width * width + 2 * width * kv + 3 * width * hidden)  # one block, one way
    low = 2 * 2 * rows * per_token  # both blocks, forward and the gradients of the activations
    assert 0.6 * low < counted < 1.4 * low
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_skill_becomes_a_task_without_its_instruction(book, tokenizer):
    task = skill_task(book, tokenizer, "chinese", rows=2, count=5)
    unasked, asked = (tokenizer.decode(tokens[0]) for tokens in (task.test[0], task.asked[0]))
    assert ":" not in unasked and ":" in asked
    first, again = (next(iter(task.batches(3)))[0] for _ in range(2))
    assert torch.equal(first, again) and len(first) == 2
