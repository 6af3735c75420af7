"""The laws, for whatever models, soft prompts, texts and settings hypothesis draws.

The suite draws the same few examples each time. Many others:

    pytest --hypothesis-profile=thorough tests/test_properties.py

and a failure says how to have it again. `laws.py` stays the reference of what the laws are.
"""

import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import laws
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from laws import LAWS, LAWS_OF_LEARNING, LAWS_OF_REPLACING, PAGE, drawn, equal, random_model, scaled
from torch import Tensor

from minitransformer import (
    Batches,
    Cache,
    Config,
    Gate,
    Hooks,
    KeyValuePrefix,
    Phrasebook,
    PrefixTuning,
    PromptBank,
    PromptTuning,
    Stack,
    Tokenizer,
    Transformer,
    bake,
    batch,
    export_peft,
    fingerprint,
    generate,
    import_peft,
    load,
    save,
    train,
)
from minitransformer.files.checkpoints import load_model, save_model
from minitransformer.phrasebook import PARTS
from minitransformer.soft_prompts import virtual_lengths
from minitransformer.tokenizer import IGNORED

SEEDS = st.integers(0, 2**31)
DTYPES = torch.float64, torch.float32, torch.bfloat16, torch.float16
MEANING = [part for part in PARTS if part != "words"]  # of which every skill has an answer
BOOK = Phrasebook()
TOKENIZER = BOOK.tokenizer()


@st.composite
def configs(draw) -> Config:
    """Room for every soft prompt that `soft_prompts` draws, and for a law's text behind it."""
    kv_heads, sharing, half = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    heads, vocab = kv_heads * sharing, draw(st.integers(2, 40))
    return Config(
        vocab=vocab,
        context=draw(st.integers(32, 48)),
        width=heads * 2 * half,
        layers=draw(st.integers(1, 4)),
        heads=heads,
        kv_heads=kv_heads,
        hidden=draw(st.integers(1, 40)),
        rope_base=draw(st.sampled_from([1.5, 100.0, 10_000.0, 500_000.0])),
        eps=draw(st.sampled_from([1e-12, 1e-6, 1e-5, 1e-2])),
        end=draw(st.none() | st.integers(0, vocab - 1)),
    )


def models(dtypes=(torch.float64,)) -> st.SearchStrategy[Transformer]:
    make = lambda config, seed, dtype: random_model(seed, dtype, **asdict(config))  # noqa: E731
    return st.builds(make, configs(), SEEDS, st.sampled_from(dtypes))


@st.composite
def plain_prompts(draw, config: Config, lengths: st.SearchStrategy[int]) -> Hooks:
    length, scale, seed = draw(lengths), draw(st.sampled_from([0.05, 0.5, 2.0])), draw(SEEDS)
    match draw(st.sampled_from(["prompt", "prefix", "prefix in some layers", "key/value", "key/value, uneven"])):
        case "prompt":
            hooks = PromptTuning(length, config, scale, seed)
        case "prefix":
            hooks = PrefixTuning(length, config, None, scale, seed)
        case "prefix in some layers":
            some = draw(st.lists(st.sampled_from(range(config.layers)), min_size=1, unique=True))
            hooks = PrefixTuning(length, config, some, scale, seed)
        case "key/value":
            hooks = KeyValuePrefix(length, config, scale, seed)
        case "key/value, uneven":
            hooks = KeyValuePrefix([draw(lengths) for _ in range(config.layers)], config, scale, seed)
    return laws.moved(hooks) if draw(st.booleans()) else hooks


@st.composite
def soft_prompts(draw, model: Transformer, shortest: int = 0, gates=(0.0, 0.3, 1.0, 4.0)) -> Hooks:
    """One soft prompt or up to three in a Stack, maybe behind a Gate, in the model's type of numbers."""
    parts = st.lists(plain_prompts(model.config, st.integers(shortest, 5)), min_size=1, max_size=3)
    hooks = Stack(*stacked) if len(stacked := draw(parts)) > 1 else stacked[0]
    if gates and draw(st.booleans()):
        hooks = Gate(hooks, model.config, draw(st.sampled_from(gates)))
    return hooks.to(model.embedding.weight.dtype)


@st.composite
def tuned(draw, dtypes=(torch.float64,), **changes) -> tuple[Transformer, Hooks]:
    model = draw(models(dtypes))
    return model, draw(soft_prompts(model, **changes))


@st.composite
def replacing(draw) -> tuple[Transformer, Hooks]:
    """What changes values at every step, alone or behind a soft prompt."""
    model = draw(models())
    config, layer = model.config, draw(st.integers(0, model.config.layers - 1))
    direction = drawn(config.width, seed=draw(SEEDS))
    makers: dict[str, Callable[[], Hooks]] = {
        "IA3": lambda: scaled(PAGE["IA3"](config)),
        "steering": lambda: PAGE["Steering"](layer, direction),
        "ablation": lambda: PAGE["Ablation"](layer, draw(st.integers(0, config.heads - 1))),
    }
    hooks = makers[draw(st.sampled_from(sorted(makers)))]().double()
    return model, Stack(draw(soft_prompts(model)), hooks) if draw(st.booleans()) else hooks


def tokens_of(model: Transformer, least: int = 1, most: int = 8) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, model.config.vocab - 1), min_size=least, max_size=most)


@contextmanager
def rounded_to(within: float):
    """The laws' own comparison, with room for the roundings of float32, which grow with the numbers."""

    def nearly(got: torch.Tensor, expected: torch.Tensor, **_: float) -> None:
        equal(got, expected, within * max([1.0, *expected.detach().abs().flatten().tolist()]))

    with patch.object(laws, "equal", nearly):
        yield


@contextmanager
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def same_tensors(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """The same names, types of numbers and bits."""
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def every(laws):
    return pytest.mark.parametrize("law", laws, ids=lambda law: law.__name__)


@every(LAWS)
@given(tuned())
def test_every_soft_prompt_on_every_model_keeps_the_law(law, drawn):
    law(*drawn)


@every(LAWS_OF_LEARNING)
@given(tuned(shortest=1, gates=(0.3, 1.0, 4.0)))
def test_every_soft_prompt_on_every_model_learns_as_the_law_says(law, drawn):
    law(*drawn)


@every(LAWS_OF_REPLACING)
@given(replacing())
def test_what_replaces_values_keeps_the_law_on_every_model(law, drawn):
    law(*drawn)


@every([law for law in LAWS if law is not laws.ragged_equals_alone])  # near a tie, a rounding decides what is said
@given(tuned((torch.float32,)))
def test_in_float32_the_laws_hold_to_its_roundings(law, drawn):
    with rounded_to(5e-3):
        law(*drawn)


@given(tuned(), st.data())
def test_however_a_text_is_cut_the_cache_changes_nothing(drawn, data):
    model, hooks = drawn
    tokens = torch.tensor([data.draw(tokens_of(model, 0))], dtype=torch.long)
    cuts = sorted(data.draw(st.lists(st.integers(0, tokens.shape[1]), max_size=4)))
    cache, whole = Cache(), model(tokens, hooks)
    with torch.set_grad_enabled(data.draw(st.booleans())):
        parts = [model(part, hooks, cache) for part in tokens.tensor_split(cuts, 1)]
    equal(torch.cat(parts, 1), whole)


@given(tuned())
def test_the_context_holds_virtual_tokens_and_text_together_and_not_one_more(drawn):
    model, hooks = drawn
    room = model.config.context - max(virtual_lengths(hooks, model.config))
    model(laws.text(model, 1, room), hooks)
    with pytest.raises(ValueError, match="virtual tokens included"):
        model(laws.text(model, 1, room + 1), hooks)


def chances(logits: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> dict[int, float]:
    """By hand: the likeliest k tokens, of them the fewest that hold p together; the likeliest first."""
    weights = (logits.double() / temperature).softmax(0).tolist()
    kept = sorted(range(len(weights)), key=lambda token: -weights[token])[:top_k]
    total, nucleus = sum(weights[token] for token in kept), []
    for token in kept:
        if nucleus and top_p is not None and sum(weights[each] for each in nucleus) >= top_p * total:
            break
        nucleus.append(token)
    total = sum(weights[token] for token in nucleus)
    return {token: weights[token] / total for token in nucleus}


@st.composite
def asked(draw):
    """A model with a soft prompt, prompts of many lengths, and how to go on from them."""
    model, hooks = draw(tuned())
    prompts = draw(st.lists(tokens_of(model), min_size=1, max_size=4))
    return model, hooks, prompts, draw(st.integers(0, 5)), draw(SEEDS)


def plainly(model, hooks, prompts, count, choice, seed) -> list[list[int]]:
    """`generate` without cache, batch and padding: a whole forward for each row and step, and one draw a step."""
    sampler, texts, ended = torch.Generator().manual_seed(seed), [list(prompt) for prompt in prompts], set()
    read = min(map(len, prompts))
    while any(row not in ended and len(text) < len(prompts[row]) + count for row, text in enumerate(texts)):
        kept = [chances(model(torch.tensor([text[:read]]), hooks)[0, -1], *choice) for text in texts]
        table = [[*each.values(), *[0.0] * (model.config.vocab - len(each))] for each in kept]
        places = torch.multinomial(torch.tensor(table, dtype=torch.float64), 1, generator=sampler)[:, 0].tolist()
        for row, (text, place) in enumerate(zip(texts, places, strict=True)):
            token = [*kept[row]][place]
            if len(text) == read < len(prompts[row]) + count and row not in ended:
                ended |= {row} if token == model.config.end else set()
                text += [] if row in ended else [token]
        read += 1
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


@given(asked(), st.floats(0.05, 20), st.none() | st.integers(1, 50), st.none() | st.floats(0, 1, exclude_min=True))
def test_text_is_what_whole_forwards_and_plain_sampling_give_row_by_row(asked, temperature, top_k, top_p):
    model, hooks, prompts, count, seed = asked
    settings = dict(temperature=temperature, top_k=top_k, top_p=top_p)
    expected = plainly(model, hooks, prompts, count, settings.values(), seed)
    assert generate(model, prompts, hooks, count, seed=seed, **settings) == expected


@given(asked())
def test_greedy_text_is_what_the_likeliest_of_whole_forwards_give_row_by_row(asked):
    model, hooks, prompts, count, seed = asked
    assert generate(model, prompts, hooks, count) == plainly(model, hooks, prompts, count, (1.0, 1, None), seed)


@given(asked(), st.floats(0, 1e308, exclude_min=True), st.floats(0, 1, exclude_min=True))
@example((laws.random_model(), laws.prompt(2).double(), [[1, 2]], 3, 0), 5e-324, 0.5)
@example((laws.random_model(dtype=torch.float32), laws.prompt(2), [[1, 2]], 3, 0), 1e-60, 1e-60)
def test_the_likeliest_alone_is_greedy_at_every_temperature(asked, temperature, top_p):
    model, hooks, prompts, count, seed = asked
    greedy = generate(model, prompts, hooks, count)
    settings = dict(temperature=temperature, seed=seed)
    assert generate(model, prompts, hooks, count, top_k=1, **settings) == greedy
    for answer in generate(model, prompts, hooks, count, top_p=top_p, **settings):
        assert all(0 <= token < model.config.vocab for token in answer)
    below_an_equal_share = min(top_p, 0.999 / model.config.vocab)
    assert generate(model, prompts, hooks, count, top_p=below_an_equal_share, **settings) == greedy


@given(tuned(DTYPES))
def test_a_soft_prompt_comes_back_from_its_file_and_is_written_the_same_twice(drawn):
    model, hooks = drawn
    with folder() as place:
        save(hooks, place / "one", model)
        save(hooks, place / "two", model)
        again = load(place / "one", model)
        save(again, place / "three", model)
        assert (place / "one").read_bytes() == (place / "two").read_bytes() == (place / "three").read_bytes()
    assert same_tensors(again, bake(hooks)) and again.base == fingerprint(model)
    tokens = laws.text(model)
    assert torch.equal(model(tokens, again), model(tokens, hooks))


@given(models(DTYPES))
def test_a_model_comes_back_from_its_file_and_is_written_the_same_twice(model):
    words = [f"word{number}" for number in range(model.config.vocab)]
    words[model.config.end or 0] = "<end>"
    with folder() as place:
        save_model(place / "one", model, Tokenizer(words), {"seed": 1})
        again, tokenizer, card = load_model(place / "one")
        save_model(place / "two", again, tokenizer, card)
        assert (place / "one").read_bytes() == (place / "two").read_bytes()
    assert same_tensors(again, model) and again.config == model.config and fingerprint(again) == fingerprint(model)
    assert tokenizer.vocabulary == words and card == {"seed": 1}
    assert torch.equal(again(laws.text(model)), model(laws.text(model)))


@given(st.data())
def test_a_soft_prompt_in_peft_s_format_says_the_same_when_it_comes_back(data):
    model = data.draw(models((torch.float32,)))
    hooks = data.draw(soft_prompts(model, shortest=1, gates=()))
    assume(len({*virtual_lengths(hooks, model.config)}) == 1)  # PEFT's prefix is equally long in every layer
    with folder() as place:
        export_peft(hooks, model, place)
        written = (place / "adapter_model.safetensors").read_bytes()
        again = import_peft(place, model)
        export_peft(hooks, model, place)
        assert (place / "adapter_model.safetensors").read_bytes() == written
    equal(model(laws.text(model), again), model(laws.text(model), hooks), within=5e-3)


@given(st.data())
def test_each_row_of_a_mixed_batch_is_what_its_tenant_gets_alone(data):
    model = data.draw(models())
    tenants = data.draw(st.lists(soft_prompts(model, shortest=1), min_size=1, max_size=3))
    bank = PromptBank(model)
    for number, hooks in enumerate(tenants):
        bank.add(str(number), hooks)
    names = data.draw(st.lists(st.none() | st.sampled_from([*bank.tenants]), min_size=1, max_size=5))
    own = [Hooks() if name is None else tenants[int(name)] for name in names]
    tokens = laws.text(model, len(names), 6)
    alone = [model(row[None], hooks) for row, hooks in zip(tokens, own, strict=True)]
    equal(bank.forward(names, tokens), torch.cat(alone), within=1e-4)  # elsewhere, the tables of angles round otherwise
    prompts = [data.draw(tokens_of(model)) for _ in names]
    answers = [generate(model, [prompt], hooks, 4)[0] for prompt, hooks in zip(prompts, own, strict=True)]
    assert bank.generate(names, prompts, max_new_tokens=4) == answers


class Interrupted(Exception):
    """Stands for whatever ends a training too early."""


@given(st.data())
def test_training_that_was_interrupted_anywhere_ends_as_if_it_had_not_been(data):
    model, seed = data.draw(models((torch.float32,))), data.draw(SEEDS)
    steps = data.draw(st.integers(1, 8))
    settings = dict(
        steps=steps, every=data.draw(st.integers(1, 4)), warmup=data.draw(st.integers(0, 9)), peak=1e-3, progress=False
    )
    settings["weight_decay"] = data.draw(st.sampled_from([0.0, 0.1]))
    whole = data.draw(st.booleans())  # the whole model, or a soft prompt
    if data.draw(st.booleans()):
        settings["patience"] = data.draw(st.integers(1, 3))
    stops = data.draw(st.lists(st.integers(0, steps - 1), max_size=3))
    batches = [laws.text(model, 2, 5, seed=step) for step in range(steps)]
    batches = [(tokens, tokens.roll(-1, 1)) for tokens in batches]

    def trained(checkpoint=None, stop=None):
        twin, hooks = random_model(seed, torch.float32, **asdict(model.config)), None
        if not whole:
            hooks = PromptTuning(2, twin.config, 0.5)
        learner = hooks or twin

        def on_step(step):
            if step == stop:
                raise Interrupted

        def validate():
            return -sum(parameter.abs().sum().item() for parameter in learner.parameters())

        with suppress(Interrupted):
            history = train(twin, batches, hooks, checkpoint=checkpoint, on_step=on_step, validate=validate, **settings)
            return history, learner

    expected, learner = trained()
    with folder() as place:
        for stop in stops:
            trained(place / "state", stop)
        history, again = trained(place / "state")
    history.proof = expected.proof  # of what a process saw itself
    assert history == expected and same_tensors(again, learner) and (whole or again.base == learner.base)


@given(st.data())
def test_batches_of_any_settings_hold_whole_examples_and_padding_that_is_ignored(data):
    skills = data.draw(st.lists(st.sampled_from([*BOOK.skills, *BOOK.held_out]), min_size=1, unique=True))
    rows, instructed = data.draw(st.integers(1, 8)), data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    weights = st.dictionaries(st.sampled_from(skills), st.integers(1, 3))
    batches = Batches(
        BOOK, TOKENIZER, skills, rows, data.draw(SEEDS), instructed, data.draw(st.sampled_from(MEANING)),
        data.draw(st.integers(1, 3)), data.draw(weights), data.draw(weights),
    )  # fmt: skip
    first, again = [*islice(batches, 4)], [*islice(batches, 4)]
    for (tokens, targets), same in zip(first, again, strict=True):
        assert torch.equal(tokens, same[0]) and torch.equal(targets, same[1])
        assert tokens.shape == targets.shape and len(tokens) == rows and tokens.dtype == targets.dtype == torch.long
        longest = 0
        for row, wanted in zip(tokens.tolist(), targets.tolist(), strict=True):
            begin = next(place for place, target in enumerate(wanted) if target != IGNORED)
            end = wanted.index(TOKENIZER.end)
            assert row[begin + 1 : end + 1] == wanted[begin:end]  # each target is the token after it
            assert wanted[:begin] == [IGNORED] * begin and {*wanted[end + 1 :]} <= {IGNORED}
            assert {*row[end + 1 :]} <= {TOKENIZER.end}
            asks, answer = TOKENIZER.decode(row[: begin + 1]), TOKENIZER.decode(wanted[begin:end])
            alone, alone_targets = batch(TOKENIZER, [(asks, answer)])
            assert alone[0].tolist() == row[: end + 1] and alone_targets[0].tolist() == wanted[: end + 1]
            assert instructed == 0.5 or (":" in asks) == (instructed == 1)
            longest = max(longest, end + 1)
        assert longest == tokens.shape[1]


@given(st.lists(st.sampled_from(range(len(TOKENIZER))), max_size=12))
def test_any_tokens_come_back_from_the_text_that_they_make(ids):
    assert TOKENIZER.encode(TOKENIZER.decode(ids)) == ids


SIZES = st.integers(-1, 9)


@given(SIZES, SIZES, SIZES, SIZES, SIZES, SIZES, SIZES, st.floats(), st.floats())
def test_every_config_is_refused_or_makes_a_model_that_reads(
    vocab, context, width, layers, heads, kv, hidden, base, eps
):
    try:
        config = Config(vocab, context, width, layers, heads, kv, hidden, base, eps)
    except ValueError:
        return
    logits = random_model(**asdict(config))(torch.zeros(1, config.context, dtype=torch.long))
    assert logits.shape == (1, config.context, config.vocab) and logits.isfinite().all()
