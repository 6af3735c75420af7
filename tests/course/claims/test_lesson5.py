"""What lesson 5 claims."""

from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import minitransformer.hooks
import minitransformer.model
from minitransformer import (
    Batches,
    Cache,
    Config,
    Gate,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    accuracy,
    bake,
    batch,
    generate,
    gradients,
    loss,
    reparametrise,
    train,
)
from minitransformer.course.lesson5 import bugs
from minitransformer.course.lesson_text import cells, changed, code, reference, solution, source_of
from minitransformer.model import visible

TEXT = "Look out! →"
PREFIX, KEY_VALUES, TRANSLATE, COMPILE = map(reference, ("5.1", "5.2", "5.3", "5.4"))


@pytest.fixture
def tokens(tokenizer):
    return torch.tensor([tokenizer.encode(TEXT)])


@pytest.fixture(scope="module")
def examples(book, tokenizer):
    return Batches(book, tokenizer, ["chinese"], rows=16)


@pytest.fixture(scope="module")
def sentences(book, tokenizer):
    return batch(tokenizer, book.examples("chinese", "test", 100))


def fresh(model, seed: int = 5, like=PREFIX):
    torch.manual_seed(seed)
    return like(4, model.config)


@pytest.fixture(scope="module")
def trained(model, examples):
    """The lesson's prefix, what each step did to it, and what training says of itself."""
    prefix = fresh(model)
    trace = gradients.Trace(prefix)
    history = train(model, examples, prefix, steps=80, on_step=trace.on_step, progress=False)
    return prefix, trace, history


@pytest.fixture(scope="module")
def descended(model, examples):
    """What plain gradient descent does to the same prefix, as the lesson has it."""
    prefix = fresh(model)
    descent, trace = torch.optim.SGD(prefix.parameters(), lr=0.3), gradients.Trace(prefix)
    for step, (inputs, targets) in enumerate(islice(examples, 40)):
        descent.zero_grad()
        loss(model, inputs, targets, prefix).backward()
        nn.utils.clip_grad_norm_(prefix.parameters(), 1.0)
        descent.step()
        trace.on_step(step)
    return trace


@pytest.fixture(scope="module")
def instruction(model, tokenizer):
    return PromptTuning.from_tokens(model, tokenizer.encode("in Chinese:"))


@torch.no_grad()
def apart(model, tokens, one, other) -> float:
    return (model(tokens, one) - model(tokens, other)).abs().max().item()


def said(model, tokenizer, hooks, text: str = TEXT) -> str:
    return tokenizer.decode(generate(model, [tokenizer.encode(text)], hooks)[0])


def sizes(trace) -> torch.Tensor:  # (steps + 1, L, P)
    return torch.stack([copies["vectors"].norm(dim=2) for copies in trace.vectors])


def cosines(which: list) -> torch.Tensor:  # (steps, L, P)
    return torch.tensor([each["vectors"] for each in which])


def numbers(hooks) -> int:
    return sum(parameter.numel() for parameter in hooks.parameters())


def seen(model, tokens, hooks, *sites):
    recorder = Recorder(sites)
    model(tokens, Stack(hooks, recorder))
    return recorder


@pytest.mark.claim("5 §1", "Both methods show the text the same number of extra keys, in every block")
@pytest.mark.claim("5 §1", "what is dropped need not be computed")
@pytest.mark.claim("5 §1", "$P \\cdot D$ for a prompt of $P$ vectors, $L \\cdot P \\cdot D$ for a prefix in $L$ layers")
@pytest.mark.claim("5 §1", "With $P = 4$, $D = 128$, $L = 4$: 512 and 2,048")
@pytest.mark.claim("5.q5", "each layer sees P extra keys under both methods")
@pytest.mark.claim("5.q3", "six more streams to run at the first step", "six more keys in every layer, no stream")
@pytest.mark.claim("5.q5", "T positions run, in place of P + T", "L · P · D in place of P · D")
def test_a_prompt_has_a_stream_and_a_prefix_only_keys(model, tokens):
    layers = range(model.config.layers)
    for like, queries in (PromptTuning, 8), (PrefixTuning, 4), (KeyValuePrefix, 4):
        recorder = seen(model, tokens, like(4, model.config), "queries", "keys")
        assert [recorder["queries", layer].shape[2] for layer in layers] == [queries] * len(layers)
        assert [recorder["keys", layer].shape[2] for layer in layers] == [8] * len(layers)
    one = 4 * model.config.width
    assert (
        [numbers(like(4, model.config)) for like in (PromptTuning, PREFIX)] == [one, len(layers) * one] == [512, 2048]
    )


@pytest.mark.claim("5.q8", "A recorder shows `T` keys in layers 1 to 23, and `T + 8` keys in layer 0")
@pytest.mark.claim("5.q8", "each of them would show `T + 8` keys")
def test_a_prefix_in_the_first_layer_only_is_seen_there_only(model, tokens):
    first = PrefixTuning(8, model.config, layers=[0])
    recorder = seen(model, tokens, first, "keys")
    assert [recorder["keys", layer].shape[2] - 4 for layer in range(model.config.layers)] == [8, 0, 0, 0]
    assert numbers(first) == 8 * model.config.width


@pytest.mark.claim("5.q15", "holds 20,480 numbers", "runs 50 positions through every layer", "491,520")
@pytest.mark.claim("5.q15", "would run 30 positions and show 20 more keys")
def test_the_figures_tell_a_prompt_from_a_prefix(model):
    shape = Config(vocab=10, context=8, width=1024, layers=24, heads=8, kv_heads=2, hidden=8)
    assert (numbers(PromptTuning(20, shape)), numbers(PrefixTuning(20, shape))) == (20_480, 491_520)
    text, layers = torch.ones(1, 30, dtype=torch.long), range(model.config.layers)
    prompt, first = PromptTuning(20, model.config), PrefixTuning(20, model.config, layers=[0])
    streams = [seen(model, text, hooks, "queries", "keys") for hooks in (prompt, first)]
    assert [[each["queries", layer].shape[2] for layer in layers] for each in streams] == [[50] * 4, [30] * 4]
    assert streams[1]["keys", 0].shape[2] == 50


@pytest.mark.claim("5.q14", "In layer 3 the scores between the text's own queries and keys are what they were")
@pytest.mark.claim("5.q14", "The layers above compute queries, keys and values from a changed stream")
def test_a_prefix_in_one_layer_changes_no_score_there_and_all_above(model, tokens):
    prefix = PrefixTuning(2, model.config, layers=[2], seed=5)
    bare, tuned = (seen(model, tokens, hooks, "queries", "keys", "logits") for hooks in (Hooks(), prefix))
    for site in "queries", "keys":
        torch.testing.assert_close(bare[site, 2], tuned[site, 2][:, :, -4:], rtol=1e-5, atol=1e-5)
        assert (bare[site, 3] - tuned[site, 3]).abs().max() > 0.1
    assert (bare["logits", None] - tuned["logits", None]).abs().max() > 0.1


@pytest.mark.claim("5 §2", "Ten lines, and the base has not changed by a byte")
@pytest.mark.claim("5.q4", "they do not change at all, not gently either: not a byte")
@pytest.mark.claim("5.q4", "to reach the vectors of a low layer, the loss's gradient flows through everything above")
@pytest.mark.claim("5.q5", "on easy tasks both reach the top")
def test_the_prefix_learns_to_translate_and_the_base_stays(model, tokenizer, trained, sentences, instruction):
    prefix, _, history = trained
    assert [line for line in solution("5.1").splitlines() if "###" not in line][9:] == [
        "        return torch.cat((own, x), 1)"
    ]
    proof = history.proof
    assert proof["base_unchanged"] and proof["base_gradients"] == 0
    assert proof["layers_with_gradient_inside"] == [*range(model.config.layers)]
    assert accuracy(model, sentences) < 0.3
    assert accuracy(model, sentences, prefix) > 0.9 and accuracy(model, sentences, instruction) > 0.9
    assert said(model, tokenizer, prefix) == "小心!" != said(model, tokenizer, Hooks())


@pytest.mark.claim("5 §2", "To serve another task, swap `prefix.vectors`")
def test_other_vectors_are_another_task(model, tokenizer):
    prefix = PREFIX(2, model.config)
    for words, answer in ("shout:", "LOOK OUT!"), ("first word:", "Look"):
        prefix.vectors.data = PrefixTuning.from_tokens(model, tokenizer.encode(words)).vectors.data
        assert said(model, tokenizer, prefix) == answer


def table(model, examples, hooks) -> torch.Tensor:  # (L, P)
    return torch.tensor(gradients.record_step(model, *next(iter(examples)), hooks).token_norms["vectors"])


@pytest.mark.claim("5 §3", "which layer's vectors get the *smallest* gradient?", "Random starts differ much in this")
def test_the_last_layer_gets_the_smallest_gradient(model, examples):
    tables = torch.stack([table(model, examples, fresh(model, seed)) for seed in range(24)])
    for eight in tables.split(8):
        assert eight.mean(0).sum(1).argmin() == model.config.layers - 1
    alone = tables.sum(2)  # (starts, L)
    assert len({*alone.argmax(1).tolist()}) > 1 and alone.max() > 3 * alone.max(1).values.min()


@pytest.mark.claim("5 §3", "Every cell is a number and none is None", "the gradient lands in every layer at once")
@pytest.mark.claim("5 §3", "nearly nothing is left to be learned from these sentences, and the table has gone dark")
def test_after_training_hardly_any_gradient_is_left(model, examples, trained):
    before, after = table(model, examples, fresh(model)), table(model, examples, trained[0])
    assert before.shape == (model.config.layers, 4) and (before > 0).all() and (after > 0).all()
    assert (after < before / 5).all() and after.mean() < before.mean() / 30


@pytest.mark.claim("5 §3", "So making a textbook prefix longer or shorter *as a vector* changes nothing")
@pytest.mark.claim("5 §3", "a vector ten times as long gives the same")
@pytest.mark.claim("5 §3", "Not *exactly* 0 for the prefix", "A prompt has no such freedom")
@pytest.mark.claim("5 close", "for a textbook prefix only the direction counts")
@pytest.mark.claim("5.q11", "through the norm a hidden state loses its length")
def test_only_the_direction_of_a_prefix_counts(model, tokens, trained, instruction):
    longer, larger = PREFIX(4, model.config), PromptTuning.from_vectors(model, 10 * instruction.vectors)
    longer.vectors.data = 10 * trained[0].vectors.data
    assert 0 < apart(model, tokens, trained[0], longer) < 0.1
    assert apart(model, tokens, instruction, larger) > 1
    for one, other in zip(*(TRANSLATE(model, each.vectors) for each in (trained[0], longer)), strict=True):
        assert torch.allclose(one, other, atol=1e-2)


@pytest.mark.claim("5 §3", "and a gradient never points along it", "Adam's steps are *not* at a right angle")
@pytest.mark.claim("5 §3", "Adam's steps point outwards, and its vectors have become several times as long")
@pytest.mark.claim("5.q6", "The gradient is at a right angle to each vector, and the steps make it longer, not shorter")
def test_gradients_are_at_a_right_angle_and_adam_s_steps_point_outwards(trained):
    _, trace, _ = trained
    assert cosines(trace.gradient_cosines).abs().max() < 0.01
    assert cosines(trace.update_cosines).mean() > 0.2
    grown = sizes(trace)
    assert (grown[40] > 2 * grown[0]).all() and (grown[80] > grown[20]).all()


@pytest.mark.claim("5 §3", "which turns a step a little this way or that", "and now they point outwards")
def test_it_is_momentum_that_points_outwards(model, examples, trained):
    prefix = fresh(model)
    adam, trace = torch.optim.Adam(prefix.parameters(), lr=0.03, betas=(0.0, 0.999)), gradients.Trace(prefix)
    for step, (inputs, targets) in enumerate(islice(examples, 20)):
        adam.zero_grad()
        loss(model, inputs, targets, prefix).backward()
        adam.step()
        trace.on_step(step)
    without, usual = (cosines(each.update_cosines)[:20] for each in (trace, trained[1]))
    assert without.abs().max() > 0.03 and without.mean().abs() < 0.1 < 0.3 < usual.mean()


@pytest.mark.claim("5 §3", "A step $s$ at a right angle can only make a vector longer")
@pytest.mark.claim("5 §3", "Plain gradient descent's vectors grow with each step, by little")
def test_plain_gradient_descent_lengthens_each_vector_a_little(descended):
    assert cosines(descended.update_cosines).abs().max() < 0.01
    grown = sizes(descended)
    assert (grown[1:] - grown[:-1]).min() > -1e-5
    assert 1.02 < grown[40].mean() / grown[0].mean() < 1.5


@pytest.mark.claim("5 §3", "The longer a vector is, the less a step of the same size turns it")
@pytest.mark.claim("5.q6", "a step of the usual size turns a long vector little", "What suffers is learning")
@pytest.mark.claim("5.q6", "At first its loss was the usual one, but it learns more slowly")
@pytest.mark.claim("5.q6", "a vector 20 times as long has about a twentieth of the gradient")
def test_a_prefix_that_starts_long_learns_slowly(model, tokens, examples, trained):
    usual, long = (PrefixTuning(4, model.config, scale=scale, seed=5) for scale in (0.05, 1.0))
    assert apart(model, tokens, usual, long) < 0.1
    first = next(iter(examples))
    (small_value, small), (value, large) = (
        (value := loss(model, *first, each), torch.autograd.grad(value, each.vectors)[0].norm(dim=2))
        for each in (usual, long)
    )
    assert value.item() == pytest.approx(small_value.item(), rel=0.02) and (small / large - 20).abs().max() < 4
    trace = gradients.Trace(long)
    history = train(model, examples, long, steps=20, on_step=trace.on_step, progress=False)
    assert sum(history.loss[10:20]) > 5 * sum(trained[2].loss[10:20])
    before, *_, after = sizes(trace)
    assert (after > before).all()
    turned = [1 - F.cosine_similarity(each.vectors[0]["vectors"], each.vectors[20]["vectors"], -1).mean()
              for each in (trace, trained[1])]  # fmt: skip
    assert turned[0] < turned[1] / 3


@pytest.mark.claim("5 §4", "there are none, because a prefix asks nothing", "Each row still sums to 1")
@pytest.mark.claim("5 §4", "What the prefix's columns take, the text's columns lose")
def test_a_prefix_takes_its_share_of_each_row(model, tokens, trained):
    bare, tuned = (seen(model, tokens, hooks, "weights")["weights", 1][0].mean(0) for hooks in (Hooks(), trained[0]))
    assert bare.shape == (4, 4) and tuned.shape == (4, 8)
    assert torch.allclose(bare.sum(1), torch.ones(4)) and torch.allclose(tuned.sum(1), torch.ones(4))
    assert (tuned[:, :4].sum(1) > 0.1).all() and (tuned[:, 4:].sum(1) < bare.sum(1) - 0.1).all()


@pytest.mark.claim("5 §4", "A zero vector has a zero key", "What it hands over is a zero value")
@pytest.mark.claim("5 §4", "To have no effect, a prefix must have length 0, or scores of $-\\infty$")
@pytest.mark.claim("5 close", "Zeros are not nothing")
@pytest.mark.claim("5.q7", "it still takes part in the softmax, and thins what is read from the text")
@pytest.mark.claim("5.q7", "a hidden state of zero stays zero under the norm and gives a key and a value of zero")
@pytest.mark.claim("5.q7", "the result is zero, not NaN")
def test_a_prefix_of_zeros_has_an_effect_and_a_closed_gate_has_none(model, tokens, trained):
    zero, zero_keys = (like(4, model.config, scale=0.0) for like in (PrefixTuning, KeyValuePrefix))
    assert apart(model, tokens, zero, Hooks()) > 1
    assert apart(model, tokens, zero, zero_keys) < 1e-4
    assert all(not part.any() for part in TRANSLATE(model, zero.vectors))
    assert apart(model, tokens, Gate(trained[0], model.config, strength=0.0), Hooks()) < 1e-4
    assert apart(model, tokens, PrefixTuning(0, model.config), Hooks()) < 1e-4


@pytest.mark.claim("5 §5", "so both prefixes are equally large", "the second form would be twice the first")
@pytest.mark.claim("5.q9", "2·G·d = 2048 numbers a layer and virtual token against D = 4096")
@pytest.mark.claim("5.q9", "2 · L · P · G · d = 2 · 32 · 10 · 8 · 128", "this is the textbook's prefix, L · P · D")
@pytest.mark.claim("5.q11", "in this model both have the same number")
def test_both_forms_are_equally_large_in_this_model_only(model):
    shape = vars(model.config)
    assert numbers(PREFIX(4, model.config)) == numbers(KEY_VALUES(4, model.config))
    wide = Config(**shape | {"kv_heads": shape["heads"]})
    assert 2 * numbers(PREFIX(4, wide)) == numbers(KEY_VALUES(4, wide))
    shared = Config(**shape | {"width": 4096, "heads": 32, "kv_heads": 8})
    assert numbers(PREFIX(1, shared)) == 2 * numbers(KEY_VALUES(1, shared)) == shape["layers"] * 4096
    asked = Config(**shape | {"width": 4096, "heads": 32, "kv_heads": 8, "layers": 32})
    assert (numbers(KEY_VALUES(10, asked)), numbers(PREFIX(10, asked))) == (655_360, 1_310_720)
    assert (asked.head, numbers(PromptTuning(10, asked))) == (128, 40_960)


@pytest.mark.claim("5 §5", "afterwards the prefix is computed one last time, kept, and the network thrown away")
@pytest.mark.claim("5.q10", "both together are many more numbers than their result")
@pytest.mark.claim("5.q10", "they are another prefix than the one that was trained")
def test_what_the_mlp_makes_is_kept_and_the_raw_vectors_are_another_prefix(model, tokens, examples, sentences):
    detour = reparametrise(PrefixTuning(4, model.config))
    trained, kept = numbers(detour), detour.vectors.numel()
    assert trained > 10 * kept
    train(model, examples, detour, steps=40, progress=False)
    raw = PrefixTuning(4, model.config)
    raw.vectors.data = detour.parametrizations.vectors.original.detach().clone()
    through_the_mlp, without = (loss(model, *sentences, hooks).item() for hooks in (detour, raw))
    assert loss(model, *sentences, bake(detour)).item() == pytest.approx(through_the_mlp)
    assert numbers(detour) == kept and apart(model, tokens, detour, raw) > 1 and without > 1.2 * through_the_mlp


@pytest.mark.claim("5 §6", "each textbook prefix *is* a key/value prefix")
@pytest.mark.claim("5.q11", "P_K = norm(p)·W_K and P_V = norm(p)·W_V is exact")
def test_a_textbook_prefix_is_translated_exactly(model, tokens, trained):
    translated = KeyValuePrefix.from_keys_values(model.config, *TRANSLATE(model, trained[0].vectors.detach()))
    assert apart(model, tokens, trained[0], translated) < 1e-4


@pytest.mark.claim("5 §6", "At most the rounding of the last digits is left")
@pytest.mark.claim("5 §6", "the prompt's stream is the same whatever comes after it")
@pytest.mark.claim("5 close", "A prompt compiles to keys and values that give the same logits")
def test_a_prompt_is_compiled_exactly(model, tokenizer, sentences, instruction):
    compiled = KeyValuePrefix.from_keys_values(model.config, *COMPILE(model, instruction))
    assert apart(model, sentences[0], instruction, compiled) < 5e-4
    length = len(instruction.vectors)
    one, other = (
        seen(model, torch.tensor([tokenizer.encode(text)]), instruction, "output")
        for text in (TEXT, "The cat is sleeping. →")
    )
    for layer in range(model.config.layers):
        first, second = (recorder["output", layer][:, :length] for recorder in (one, other))
        assert torch.allclose(first, second, atol=1e-4)


class Counting(Hooks):
    """A prefix that counts how often it is asked for."""

    def __init__(self, prefix):
        super().__init__()
        self.prefix, self.calls = prefix, 0

    def context(self, layer, x):
        self.calls += 1
        return self.prefix.context(layer, x)


@pytest.mark.claim("5 §7", "Hooks that lengthen therefore run **once for each sequence, at its first step**")
@pytest.mark.claim("5 §7", "Joined together they must be those of one forward over the whole text")
@pytest.mark.claim("5 close", "Cached must equal uncached")
def test_cached_equals_uncached_and_the_prefix_is_asked_for_once(model, tokens, trained, instruction):
    for hooks in instruction, trained[0], fresh(model, like=KEY_VALUES), Hooks():
        assert torch.allclose(reference("5.5")(model, tokens, hooks), model(tokens, hooks), atol=1e-4)
    counting = Counting(trained[0])
    reference("5.5")(model, tokens, counting)
    assert counting.calls == model.config.layers


@pytest.mark.claim("5 §7", "Without soft prompts it is right")
@pytest.mark.claim("5 §7", "With a prefix it answers as if there were none, and nothing complains")
@pytest.mark.claim("5 §7", "with our prefix, `count = 2` has to give the two tokens of 小心")
@pytest.mark.claim("5.q13", "Its *generated* answers are those of the bare model")
@pytest.mark.claim("5.6", "Without a cache the answers are right")
@torch.no_grad()
def test_the_forgetful_decoder_answers_as_if_there_were_no_prefix(model, tokenizer, tokens, trained):
    right, first_call = reference("5.6"), "model(tokens[:, :-1], cache=cache)"
    (given,) = [cell.source for cell in code(5) if (cell.role, cell.about) == ("exercise", "5.6")]
    assert f"# {first_call}" in given
    scope = {"torch": torch, "Cache": Cache}
    exec(changed("5.6", "model(tokens[:, :-1], hooks, cache)", first_call), scope)
    forgetful = scope["answer"]
    assert torch.equal(forgetful(model, tokens, Hooks(), 3), right(model, tokens, Hooks(), 3))
    assert torch.equal(forgetful(model, tokens, trained[0], 3), right(model, tokens, Hooks(), 3))
    assert not torch.equal(right(model, tokens, trained[0], 2), right(model, tokens, Hooks(), 2))
    assert tokenizer.decode(right(model, tokens, trained[0], 2)[0]) == "小心"


@pytest.mark.claim("5 §7", "Four keys of the prefix and two of the text at first; then two more, and no prefix for a")
def test_two_steps_of_two_tokens_see_the_prefix_once(model, tokens, trained):
    cache, recorder, seen = Cache(), Recorder(("weights",)), []
    for two in tokens.split(2, 1):
        model(two, Stack(trained[0], recorder), cache)
        seen += [tuple(recorder["weights", layer].shape[2:]) for layer in range(model.config.layers)]
    assert seen == [(2, 6)] * 4 + [(2, 8)] * 4


@pytest.mark.claim("5 §2", "with $P = 2$, $(3, 5, 128)$ becomes $(3, 7, 128)$")
@pytest.mark.claim("5 §5", "with $P = 3$ the keys above become $(1, 2, 7, 32)$", "2 \\cdot 32 = 2{,}048$")
@pytest.mark.claim("5 §6", "$(4, 4, 128)$ becomes keys and values of $(4, 2, 4, 32)$ each", "$(4, 2, 4, 32)$ twice")
def test_the_shapes_that_exercises_name_are_those_of_their_solutions(model, tokens, instruction):
    config, keys = model.config, seen(model, tokens, Hooks(), "keys")["keys", 0]
    assert PREFIX(2, config).context(1, torch.zeros(3, 5, 128)).shape == (3, 7, 128)
    assert KEY_VALUES(3, config).keys_values(0, keys, keys)[0].shape == (1, 2, 7, 32)
    assert numbers(KEY_VALUES(4, config)) == 2048
    made = TRANSLATE(model, torch.zeros(4, 4, 128)) + COMPILE(model, PromptTuning(4, config))
    assert [part.shape for part in made] == [(4, 2, 4, 32)] * 4


@pytest.mark.claim("5 §8", "`assert torch.equal(embed(x)[:, 3:], x)` would stop the second")
def test_shapes_do_not_tell_in_front_from_behind(capsys):
    (cell,) = [each.source for each in cells(source_of(5)) if "def test_of_shapes" in each.source]
    exec(cell, scope := {"torch": torch})
    assert capsys.readouterr().out.count("passed") == 2
    x, programs = torch.randn(2, 5, 8), scope["programs"]
    assert [torch.equal(embed(x)[:, 3:], x) for embed in programs.values()] == [True, False]


@pytest.mark.claim("5.1", "by the causal rule only the last places would see them", "earlier ones would see text")
def test_vectors_behind_the_text_are_seen_by_the_last_places(model):
    virtual, text = 3, 7
    mask = visible(text, text + virtual)  # keys: the text's, then the vectors
    assert mask[:, text:].any(1).tolist() == [False] * (text - virtual) + [True] * virtual
    assert mask[0, :text].sum() == virtual + 1


# The bugs of exercise 5.7, and what the message says one sees of them


def program(bug: str = "") -> dict:
    scope = {"torch": torch, "nn": nn, "F": F, "Hooks": Hooks}
    exec(bugs.program(bug), scope)
    return scope


@pytest.fixture
def unguarded(monkeypatch):
    """A model that takes what the hooks return, whatever they did to the text."""
    for module in minitransformer.model, minitransformer.hooks:  # the second for a Stack
        monkeypatch.setattr(module, "lengthened", lambda hook, *arguments: hook(*arguments))


@pytest.fixture
def start(rows):
    return rows("in Chinese:")


@pytest.mark.claim("5 §8", "Fifteen wrong ones are tried")
def test_there_are_fifteen_bugs():
    assert len(bugs.BUGS) == 15


@pytest.mark.parametrize("bug", ["prompt-replaces-tokens", "prompt-behind-the-text", "prompt-added"])
@pytest.mark.claim("5.7", "this model refuses it; another would not")
def test_what_changes_the_text_is_refused_here(model, tokens, start, bug):
    with pytest.raises(ValueError, match="changes the text's own part"):
        model(tokens, program(bug)["Prompt"](start))
    assert bugs.BUGS[bug][1].endswith("(this model refuses it; another would not)")


@pytest.mark.claim("5.7", "short texts lose their meaning; the longer the prompt, the worse")
def test_a_prompt_in_the_place_of_tokens_hides_short_texts(model, tokenizer, start, unguarded):
    texts = torch.tensor([tokenizer.encode(text) for text in (TEXT, "Good night! →")])
    differences = []
    for length in range(5):
        one, other = model(texts, program("prompt-replaces-tokens")["Prompt"](start.repeat(2, 1)[:length]))[:, -1]
        differences += [(one - other).abs().max().item()]
    assert differences[0] > 1 and differences[1] > 1 and differences[2:] == [0.0] * 3


@pytest.mark.claim("5.7", "no word of the text sees the prompt")
def test_a_prompt_behind_the_text_is_seen_by_no_word(model, tokens, start, unguarded):
    tuned, bare = (
        seen(model, tokens, hooks, "output") for hooks in (program("prompt-behind-the-text")["Prompt"](start), Hooks())
    )
    last = model.config.layers - 1
    assert torch.allclose(tuned["output", last][:, :4], bare["output", last], atol=1e-4)


@pytest.mark.claim("5.7", "every word is moved, and the length is right")
def test_an_added_prompt_moves_every_word(model, tokens, start):
    x = model.embedding(tokens)
    entered = program("prompt-added")["Prompt"](start).embed(x)
    assert entered.shape == x.shape and (entered != x).any(2).all()


@pytest.mark.claim("5.7", "the optimizer gets an empty list")
def test_a_prompt_that_is_no_parameter_leaves_the_optimizer_an_empty_list(start):
    with pytest.raises(ValueError, match="empty"):
        torch.optim.Adam(program("not-a-parameter")["Prompt"](start).parameters())


@pytest.mark.claim("5.7", "the vectors never move; where the model is not frozen, nothing is raised")
def test_a_gradient_that_is_cut_off_raises_on_a_frozen_model_only(model, examples, start):
    prompt, (inputs, targets) = program("gradient-cut-off")["Prompt"](start), next(iter(examples))
    with pytest.raises(RuntimeError, match="does not require grad"):
        loss(model, inputs, targets, prompt).backward()
    try:
        loss(model.requires_grad_(True), inputs[:2], targets[:2], prompt).backward()
    finally:
        model.zero_grad()
        model.requires_grad_(False)
    assert [parameter.grad for parameter in prompt.parameters()] == [None]


@pytest.mark.claim("5.7", "right alone, wrong in a batch")
def test_a_prompt_in_the_first_text_only_is_right_alone(model, tokens, start):
    right, wrong = (program(bug)["Prompt"](start) for bug in ("", "prompt-in-first-text-only"))
    assert apart(model, tokens, right, wrong) < 1e-4
    assert apart(model, tokens.repeat(2, 1), right, wrong) > 1


@pytest.mark.claim("5.7", "a prompt made of words starts no better than one of nothing")
def test_a_start_that_is_ignored_is_no_better_than_nothing(model, examples, start):
    wrong, nothing, right = (
        loss(model, *next(iter(examples)), program(bug)["Prompt"](vectors)).item()
        for bug, vectors in (("start-ignored", start), ("", torch.zeros_like(start)), ("", start))
    )
    assert wrong == pytest.approx(nothing) and right < wrong / 3


def trained_on(model, examples, bug: str, steps: int):
    """The losses that this wrong loss showed in training, and the prompt that came of it."""
    wrong, losses = program(bug), []
    torch.manual_seed(0)
    prompt = wrong["Prompt"](0.05 * torch.randn(4, model.config.width))
    adam = torch.optim.Adam(prompt.parameters(), lr=0.03)
    for inputs, targets in islice(examples, steps):
        adam.zero_grad()
        value = wrong["prompt_loss"](model, prompt, inputs, targets)
        value.backward()
        adam.step()
        losses += [value.item()]
    return prompt, losses


@pytest.mark.claim("5.7", "a falling loss, and accuracy zero")
def test_targets_shifted_twice_give_a_falling_loss_and_no_answer(model, examples, sentences):
    prompt, losses = trained_on(model, examples, "targets-shifted-twice", 20)
    assert losses[-1] < 0.8 * losses[0] and accuracy(model, sentences, prompt) == 0


@pytest.mark.claim("5.7", "a loss that the targets do not change; it falls, and accuracy is zero")
def test_tokens_for_targets_give_a_falling_loss_whatever_the_targets(model, examples, sentences):
    prompt, losses = trained_on(model, examples, "tokens-for-targets", 20)
    assert losses[-1] < 0.8 * losses[0] and accuracy(model, sentences, prompt) == 0
    wrong, (inputs, targets) = program("tokens-for-targets")["prompt_loss"], next(iter(examples))
    assert wrong(model, prompt, inputs, targets) == wrong(model, prompt, inputs, targets.flip(0))


@pytest.mark.claim("5.7", "the loss is the same whatever the vectors are")
def test_a_prompt_that_is_not_passed_changes_no_loss(model, examples, start):
    losses = [
        program("prompt-not-passed")["prompt_loss"](model, hooks, *next(iter(examples)))
        for hooks in (program()["Prompt"](start), program()["Prompt"](torch.zeros_like(start)), Hooks())
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.claim("5.7", "right without a prompt, and NaN with a long one")
def test_sliced_logits_end_in_nan(model, examples, start):
    inputs, targets = next(iter(examples))
    wrong, right = (program(bug)["prompt_loss"] for bug in ("logits-sliced", ""))
    assert wrong(model, Hooks(), inputs, targets) == right(model, Hooks(), inputs, targets)
    long = program()["Prompt"](start.repeat(len(inputs[0]) // len(start) + 1, 1))
    assert wrong(model, long, inputs, targets).isnan() and right(model, long, inputs, targets).isfinite()


@pytest.mark.claim("5.7", "the loss falls when the batch is padded more")
def test_counting_what_is_ignored_lowers_the_loss_of_a_padded_batch(model, examples):
    inputs, targets = next(iter(examples))
    padded = F.pad(inputs, (0, 5)), F.pad(targets, (0, 5), value=-100)
    for bug, factor in ("ignored-counted", 0.99), ("", 1.0):
        once, more = (program(bug)["prompt_loss"](model, Hooks(), *each) for each in ((inputs, targets), padded))
        assert (more < factor * once) if bug else torch.isclose(more, once, atol=1e-4)


@pytest.mark.claim("5.7", "most of the prompt is one word")
@pytest.mark.claim("5.7", "every prompt starts from the same rows of the table, whatever its words")
def test_wrong_starts_from_words(model):
    table, words = torch.eye(9), torch.tensor([4, 2])
    last, top = (program(bug)["from_words"] for bug in ("last-word-repeated", "table-from-the-top"))
    assert last(words, table, 8).argmax(1).tolist() == [4] + [2] * 7
    assert torch.equal(top(words, table, 3), top(words + 1, table, 3))


@pytest.mark.claim("5.7", "only layer 0's vectors ever get a gradient")
def test_the_same_vectors_at_every_layer_leave_the_others_without_gradient(model, examples):
    prefix = program("same-at-every-layer")["Prefix"](4, model.config)
    loss(model, *next(iter(examples)), prefix).backward()
    assert prefix.vectors.grad.norm(dim=(1, 2)).gt(0).tolist() == [True, False, False, False]


@pytest.mark.claim("5 §6", "In an encoder a prompt *reads the text*", "its keys are others for each text")
@pytest.mark.claim("5 §6", "A prefix has no queries; its keys and values stay what they are")
@pytest.mark.claim("5.q16", "The prefix may, but a prompt's vectors would have read the text")
def test_in_an_encoder_a_prompt_reads_the_text_and_a_prefix_does_not(model, tokenizer, instruction, monkeypatch):
    def moved(hooks):  # from one text to another, the virtual tokens' keys and values of each block
        seen = []
        for text in "Look out! →", "The cat is sleeping. →":
            model(torch.tensor([tokenizer.encode(text)]), Stack(hooks, recorder := Recorder(("keys", "values"))))
            seen.append([torch.cat((recorder["keys", n], recorder["values", n]))[..., :3, :] for n in range(4)])
        return [(one - other).abs().max().item() for one, other in zip(*seen, strict=True)]

    prefix = PrefixTuning(3, model.config)
    assert max(moved(instruction)) < 1e-4 and moved(prefix) == [0.0] * 4
    everything = lambda queries, keys, device=None: torch.ones(queries, keys) > 0  # noqa: E731
    monkeypatch.setattr("minitransformer.model.visible", everything)
    first, *above = moved(instruction)
    assert first < 1e-4 and min(above) > 0.5 and moved(prefix) == [0.0] * 4
