"""The cache: whatever way it grows, it holds the same keys and values."""

import copy
from itertools import pairwise

import pytest
import torch
from laws import METHODS, TINY, equal, text

from minitransformer import Cache, PromptTuning, Recorder, Stack


def pieces(rows: int, sizes, seed: int = 0):
    """Keys and values, (rows, G, n, d), for steps of n tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [tuple(torch.randn(2, rows, 2, size, 8, generator=generator).unbind()) for size in sizes]


def whole(parts):
    return [torch.cat(side, 2) for side in zip(*parts, strict=True)]


@pytest.mark.parametrize("recording", [True, False], ids=["concatenating", "writing into room"])
def test_it_gives_back_all_that_was_put_in(recording):
    cache, parts = Cache(), pieces(3, [4, 1, 1, 6, 0, 1, 1, 1, 20, 1])
    with torch.set_grad_enabled(recording):
        for number, (keys, values) in enumerate(parts, 1):
            for got, expected in zip(cache.extend(0, keys, values), whole(parts[:number]), strict=True):
                assert torch.equal(got, expected)
            assert cache.length(0) == whole(parts[:number])[0].shape[2]


def test_concatenating_and_writing_may_take_turns():
    cache, parts = Cache(), pieces(2, [3] + [1] * 12)
    for number, (keys, values) in enumerate(parts):
        with torch.set_grad_enabled(number % 3 == 1):
            got = cache.extend(0, keys, values)
    assert all(torch.equal(*pair) for pair in zip(got, whole(parts), strict=True))


def test_room_is_set_aside_so_that_few_steps_copy():
    """Of 100 steps of one token only those that double the room make new tensors: 1, 2, 4 … 64, and the first."""
    cache, places = Cache(), []
    with torch.no_grad():
        for keys, values in pieces(1, [1] * 100):
            places.append(cache.extend(0, keys, values)[0].data_ptr())
    moves = 1 + sum(one != two for one, two in pairwise(places))
    assert moves <= 8


@torch.no_grad()
def test_room_that_was_asked_for_is_used_to_the_last_place():
    cache, places = Cache(room=3), []
    for keys, values in pieces(2, [2, 1, 0, 2]):
        places.append(cache.extend(0, keys, values)[0].data_ptr())
    assert len({*places}) == 1 and cache.length(0) == 5
    assert cache.extend(0, *pieces(2, [1])[0])[0].data_ptr() != places[0]


@torch.no_grad()
def test_room_is_no_reason_to_write_into_what_was_given():
    cache, parts = Cache(room=3), pieces(1, [2, 1])
    kept = [tensor.clone() for tensor in parts[0]]
    for rows, (keys, values) in zip((1, 2), parts, strict=True):  # what one row has read serves two
        got = cache.extend(0, keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1))
    for both, expected in zip(got, whole(parts), strict=True):
        assert torch.equal(both, expected.expand(2, -1, -1, -1))
    assert all(torch.equal(*pair) for pair in zip(kept, parts[0], strict=True))


@pytest.mark.parametrize(("recording", "room"), [(True, 0), (True, 3), (False, 0)])
def test_where_no_room_is_set_aside_the_first_step_copies_nothing(recording, room):
    ((keys, values),) = pieces(2, [4])
    with torch.set_grad_enabled(recording):
        got = Cache(room).extend(0, keys, values)
    assert got[0] is keys and got[1] is values


def test_while_gradients_are_recorded_nothing_is_overwritten(model):
    """Backward through many cached steps works, and gives the gradients of one whole forward."""
    tokens, cache, hooks = text(model), Cache(), PromptTuning(3, TINY, 0.5).double()
    stepwise = torch.cat([model(part, hooks, cache) for part in tokens.split(2, 1)], 1)
    both = stepwise, model(tokens, hooks)
    got, expected = (torch.autograd.grad(logits[..., 0].sum(), hooks.vectors) for logits in both)
    equal(got[0], expected[0])


def test_what_was_read_without_gradients_may_go_on_with_them(model):
    """Room was set aside, but while gradients are recorded nobody may write into what backward will need."""
    tokens, cache, late = text(model), Cache(), model.blocks[2].attention.query.weight  # keys do not depend on it
    with torch.no_grad():
        for part in tokens[:, :5].split(1, 1):
            model(part, cache=cache)
    stepwise = torch.cat([model(part, cache=cache) for part in tokens[:, 5:].split(1, 1)], 1)
    both = stepwise, model(tokens)[:, 5:]
    got, expected = (torch.autograd.grad(logits[..., 0].square().sum(), late) for logits in both)
    equal(got[0], expected[0])


@pytest.mark.parametrize("recording", [True, False])
def test_layers_keep_to_themselves(recording):
    cache, one, two = Cache(), pieces(1, [2, 1, 3], 0), pieces(1, [4, 1, 1], 1)
    assert not cache.started and cache.length(0) == 0
    with torch.set_grad_enabled(recording):
        for first, second in zip(one, two, strict=True):
            got = cache.extend(0, *first), cache.extend(5, *second)
    assert cache.started and (cache.length(0), cache.length(1), cache.length(5)) == (6, 0, 6)
    for pair, parts in zip(got, (one, two), strict=True):
        assert all(torch.equal(*both) for both in zip(pair, whole(parts), strict=True))


@pytest.mark.parametrize("recording", [True, False])
def test_a_cache_of_one_row_serves_any_number_of_rows(model, recording):
    question, answers, cache = text(model, 1, 4), text(model, 5, 3, seed=9), Cache()
    with torch.set_grad_enabled(recording):
        model(question, cache=cache)
        got = torch.cat([model(part, cache=cache) for part in answers.split(1, 1)], 1)
    equal(got, model(torch.cat((question.expand(5, -1), answers), 1))[:, 4:])


@pytest.mark.parametrize(("first", "then"), [(2, 3), (3, 1), (2, 1)])
def test_another_number_of_rows_is_refused(model, first, then):
    cache = Cache()
    model(text(model, first), cache=cache)
    message = rf"this cache holds {first} rows and cannot go on with {then}; start a new Cache\(\)"
    with pytest.raises(ValueError, match=message):
        model(text(model, then), cache=cache)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", [0, 1, 4], ids=lambda n: f"first step of {n}")
def test_hooks_lengthen_at_the_first_step_and_never_again(model, method, first):
    cache, recorder, tokens = Cache(), Recorder(["keys"]), text(model)
    hooks, asked = Stack(METHODS[method](3).double(), recorder), []
    embed = hooks.embed
    hooks.embed = lambda x: asked.append(x) or embed(x)
    model(tokens[:, :first], hooks, cache)
    begun = [cache.length(layer) for layer in range(3)]
    assert max(begun) > first  # in some layer at least
    for number in range(first, 9):
        model(tokens[:, number : number + 1], hooks, cache)
        assert [recorder["keys", layer].shape[2] for layer in range(3)] == [1, 1, 1]
    assert [cache.length(layer) for layer in range(3)] == [length + 9 - first for length in begun]
    assert len(asked) == 1


def test_a_cache_passed_to_a_second_sequence_goes_on_with_the_first(model):
    """It is the sequence; a new sequence wants a new Cache()."""
    tokens, cache = text(model), Cache()
    model(tokens[:, :4], cache=cache)
    equal(model(tokens[:, 4:], cache=cache), model(tokens)[:, 4:])
    equal(model(tokens, cache=Cache()), model(tokens))


@pytest.mark.parametrize("recording", [True, False])
def test_branches_from_a_first_step_do_not_disturb_each_other(model, recording):
    """The first step leaves no room to write into, so branches that share its tensors each make their own."""
    question, trunk = text(model, 1, 4), Cache()
    with torch.set_grad_enabled(recording):
        model(question, cache=trunk)
        branches = []
        for _ in range(2):
            branches.append(Cache())
            branches[-1].layers = dict(trunk.layers)
        endings = [text(model, 1, 6, seed=seed) for seed in (7, 8)]
        logits = [[], []]
        for number in range(6):
            for side in (0, 1):
                logits[side].append(model(endings[side][:, number : number + 1], cache=branches[side]))
    for ending, got in zip(endings, logits, strict=True):
        equal(torch.cat(got, 1), model(torch.cat((question, ending), 1))[:, 4:])
    assert trunk.length(0) == 4


def test_a_later_branch_is_a_deep_copy(model):
    tokens, other, cache = text(model, 1), text(model, 1, seed=8), Cache()
    with torch.no_grad():
        for part in tokens[:, :4].split(1, 1):
            model(part, cache=cache)
        branch = copy.deepcopy(cache)
        branched = model(other[:, 4:], cache=branch)
        equal(model(tokens[:, 4:], cache=cache), model(tokens)[:, 4:])
        equal(branched, model(torch.cat((tokens[:, :4], other[:, 4:]), 1))[:, 4:])


def test_what_was_handed_out_stays_as_it_was(model):
    """A recorded value is not changed by later steps, though the cache goes on writing."""
    tokens, cache, recorder = text(model), Cache(), Recorder()
    with torch.no_grad():
        model(tokens[:, :3], recorder, cache)
        seen = {place: (value, value.clone()) for place, value in recorder.values.items()}
        for part in tokens[:, 3:].split(1, 1):
            model(part, cache=cache)
    assert all(torch.equal(value, copied) for value, copied in seen.values())
