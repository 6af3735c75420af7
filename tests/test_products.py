import copy
import subprocess
import sys
from threading import current_thread

import pytest
import torch
from laws import METHODS, TINY, random_model, text
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minitransformer import freeze, generate, loss, products
from minitransformer.comparison import step_flops
from minitransformer.files.checkpoints import fingerprint, packed
from minitransformer.files.schema import Source
from minitransformer.tokenizer import batch

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no second library for products"
)


@pytest.fixture
def calls(monkeypatch) -> list:
    """The other library is taken, whatever this processor is; the sizes of what it multiplied."""
    calls, multiply = [], products.by_onednn
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(products, "by_onednn", lambda x, w: calls.append((x.shape, w.shape)) or multiply(x, w))
    return calls


@pytest.fixture
def single() -> nn.Module:
    return freeze(random_model(dtype=torch.float32))


def step(model, hooks) -> tuple[torch.Tensor, list[torch.Tensor]]:
    tokens, targets = text(model, 12, 9), text(model, 12, 9, seed=2)
    value = loss(model, tokens, targets, hooks)
    return value.detach(), torch.autograd.grad(value, list(hooks.parameters()))


@pytest.mark.parametrize("method", METHODS)
def test_loss_and_gradients_are_those_of_the_plain_products(single, calls, method):
    hooks = METHODS[method](3)
    value, gradients = step(single, hooks)
    assert calls
    with products.plain_products():
        calls.clear()
        plain_value, plain_gradients = step(single, hooks)
    assert not calls and abs(value - plain_value) < 1e-6 * abs(plain_value)
    for fast, plain in zip(gradients, plain_gradients, strict=True):
        assert (fast - plain).norm() <= 1e-5 * plain.norm()


def test_the_base_says_the_same_tokens(base, book, calls):
    model, tokenizer = base
    rows = [tokenizer.encode(asked) for asked, _ in book.examples("chinese", "test", 80, instructed=True)]
    fast = generate(model, rows, max_new_tokens=20)
    assert calls
    with products.plain_products():
        assert generate(model, rows, max_new_tokens=20) == fast


def test_a_weight_that_is_trained_gets_its_gradient(single, calls):
    single.requires_grad_(True)
    step(single, METHODS["prompt"](3))
    loss(single, text(single, 12, 9), text(single, 12, 9, seed=2)).backward()
    assert not calls and all(parameter.grad is not None for parameter in single.parameters())


def test_where_no_gradient_is_recorded_trained_weights_are_multiplied_fast_too(single, calls):
    single.requires_grad_(True)
    with torch.no_grad():
        single(text(single, 12, 9))
    assert calls


@pytest.mark.parametrize("case", ["few rows", "float64", "autocast", "switched off", "no such operator"])
def test_what_the_other_library_is_not_for_is_multiplied_plainly(monkeypatch, calls, case):
    model = freeze(random_model(dtype=torch.float64 if case == "float64" else torch.float32))
    if case == "no such operator":
        monkeypatch.undo()
        monkeypatch.setattr(products, "by_onednn", lambda x, w: torch.ops.mkldnn.no_such_operator(x, w))
        assert not products.onednn_is_faster.__wrapped__()
    elif case == "switched off":
        monkeypatch.undo()
        monkeypatch.setenv("MINITRANSFORMER_PRODUCTS", "plain")
        assert not products.onednn_is_faster.__wrapped__()
    else:
        with torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
            model(text(model, 1 if case == "few rows" else 12, 9))
        assert not calls


def test_a_torch_without_the_other_library_does_all_the_rest():
    code = """
import types, torch
torch.ops.mkldnn = types.SimpleNamespace()
from minitransformer import generate, pretrained, products
model, tokenizer = pretrained()
assert not products.onednn_is_faster() and generate(model, 70 * [tokenizer.encode("in Chinese: Look out! →")])
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_faster_library_is_taken_and_the_slower_one_is_not(monkeypatch):
    for ratio, taken in (0.5, True), (1.5, False):
        times = {products.by_onednn: ratio}
        monkeypatch.setattr(products, "seconds", lambda run, times=times: times.get(run.func, 1.0))
        assert products.onednn_is_faster.__wrapped__() == taken


def test_a_copy_has_weights_of_its_own_and_changes_in_place_are_seen(single, calls):
    tokens, changed = text(single, 12, 9), copy.deepcopy(single)
    before = single(tokens)
    changed.blocks[0].attention.query.weight.data *= 2
    assert torch.equal(single(tokens), before) and not torch.equal(changed(tokens), before)
    single.load_state_dict(changed.state_dict())
    assert torch.equal(single(tokens), changed(tokens))


def test_a_wrong_width_is_refused_in_the_words_of_every_linear_layer(single, calls):
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied \(100x33 and 32x32\)"):
        single.blocks[0].attention.query(torch.ones(100, 33))
    turned, strided = torch.randn(TINY.width, 100).T, torch.randn(100, 2 * TINY.width)[:, ::2]
    for x in turned, strided, torch.randn(1, TINY.width).expand(100, -1):
        fast = single.blocks[0].up(x)
        with products.plain_products():
            torch.testing.assert_close(fast, single.blocks[0].up(x))
    assert len(calls) == 3


def test_a_reader_sees_the_same_model(single):
    assert repr(single) == repr(random_model(dtype=torch.float32))
    assert isinstance(single.blocks[0].up, nn.Linear)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, where it differentiates forward
def test_its_operations_are_counted_and_its_derivatives_can_be_taken_again_and_forward(single, calls):
    hooks, layer = METHODS["prompt"](3), single.blocks[0].up
    example = text(single, 12, 9), text(single, 12, 9, seed=2)
    fast, count = step_flops(single, example, hooks), len(calls)
    with products.plain_products():
        assert count and step_flops(single, example, hooks) == fast
    with FlopCounterMode(display=False) as counter:
        layer(torch.ones(100, TINY.width))
    assert counter.get_total_flops() == 2 * 100 * TINY.width * TINY.hidden
    x = torch.randn(100, TINY.width, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    _, forward = torch.func.jvp(layer, (x.detach(),), (torch.ones_like(x),))
    with products.plain_products():
        (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        torch.testing.assert_close(second, torch.autograd.grad(gradient.sum(), x)[0])
        torch.testing.assert_close(forward, torch.func.jvp(layer, (x.detach(),), (torch.ones_like(x),))[1])
    rows = torch.randn(70, 2, TINY.width)
    torch.testing.assert_close(torch.func.vmap(layer)(rows), layer(rows))


def test_accuracy_of_a_loaded_model_uses_it(base, book, calls):
    from minitransformer import accuracy, pretrained

    model, tokenizer = pretrained()
    examples = batch(tokenizer, book.examples("chinese", "test", 30, instructed=True))
    assert accuracy(model, examples) > 0.9 and calls


@pytest.fixture(params=[True, False], ids=["in parts", "whole"])
def large(request, monkeypatch) -> bool:
    """Every weight counts as large, and a few rows are multiplied by it in parts, or not."""
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(products, "parts_are_faster", lambda rows: request.param)
    return request.param


def test_neighbours_are_moved_and_stay_the_same_parameters(large):
    model = random_model(dtype=torch.float32)
    before, parameters = copy.deepcopy(model), dict(model.named_parameters())
    freeze(model)
    attention = model.blocks[1].attention
    for name, parameter in model.named_parameters():
        assert parameter is parameters[name] and torch.equal(parameter, before.get_parameter(name))
    whole = products.together(attention.query.weight, attention.key.weight, attention.value.weight)
    assert whole.data_ptr() == attention.query.weight.data_ptr() and len(whole) == 64
    attention.key.weight.data.fill_(7)  # it is a view, in which a change is seen
    assert (whole[32:48] == 7).all() and not (whole[48:] == 7).any()


def test_a_model_of_large_weights_computes_trains_and_is_kept_the_same(large, calls, tmp_path):
    model = random_model(dtype=torch.float32)
    plain, hooks = copy.deepcopy(model).requires_grad_(False), METHODS["prompt"](3)
    freeze(model)
    (value, gradients), (expected, expected_gradients) = step(model, hooks), step(plain, hooks)
    assert abs(value - expected) < 1e-6 * expected
    for got, wanted in zip(gradients, expected_gradients, strict=True):
        assert (got - wanted).norm() <= 1e-5 * wanted.norm()
    assert fingerprint(model) == fingerprint(plain) == fingerprint(copy.deepcopy(model))
    files = [packed(each.state_dict(), {}, Source(str(tmp_path), "")) for each in (model, plain)]
    assert files[0] == files[1]


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_one_row_or_a_few_say_the_same_tokens(large, monkeypatch, rows):
    counts, bmm = [], torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda parts, columns: counts.append(len(parts)) or bmm(parts, columns))
    model = freeze(random_model(dtype=torch.float32))
    asked = text(model, rows, 6).tolist()
    fast = generate(model, asked, METHODS["prompt"](3), 9)
    assert bool(counts) == (large and rows <= products.FEW)
    with products.plain_products():
        counts.clear()
        assert generate(model, asked, METHODS["prompt"](3), 9) == fast and not counts


@pytest.mark.parametrize("shape", [(8,), (1, 8), (3, 8), (2, 1, 8)])
@pytest.mark.parametrize("outputs", [2, 9, 64 * 3, 67])  # the last has no parts of the same size
def test_a_product_in_parts_is_the_product(large, shape, outputs):
    x, weight = torch.randn(shape), torch.randn(outputs, 8)
    for strided in x, x.new_empty(*shape[:-1], 16)[..., ::2].copy_(x):
        product = products.multiply(strided, weight)
        torch.testing.assert_close(product, x @ weight.T)
        assert product.is_contiguous()
    assert products.multiply(x.new_empty(0, *shape), weight).shape == (0, *shape[:-1], outputs)


def test_a_few_rows_that_get_a_gradient_get_the_right_one(large):
    x, weight = torch.randn(3, 8, requires_grad=True), torch.randn(10, 8)
    (gradient,) = torch.autograd.grad(products.multiply(x, weight).sum(), x)
    torch.testing.assert_close(gradient, weight.sum(0).expand(3, -1))


def test_what_lies_well_is_not_moved_again(large):
    model = freeze(random_model(dtype=torch.float32))
    places = [parameter.data_ptr() for parameter in model.parameters()]
    freeze(model)
    assert places == [parameter.data_ptr() for parameter in model.parameters()]
    moved = copy.deepcopy(model)  # of neighbours it makes copies that lie apart
    weights = [layer.weight for layer in (moved.blocks[0].gate, moved.blocks[0].up)]
    assert torch.equal(products.together(*weights), torch.cat(weights))


@pytest.mark.parametrize("reason", ["small", "float64", "switched off"])
def test_what_needs_no_other_place_stays_where_it_is(monkeypatch, large, reason):
    if reason == "small":
        monkeypatch.undo()
    if reason == "switched off":
        monkeypatch.setenv("MINITRANSFORMER_PRODUCTS", "plain")
    model = random_model(dtype=torch.float64 if reason == "float64" else torch.float32)
    places = [parameter.data_ptr() for parameter in model.parameters()]
    freeze(model)
    assert places == [parameter.data_ptr() for parameter in model.parameters()]


@pytest.mark.parametrize(("parts", "taken"), [(0.5, True), (1.0, False)])
def test_a_few_rows_are_multiplied_in_the_faster_way(monkeypatch, parts, taken):
    monkeypatch.setattr(products, "seconds", lambda run: parts if run.args[0] is products.in_parts else 1.0)
    assert products.parts_are_faster.__wrapped__(1) == taken
    monkeypatch.setenv("MINITRANSFORMER_PRODUCTS", "plain")
    assert not products.parts_are_faster.__wrapped__(1)


def test_a_ratio_is_of_the_best_of_several_turns_and_every_weight_takes_part(monkeypatch):
    times, calls = iter([4.0, 8.0, 2.0, 16.0, 9.0, 9.0]), []
    monkeypatch.setattr(products, "seconds", lambda run: calls.append(run) or next(times))
    assert products.ratio("one", "other", times=3) == 2.0 / 8.0 and calls == ["one", "other"] * 3
    monkeypatch.undo()
    monkeypatch.setattr(products.time, "perf_counter", iter([5.0, 7.5]).__next__)
    assert products.seconds(lambda: None) == 2.5
    seen = []
    products.multiply_all(lambda x, weight: seen.append((x, weight)), "x", ["a", "b"])
    assert seen == [("x", "a"), ("x", "b")]


def test_both_ways_are_measured_with_as_many_threads_as_will_be_used(monkeypatch):
    """A new thread multiplies with all of them, whatever this one was told, and waits where one is busy."""
    told = []
    monkeypatch.setattr(torch, "set_num_threads", lambda count: told.append((count, current_thread())))
    products.ratio(lambda: None, lambda: None, times=1)
    ((count, where),) = told
    assert count == torch.get_num_threads() and where is not current_thread()


def test_weights_are_neighbours_only_where_they_follow_one_another_in_the_same_memory_and_order():
    memory = torch.arange(48.0).view(6, 8)
    first, gap, turned = memory[:2], memory[3:5], memory.T[2:4, :6]
    assert torch.equal(products.beside([first, memory[2:5]]), memory[:5])
    for other in gap, turned, memory[2:5].clone():
        assert products.beside([first, other]) is None


def test_a_layer_with_a_bias_keeps_it(large, calls):
    model = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 4, bias=False))
    x = torch.randn(100, 8)
    expected = model(x)
    torch.testing.assert_close(freeze(model)(x), expected)
    assert len(calls) == 1


def test_the_weights_of_the_base_that_ships_are_saved_by_whoever_saves_plain_tensors(base, tmp_path):
    model, _ = base
    save_file(model.state_dict(), tmp_path / "plain.safetensors")
    saved = load_file(tmp_path / "plain.safetensors")
    assert all(torch.equal(saved[name], weight) for name, weight in model.state_dict().items())


def test_neighbours_by_name_that_multiply_other_vectors_stay_apart(large):
    model = nn.Module()
    model.gate, model.up = nn.Linear(8, 6, bias=False), nn.Linear(5, 6, bias=False)
    before = copy.deepcopy(model.state_dict())
    freeze(model)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
