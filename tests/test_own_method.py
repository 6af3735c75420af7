"""A tuning method in one place, a class in the user's own notebook, can do what the package's own methods can."""

import pytest
import torch
from torch import nn

from minitransformer import (
    Batches,
    Gate,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptBank,
    PromptTuning,
    Stack,
    accuracy,
    batch,
    compare,
    compile_prefix,
    export_peft,
    generate,
    import_peft,
    load,
    reparametrise,
    save,
    train,
)
from minitransformer.comparison import skill_task


class Mine(Hooks):
    """A prompt whose vectors are a mixture of a few; called as the package's own methods are."""

    def __init__(self, length, config, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.few = nn.Parameter(0.05 * torch.randn(length, config.width, generator=generator))
        self.mix = nn.Parameter(torch.eye(length) + 0.1)

    def embed(self, x):
        return torch.cat(((self.mix @ self.few).to(x.dtype).expand(len(x), -1, -1), x), 1)


class Heavier(PromptTuning):
    """A subclass of the package's own method that does something else."""

    def embed(self, x):
        return torch.cat(((2 * self.vectors).expand(len(x), -1, -1), x), 1)


class FromVectors(Hooks):
    """As in lesson 2: called with a tensor."""

    def __init__(self, vectors):
        super().__init__()
        self.vectors = nn.Parameter(vectors.clone())
        self.start = vectors

    def embed(self, x):
        return torch.cat((self.vectors.expand(len(x), -1, -1), x), 1)


OWN = {
    "of one's own": lambda config: Mine(4, config),
    "a subclass of a prompt": lambda config: Heavier(4, config, seed=3),
    "called with a tensor": lambda config: FromVectors(0.1 * torch.ones(3, config.width)),
    "in a stack in a gate": lambda config: Gate(Stack(PrefixTuning(2, config, range(2)), Mine(3, config)), config),
    "reparametrised": lambda config: reparametrise(Heavier(2, config), hidden=5),
}


@pytest.fixture(scope="module")
def tuned(base, book):
    """Each of them after a few steps of training on the shipped base."""
    model, tokenizer = base
    batches = Batches(book, tokenizer, ["shout"], rows=8)
    made = {name: make(model.config) for name, make in OWN.items()}
    for hooks in made.values():
        history = train(model, batches, hooks, steps=8, warmup=2, progress=False)
        assert history.loss[-1] < history.loss[0] and history.proof["base_unchanged"]
    return made


@pytest.mark.parametrize("name", OWN)
def test_it_is_saved_and_loaded(base, tuned, name, tmp_path):
    (model, tokenizer), hooks = base, tuned[name]
    save(hooks, tmp_path / "mine", model)
    again = load(tmp_path / "mine", model)
    tokens = torch.tensor([tokenizer.encode("Look out! →")])
    assert torch.equal(model(tokens, again), model(tokens, hooks))
    assert generate(model, tokens.tolist(), again) == generate(model, tokens.tolist(), hooks)
    train(model, [batch(tokenizer, [("Look out! →", "LOOK OUT!")])], again, steps=1, progress=False)


def test_what_it_was_called_with_comes_back_too(base, tuned, tmp_path):
    save(tuned["called with a tensor"], tmp_path / "mine")
    again = load(tmp_path / "mine", base[0])
    assert torch.equal(again.start, 0.1 * torch.ones(3, base[0].config.width))


def test_a_class_that_is_defined_again_is_loaded_as_it_is_now(base, tmp_path):
    save(Mine(2, base[0].config), tmp_path / "mine")
    newer = type("Mine", (Mine,), {"newer": True})
    assert type(load(tmp_path / "mine", base[0])) is newer


@pytest.mark.parametrize("name", OWN)
def test_it_is_mixed_with_others_in_a_bank(base, tuned, name):
    (model, tokenizer), bank = base, PromptBank(base[0])
    bank.add("mine", tuned[name])
    bank.add("other", KeyValuePrefix(2, model.config))
    tokens = torch.tensor([tokenizer.encode("Look out! →")] * 3)
    mixed = bank.forward(["other", "mine", None], tokens)
    torch.testing.assert_close(mixed[1:2], model(tokens[:1], tuned[name]), rtol=1e-4, atol=1e-4)


def test_it_is_compared_beside_the_package_s_own(base, book):
    model, tokenizer = base
    task = skill_task(book, tokenizer, "shout", rows=8, count=20)
    methods = {"prompt": PromptTuning, "mine": Mine}
    rows = compare(model, [task], methods, lengths=[2], seeds=[0], steps=3, progress=False)
    assert [(row["method"], row["length"]) for row in rows] == [("prompt", 2), ("mine", 2)]
    with pytest.raises(ValueError, match=r"the methods are prompt, prefix, key/value; got mine: pass one of your own"):
        compare(model, [task], ["mine"])


def test_processes_side_by_side_know_a_method_that_was_written_in_a_notebook(base, book):
    model, tokenizer = base
    task = skill_task(book, tokenizer, "shout", rows=8, count=20)
    local = type("Local", (Mine,), {"__module__": "__main__"})
    (row,) = compare(model, [task], {"mine": local}, [2], [0], steps=2, processes=2, progress=False)
    assert row["method"] == "mine" and row["seconds"] > 0


@pytest.mark.parametrize("name", ["of one's own", "a subclass of a prompt", "reparametrised"])
def test_a_prompt_goes_to_peft_as_the_vectors_that_enter(base, tuned, name, tmp_path):
    model, tokenizer = base
    export_peft(tuned[name], model, tmp_path)
    tokens, targets = batch(tokenizer, [("Look out! →", "LOOK OUT!")] * 2)
    again = import_peft(tmp_path, model)
    torch.testing.assert_close(model(tokens, again), model(tokens, tuned[name]), rtol=1e-5, atol=1e-5)
    assert accuracy(model, (tokens, targets), again) == accuracy(model, (tokens, targets), compile_prefix(model, again))
