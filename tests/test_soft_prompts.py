"""Every tuning method keeps every law, and the facts worth teaching are exact."""

from dataclasses import replace

import pytest
import torch
from laws import (
    LAWS,
    LAWS_OF_LEARNING,
    METHODS,
    TINY,
    equal,
    key_values,
    length_zero_is_the_identity,
    lesson,
    prefix,
    prompt,
    random_model,
    text,
)

from minitransformer import (
    Gate,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    Transformer,
    bake,
    compile_prefix,
    load,
    loss,
    reparametrise,
    save,
)
from minitransformer.soft_prompts import plain_tensors


def named(laws):
    return pytest.mark.parametrize("law", laws, ids=lambda law: law.__name__)


@named(LAWS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_the_law(model, method, law):
    law(model, METHODS[method](3).double())


@named(LAWS_OF_LEARNING)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_as_the_law_says(model, method, law):
    law(model, METHODS[method](3).double())


@named(LAWS)
def test_plain_text_keeps_the_law(model, law):
    law(model, Hooks())


@named(LAWS)
def test_the_laws_hold_with_full_heads_and_with_one(law):
    for heads, kv_heads in (4, 4), (1, 1):
        law(random_model(heads=heads, kv_heads=kv_heads), PromptTuning(3, TINY, 0.5).double())


@pytest.mark.parametrize("method", METHODS)
def test_length_zero_is_the_identity(model, method):
    length_zero_is_the_identity(model, METHODS[method](0).double())


def test_a_prefix_in_no_layer_is_the_identity(model):
    length_zero_is_the_identity(model, PrefixTuning(3, TINY, layers=()).double())


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_some_length_does_change_the_logits(model, method):
    tokens = text(model)
    assert (model(tokens, METHODS[method](3).double()) - model(tokens)).abs().max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_compiled_is_exact_in_float32_too(method):
    model, tokens, hooks = random_model(dtype=torch.float32), text(random_model()), METHODS[method](3)
    with torch.no_grad():
        equal(model(tokens, compile_prefix(model, hooks)), model(tokens, hooks), within=3e-5)


def test_parameters_are_counted_as_the_textbook_counts_them():
    count = {name: sum(p.numel() for p in METHODS[name](5).parameters()) for name in METHODS}
    assert count["prompt"] == 5 * 32  # P·D
    assert count["prefix"] == 3 * 5 * 32  # L·P·D
    assert count["prefix in the middle layer"] == 5 * 32
    assert count["key/value prefix"] == 2 * 3 * 5 * 2 * 8  # 2·L·P·G·d


def test_the_vectors_are_told_by_the_seed_alone():
    state = torch.get_rng_state()
    for method in (PromptTuning, PrefixTuning, KeyValuePrefix):
        one, same, other = (torch.cat([*map(torch.flatten, method(2, TINY, seed=s).parameters())]) for s in (1, 1, 2))
        assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


def test_the_methods_start_as_small_numbers_of_seed_zero(model):
    equal(PromptTuning(3, TINY).vectors, 0.05 * of_seed_zero(3, 32))
    equal(PrefixTuning(4, TINY).vectors, 0.05 * of_seed_zero(3, 4, 32))
    keys, values = 0.3 * of_seed_zero(2, 3, 2, 5, 8)
    for got, expected in zip(KeyValuePrefix(5, TINY).parameters(), [*keys, *values], strict=True):
        equal(got, expected)
    weight = model.embedding.weight.detach()
    spread = PromptTuning.from_vocabulary(3, model).vectors
    equal(spread, weight.mean(0) + weight.std(0) * of_seed_zero(3, 32))


def of_seed_zero(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("hooks", [prefix(3), key_values(3)], ids=["prefix", "key/value prefix"])
def test_the_first_layer_is_rescaled_but_never_reordered(model, hooks):
    tokens, plain, tuned = text(model), Recorder(), Recorder()
    model(tokens, plain)
    model(tokens, Stack(hooks.double(), tuned))
    among_text = tuned["weights", 0][..., 3:]
    equal(among_text / among_text.sum(-1, keepdim=True), plain["weights", 0], within=1e-6)
    deeper = tuned["weights", 1][..., 3:]
    assert (deeper / deeper.sum(-1, keepdim=True) - plain["weights", 1]).abs().max() > 1e-2


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("make", [prefix, key_values])
def test_what_a_prefix_adds_to_the_first_layer_has_one_direction_per_vector(make, length):
    model, plain, tuned = random_model(heads=1, kv_heads=1), Recorder(), Recorder()
    hooks = prefix(length) if make is prefix else KeyValuePrefix(length, model.config, 0.5)
    model(text(model), plain)
    model(text(model), Stack(hooks.double(), tuned))
    share = tuned["weights", 0][:, 0, :, length:].sum(-1, keepdim=True)  # of the attention, what is left to the text
    added = tuned["attention", 0] - share * plain["attention", 0]
    sizes = torch.linalg.svdvals(added.flatten(0, 1))
    assert sizes[length - 1] > 1e-2 and sizes[length] < 1e-5


def test_a_textbook_prefix_does_not_notice_its_own_scale():
    model = random_model(eps=1e-14)
    hooks = prefix(3).double()
    before = model(text(model), hooks)
    hooks.vectors.data *= 7
    equal(model(text(model), hooks), before)


def test_a_soft_prompt_does_notice_its_own_scale():
    model = random_model(eps=1e-14)
    hooks = prompt(3).double()
    before = model(text(model), hooks)
    hooks.vectors.data *= 7
    assert (model(text(model), hooks) - before).abs().max() > 0.1


def test_the_gradient_of_a_textbook_prefix_is_orthogonal_to_it():
    model = random_model(eps=1e-14)
    for hooks, orthogonal in (prefix(3).double(), True), (prompt(3).double(), False):
        loss(model, *lesson(model), hooks).backward()
        cosine = torch.cosine_similarity(hooks.vectors, hooks.vectors.grad, -1).abs()
        assert cosine.max() < 1e-9 if orthogonal else cosine.max() > 1e-3


def test_a_textbook_prefix_is_a_key_value_prefix_of_its_normed_and_projected_vectors(model):
    hooks, keys, values = prefix(3).double(), [], []
    for block, vectors in zip(model.blocks, hooks.vectors, strict=True):
        normed = vectors / (vectors.square().mean(-1, keepdim=True) + 1e-5).sqrt() * block.attention.norm.weight
        for made, matrix in (keys, block.attention.key.weight), (values, block.attention.value.weight):
            made.append((normed @ matrix.T).reshape(3, 2, 8).transpose(0, 1))  # (G, P, d)
    by_hand = KeyValuePrefix.from_keys_values(model.config, keys, values)
    equal(model(text(model), by_hand), model(text(model), hooks))
    for got, expected in zip(compile_prefix(model, hooks).parameters(), [*keys, *values], strict=True):
        equal(got, expected)


@pytest.mark.parametrize("method", [prompt, prefix, key_values])
def test_zeros_are_not_the_identity_but_a_closed_gate_is(model, method):
    tokens, hooks = text(model), method(3).double()
    for parameter in hooks.parameters():
        parameter.data.zero_()
    assert (model(tokens, hooks) - model(tokens)).abs().max() > 0.1
    closed = Gate(method(3), TINY, strength=0.0).double()
    equal(model(tokens, closed), model(tokens), within=5e-6)  # the text stands elsewhere, and angles are float32
    recorder = Recorder(["weights"])
    model(tokens, Stack(closed, recorder))
    assert all(recorder["weights", layer][:, :, -9:, :3].eq(0).all() for layer in range(3))


@pytest.mark.parametrize("method", METHODS)
def test_a_gate_at_strength_one_is_wide_open(model, method):
    if "gate" not in method:
        hooks = METHODS[method](3).double()
        equal(model(text(model), Gate(hooks, TINY).double()), model(text(model), hooks))


def test_the_strength_multiplies_what_the_virtual_tokens_hold(model):
    plain, gated = Recorder(["weights"]), Recorder(["weights"])
    model(text(model), Stack(key_values(3).double(), plain))
    model(text(model), Stack(Gate(key_values(3), TINY, 0.3).double(), gated))
    expected = plain["weights", 0] * torch.tensor([0.3] * 3 + [1.0] * 9, dtype=torch.float64)
    equal(gated["weights", 0], expected / expected.sum(-1, keepdim=True), within=1e-6)


def test_a_gate_beside_others_is_refused_and_around_them_closes_them_all(model):
    tokens = text(model)
    for other in prefix(2).double(), key_values(2).double():
        for parts in ((Gate(prompt(3), TINY), other), (other, Gate(prompt(3), TINY))):
            with pytest.raises(ValueError, match="cannot tell its own keys from others: put it around the whole Stack"):
                model(tokens, Stack(*parts).double())
        equal(model(tokens, Gate(Stack(prompt(3), other), TINY, 0.0).double()), model(tokens), within=5e-6)


def test_a_gate_around_a_closed_gate_stays_closed(model):
    tokens, closed = text(model), Gate(prompt(3), TINY, 0.0).double()
    for twice in Gate(closed, TINY), Gate(compile_prefix(model, closed), TINY):
        equal(model(tokens, twice.double()), model(tokens), within=5e-6)


def test_a_gate_is_made_for_the_models_that_its_soft_prompt_is_made_for():
    other = random_model(width=64)
    with pytest.raises(ValueError, match=r"for one of 3 layers of width 32, and this one has 3 layers of width 64"):
        other(text(other), Gate(prompt(3), TINY).double())


@pytest.mark.parametrize("gated", [(), (0, 2), (0, 1, 2)])
def test_the_layers_with_a_strength_of_their_own_start_at_full_strength(model, gated):
    tokens, hooks = text(model, rows=3), KeyValuePrefix([3, 2, 4], TINY, gated=gated).double()
    equal(model(tokens, hooks), model(tokens, KeyValuePrefix([3, 2, 4], TINY).double()))
    for layer in gated:
        getattr(hooks, f"bias{layer}").fill_(-torch.inf)
    recorder = Recorder(["weights"])
    model(tokens, Stack(hooks, recorder))
    for layer, length in enumerate([3, 2, 4]):
        assert recorder["weights", layer][..., :length].eq(0).all() == (layer in gated)


def test_a_gate_lets_a_recorder_inside_it_see(model):
    recorder = Recorder(["output"])
    model(text(model), Gate(Stack(prompt(3), recorder), TINY).double())
    assert recorder["output", 2].shape == (2, 12, 32)


def test_two_gates_side_by_side_or_a_negative_strength_are_refused(model):
    gates = Stack(Gate(prompt(3), TINY), Gate(key_values(3), TINY)).double()
    with pytest.raises(ValueError, match="cannot tell its own keys from others: put it around the whole Stack"):
        model(text(model), gates)
    for strength in -0.1, float("nan"):
        with pytest.raises(ValueError, match="strength must be a finite number from 0 upwards; got"):
            Gate(prompt(3), TINY, strength)


@pytest.mark.parametrize("method", [PromptTuning, PrefixTuning, KeyValuePrefix])
def test_from_tokens_starts_as_the_text_itself(model, method):
    """A hard prompt is the soft prompt of its own embeddings."""
    hard, tokens = text(model, 1, 4, seed=5), text(model)
    together = model(torch.cat((hard.expand(2, -1), tokens), 1))[:, 4:]
    equal(model(tokens, method.from_tokens(model, hard[0].tolist())), together)


def test_a_prompt_starts_as_embeddings_their_mean_or_their_spread(model):
    weight = model.embedding.weight.detach()
    assert torch.equal(PromptTuning.from_tokens(model, [7, 3]).vectors, weight[[7, 3]])
    assert PromptTuning.from_tokens(model, [7, 3]).vectors.requires_grad
    equal(PromptTuning.from_mean(2, model).vectors, weight.mean(0).expand(2, -1))
    many = PromptTuning.from_vocabulary(4000, model).vectors
    equal(many.mean(0), weight.mean(0), within=0.05)
    equal(many.std(0), weight.std(0), within=0.05)


def test_training_a_prompt_from_tokens_leaves_the_embeddings_alone(model):
    before = model.embedding.weight.detach().clone()
    PromptTuning.from_tokens(model, [7, 3]).vectors.data += 1
    assert torch.equal(model.embedding.weight, before)


@pytest.mark.parametrize("method", [m for m in METHODS if "reparametrised" not in m])
def test_a_reparametrised_method_starts_as_its_plain_form(model, method):
    plain, wrapped = METHODS[method](3).double(), reparametrise(METHODS[method](3)).double()
    assert torch.equal(model(text(model), wrapped), model(text(model), plain))


@pytest.mark.parametrize("method", [m for m in METHODS if "reparametrised" in m])
def test_baking_keeps_the_logits_and_drops_the_mlp(model, method):
    hooks = METHODS[method](3).double()
    before, plain = model(text(model), hooks), METHODS[method.replace("reparametrised ", "")](3)
    bake(hooks)
    assert torch.equal(model(text(model), hooks), before)
    assert list(hooks.state_dict()) == list(plain.state_dict())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in hooks.parameters())


def test_a_prompt_for_a_model_of_another_width_is_refused(model):
    for hooks in (cls(3, random_model(width=64).config) for cls in (PromptTuning, PrefixTuning, KeyValuePrefix)):
        with pytest.raises(
            ValueError,
            match=r"for one of 3 layers of width 64.*this one has 3 layers of width 32",
        ):
            model(text(model), hooks.double())


@pytest.mark.parametrize("method", [PrefixTuning, KeyValuePrefix])
@pytest.mark.parametrize("layers", [2, 4])
def test_a_prefix_for_a_model_of_another_depth_is_refused(model, method, layers):
    hooks = method(3, random_model(layers=layers).config).double()
    with pytest.raises(ValueError, match="made for another model"):
        model(text(model), hooks)


@pytest.mark.parametrize("method", [PromptTuning, PrefixTuning, KeyValuePrefix])
@pytest.mark.parametrize("length", [-1, 2.0, None])
def test_a_length_is_a_number_of_virtual_tokens(method, length):
    with pytest.raises(ValueError, match=f"length must be a whole number of at least 0; got {length!r}"):
        method(length, TINY)


@pytest.mark.parametrize("length", [-1, 2.0, None])
def test_a_length_for_each_layer_is_a_number_of_virtual_tokens(length):
    with pytest.raises(ValueError, match=f"length must be a whole number of at least 0; got {length!r}"):
        KeyValuePrefix([3, length, 3], TINY)


def test_a_prompt_of_length_zero_starts_as_the_mean_or_the_spread_of_the_vocabulary_too(model):
    for start in PromptTuning.from_mean, PromptTuning.from_vocabulary:
        length_zero_is_the_identity(model, start(0, model))
        with pytest.raises(ValueError, match="length must be a whole number of at least 0; got -1"):
            start(-1, model)


@pytest.mark.parametrize("method", [PromptTuning, PrefixTuning])
def test_a_text_of_one_word_or_of_as_many_as_the_context_holds_can_start_a_prompt(model, method):
    longest = text(model, 1, TINY.context)[0].tolist()
    for tokens in longest[:1], longest:
        assert model(text(model, 1, 0), method.from_tokens(model, tokens)).shape == (1, 0, 50)
    for tokens in [], [*longest, 1]:
        with pytest.raises(ValueError, match=f"tokens must be 1 to 64 token ids to start as; got {len(tokens)}: give"):
            method.from_tokens(model, tokens)


@pytest.mark.parametrize("method", [PromptTuning, PrefixTuning, KeyValuePrefix])
def test_a_prompt_that_starts_as_a_text_is_saved_and_loaded_like_any_other(model, method, tmp_path):
    hooks = method.from_tokens(model, [7, 3, 9, 1])
    save(hooks, tmp_path / "prompt", model)
    equal(model(text(model), load(tmp_path / "prompt", model)), model(text(model), hooks), within=1e-12)


def test_tokens_that_the_model_does_not_know_cannot_start_a_prompt(model):
    with pytest.raises(ValueError, match="tokens must be token ids from 0 to 49; got 50 among them"):
        PromptTuning.from_tokens(model, [3, 50])


def test_layers_of_a_prefix_must_exist_and_differ():
    for layers in [3], [-1], [0, 0]:
        with pytest.raises(ValueError, match=r"layers must be different numbers from 0 to 2; got \["):
            PrefixTuning(2, TINY, layers=layers)


def test_a_prompt_made_of_vectors_has_a_copy_of_them(model):
    """Training moves the prompt and leaves what it was made of, be it the model's own embeddings."""
    vectors, words = torch.ones(2, 32), model.embedding.weight.detach().clone()
    given = PromptTuning.from_vectors(model, vectors)
    given.vectors.data += 1
    PromptTuning.from_vectors(model, model.embedding.weight).vectors.data += 1
    PromptTuning.from_vectors(model, model.embedding.weight[:3]).vectors.data += 1
    assert torch.equal(vectors, torch.ones(2, 32)) and torch.equal(model.embedding.weight, words)


def test_keys_and_values_do_not_fit_a_model_with_other_heads_of_the_same_width():
    prefix, other = KeyValuePrefix(2, TINY), replace(TINY, kv_heads=4)
    assert other.width == TINY.width and other.layers == TINY.layers
    with pytest.raises(ValueError, match=r"with 2 key/value heads of 8, .* with 4 key/value heads of 8"):
        Transformer(other)(torch.zeros(1, 2, dtype=torch.long), prefix)


def test_a_compiled_prompt_stays_as_it_was_when_the_prompt_it_was_made_of_goes_on_learning(model):
    hooks = Gate(key_values(3), TINY, 0.3).double()
    compiled = compile_prefix(model, hooks)
    before = model(text(model), compiled).detach()
    for parameter in hooks.parameters():
        parameter.data += 1
    assert torch.equal(model(text(model), compiled), before)


def test_a_prefix_made_of_keys_and_values_has_a_copy_of_them():
    keys, values, biases = torch.ones(3, 2, 4, 8), torch.ones(3, 2, 4, 8), torch.ones(3, 1, 4)
    hooks = KeyValuePrefix.from_keys_values(TINY, list(keys), list(values), list(biases))
    for tensor in hooks.state_dict().values():
        tensor += 1
    assert torch.equal(torch.cat([keys, values]), torch.ones(6, 2, 4, 8)) and torch.equal(biases, torch.ones(3, 1, 4))


def test_a_strength_that_is_no_number_is_refused_and_minus_infinity_closes_the_gate(model):
    keys = [torch.ones(2, 4, 8)] * 3
    for wrong in float("nan"), float("inf"):
        with pytest.raises(ValueError, match="biases must be finite; got NaN or infinite numbers in it"):
            KeyValuePrefix.from_keys_values(TINY, keys, keys, [None, torch.full((1, 4), wrong), None])
    for shape in (4,), (2, 4), (1, 3):
        with pytest.raises(ValueError, match=r"biases must be a tensor of floating-point numbers of shape \(1, 4\)"):
            KeyValuePrefix.from_keys_values(TINY, keys, keys, [None, torch.zeros(shape), None])
    closed = KeyValuePrefix.from_keys_values(TINY, keys, keys, [torch.full((1, 4), -torch.inf)] * 3).double()
    equal(model(text(model), closed), model(text(model)), within=5e-6)


def test_what_a_compiled_prompt_cannot_hold_is_refused(model):
    class Shift(PromptTuning):
        def embed(self, x):
            return super().embed(x + 1)

    with pytest.raises(ValueError, match=r"Shift\.embed changes the text's own part"):
        compile_prefix(model, Shift(2, TINY).double())


@pytest.mark.parametrize("hidden", [1, 128])
def test_a_vector_behind_an_mlp_is_itself_and_what_the_mlp_adds(hidden):
    hooks = PromptTuning(3, TINY)
    vectors = hooks.vectors.detach().clone()
    reparametrise(hooks, hidden) if hidden == 1 else reparametrise(hooks)
    up = of_seed_zero(32, hidden)
    hooks.parametrizations.vectors[0].up.data = up
    down = of_seed_zero(hidden, 32) / 32**0.5
    equal(hooks.vectors, vectors + torch.tanh(vectors @ down.T) @ up.T, within=1e-5)


def test_an_mlp_has_its_own_seed():
    one, same, other = (reparametrise(prompt(2), seed=seed).parametrizations.vectors[0].down for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    hooks = Stack(prompt(2), prefix(2))
    with pytest.raises(ValueError, match=r"seed must be a whole number from .*; got 2\.5"):
        reparametrise(hooks, seed=2.5)
    assert [name for name, _ in hooks.named_parameters()] == ["hooks.0.vectors", "hooks.1.vectors"]


def test_an_mlp_stands_in_for_rows_of_vectors_only(model):
    """A single vector of factors, one for each number of the stream, stays a plain parameter."""

    class Factors(PromptTuning):
        def __init__(self, length, config):
            super().__init__(length, config)
            self.factors = torch.nn.Parameter(torch.ones(config.width))

    names = [name for name, _ in reparametrise(Factors(2, TINY)).named_parameters()]
    assert "factors" in names and "vectors" not in names


def test_what_is_no_model_and_no_config_makes_no_prompt():
    keys = [torch.zeros(2, 3, 8)] * 3
    for make in (
        lambda: PromptTuning.from_mean(2, TINY),
        lambda: PromptTuning.from_vocabulary(2, TINY),
        lambda: PromptTuning.from_vectors(TINY, torch.zeros(2, 32)),
        *(lambda method=method: method.from_tokens(TINY, [1]) for method in (PromptTuning, PrefixTuning)),
    ):
        with pytest.raises(ValueError, match="model must be a Transformer; got a Config"):
            make()
    with pytest.raises(ValueError, match="config must be a Config; got None"):
        KeyValuePrefix.from_keys_values(None, keys, keys)
    with pytest.raises(ValueError, match="keys must be a list that is not empty; got 'no'"):
        KeyValuePrefix.from_keys_values(TINY, "no", keys)


@pytest.mark.parametrize("method", [m for m in METHODS if "reparametrised" in m])
def test_plain_tensors_are_those_that_baking_leaves_and_record_no_gradients(method):
    hooks = METHODS[method](3).double()
    tensors = plain_tensors(hooks)
    assert not any(tensor.requires_grad for tensor in tensors.values())
    baked = bake(hooks).state_dict()
    assert tensors.keys() == baked.keys() and all(torch.equal(tensors[name], baked[name]) for name in baked)


def test_an_mlp_reckons_in_the_precision_of_the_vectors_behind_it(model):
    hooks = prompt(3).double()
    before = model(text(model), hooks)
    assert reparametrise(hooks).vectors.dtype == torch.float64
    assert torch.equal(model(text(model), hooks), before)
