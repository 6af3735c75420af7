"""The seam: hooks that change nothing, stacks of them, and recorders that only look."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from laws import (
    LAWS_OF_REPLACING,
    METHODS,
    PAGE,
    REPLACING,
    TINY,
    equal,
    key_values,
    lesson,
    prefix,
    prompt,
    random_model,
    text,
)

from minitransformer import (
    Cache,
    Gate,
    Hooks,
    KeyValuePrefix,
    PromptTuning,
    Recorder,
    Stack,
    compile_prefix,
    fingerprint,
    freeze,
    generate,
    load,
    loss,
    save,
    train,
)
from minitransformer.hooks import NO_HOOKS, SITES, lengthened, same


class Noting(Hooks):
    """Writes down in which order it was asked."""

    def __init__(self, name, notes):
        super().__init__()
        self.name, self.notes = name, notes

    def embed(self, x):
        self.notes.append((self.name, "embed"))
        return x

    def context(self, layer, x):
        self.notes.append((self.name, "context", layer))
        return x

    def keys_values(self, layer, keys, values):
        self.notes.append((self.name, "keys_values", layer))
        return keys, values

    def watch(self, site, layer, value):
        self.notes.append((self.name, "watch", site, layer))


class Breaking(Hooks):
    """Raises in the middle of the model."""

    def __init__(self, site):
        super().__init__()
        self.site = site

    def watch(self, site, layer, value):
        if (site, layer) == (self.site, 1):
            raise RuntimeError("in the middle")


def test_hooks_change_nothing(model):
    tokens = text(model)
    assert torch.equal(model(tokens, Hooks()), model(tokens))
    assert torch.equal(model(tokens, Stack()), model(tokens))
    assert list(Hooks().parameters()) == [] and not any(Hooks().watches(site) for site in SITES)


def test_the_hooks_are_asked_once_a_layer_from_the_ground_up(model):
    notes = []
    model(text(model), Noting("a", notes))
    assert [note[1:] for note in notes if note[1] != "watch"] == [
        ("embed",),
        *((method, layer) for layer in range(3) for method in ("context", "keys_values")),
    ]
    inside = ("input", "queries", "keys", "values", "weights", "attention", "hidden", "feed_forward", "output")
    assert [note[2:] for note in notes if note[1] == "watch"] == [
        ("embedding", None),
        *((site, layer) for layer in range(3) for site in inside),
        ("logits", None),
    ]
    assert {"embedding", *inside, "logits"} == set(SITES)


def test_a_stack_asks_in_the_order_given(model):
    notes = []
    model(text(model), Stack(Noting("a", notes), Stack(Noting("b", notes), Noting("c", notes))))
    assert [name for name, *_ in notes] == list("abc") * (len(notes) // 3)


def test_the_later_in_a_stack_stands_in_front(model):
    one, two, recorder = prompt(2, seed=1).double(), prompt(3, seed=2).double(), Recorder(["embedding"])
    tokens = text(model)
    model(tokens, Stack(one, two, recorder))
    row = torch.cat((two.vectors, one.vectors, model.embedding(tokens[0])))
    assert torch.equal(recorder["embedding", None][0], row)


def test_a_stack_of_two_prompts_is_one_longer_prompt(model):
    one, two, both = prompt(2, seed=1).double(), prompt(3, seed=2).double(), prompt(5).double()
    both.vectors.data = torch.cat((two.vectors, one.vectors)).detach()
    equal(model(text(model), Stack(one, two)), model(text(model), both))


def test_the_parameters_of_a_stack_are_those_of_its_members():
    one, two = prompt(2), key_values(3)
    assert set(Stack(one, two, Recorder()).parameters()) == {*one.parameters(), *two.parameters()}


@pytest.mark.parametrize("method", METHODS)
def test_a_recorder_sees_every_site_in_its_shape(model, method):
    recorder, cache = Recorder(), Cache()
    model(text(model), Stack(METHODS[method](3).double(), recorder), cache)
    length = recorder["embedding", None].shape[1]  # the text and what stands in front of it in the stream
    for layer in range(3):
        keys = cache.length(layer)
        shapes = dict.fromkeys(("input", "attention", "feed_forward", "output"), (2, length, 32))
        shapes |= {"queries": (2, 4, length, 8), "keys": (2, 2, keys, 8), "values": (2, 2, keys, 8)}
        shapes |= {"weights": (2, 4, length, keys), "hidden": (2, length, 48)}
        assert {site: tuple(recorder[site, layer].shape) for site in shapes} == shapes
    assert recorder["logits", None].shape == (2, 9, 50)
    assert length == (12 if "prompt" in method or "all" in method else 9)


def test_what_is_recorded_adds_up(model):
    recorder, tokens = Recorder(), text(model)
    logits = model(tokens, recorder)
    assert torch.equal(recorder["embedding", None], model.embedding(tokens))
    assert torch.equal(recorder["embedding", None], recorder["input", 0])
    assert torch.equal(recorder["logits", None], logits)
    for layer in range(3):
        equal(recorder["input", layer] + recorder["attention", layer] + recorder["feed_forward", layer],
              recorder["output", layer])  # fmt: skip
        if layer:
            assert torch.equal(recorder["input", layer], recorder["output", layer - 1])
        assert recorder["weights", layer].triu(1).eq(0).all()


def test_a_recorder_keeps_only_the_sites_asked_for_and_detached(model):
    recorder = Recorder(["output", "weights"])
    model(text(model), recorder)
    assert set(recorder.values) == {(site, layer) for site in ("output", "weights") for layer in range(3)}
    assert not any(value.requires_grad for value in recorder.values.values())
    assert recorder.grad("output", 0) is None


def test_recorded_gradients_are_those_that_autograd_gives(model):
    class Collecting(Hooks):
        def __init__(self):
            super().__init__()
            self.seen = {}

        def watch(self, site, layer, value):
            self.seen[site, layer] = value

    hooks, recorder, collecting = prompt(3).double(), Recorder(gradients=True), Collecting()
    for watcher in recorder, collecting:
        value = (model(text(model), Stack(hooks, watcher))[..., 7] ** 2).sum()
        if watcher is recorder:
            value.backward()
    expected = torch.autograd.grad(value, list(collecting.seen.values()))
    assert list(recorder.values) == list(collecting.seen)
    for place, gradient in zip(collecting.seen, expected, strict=True):
        assert torch.equal(recorder.grad(*place), gradient), place


def test_the_gradient_at_the_embedding_agrees_with_finite_differences(model):
    class Adding(Hooks):
        change = torch.zeros(3, 9, 32, dtype=torch.float64)

        def watch(self, site, layer, value):
            return value + self.change if site == "embedding" else None

    hooks, recorder = Adding(), Recorder(["embedding"], gradients=True)
    loss(model, *lesson(model), Stack(hooks, recorder)).backward()
    direction, ends = torch.randn(3, 9, 32, dtype=torch.float64), []
    for size in (1e-6, -1e-6):
        hooks.change = size * direction
        ends.append(loss(model, *lesson(model), hooks).item())
    slope = torch.tensor((ends[0] - ends[1]) / 2e-6, dtype=torch.float64)
    torch.testing.assert_close((recorder.grad("embedding") * direction).sum(), slope, rtol=1e-5, atol=1e-8)


def test_a_gradient_that_never_came_is_none_and_not_zero(model):
    freeze(model)
    recorder = Recorder(gradients=True)
    loss(model, *lesson(model), Stack(prefix(3, (1,)).double(), recorder)).backward()
    for site, layer in ("embedding", None), ("weights", 0), ("output", 0), ("input", 1), ("queries", 1):
        assert recorder.grad(site, layer) is None  # nothing that could learn comes before it
    for site, layer in ("keys", 1), ("weights", 1), ("output", 1), ("queries", 2), ("output", 2):
        assert recorder.grad(site, layer).abs().max() > 0
    assert recorder.grad("output", 2).eq(0).any() and not recorder.grad("output", 2).eq(0).all()  # ignored targets: a 0


def test_before_backward_and_without_gradients_there_is_none(model):
    recorder = Recorder(["output"], gradients=True)
    model(text(model), recorder)
    assert recorder.grad("output", 0) is None
    with torch.no_grad():
        model(text(model), recorder)
    assert recorder.grad("output", 0) is None


def test_a_site_seen_again_holds_the_last_value(model):
    recorder, tokens = Recorder(["output"]), text(model)
    model(tokens, recorder)
    model(tokens[:, :4], recorder)
    assert recorder["output", 0].shape == (2, 4, 32)


@pytest.fixture
def fused(monkeypatch):
    """Counts the calls of the fused attention."""
    calls, really = [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or really(*a, **k))
    return calls


@pytest.mark.parametrize(
    "hooks",
    [NO_HOOKS, Recorder(["output", "keys"]), Stack(prompt(2), Recorder(["logits"])), key_values(2)],
    ids=["no hooks", "recorder of outputs", "prompt and recorder of logits", "key/value prefix"],
)
def test_attention_is_fused_as_long_as_nobody_watches_the_weights(model, hooks, fused):
    model(text(model), hooks.double())
    assert len(fused) == 3
    generate(model, [[1, 2, 3]], hooks, max_new_tokens=2)
    assert len(fused) == 9


def test_attention_is_written_out_for_who_watches_the_weights(model, fused):
    model(text(model), Stack(prompt(2).double(), Recorder(["weights"])))
    assert not fused


def test_an_unknown_site_is_refused():
    message = "site must be one of embedding, input, .*, logits; got 'output_'"
    with pytest.raises(ValueError, match=message):
        Recorder(["output_", "attentoin", "logits"])


def test_what_was_not_recorded_is_an_error_that_says_what_was(model):
    recorder = Recorder(["output"])
    with pytest.raises(KeyError, match=r"nothing recorded at \('output', 0\); recorded: nothing yet"):
        recorder["output", 0]
    model(text(model), recorder)
    with pytest.raises(KeyError, match=r"nothing recorded at \('weights', 0\); recorded: \[\('output', 0\), "):
        recorder.grad("weights", 0)


@pytest.mark.parametrize("site", ["input", "keys", "weights", "feed_forward"])
def test_an_exception_in_the_middle_leaves_nothing_behind(model, site):
    def inventory():
        return {name: {key: len(v) if isinstance(v, dict) else v for key, v in vars(module).items()}
                for name, module in model.named_modules()}  # fmt: skip

    tokens, before, bytes_before = text(model), inventory(), [*map(torch.clone, model.state_dict().values())]
    expected = model(tokens)
    with pytest.raises(RuntimeError, match="in the middle"):
        model(tokens, Stack(prompt(3).double(), Breaking(site)))
    assert inventory() == before
    assert all(torch.equal(*pair) for pair in zip(model.state_dict().values(), bytes_before, strict=True))
    assert torch.equal(model(tokens), expected)
    assert list(NO_HOOKS.parameters()) == []


def test_the_model_keeps_no_hooks(model):
    tokens, expected = text(model), model(text(model))
    for method in METHODS.values():
        model(tokens, method(3).double())
        assert torch.equal(model(tokens), expected)


def test_a_gate_beside_an_observer_is_no_gate_beside_others(model):
    gate = Gate(PromptTuning(2, model.config), model.config).double()
    equal(model(text(model), Stack(gate, Stack(Recorder()))), model(text(model), gate))


@pytest.mark.parametrize("law", LAWS_OF_REPLACING, ids=lambda law: law.__name__)
@pytest.mark.parametrize("method", REPLACING)
def test_what_is_returned_in_place_of_a_value_keeps_the_laws(model, method, law):
    law(model, REPLACING[method]().double())


@pytest.mark.parametrize("method", REPLACING)
def test_what_is_returned_in_place_of_a_value_matters_and_leaves_the_base_as_it_was(model, method):
    before, tokens = fingerprint(model), text(model)
    assert (model(tokens, REPLACING[method]().double()) - model(tokens)).abs().max() > 1e-3
    assert fingerprint(model) == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_scaled_keys_are_the_same_cached_and_uncached_in_every_dtype(dtype):
    model, hooks = random_model(dtype=dtype), REPLACING["IA3"]().to(dtype)
    cache, tokens = Cache(), text(model)
    with torch.no_grad():
        whole = model(tokens, hooks)
        steps = torch.cat([model(token, hooks, cache) for token in tokens.split(1, 1)], 1)
    assert (whole - steps).abs().max() <= {torch.bfloat16: 0.5}.get(dtype, 1e-5) * whole.abs().max()


def test_ia3_is_trained_like_a_prompt_and_leaves_the_base_frozen(model):
    freeze(model)
    hooks = PAGE["IA3"](TINY).double()
    history = train(model, [lesson(model)] * 8, hooks, steps=8, warmup=1, progress=False)
    assert history.loss[-1] < history.loss[0] and history.proof["base_unchanged"]


def test_patching_an_activation_with_its_own_value_changes_nothing_and_with_another_s_what_comes_after(model):
    tokens, recorder = text(model), Recorder(["output"])
    logits = model(tokens, recorder)
    own = PAGE["Patch"](1, 3, recorder["output", 1][0, 3])
    equal(model(tokens[:1], own), logits[:1])
    other = PAGE["Patch"](1, 3, recorder["output", 1][1, 3])
    patched = model(tokens[:1], other)
    equal(patched[:, :3], logits[:1, :3])
    assert (patched[:, 3:] - logits[:1, 3:]).abs().amax(-1).min() > 1e-6


class ScaledKeys(Hooks):
    """What IA3 would do through the wrong hook: the text's own keys, changed at the first step only."""

    def keys_values(self, layer, keys, values):
        return keys * 1.5, values


class InPlace(Hooks):
    def context(self, layer, x):
        return x.mul_(1.0)


class Shorter(Hooks):
    def embed(self, x):
        return x[:, 1:]


class Behind(Hooks):
    def embed(self, x):
        return torch.cat((x, x[:, :1]), 1)


class Nothing(Hooks):
    def embed(self, x):
        pass


class KeysOnly(Hooks):
    def keys_values(self, layer, keys, values):
        return keys


class Wider(Hooks):
    def keys_values(self, layer, keys, values):
        return torch.cat((keys, keys), 3), values


class ScaledValues(Hooks):
    def keys_values(self, layer, keys, values):
        return keys, 2 * values


class InAList(Hooks):
    def embed(self, x):
        return [x]


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        (ScaledKeys(), r"^ScaledKeys.keys_values changes the text's own part: .* return them from `watch`$"),
        (ScaledValues(), r"^ScaledValues.keys_values changes the text's own part"),
        (InPlace(), r"^InPlace.context changes the text's own part"),
        (Shorter(), r"^Shorter.embed changes the text's own part"),
        (Behind(), r"^Behind.embed changes the text's own part"),
        (Nothing(), r"^Nothing.embed should return a tensor like \(2, 9, 32\), or longer in front; got NoneType$"),
        (KeysOnly(), r"^KeysOnly.keys_values should return 2 tensors, as many as it was given; got 1$"),
        (InAList(), r"^InAList.embed should return a tensor like \(2, 9, 32\), or longer in front; got list$"),
        (Wider(), r"^Wider.keys_values should return a tensor like \(2, 2, 9, 8\), .*; got \(2, 2, 9, 16\)$"),
    ],
    ids=lambda it: type(it).__name__,
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in a gate in a stack"])
def test_a_hook_that_changes_the_text_s_own_part_is_refused_by_name(model, hooks, message, wrapped):
    hooks = Stack(prompt(0).double(), hooks) if wrapped else hooks
    freeze(model)
    with torch.no_grad(), pytest.raises(ValueError, match=message):
        model(text(model), hooks)


@pytest.mark.parametrize("by", [1e-15, 0.5])
def test_the_smallest_change_of_the_text_s_own_part_is_refused(by):
    x = torch.ones(1, 2, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="changes the text's own part"):
        lengthened(lambda text: text + by, x)


def test_nan_in_the_text_s_own_part_counts_as_left_alone():
    x = torch.tensor([[[1.0, torch.nan]]])
    longer = lengthened(lambda text: torch.cat((torch.zeros_like(text), text), 1), x)
    assert longer.shape == (1, 2, 2)
    with pytest.raises(ValueError, match="changes the text's own part"):
        lengthened(lambda text: text.nan_to_num(), x)


def test_keys_and_values_may_come_as_a_list(model):
    class InTwo(KeyValuePrefix):
        def keys_values(self, layer, keys, values):
            return [*super().keys_values(layer, keys, values)]

    plain, listed = (kind(3, model.config).to(model.embedding.weight.dtype) for kind in (KeyValuePrefix, InTwo))
    for hooks in (listed, Stack(prompt(0).double(), listed)):
        assert torch.equal(model(text(model), hooks), model(text(model), plain))


def test_in_generation_and_in_training_alike(model):
    message = r"^ScaledKeys.keys_values changes the text's own part"
    freeze(model)
    with pytest.raises(ValueError, match=message):
        generate(model, [[1, 2, 3], [4]], ScaledKeys())
    with pytest.raises(ValueError, match=message):
        train(model, [lesson(model)], Stack(prompt(2).double(), ScaledKeys()), steps=1, progress=False)
    with pytest.raises(ValueError, match=message):
        compile_prefix(model, Stack(prompt(2).double(), ScaledKeys()))


def test_a_value_of_another_shape_is_no_replacement(model):
    class Flat(Hooks):
        sites = ("output",)

        def watch(self, site, layer, value):
            return value.mean(1)

    expected = (
        r"Flat.watch may return None or a tensor of the same shape; .* 'output' expected \(2, 9, 32\), got \(2, 32\)"
    )
    with pytest.raises(ValueError, match=expected):
        model(text(model), Flat())


def test_a_prefix_cannot_hold_what_changes_every_step(model):
    with pytest.raises(ValueError, match=r"IA3 also watches keys, values, hidden, .* compile the soft prompt alone$"):
        compile_prefix(model, REPLACING["IA3"]().double())


@pytest.mark.parametrize("method", REPLACING)
def test_it_is_saved_and_loaded_like_a_soft_prompt(model, method, tmp_path):
    hooks = REPLACING[method]()
    model = model.float()
    save(hooks, tmp_path / "hooks", model)
    assert torch.equal(model(text(model), load(tmp_path / "hooks", model)), model(text(model), hooks))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_part_of_a_stack_has_to_fit_the_model(model, place):
    hooks = [PromptTuning(2, TINY).double() for _ in range(3)]
    hooks[place] = PromptTuning(2, replace(TINY, layers=1)).double()
    with pytest.raises(ValueError, match="this soft prompt was made for another model"):
        model(text(model), Stack(*hooks))


def test_two_empty_tensors_are_the_same_without_a_look_at_their_device():
    nowhere = torch.empty(1, 0, 4, device="meta")  # has no numbers to compare
    assert same(nowhere, nowhere.clone()) and not same(torch.empty(1, 0, 4), torch.empty(0, 4))


def test_a_class_says_of_itself_alone_that_it_knows_no_text():
    class Made(PromptTuning):
        """May look at the text."""

    prompt = PromptTuning(2, TINY)
    assert prompt.same_for_all() and not Made(2, TINY).same_for_all() and not Hooks().same_for_all()
    prompt.embed = prompt.embed
    assert not prompt.same_for_all()
