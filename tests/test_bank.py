"""Many tenants in one batch, each answered as if it were alone."""

import pytest
import torch

from minitransformer import (
    Config,
    Gate,
    KeyValuePrefix,
    PrefixTuning,
    PromptBank,
    PromptTuning,
    Recorder,
    Stack,
    Transformer,
    fingerprint,
    generate,
    save,
)
from minitransformer.hooks import NO_HOOKS

CONFIG = Config(vocab=20, context=48, width=16, layers=3, heads=4, kv_heads=2, hidden=24, end=0)
TENANTS = {
    "prompt": PromptTuning(4, CONFIG, scale=0.5),
    "longer": PromptTuning(9, CONFIG, scale=0.5, seed=1),
    "prefix": PrefixTuning(2, CONFIG),
    "one layer": PrefixTuning(3, CONFIG, layers=[1]),
    "key/value": KeyValuePrefix(7, CONFIG),
    "gated": Gate(PromptTuning(5, CONFIG, scale=0.5), CONFIG, 0.3),
    "off": Gate(KeyValuePrefix(4, CONFIG), CONFIG, 0.0),
    "both": Stack(PromptTuning(2, CONFIG), PrefixTuning(3, CONFIG)),
}
NAMES = [*TENANTS, None]
PROMPTS = [[1 + (row + place) % 19 for place in range(2 + row % 4)] for row in range(len(NAMES))]


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


@pytest.fixture
def bank(model):
    bank = PromptBank(model)
    for name, hooks in TENANTS.items():
        bank.add(name, hooks)
    return bank


def own(name):
    return NO_HOOKS if name is None else TENANTS[name]


@torch.no_grad()
def test_a_mixed_batch_equals_its_rows_run_alone(model, bank):
    tokens = torch.arange(len(NAMES) * 6).reshape(-1, 6) % 20
    mixed = bank.forward(NAMES, tokens)
    for row, name in enumerate(NAMES):
        assert torch.allclose(mixed[row], model(tokens[row : row + 1], own(name))[0], atol=1e-5), name


def test_a_mixed_batch_generates_what_its_rows_generate_alone(model, bank):
    names, prompts = 2 * NAMES, PROMPTS + [prompt[::-1] for prompt in PROMPTS]
    answers = bank.generate(names, prompts, max_new_tokens=30)
    for name, prompt, answer in zip(names, prompts, answers, strict=True):
        assert answer == generate(model, [prompt], own(name), max_new_tokens=30)[0], name
    assert len({tuple(answer) for answer in answers}) > 3  # the tenants do differ
    assert sum(len(answer) < 30 for answer in answers) > 5  # so many rows have left the batch


@torch.no_grad()
def test_a_mixed_batch_watched_equals_one_that_is_not(model, bank):
    tokens = torch.arange(len(NAMES) * 6).reshape(-1, 6) % 20
    watched = model(tokens, Stack(bank.rows(NAMES), Recorder()))
    assert torch.allclose(bank.forward(NAMES, tokens), watched, atol=1e-5)


@torch.no_grad()
def test_equal_lengths_need_no_extra_mask(bank):
    rows = bank.rows(["prompt", "prompt"])
    assert all(rows.bias(layer) is None for layer in range(CONFIG.layers))
    assert bank.rows(["prompt", None]).bias(0).tolist() == [[0.0] * 4, [-float("inf")] * 4]


def test_a_tenant_is_replaced_while_a_batch_goes_on_with_what_it_began_with(model, bank):
    tokens = torch.tensor([[3, 4, 5]])
    rows = bank.rows(["prompt"])
    with torch.no_grad():
        before = model(tokens, rows)
        bank.replace("prompt", TENANTS["longer"])
        assert torch.equal(model(tokens, rows), before)
        assert torch.allclose(bank.forward(["prompt"], tokens), model(tokens, TENANTS["longer"]), atol=1e-5)
        bank.remove("prompt")
        assert torch.equal(model(tokens, rows), before)


def test_a_tenant_takes_the_memory_that_the_formula_says(bank):
    per_token = 2 * CONFIG.layers * CONFIG.kv_heads * CONFIG.head * 4
    assert bank.memory("prompt") == 4 * per_token and bank.memory("key/value") == 7 * per_token
    assert bank.memory("one layer") == 3 * per_token // CONFIG.layers


def test_a_bank_comes_back_from_its_folder(model, bank, tmp_path):
    bank.remove("key/value")  # a slash is no file name
    bank.save(tmp_path)
    again = PromptBank(model)
    again.load(tmp_path)
    assert sorted(again.tenants) == sorted(bank.tenants)
    names, tokens = list(bank.tenants), torch.arange(len(bank.tenants) * 4).reshape(-1, 4) % 20
    with torch.no_grad():
        assert torch.equal(again.forward(names, tokens), bank.forward(names, tokens))


def test_a_name_that_is_no_file_name_is_refused_on_saving(bank, tmp_path):
    with pytest.raises(ValueError, match="cannot name a file after the tenant 'key/value'"):
        bank.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_one_bad_file_changes_nothing(model, tmp_path):
    save(TENANTS["prompt"], tmp_path / "good.safetensors", model)
    (tmp_path / "worse.safetensors").write_text("not a prompt")
    bank = PromptBank(model)
    with pytest.raises(ValueError, match=r"worse\.safetensors is damaged"):
        bank.load(tmp_path)
    assert bank.tenants == {}


def test_a_prompt_for_another_base_is_refused(model, bank):
    foreign = PromptTuning(2, CONFIG)
    foreign.base = "0123456789abcdef"
    with pytest.raises(ValueError, match=f"made for the model 0123456789abcdef; this bank serves {fingerprint(model)}"):
        bank.add("foreign", foreign)


def test_what_cannot_be_is_said_clearly(bank, tmp_path):
    with pytest.raises(ValueError, match="there is a tenant 'prompt' already; use replace"):
        bank.add("prompt", TENANTS["prompt"])
    with pytest.raises(ValueError, match=r"there is no tenant 'nobody'; the tenants are prompt, longer"):
        bank.replace("nobody", TENANTS["prompt"])
    with pytest.raises(ValueError, match="there is no tenant 'nobody'"):
        bank.generate(["nobody"], [[1]])
    with pytest.raises(ValueError, match="each prompt needs a tenant or None; got 2 for 1 prompts"):
        bank.generate(["prompt", None], [[1]])
    with pytest.raises(FileNotFoundError, match=r"there are no \.safetensors files in"):
        bank.load(tmp_path)


def test_a_tenant_is_frozen_and_the_soft_prompt_that_it_was_made_of_is_not(model):
    """Also one that is keys and values already: the bank has its own."""
    for hooks in PromptTuning(2, CONFIG), KeyValuePrefix(2, CONFIG):
        bank = PromptBank(model)
        bank.add("tenant", hooks)
        bank.add("other", hooks)
        bank.replace("other", hooks)
        for name in "tenant", "other":
            assert not any(parameter.requires_grad for parameter in bank.prefix(name).parameters())
        assert all(parameter.requires_grad for parameter in hooks.parameters())
