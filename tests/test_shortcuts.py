"""The shorter ways lead where the long one leads, and are taken only where nobody would notice."""

import copy

import pytest
import torch
from laws import METHODS, equal, lesson, random_model, soft, text
from torch import nn

from minitransformer import Cache, Hooks, KeyValuePrefix, PromptTuning, Recorder, freeze, generate, loss, shared_loss
from minitransformer.generation import choose
from minitransformer.losses import wanted_logits
from minitransformer.model import Attention, Block, Transformer
from minitransformer.products import plain_products
from minitransformer.shortcuts import OneToken, Places, lead_there, lean
from minitransformer.tokenizer import IGNORED


def places_with_a_loss(kind: str) -> torch.Tensor:  # (3, 9)
    wanted = torch.zeros(3, 9, dtype=torch.bool)
    if kind == "answers behind instructions, padded":
        wanted[0, 2:5] = wanted[1, 4:9] = wanted[2, 3:4] = True
    elif kind == "a row without any":
        wanted[1, 1:7:2] = True
    elif kind == "the first place only":
        wanted[:, 0] = True
    elif kind == "all but one":
        wanted[:] = True
        wanted[1, 4] = False
    else:
        wanted[:, -1] = True
    return wanted


KINDS = ["answers behind instructions, padded", "a row without any", "the first place only", "all but one", "the last"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", [*METHODS, None])
def test_logits_and_gradients_at_the_wanted_places_are_those_of_the_long_way(model, method, kind):
    hooks = METHODS[method](3).double() if method else Hooks()
    model.requires_grad_(not method)
    learners = list(hooks.parameters()) or list(model.parameters())
    results = []
    for way in "short", "long":
        cache = Cache()
        model.hidden(text(model)[:1, :0], hooks, cache)
        if way == "short":
            places = Places.of(places_with_a_loss(kind), torch.device("cpu"))
            logits = wanted_logits(model, text(model, 3, 9), places, hooks, cache)
        else:
            logits = model(text(model, 3, 9), hooks, cache)[places_with_a_loss(kind)]
        results.append([logits, *torch.autograd.grad(logits.square().sum(), learners)])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_padding_and_what_the_last_block_need_not_say_are_not_multiplied(model, monkeypatch):
    rows, multiply = [], nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: rows.append(x.shape[:-1].numel()) or multiply(self, x))
    tokens, targets = text(model, 3, 9), text(model, 3, 9)
    targets[:], targets[0, 2:5], targets[1, 4:9], targets[2, 3:4] = IGNORED, 1, 1, 1
    loss(model, tokens, targets)
    needed, wanted = 5 + 9 + 4, 3 + 5 + 1
    block = 7 * [needed]  # query, key, value, output, gate, up, down
    assert rows == 2 * block + [wanted, needed, needed, wanted, wanted, wanted, wanted]


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("method", METHODS)
def test_one_token_more_is_what_the_long_way_reads(method, dtype, within):
    model = freeze(random_model(dtype=dtype))
    hooks, tokens = METHODS[method](3).to(dtype), text(model, 3, 9)
    with torch.no_grad():
        ends = []
        for read in OneToken(model).read, lambda t, *rest: model(t[:, None], *rest)[:, -1]:
            cache = Cache(room=9)
            model.hidden(tokens[:, :4], hooks, cache)
            ends.append(torch.stack([read(tokens[:, place], hooks, cache) for place in range(4, 9)]))
    equal(*ends, within)


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3, 1.0, 1e15])  # at the smallest the epsilon is all that counts
def test_the_norm_of_one_token_is_the_norm(size):
    norm = torch.nn.RMSNorm(32, eps=1e-5)
    norm.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    x = size * torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(lean(norm)(x), norm(x))


@pytest.mark.parametrize("kind", [dict(dtype=torch.float64), dict(dtype=torch.bfloat16), dict(device="meta")], ids=str)
def test_where_the_norm_is_quick_or_needs_other_digits_it_stays_as_it_is(kind):
    norm, usual = torch.nn.RMSNorm(32, eps=1e-5, **kind), torch.nn.RMSNorm(32, eps=1e-5)
    assert lean(norm) is norm and lean(usual) is not usual


def test_where_every_place_is_asked_for_the_model_reads_as_ever(model, monkeypatch):
    monkeypatch.setattr("minitransformer.losses.hidden_at", None)
    tokens, targets = text(model, 3, 9), text(model, 3, 9)
    loss(model, tokens, targets)
    targets[0, 8] = IGNORED
    with pytest.raises(TypeError):
        loss(model, tokens, targets)


def test_decoding_sets_room_aside_once(model, monkeypatch):
    places, put = set(), Cache.put

    def noted(cache, *given):
        keys, values = put(cache, *given)
        places.add(keys.data_ptr())
        return keys, values

    monkeypatch.setattr(Cache, "put", noted)
    generate(model, [[1, 2], [3, 4]], soft(KeyValuePrefix, model), max_new_tokens=40)
    assert len(places) == model.config.layers


class Doubled(nn.Module):
    """As those who add LoRA do it: a layer in place of a linear one."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return 2 * self.layer(x)


def replaced(model):
    model.blocks[1].attention.value = Doubled(model.blocks[1].attention.value)


def called_on_the_way(model):
    model.blocks[1].up.register_forward_hook(lambda layer, given, result: 2 * result)


def called_before(model):
    model.blocks[1].up.register_forward_pre_hook(lambda layer, given: (2 * given[0],))


def another_method(model):
    block = model.blocks[1]
    block.feed_forward = lambda x, hooks: 2 * type(block).feed_forward(block, x, hooks)


def another_class(model):
    class Loud(type(model)):
        def logits(self, hidden):
            return 2 * super().logits(hidden).flip(-1)

    model.__class__ = Loud


def parametrised(model):
    nn.utils.parametrize.register_parametrization(model.blocks[1].down, "weight", Half())


class Half(nn.Module):
    def forward(self, weight):
        return weight / 2


@pytest.mark.parametrize(
    "change", [replaced, called_on_the_way, called_before, another_method, another_class, parametrised]
)
def test_who_changes_the_model_gets_what_it_computes_then(model, change):
    changed = copy.deepcopy(model)
    change(changed)
    assert lead_there(model, Hooks()) and not lead_there(changed, Hooks())
    prompts, hooks = text(model, 3, 5).tolist(), soft(PromptTuning, model)
    said, value = generate(changed, prompts, hooks, max_new_tokens=8), shared_loss(changed, *lesson(model), hooks)
    with plain_products():
        assert said == generate(changed, prompts, hooks, max_new_tokens=8)
        assert value == shared_loss(changed, *lesson(model), hooks)
    assert value != shared_loss(model, *lesson(model), hooks) and said != generate(model, prompts, hooks, 8)


@pytest.mark.parametrize("place", [Attention, Block, Transformer, "visible", "attend"], ids=str)
def test_who_writes_a_part_of_the_model_anew_gets_what_it_computes_then(model, place, monkeypatch):
    before = shared_loss(model, *lesson(model), hooks := soft(PromptTuning, model))
    prompts = text(model, 3, 5).tolist()
    if place == "visible":
        whole = lambda queries, keys, device: torch.ones(queries, keys, dtype=torch.bool)  # noqa: E731
        monkeypatch.setattr("minitransformer.model.visible", whole)
    elif place == "attend":
        first = lambda queries, keys, values, *_: values[:, :1, :1].expand_as(queries)  # noqa: E731
        monkeypatch.setattr("minitransformer.model.attend", first)
    else:
        name = "logits" if place is Transformer else "forward"
        method = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *given: 2 * method(*given).flip(-1))
    value, said = shared_loss(model, *lesson(model), hooks), generate(model, prompts, hooks, 8)
    with plain_products():
        assert value == shared_loss(model, *lesson(model), hooks) != before
        assert said == generate(model, prompts, hooks, 8)


def test_who_calls_on_the_way_back_is_called(model):
    calls = []
    model.blocks[1].up.register_full_backward_hook(lambda *given: calls.append(given))
    shared_loss(model, *lesson(model), soft(PromptTuning, model)).backward()
    assert calls


def test_they_are_closed_to_watchers_and_by_hand(model):
    assert lead_there(model, Hooks()) and lead_there(freeze(random_model()), Hooks())
    assert not lead_there(model, Recorder(("weights",)))
    with plain_products():
        assert not lead_there(model, Hooks())
    assert lead_there(model, Hooks())


@pytest.mark.parametrize("method", [name for name in METHODS if not name.startswith(("all", "prompt and"))])
def test_in_a_step_and_in_decoding_the_device_waits_for_no_number(method):
    """On the device `meta` there are shapes and no numbers: whoever asks for one is refused.

    A prefix behind a prompt does ask, once a batch: whether it leaves the prompt's vectors as they are.
    """
    model, hooks = freeze(random_model(dtype=torch.float32)), METHODS[method](3)
    tokens, targets = lesson(model)
    model, hooks, cache = model.to("meta"), hooks.to("meta"), Cache(room=9)
    shared_loss(model, tokens, targets, hooks).backward()
    assert all(parameter.grad.is_meta for parameter in hooks.parameters())
    with torch.no_grad():
        model.read(tokens[:1, :0].to("meta"), hooks, cache)
        logits = OneToken(model).read(tokens[:, 0].to("meta"), hooks, cache)
        assert choose(logits.clone(), 0.7, 5, 0.9, None).is_meta
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        logits.sum().item()


@pytest.mark.parametrize("method", ["prompt", "prefix", "key/value prefix"])
def test_under_autocast_they_come_as_close_as_its_numbers_are(method):
    model, hooks = freeze(random_model(dtype=torch.float32)), METHODS[method](3)
    with torch.autocast("cpu", torch.bfloat16):
        value, said = shared_loss(model, *lesson(model), hooks), generate(model, text(model, 3, 5).tolist(), hooks, 1)
        with plain_products():
            assert abs(value - shared_loss(model, *lesson(model), hooks)) < 0.02 * value
            assert generate(model, text(model, 3, 5).tolist(), hooks, 1) == said
        assert len(generate(model, text(model, 3, 5).tolist(), hooks, 5)[0]) == 5
