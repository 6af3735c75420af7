"""Generation: the cache, the batch and the sampling change nothing but the speed and what was asked for."""

import pytest
import torch
from laws import METHODS, TINY, lesson, random_model, text

from minitransformer import (
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    accuracy,
    batch,
    generate,
    loss,
)
from minitransformer.generation import choose
from minitransformer.hooks import LENGTHENING
from minitransformer.losses import loss_and_accuracy

BY_HAND = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()  # logits of a distribution that anyone can check


def slowly(model, prompt, hooks, count):
    """Greedy text by a whole forward for every token, without a cache."""
    tokens = list(prompt)
    for _ in range(count):
        logits = model(torch.tensor([tokens]), hooks)[0, -1]
        if logits.argmax() == model.config.end:
            break
        tokens.append(logits.argmax().item())
    return tokens[len(prompt) :]


def drawn(count=20_000, **settings):
    """How often each of the four tokens comes."""
    settings = dict(temperature=1.0, top_k=None, top_p=None) | settings
    tokens = choose(BY_HAND.expand(count, -1), **settings, sampler=torch.Generator().manual_seed(0))
    return tokens.bincount(minlength=4) / count


def ended(method="prompt"):
    """A model and a prompt such that greedy text runs into the end token after four tokens."""
    hooks, prompts = METHODS[method](3).double(), text(random_model(), 9, 5).tolist()
    answers = generate(random_model(), prompts, hooks, max_new_tokens=12)
    prompt, answer = next((p, a) for p, a in zip(prompts, answers, strict=True) if len(set(a[:5])) == 5)
    return random_model(end=answer[4]), hooks, prompt, answer[:4]


@pytest.mark.parametrize("method", METHODS)
def test_greedy_text_is_the_argmax_of_repeated_uncached_forwards(model, method):
    hooks = METHODS[method](3).double()
    prompts = text(model, 3, 6).tolist()
    expected = [slowly(model, prompt, hooks, 12) for prompt in prompts]
    assert generate(model, prompts, hooks, max_new_tokens=12) == expected
    assert len({tuple(answer) for answer in expected}) == 3


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_any_length_together_are_the_rows_alone(method):
    """With an end token at which some rows stop long before others."""
    model, hooks, prompt, _ = ended(method)
    prompts = [prompt, *(text(model, 1, length, seed=length)[0].tolist() for length in (1, 2, 9, 9, 4)), prompt[:-1]]
    together = generate(model, prompts, hooks, max_new_tokens=8)
    assert together == [slowly(model, alone, hooks, 8) for alone in prompts]
    assert min(map(len, together)) < max(map(len, together)) == 8


def test_of_itself_it_says_thirty_two_tokens_and_draws_them_with_the_seed_zero(model):
    prompts = text(model, 2, 5).tolist()
    said = generate(model, prompts, temperature=1.0)
    assert [len(answer) for answer in said] == [32, 32]
    assert said == generate(model, prompts, temperature=1.0, seed=0, max_new_tokens=32)


def test_it_stops_at_the_end_token_and_does_not_say_it():
    model, hooks, prompt, expected = ended()
    assert generate(model, [prompt], hooks, max_new_tokens=12) == [expected]
    assert model.config.end not in expected


@pytest.mark.parametrize("count", [0, 1, 7])
def test_it_stops_at_max_new_tokens(model, count):
    assert [len(answer) for answer in generate(model, [[1, 2], [3]], max_new_tokens=count)] == [count, count]


def test_text_may_fill_the_context_to_the_last_place(model):
    """64 positions: 60 read, then 5 said, of which the last need not be read any more."""
    prompt = text(model, 1, 60)[0].tolist()
    assert len(generate(model, [prompt], max_new_tokens=5)[0]) == 5
    with pytest.raises(ValueError, match=r"65 positions are needed, virtual tokens included.*ask for fewer new tokens"):
        generate(model, [prompt], max_new_tokens=6)


def test_on_token_sees_exactly_the_returned_tokens_in_their_order():
    model, hooks, prompt, _ = ended()
    seen, order = {0: [], 1: [], 2: []}, []

    def on_token(row, token):
        seen[row].append(token)
        order.append(row)

    prompts = [prompt[:2], prompt, [*prompt, 3]]
    answers = generate(model, prompts, hooks, max_new_tokens=8, on_token=on_token)
    assert list(seen.values()) == answers and len(answers[1]) < 8
    # A shorter prompt is being answered while the longer ones are still being read, row by row at each place.
    places = [(len(prompts[row]) + number, row) for row in range(3) for number in range(len(answers[row]))]
    assert order == [row for _, row in sorted(places)]


def test_no_gradient_is_recorded_and_the_prompts_stay_as_they_were(model):
    prompts = [[1, 2, 3], [4]]
    answers = generate(model, prompts, METHODS["prompt"](3).double(), max_new_tokens=3)
    assert prompts == [[1, 2, 3], [4]] and all(isinstance(token, int) for answer in answers for token in answer)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_same_seed_says_the_same_and_another_seed_something_else(model):
    def say(seed):
        return generate(model, [[1, 2, 3]] * 2, max_new_tokens=20, temperature=1.0, seed=seed)

    state = torch.get_rng_state()
    assert say(1) == say(1) != say(2)
    assert say(1)[0] != say(1)[1]  # rows are drawn independently
    assert torch.equal(state, torch.get_rng_state())


def test_the_likeliest_of_one_and_a_tiny_share_are_greedy(model):
    prompts = text(model, 4, 5).tolist()
    greedy = generate(model, prompts, max_new_tokens=10)
    assert generate(model, prompts, max_new_tokens=10, temperature=1.0, top_k=1) == greedy
    assert generate(model, prompts, max_new_tokens=10, temperature=1.0, top_p=1e-6) == greedy
    for tiny in 1e-6, 1e-300:
        assert generate(model, prompts, max_new_tokens=10, temperature=tiny) == greedy
    assert generate(model, prompts, max_new_tokens=10, temperature=1.0) != greedy
    large = torch.tensor([[40.0, 50.0]])  # which a tiny temperature would make infinite
    assert choose(large, 1e-38, None, None, torch.Generator()).item() == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (dict(), [0.4, 0.3, 0.2, 0.1]),
        (dict(temperature=0.5), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),  # squares of the chances
        (dict(top_k=2), [4 / 7, 3 / 7, 0, 0]),
        (dict(top_k=9), [0.4, 0.3, 0.2, 0.1]),
        (dict(top_p=0.39), [1, 0, 0, 0]),
        (dict(top_p=0.41), [4 / 7, 3 / 7, 0, 0]),  # the second is needed to hold that much
        (dict(top_p=0.75), [4 / 9, 3 / 9, 2 / 9, 0]),
        (dict(top_p=1.0), [0.4, 0.3, 0.2, 0.1]),
        (dict(top_k=3, top_p=0.7), [4 / 7, 3 / 7, 0, 0]),  # of 4/9, 3/9, 2/9 the first two hold more than 0.7
        (dict(temperature=0.5, top_k=2), [16 / 25, 9 / 25, 0, 0]),
    ],
    ids=str,
)
def test_tokens_come_as_often_as_the_softmax_says(settings, expected):
    frequencies = drawn(**settings)
    assert (frequencies - torch.tensor(expected)).abs().max() < 0.015  # four standard deviations of 20,000 draws
    assert (frequencies == 0).tolist() == [share == 0 for share in expected]


def test_choosing_leaves_the_logits_alone_and_finds_tokens_in_any_order():
    logits = BY_HAND[:, [2, 0, 3, 1]].repeat(50, 1)
    before = logits.clone()
    sampler = torch.Generator().manual_seed(0)
    assert set(choose(logits, 1.0, 2, None, sampler).tolist()) == {1, 3}  # where .4 and .3 are now
    assert choose(logits, 0.0, None, None, sampler).tolist() == [1] * 50
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(temperature=-1.0), "temperature must be a finite number from 0 upwards; got -1.0"),
        (dict(top_k=0), "top_k must be a whole number of at least 1; got 0"),
        (dict(top_p=0.0), "top_p must be a finite number above 0; got 0.0"),
        (dict(top_p=1.1), "top_p must be a finite number from 0 to 1; got 1.1"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused_whether_they_are_used_or_not(model, settings, message):
    for unused in {}, dict(max_new_tokens=0):
        with pytest.raises(ValueError, match=message):
            generate(model, [[1]], **unused | settings)


@pytest.mark.parametrize("prompts", [[], [[]], [[1, 2], []]], ids=str)
def test_there_must_be_a_prompt_and_something_in_it(model, prompts):
    with pytest.raises(ValueError, match=r"prompts must be a list that is not|each prompt must hold at least"):
        generate(model, prompts)


@pytest.mark.parametrize("skill", ["repeat", "backwards", "first", "last"])
def test_accuracy_is_the_exact_match_of_generated_answers(base, book, skill):
    """Where the base is torn, so that the share is neither all nor nothing."""
    model, tokenizer = base
    examples = book.examples(skill, count=60, seed=5)
    answers = generate(model, [tokenizer.encode(asks) for asks, _ in examples])
    right = [tokenizer.decode(got) == answer for got, (_, answer) in zip(answers, examples, strict=True)]
    assert 0 < sum(right) < 60
    assert accuracy(model, batch(tokenizer, examples)) == pytest.approx(sum(right) / 60)


@pytest.mark.parametrize("method", METHODS)
def test_accuracy_counts_what_generate_says_under_every_method(method):
    """Two rows aim at what is said, one at something else, one leaves the end out."""
    model, hooks, prompt, answer = ended(method)
    longest = len(prompt) + len(answer)
    tokens, targets = torch.zeros(4, longest, dtype=torch.long), torch.full((4, longest), -100)
    for row in range(4):
        tokens[row] = torch.tensor(prompt + answer)
        targets[row, len(prompt) - 1 :] = torch.tensor([*answer, model.config.end])
    targets[2, len(prompt)] += 1
    targets[3, -1] += 1
    assert accuracy(model, (tokens, targets), hooks) == 0.5


@pytest.mark.parametrize("kind", [PromptTuning, PrefixTuning, KeyValuePrefix])
def test_for_an_accuracy_what_stands_in_front_is_read_once_where_it_knows_no_text(kind, monkeypatch):
    model, rows = random_model(), []
    hooks, (tokens, targets) = kind(3, model.config, scale=1.0).double(), lesson(model)
    assert hooks.same_for_all()
    for name in LENGTHENING:
        usual = getattr(type(hooks), name)

        def counting(self, *given, usual=usual):
            rows.append(len(given[-1]))
            return usual(self, *given)

        monkeypatch.setattr(type(hooks), name, counting)
    value, _ = loss_and_accuracy(model, (tokens, targets), hooks)
    assert set(rows) == {1} and value == pytest.approx(loss(model, tokens, targets, hooks).item(), 1e-9)
    rows.clear()
    hooks.embed = hooks.embed  # somebody has put something of his own there
    loss_and_accuracy(model, (tokens, targets), hooks)
    assert set(rows) == {len(tokens)}


def test_what_is_made_of_the_text_behind_it_is_read_for_every_row():
    class Answering(PromptTuning):
        def embed(self, x):
            return torch.cat((self.vectors.expand(len(x), -1, -1) + x.mean(1, keepdim=True), x), 1)

    model = random_model()
    hooks, (tokens, targets) = Answering(3, model.config, scale=1.0).double(), lesson(model)
    assert not hooks.same_for_all() and not Stack(PromptTuning(1, model.config)).same_for_all()
    value, _ = loss_and_accuracy(model, (tokens, targets), hooks)
    assert value == pytest.approx(loss(model, tokens, targets, hooks).item(), 1e-9)


def test_the_token_before_which_the_top_p_is_reached_exactly_is_not_drawn():
    """Four equal chances are exactly a quarter each: two of them hold one half, and no third is needed."""
    sampler = torch.Generator().manual_seed(0)
    assert len(set(choose(torch.zeros(200, 4), 1.0, None, 0.5, sampler).tolist())) == 2
    assert len(set(choose(torch.zeros(200, 4), 1.0, None, 0.51, sampler).tolist())) == 3


def test_nothing_is_read_where_nothing_is_asked_for(model, monkeypatch):
    monkeypatch.setattr(model, "read", None)
    assert generate(model, [[1, 2], [3]], max_new_tokens=0) == [[], []]


def rows_read(model, monkeypatch) -> list[int]:
    """How many rows each forward reads, from now on."""
    sizes, read = [], model.read
    monkeypatch.setattr(model, "read", lambda tokens, *rest: sizes.append(len(tokens)) or read(tokens, *rest))
    return sizes


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_have_ended_leave_the_batch_and_the_others_say_the_same(monkeypatch, method):
    _, hooks, _, (*_, end) = ended(method)
    model = random_model(end=end)
    prompts = [row[: 2 + place % 4] for place, row in enumerate(text(model, 12, 5).tolist())]
    sizes = rows_read(model, monkeypatch)
    together = generate(model, prompts, hooks, max_new_tokens=30)
    assert sizes[0] == 12 and sizes == sorted(sizes, reverse=True) and sizes[-1] < 6
    assert together == [generate(model, [prompt], hooks, max_new_tokens=30)[0] for prompt in prompts]


def test_who_watches_sees_every_row_and_may_train_on_what_it_kept(monkeypatch):
    _, hooks, _, (*_, end) = ended()
    model, recorder = random_model(end=end), Recorder(("output",))
    sizes = rows_read(model, monkeypatch)
    generate(model, text(model, 12, 5).tolist(), Stack(hooks, recorder), max_new_tokens=30)
    assert set(sizes) == {12}
    weight = torch.ones(TINY.width, dtype=torch.float64, requires_grad=True)
    (recorder["output", 1] * weight).sum().backward()
    assert weight.grad.ne(0).all()
