"""The model against plain NumPy and finite differences, and the messages of bad input."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import METHODS, TINY, check_gradients, equal, lesson, random_model, text

from minitransformer import Cache, Config, PrefixTuning, PromptTuning, Recorder, Transformer, generate, loss
from minitransformer.model import visible

HEADS = [(4, 2), (4, 4), (4, 1), (1, 1)]  # query heads and key/value heads: grouped, full, shared, single


def rms_norm(x, weight, eps=1e-5):  # (D)
    return x / np.sqrt(np.mean(x**2) + eps) * weight


def turn(vector, position, base=10_000.0):  # (d)
    """Each pair (i, i + d/2) is a complex number, turned by the angle position / base^(2i/d)."""
    half = len(vector) // 2
    pairs = vector[:half] + 1j * vector[half:]
    turned = pairs * np.exp(1j * position * base ** (-2 * np.arange(half) / len(vector)))
    return np.concatenate((turned.real, turned.imag))


def attention(x, w, config):  # (T, D)
    """Position by position and head by head, nothing shared with the package but the weights."""
    rows, group = [], config.heads // config.kv_heads
    normed = [rms_norm(row, w["norm.weight"], config.eps) for row in x]
    part = lambda row, name, head: (w[f"{name}.weight"] @ row)[head * config.head : (head + 1) * config.head]  # noqa: E731
    for i, row in enumerate(normed):
        heads = []
        for head in range(config.heads):
            query = turn(part(row, "query", head), i, config.rope_base)
            keys = [turn(part(normed[j], "key", head // group), j, config.rope_base) for j in range(i + 1)]
            scores = np.array([query @ key for key in keys]) / np.sqrt(config.head)
            weights = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            heads.append(sum(weights[j] * part(normed[j], "value", head // group) for j in range(i + 1)))
        rows.append(w["output.weight"] @ np.concatenate(heads))
    return np.array(rows)


def feed_forward(row, w):  # (D)
    gate = w["gate.weight"] @ row
    return w["down.weight"] @ (gate / (1 + np.exp(-gate)) * (w["up.weight"] @ row))


def forward(model, tokens):  # (T) -> (T, V)
    w, config = {name: value.detach().numpy() for name, value in model.state_dict().items()}, model.config
    below = lambda place: {name.removeprefix(place): w[name] for name in w if name.startswith(place)}  # noqa: E731
    x = w["embedding.weight"][tokens]
    for layer in range(config.layers):
        block = below(f"blocks.{layer}.")
        x = x + attention(x, below(f"blocks.{layer}.attention."), config)
        x = x + np.array([feed_forward(rms_norm(row, block["norm.weight"], config.eps), block) for row in x])
    return np.array([w["embedding.weight"] @ rms_norm(row, w["norm.weight"], config.eps) for row in x])


def test_the_norm_is_the_textbooks(model):
    x = torch.randn(5, 32, dtype=torch.float64)
    expected = [rms_norm(row.numpy(), model.norm.weight.detach().numpy()) for row in x]
    equal(model.norm(x), torch.tensor(np.array(expected)))


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_rotation_turns_each_pair_by_its_angle(base):
    model = random_model(rope_base=base)
    x = torch.randn(1, 1, 5, 8, dtype=torch.float64)
    expected = [turn(row.numpy(), position, base) for position, row in enumerate(x[0, 0], 7)]
    equal(model.rotate(x, 12)[0, 0], torch.tensor(np.array(expected)), within=1e-5)  # the last 5 of 12 positions


def test_the_mask_is_the_one_rule():
    for queries, keys in (3, 3), (1, 5), (2, 6), (0, 2):
        seen = [[key <= keys - queries + query for key in range(keys)] for query in range(queries)]
        assert visible(queries, keys).tolist() == seen


@pytest.mark.parametrize(("heads", "kv_heads"), HEADS)
@pytest.mark.parametrize("sites", [["attention"], ["attention", "weights"]], ids=["fused", "written out"])
def test_attention_is_what_numpy_says(heads, kv_heads, sites):
    model, recorder = random_model(heads=heads, kv_heads=kv_heads), Recorder([*sites, "input"])
    model(text(model), recorder)
    for layer, block in enumerate(model.blocks):
        weights = {name: value.detach().numpy() for name, value in block.attention.state_dict().items()}
        for row, got in zip(recorder["input", layer], recorder["attention", layer], strict=True):
            equal(got, torch.tensor(attention(row.numpy(), weights, model.config)), within=1e-5)


@pytest.mark.parametrize(("heads", "kv_heads"), HEADS)
def test_the_whole_forward_is_what_numpy_says(heads, kv_heads):
    model = random_model(heads=heads, kv_heads=kv_heads, rope_base=100.0, eps=1e-3)
    tokens = text(model)
    expected = np.array([forward(model, row.numpy()) for row in tokens])
    equal(model(tokens), torch.tensor(expected), within=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("length", [0, 1, 5])
def test_logits_are_always_rows_by_tokens_by_vocabulary(model, method, rows, length):
    hooks, tokens = METHODS[method](3).double(), torch.zeros(rows, length, dtype=torch.long)
    assert model(tokens, hooks).shape == (rows, length, 50)
    assert model.hidden(tokens, hooks).shape == (rows, length, 32)


def test_no_text_at_all_works_watched_and_unwatched(model):
    nothing = torch.zeros(2, 0, dtype=torch.long)
    recorder = Recorder()
    assert model(nothing).shape == model(nothing, recorder).shape == (2, 0, 50)
    assert recorder["weights", 0].shape == (2, 4, 0, 0)


def test_gradients_agree_with_finite_differences(model):
    check_gradients(lambda: loss(model, *lesson(model)), model.parameters())


def test_every_parameter_receives_gradient_when_the_model_itself_is_trained(model):
    loss(model, *lesson(model)).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_the_embedding_is_tied_to_the_logits(model):
    hidden = model.hidden(text(model))
    equal(model.logits(hidden), hidden @ model.embedding.weight.T)
    assert not any("logits" in name for name, _ in model.named_parameters())


def test_a_model_may_write_words_with_a_table_of_its_own():
    model = random_model(tied=False)
    assert model.state_dict().keys() - random_model().state_dict().keys() == {"unembedding.weight"}
    tokens, targets = lesson(model)
    hidden = model.hidden(tokens)
    equal(model.logits(hidden), hidden @ model.unembedding.weight.T)
    assert (model.logits(hidden) - hidden @ model.embedding.weight.T).abs().max() > 0.1
    equal(loss(model, tokens, targets), F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten()))
    (said,) = generate(model, tokens[:1].tolist(), max_new_tokens=4)
    (step_by_step,) = tokens[:1].tolist()
    for token in said:
        assert token == model(torch.tensor([step_by_step]))[0, -1].argmax()
        step_by_step.append(token)


def test_a_shape_is_shown_as_before_there_were_two_tables():
    """Fingerprints are made of it, and soft prompts name their base by those."""
    assert "tied" not in repr(TINY) and replace(TINY, tied=False) != TINY


def test_a_fresh_model_is_nearly_indifferent():
    """Its loss is that of guessing: log V."""
    model = Transformer(TINY)
    assert abs(loss(model, *lesson(model)).item() - np.log(50)) < 0.1


@pytest.mark.parametrize("name", ["rope_base", "eps"])
def test_a_config_wants_positive_numbers(name):
    with pytest.raises(ValueError, match=f"{name} must be a finite number above 0; got -1"):
        Config(50, 64, 32, 3, 4, 2, 48, **{name: -1.0})


@pytest.mark.parametrize("name", ["vocab", "context", "width", "layers", "heads", "kv_heads", "hidden"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "4", True, None])
def test_a_config_wants_whole_numbers(name, value):
    shape = dict(vocab=50, context=64, width=32, layers=3, heads=4, kv_heads=2, hidden=48)
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1; got {value!r}"):
        Config(**shape | {name: value})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((50, 64, 30, 3, 4, 2, 48), "Config.width must be a multiple of heads; got width=30 and heads=4: change"),
        ((50, 64, 32, 3, 4, 3, 48), "Config.heads must be a multiple of kv_heads; got heads=4 and kv_heads=3: change"),
        ((50, 64, 12, 3, 4, 2, 48), "a head must have an even width to rotate in pairs; got width / heads = 3"),
        ((50, 64, 32, 3, 4, 2, 48, 1e4, 1e-5, 50), "end must be a whole number from 0 to 49; got 50"),
        ((50, 64, 32, 3, 4, 2, 48, 1e4, 1e-5, -1), "end must be a whole number from 0 to 49; got -1"),
    ],
)
def test_a_config_that_does_not_fit_says_what_to_change(shape, message):
    with pytest.raises(ValueError, match=message):
        Config(*shape)


def test_a_config_is_frozen():
    with pytest.raises(AttributeError, match="cannot assign to field 'width'"):
        TINY.width = 64


@pytest.mark.parametrize("wrong", [50, -1, 10**12])
def test_token_ids_out_of_range_are_refused(model, wrong):
    with pytest.raises(ValueError, match=f"token ids run from 0 to 49; got {wrong}: use its own tokenizer"):
        model(torch.tensor([[1, 49, 0, wrong]]))
    with pytest.raises(ValueError, match=f"got {wrong}: use its own tokenizer"):
        model(torch.tensor([[wrong, 3], [99, -5]]))  # the first of them is named


def test_the_state_is_the_parameters_and_the_tables_of_angles_fit_the_context(model):
    assert model.state_dict().keys() == dict(model.named_parameters()).keys()
    assert {name: table.shape for name, table in model.named_buffers()} == {
        name: (TINY.context, TINY.head) for name in ("cosine", "sine")
    }


def test_unless_it_is_said_positions_turn_as_in_the_first_llama():
    assert Config(vocab=8, context=8, width=8, layers=1, heads=2, kv_heads=1, hidden=8).rope_base == 10_000


@pytest.mark.parametrize(
    ("tokens", "came"),
    [
        (torch.zeros(3, dtype=torch.long), r"torch.int64 \(3,\)"),
        (torch.zeros(1, 2, 3, dtype=torch.long), r"torch.int64 \(1, 2, 3\)"),
        (torch.zeros(1, 3), r"torch.float32 \(1, 3\)"),
        (torch.zeros(1, 3, dtype=torch.int32), r"torch.int32 \(1, 3\)"),
    ],
)
def test_tokens_of_another_type_or_shape_are_refused(model, tokens, came):
    with pytest.raises(ValueError, match=r"tokens must be a LongTensor \(rows, tokens\); got " + came):
        model(tokens)


def test_more_positions_than_the_context_are_refused_and_virtual_tokens_count(model):
    advice = "are needed, virtual tokens included, but the context holds 64; shorten the text or the soft prompt, or"
    fits, too_long = text(model, 1, 64), text(model, 1, 65)
    assert model(fits).shape == (1, 64, 50)
    with pytest.raises(ValueError, match=f"65 positions {advice}"):
        model(too_long)
    for method in PromptTuning, PrefixTuning:
        hooks = method(3, TINY).double()
        assert model(fits[:, :61], hooks).shape == (1, 61, 50)
        with pytest.raises(ValueError, match=f"65 positions {advice}"):
            model(fits[:, :62], hooks)


def test_the_cache_counts_towards_the_context_too(model):
    cache = Cache()
    model(text(model, 1, 60), cache=cache)
    with pytest.raises(ValueError, match="65 positions are needed"):
        model(text(model, 1, 5), cache=cache)


def test_what_writes_into_the_stream_starts_smaller_the_more_blocks_write():
    for layers in 2, 8:
        model = Transformer(replace(TINY, width=64, hidden=128, layers=layers))
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                writes = name.endswith(("attention.output.weight", "down.weight"))
                expected = 0.02 / (2 * layers) ** 0.5 if writes else 0.02
                assert weight.std().item() == pytest.approx(expected, rel=0.08), name


@torch.no_grad()
def test_a_cache_serves_one_model_only():
    """Two models of one shape: the other's keys and values fit, and would give wrong logits."""
    one, other = random_model(0), random_model(1)
    cache = Cache()
    one(text(one, length=4), cache=cache)
    with pytest.raises(ValueError, match=r"keys and values of another model, .*; start with a new Cache\(\)"):
        other(text(one, length=1), cache=cache)
    equal(one(text(one, length=1), cache=copy.deepcopy(cache)), one(text(one, length=1), cache=cache))
