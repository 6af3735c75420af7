"""One train function, for the base and for soft prompts: deterministic, resumable, provably frozen."""

import copy
import json
import warnings
from itertools import islice
from types import SimpleNamespace

import damage
import pytest
import torch
from laws import METHODS, random_model

from minitransformer import (
    Config,
    Gate,
    History,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Stack,
    Transformer,
    fingerprint,
    freeze,
    loss,
    reparametrise,
    shared_loss,
    train,
    training,
)
from minitransformer.adamw import AdamW
from minitransformer.distributed import Alone
from minitransformer.freezing import FreezeProof
from minitransformer.history import forget, previous, resume, suspend
from minitransformer.losses import loss_and_accuracy

CONFIG = Config(vocab=20, context=32, width=16, layers=2, heads=2, kv_heads=1, hidden=24)


class Successor:
    """Endless batches of a toy task: each token is followed by the next number."""

    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        while True:
            start = torch.randint(0, 10, (4, 1), generator=generator)
            row = start + torch.arange(7)
            targets = row[:, 1:].clone()
            targets[:, :2] = -100
            yield row[:, :-1], targets


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(CONFIG)


def weights(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_training_lowers_the_loss_and_reports_every_step(model):
    history = train(model, Successor(), steps=40, peak=1e-2, progress=False)
    assert len(history.loss) == len(history.grad_norm) == len(history.rate) == 40
    assert history.loss[-1] < history.loss[0] / 2
    assert all(isinstance(number, float) for number in history.loss + history.grad_norm + history.rate)


def test_two_trainings_with_one_seed_give_identical_weights():
    finals = []
    for _ in range(2):
        torch.manual_seed(3)
        twin = Transformer(CONFIG)
        finals.append((train(twin, Successor(), steps=12, progress=False), weights(twin)))
    assert finals[0][0] == finals[1][0]
    assert same(finals[0][1], finals[1][1])


@pytest.mark.parametrize("tune", [False, True])
def test_interrupted_and_resumed_equals_uninterrupted(model, tmp_path, tune):
    def learner():
        twin = copy.deepcopy(model)
        return twin, PromptTuning(2, CONFIG) if tune else None

    def stop_at_nine(step):
        if step == 9:
            raise KeyboardInterrupt

    settings = dict(steps=16, every=4, progress=False, validate=lambda: 0.5)
    whole, hooks = learner()
    uninterrupted = train(whole, Successor(), hooks, **settings)
    expected = weights(hooks or whole)

    half, hooks = learner()
    settings["checkpoint"] = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(half, Successor(), hooks, on_step=stop_at_nine, **settings)
    later, hooks = learner()
    resumed = train(later, Successor(), hooks, **settings)
    resumed.proof = uninterrupted.proof
    assert resumed == uninterrupted and len(resumed.loss) == 16
    assert same(weights(hooks or later), expected)


def test_resuming_with_other_settings_is_refused(model, tmp_path):
    train(model, Successor(), steps=4, checkpoint=tmp_path / "state", progress=False)
    with pytest.raises(ValueError, match=r"begun with .*'steps': 4.*, not .*'steps': 8.*use the same, or remove that"):
        train(model, Successor(), steps=8, checkpoint=tmp_path / "state", progress=False)


def test_training_what_is_frozen_says_what_to_do(model):
    with pytest.raises(
        ValueError, match=r"every parameter is frozen, or of length 0; pass hooks= .*requires_grad_\(True\)"
    ):
        train(freeze(model), Successor(), steps=1, progress=False)
    with pytest.raises(ValueError, match="there is nothing to train"):
        train(model, Successor(), PromptTuning(0, CONFIG), steps=1, progress=False)


def test_a_loss_that_explodes_stops_the_training(model):
    with torch.no_grad():
        model.norm.weight.fill_(float("inf"))
    with pytest.raises(
        ValueError, match=r"the loss became nan at step 0; .* last good parameters: try a learning rate"
    ):
        train(model, Successor(), steps=2, progress=False)


def explode_after(model, steps):
    """Batches of which one, after so many steps, makes the model's numbers infinite."""
    for number, examples in enumerate(Successor()):
        if number == steps:
            model.norm.weight.data.fill_(float("inf"))
        yield examples


def test_a_loss_that_explodes_leaves_the_prompt_as_it_was_when_its_loss_was_last_finite(model):
    """The step after which the loss exploded may be the one that made the prompt bad, so it is taken back too."""
    prompt, seen = PromptTuning(2, CONFIG), []
    with pytest.raises(ValueError, match=r"the loss became nan at step 3; .* with the last good parameters"):
        train(
            model,
            explode_after(model, 3),
            prompt,
            steps=9,
            on_step=lambda step: seen.append(weights(prompt)),
            progress=False,
        )
    assert same(weights(prompt), seen[1]) and not same(seen[1], seen[2])


def test_a_loss_that_explodes_leaves_the_best_prompt_where_there_are_scores(model):
    prompt, seen = PromptTuning(2, CONFIG), []
    scores = iter([0.5, 0.9, 0.1, 0.1])
    settings = dict(steps=9, every=1, validate=lambda: next(scores), progress=False)
    with pytest.raises(ValueError, match=r"the loss became nan at step 4; .* with the best parameters"):
        train(model, explode_after(model, 4), prompt, on_step=lambda step: seen.append(weights(prompt)), **settings)
    assert same(weights(prompt), seen[1])


def test_a_gradient_that_explodes_stops_the_training_before_a_step_is_taken(model):
    prompt = PromptTuning(2, CONFIG)
    before = weights(prompt)
    prompt.vectors.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(ValueError, match=r"the gradient became nan at step 0; .*: try a learning rate below 0.003"):
        train(model, Successor(), prompt, steps=2, progress=False)
    assert same(weights(prompt), before)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), None])
def test_a_score_that_is_no_number_stops_the_training_with_the_best_parameters(model, wrong):
    prompt, seen, scores = PromptTuning(2, CONFIG), [], iter([0.9, 0.5, wrong])
    settings = dict(steps=9, every=1, validate=lambda: next(scores), progress=False)
    with pytest.raises(ValueError, match=f"the score became {wrong} at step 3; .* with the best parameters"):
        train(model, Successor(), prompt, on_step=lambda step: seen.append(weights(prompt)), **settings)
    assert same(weights(prompt), seen[0])


def test_a_first_score_that_is_no_number_stops_the_training_at_once(model):
    with pytest.raises(ValueError, match=r"the score became nan at step 2; .* last good parameters: let validate"):
        train(model, Successor(), steps=9, every=2, validate=lambda: float("nan"), progress=False)


def test_numbers_that_are_not_finite_are_not_saved(model, tmp_path):
    """Training goes on from the state before, as if it had been interrupted there."""
    whole, state = copy.deepcopy(model), tmp_path / "state"
    settings = dict(steps=6, every=2, progress=False)
    train(whole, Successor(), PromptTuning(2, CONFIG), **settings)
    prompt = PromptTuning(2, CONFIG)
    with pytest.raises(ValueError, match="the loss became nan at step 3"):
        train(model, explode_after(model, 3), prompt, checkpoint=state, **settings)
    again, expected = PromptTuning(2, CONFIG), PromptTuning(2, CONFIG)
    resumed = train(whole, Successor(), again, checkpoint=state, **settings)
    assert resumed == train(whole, Successor(), expected, **settings)
    assert same(weights(again), weights(expected))


def test_too_few_batches_are_refused_before_a_step_is_taken_where_they_can_be_counted(model):
    before, few = weights(model), list(islice(Successor(), 7))
    with pytest.raises(ValueError, match=r"100 steps need 100 batches; got 7: repeat them with itertools\.cycle"):
        train(model, few, steps=100, progress=False)
    assert same(weights(model), before)


def test_batches_that_end_too_early_are_no_quiet_end(model):
    with pytest.raises(ValueError, match=r"100 steps need 100 batches; got 7: .* or train for 7 steps"):
        train(model, islice(Successor(), 7), steps=100, progress=False)
    assert len(train(model, islice(Successor(), 7), steps=7, progress=False).loss) == 7


def test_gradients_are_clipped_before_the_step(model):
    """Clipped to far less than the optimizer's epsilon, they hardly move anything; after the step they would."""
    before = weights(model)
    train(model, Successor(), steps=2, clip=1e-13, progress=False)
    assert all((old - new).abs().max() < 1e-5 for old, new in zip(before, weights(model), strict=True))


def test_gradients_are_clipped_and_the_history_tells_their_norm_before(model):
    clipped = []

    def measure(step):
        clipped.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm().item())

    history = train(model, Successor(), steps=3, clip=0.01, on_step=measure, progress=False)
    assert all(norm > 0.1 for norm in history.grad_norm) and all(norm < 0.0101 for norm in clipped)


def test_only_the_prompt_receives_gradient(model):
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # stale, from pretraining
    before, prompt = weights(model), PromptTuning(3, CONFIG)
    start, seen = weights(prompt), []

    def look(step):
        seen.append([parameter.grad for parameter in model.parameters()] + [prompt.vectors.grad.clone()])

    history = train(model, Successor(), prompt, steps=5, on_step=look, progress=False)
    for *base, own in seen:
        assert all(gradient is None for gradient in base)
        assert (own != 0).any(1).all()
    assert same(weights(model), before) and not same(weights(prompt), start)
    assert history.proof == {
        "base_parameters": len(before),
        "base_gradients": 0,
        "base_unchanged": True,
        "prompt_rows": 3,
        "prompt_rows_reached": 3,
        "layers_with_gradient_inside": [0, 1],
    }
    assert prompt.base == fingerprint(model)


def test_the_proof_notices_a_base_that_changed(model):
    def meddle(step):
        model.norm.weight.data += 1e-6

    with pytest.raises(RuntimeError, match="'base_unchanged': False"):
        train(model, Successor(), PromptTuning(2, CONFIG), steps=2, on_step=meddle, progress=False)


def test_the_proof_notices_a_thawed_base(model):
    def thaw(step):
        model.norm.weight.requires_grad_(True)

    with pytest.raises(RuntimeError, match="'base_gradients': 1"):
        train(model, Successor(), PromptTuning(2, CONFIG), steps=2, on_step=thaw, progress=False)


def test_the_proof_notices_a_prompt_row_that_nothing_reaches(model):
    class Forgetful(PromptTuning):
        def embed(self, x):
            return torch.cat((self.vectors[1:].expand(len(x), -1, -1), x), 1)

    with pytest.raises(RuntimeError, match=r"'prompt_rows_reached': 2.*rows not reached: \['vectors'\]"):
        train(model, Successor(), Forgetful(3, CONFIG), steps=2, progress=False)


def test_the_proof_looks_at_every_step(model):
    """A row that only the first batch reaches was reached."""
    prompt = PromptTuning(2, CONFIG)
    proof = FreezeProof(freeze(model), prompt)
    for row in range(2):
        prompt.vectors.grad = torch.zeros(2, CONFIG.width)
        prompt.vectors.grad[row] = 1.0
        proof.note(*next(iter(Successor())))
    assert proof.conclude()["prompt_rows_reached"] == 2


@pytest.mark.parametrize("tune", [False, True])
def test_training_leaves_no_gradients_behind(model, tune):
    """The proof takes gradients of its own in the end; the next training must not add to them."""
    prompt = PromptTuning(2, CONFIG) if tune else None
    train(model, Successor(), prompt, steps=2, progress=False)
    assert all(parameter.grad is None for parameter in (prompt or model).parameters())


def test_hooks_that_change_the_text_itself_are_refused(model):
    class Shift(PromptTuning):
        def embed(self, x):
            return x + self.vectors.mean(0)

    with pytest.raises(ValueError, match=r"^Shift.embed changes the text's own part: .*leaves it as it is"):
        train(model, Successor(), Shift(2, CONFIG, scale=1.0), steps=1, progress=False)


def test_the_best_parameters_are_kept_and_training_stops_early(model):
    prompt, snapshots = PromptTuning(2, CONFIG), []
    scores = iter([0.2, 0.9, 0.5, 0.4, 0.3])

    def validate():
        snapshots.append(weights(prompt))
        return next(scores)

    history = train(model, Successor(), prompt, steps=50, every=3, patience=2, validate=validate, progress=False)
    assert history.validation == [(3, 0.2), (6, 0.9), (9, 0.5), (12, 0.4)] and len(history.loss) == 12
    assert same(weights(prompt), snapshots[1])


def test_training_stops_where_the_score_is_reached_and_is_not_continued_by_a_second_call(model, tmp_path):
    def again(scores):
        scores, path = iter(scores), tmp_path / "state.safetensors"
        settings = dict(steps=50, every=3, until=0.9, validate=lambda: next(scores), checkpoint=path, progress=False)
        return train(model, Successor(), PromptTuning(2, CONFIG), **settings)

    history = again([0.2, 0.9])
    assert history.validation == [(3, 0.2), (6, 0.9)] and len(history.loss) == 6
    assert again([]).loss == history.loss


@pytest.mark.parametrize(
    "hooks",
    [
        PromptTuning(3, CONFIG),
        PrefixTuning(3, CONFIG),
        PrefixTuning(2, CONFIG, layers=[1]),
        KeyValuePrefix(3, CONFIG),
        Gate(PromptTuning(3, CONFIG), CONFIG, 0.5),
        reparametrise(PrefixTuning(2, CONFIG)),
        Stack(PromptTuning(2, CONFIG), PrefixTuning(3, CONFIG)),
    ],
    ids=lambda hooks: type(hooks).__name__,
)
def test_the_shared_stream_gives_the_same_loss_and_gradients_as_the_concatenation(model, hooks):
    (tokens, targets), gradients = next(iter(Successor())), []
    freeze(model)
    for step_loss in loss, shared_loss:
        value = step_loss(model, tokens, targets, hooks)
        gradients.append([value, *torch.autograd.grad(value, list(hooks.parameters()))])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["embed", "context", "keys_values"])
def test_what_stands_in_front_is_read_once_for_all_rows(method, name, monkeypatch):
    hooks, rows = METHODS[method](3), []
    lengthen = getattr(hooks, name)
    monkeypatch.setattr(hooks, name, lambda *given: rows.append(len(given[-1])) or lengthen(*given))
    shared_loss(random_model(dtype=torch.float32), *next(iter(Successor())), hooks)
    assert set(rows) == {1}


def test_the_progress_bar_shows_loss_and_tokens_per_second(model, capsys):
    train(model, Successor(), steps=3)
    shown = capsys.readouterr().err
    assert "3/3" in shown and "loss" in shown and "tokens/s" in shown


def test_batches_are_taken_in_order_and_no_more_than_needed(model):
    taken = []

    def counted():
        for number, examples in enumerate(Successor()):
            taken.append(number)
            yield examples

    train(model, counted(), steps=5, progress=False)
    assert taken == list(islice(range(10), 5))


def test_a_history_tells_how_long_ago_its_best_score_came():
    assert History().since_best() == 0
    assert History(validation=[(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.1)]).since_best() == 2


SHORT = dict(steps=6, every=2, progress=False)


@pytest.fixture
def begun(model, tmp_path):
    """A training that was broken off after four of six steps, and the state that it left."""

    def stop(step):
        if step == 4:
            raise KeyboardInterrupt

    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(model, Successor(), PromptTuning(2, CONFIG), checkpoint=path, on_step=stop, validate=lambda: 0.5, **SHORT)
    return path


def resumed(path):
    """What training would go on from."""
    prompt = PromptTuning(2, CONFIG)
    optimizer = AdamW([prompt.vectors], 0.0)
    settings = dict(steps=6, peak=3e-2, warmup=10, weight_decay=0.0, clip=1.0)
    history, best = resume(path, prompt, optimizer, settings)
    state = {name: tensor.tolist() for name, tensor in optimizer.state[0].items()}
    return prompt, vars(history), {name: tensor.tolist() for name, tensor in best.items()}, state


def is_free(path, value):
    """Numbers that nothing else in the file speaks of."""
    match path:
        case ("history", "loss" | "grad_norm" | "rate" | "seconds", *_):
            return type(value) in (int, float)
        case ("history", "validation", _):
            return value == "gone"
        case ("history", "validation", _, place):
            return type(value) in (int, float) and place == 1
    return path[:2] == ("history", "proof") and len(path) > 2


@pytest.mark.parametrize("first", [False, True], ids=["now", "the first format"])
def test_training_does_not_go_on_from_a_damaged_state(begun, first):
    previous(begun).unlink()
    data = begun.read_bytes()
    if first:
        tensors, metadata = damage.opened(data)
        del metadata["sha256"]
        about = {name: part for name, part in json.loads(metadata["about"]).items() if name != "without_gradient"}
        data = damage.sealed(tensors, metadata | {"format": "minitransformer 1", "about": json.dumps(about)})
        begun.write_bytes(data)
    right = damage.plain(resumed(begun))
    changed = [*damage.tensors_changed(data), *damage.about_changed(data, is_free)]
    changed += [] if first else damage.bytes_changed(data, 80)
    assert damage.outcomes(lambda: resumed(begun), begun, right, changed) > 200


def test_where_the_last_state_is_damaged_training_goes_on_from_the_one_before_and_says_so(model, begun):
    begun.write_bytes(begun.read_bytes()[:-9])
    with pytest.warns(
        UserWarning, match=r"state is damaged .*\. Training goes on from .*state\.previous, the state befo"
    ):
        assert len(resumed(begun)[1]["loss"]) == 2
    with pytest.warns(UserWarning, match="Training goes on from"):
        history = train(model, Successor(), PromptTuning(2, CONFIG), checkpoint=begun, validate=lambda: 0.5, **SHORT)
    assert len(history.loss) == 6


def test_a_damaged_state_does_not_take_the_place_of_the_one_before(model, begun):
    good, whole = previous(begun).read_bytes(), begun.read_bytes()
    begun.write_bytes(b"damaged")
    prompt = PromptTuning(2, CONFIG)
    optimizer = AdamW([prompt.vectors], 0.0)
    suspend(begun, prompt, optimizer, {}, History(), {})
    assert previous(begun).read_bytes() == good
    begun.write_bytes(whole)
    suspend(begun, prompt, optimizer, {}, History(), {})
    assert previous(begun).read_bytes() == whole
    forget(begun)
    assert not begun.exists() and not previous(begun).exists()


def test_without_a_whole_state_training_says_what_is_wrong_with_the_last_one(begun):
    begun.write_bytes(begun.read_bytes()[:-9])
    previous(begun).write_bytes(b"damaged, too")
    with pytest.raises(
        ValueError, match=r"state is damaged or is no safetensors file .*; write or train this training"
    ):
        resumed(begun)


@pytest.mark.parametrize("step", [0.0, 2.5, 5.0])
def test_a_state_whose_steps_are_not_those_of_its_history_is_refused(begun, step):
    previous(begun).unlink()
    tensors, metadata = damage.opened(begun.read_bytes())
    begun.write_bytes(damage.sealed(tensors | {"optimizer.0.step": torch.tensor(step)}, metadata))
    with pytest.raises(ValueError, match=rf"steps up to 4 in 'optimizer\.0\.step' and holds {step}; write or train"):
        resumed(begun)


def test_a_state_that_is_not_finite_leaves_the_last_good_ones_as_they_were(model, begun):
    before, prompt = (begun.read_bytes(), previous(begun).read_bytes()), PromptTuning(2, CONFIG)

    def spoil(step):
        if step == 5:  # the last one: no loss tells
            prompt.vectors.data[0, 0] = torch.nan

    with pytest.raises(
        ValueError, match=r"NaN or infinite numbers in 'learner.vectors'; it was not written, and what st"
    ):
        train(model, Successor(), prompt, checkpoint=begun, on_step=spoil, validate=lambda: 0.5, **SHORT)
    assert (begun.read_bytes(), previous(begun).read_bytes()) == before


def test_a_parameter_that_no_gradient_reached_is_no_obstacle(tmp_path):
    learner = torch.nn.ModuleList([torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)])
    optimizer = AdamW([*learner.parameters()], 0.0)
    learner[1](torch.ones(1, 2)).sum().backward()
    optimizer.step(0.001)
    suspend(tmp_path / "s", learner, optimizer, {}, History([1.0], [1.0], [1.0]), {})
    again = AdamW([*learner.parameters()], 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resume(tmp_path / "s", learner, again, {})
    assert again.state.keys() == {1}


def test_a_training_in_double_precision_goes_on_in_it(model, tmp_path):
    prompt = PromptTuning(2, CONFIG).double()
    train(model, Successor(), prompt, checkpoint=tmp_path / "s", **SHORT)
    other = PromptTuning(2, CONFIG)
    with pytest.raises(ValueError, match=r"'learner.vectors' should hold torch.float32 and holds torch.float64"):
        train(model, Successor(), other, checkpoint=tmp_path / "s", **SHORT)
    again = PromptTuning(2, CONFIG).double()
    train(model, Successor(), again, checkpoint=tmp_path / "s", **SHORT)
    assert torch.equal(again.vectors, prompt.vectors)


@pytest.mark.parametrize(
    ("hooks", "rows"),
    [
        (PrefixTuning(3, CONFIG), 2 * 3),
        (KeyValuePrefix(3, CONFIG), 2 * 2 * 3),
        (Gate(PromptTuning(3, CONFIG), CONFIG, 0.5), 3 + 1),
    ],
    ids=["prefix", "key/value prefix", "gated prompt"],
)
def test_the_proof_counts_every_vector_of_every_method_and_a_strength_as_one(model, hooks, rows):
    proof = train(model, Successor(), hooks, steps=2, progress=False).proof
    assert proof["prompt_rows"] == proof["prompt_rows_reached"] == rows


def test_a_training_of_which_nothing_is_said_takes_the_settings_in_its_signature(model, tmp_path):
    path = tmp_path / "state"
    history = train(model, Successor(), validate=lambda: 0.5, checkpoint=path, progress=False)
    assert [step for step, _ in history.validation] == [25, 50, 75, 100, 125, 150]
    settings = "{'clip': 1.0, 'peak': 0.03, 'steps': 150, 'warmup': 10, 'weight_decay': 0.0}"
    with pytest.raises(ValueError, match=f"begun with {settings}, not "):
        train(model, Successor(), steps=1, checkpoint=path, progress=False)


def test_settings_are_given_by_name(model):
    with pytest.raises(TypeError, match="positional argument"):
        train(model, Successor(), None, 5)
    assert len(train(model=model, batches=Successor(), hooks=None, steps=1, progress=False).loss) == 1


@pytest.mark.parametrize("tune", [False, True])
def test_the_first_loss_and_gradient_are_those_of_the_first_batch_whatever_was_there_before(model, tune):
    prompt, batch = PromptTuning(2, CONFIG) if tune else None, next(iter(Successor()))
    learner = prompt or model
    value = loss(model, *batch, **({"hooks": prompt} if tune else {}))
    gradient = torch.cat([each.flatten() for each in torch.autograd.grad(value, list(learner.parameters()))])
    for parameter in learner.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    history = train(model, Successor(), prompt, steps=1, progress=False)
    assert history.loss == pytest.approx([value.item()], rel=1e-5)
    assert history.grad_norm == pytest.approx([gradient.norm().item()], rel=1e-5)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_only_the_first_of_several_processes_writes_files_and_shows_progress(model, tmp_path, capsys, rank):
    by = Alone()
    by.rank = rank
    train(model, Successor(), steps=2, checkpoint=tmp_path / "state", by=by)
    assert (tmp_path / "state").exists() == (rank == 0) and bool(capsys.readouterr().err) == (rank == 0)


def test_all_processes_begin_from_the_same_numbers_at_the_same_step(model, begun):
    class Watched(Alone):
        def begin(self, modules, step):
            self.modules, self.step = tuple(modules), step

    by, prompt = Watched(), PromptTuning(2, CONFIG)
    train(model, Successor(), prompt, checkpoint=begun, validate=lambda: 0.5, by=by, **SHORT)
    assert by.modules == (model, prompt) and by.step == 4


def test_without_progress_nothing_is_shown(model, capsys):
    train(model, Successor(), steps=2, progress=False)
    assert capsys.readouterr().err == ""


def test_the_bar_goes_on_from_the_steps_and_the_seconds_before_a_break(monkeypatch, capsys):
    now = iter([100.0, 103.0, 103.0])
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    history = History(loss=[0.5, 0.4], grad_norm=[1.0, 1.0], rate=[0.1, 0.1], seconds=7.0)
    with training.Progress(4, history, quiet=False) as bar:
        assert bar.seconds == 10
        history.note(0.25, 1.0, 0.1, bar.seconds)
        bar.advance(40)
    shown = capsys.readouterr().err
    assert "2/4" in shown and "3/4" in shown and "loss 0.250, 12 tokens/s" in shown and shown.endswith("\n")


def test_the_bar_has_the_last_score_and_is_drawn_when_it_wants_to_be():
    scored = History([0.5, 0.25], [1.0, 1.0], [0.1, 0.1], validation=[(1, 0.125), (2, 0.75)], seconds=2.0)
    progress, said = training.Progress(4, scored, quiet=True), []
    progress.bar = SimpleNamespace(
        set_postfix_str=lambda *words, **more: said.append((*words, more)), update=lambda: said.append("update")
    )
    progress.advance(30)
    assert said == [("loss 0.250, score 0.75, 30 tokens/s", {"refresh": False}), "update"]


def test_what_is_no_hooks_is_refused_before_the_model_is_frozen(model):
    with pytest.raises(ValueError, match="hooks must be a Hooks"):
        train(model, Successor(), torch.nn.Linear(1, 1), **SHORT)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_loss_and_accuracy_are_plain_numbers_and_record_nothing(model):
    recording = []

    class Watching(PromptTuning):
        def embed(self, x):
            recording.append(torch.is_grad_enabled())
            return super().embed(x)

    found = loss_and_accuracy(model, next(iter(Successor())), Watching(2, CONFIG))
    assert [type(number) for number in found] == [float, float] and recording == [False]


def test_a_prompt_that_is_made_of_the_text_behind_it_is_refused_before_a_step_is_taken(model):
    """What stands in front is run once for all rows, so that it must be the same for all."""

    class OfTheText(PromptTuning):
        def embed(self, x):
            return torch.cat((self.vectors.mean(0) + 9 * x.sum(1, keepdim=True), x), 1)

    for parameter in model.parameters():
        parameter.data *= 4  # so that what stands in front matters
    prompt, seen = OfTheText(1, CONFIG, scale=1.0), []
    with pytest.raises(ValueError, match=r"may put vectors in front of the text, but these change .* off when what"):
        train(model, Successor(), prompt, steps=3, on_step=seen.append, progress=False)
    assert not seen


def test_what_is_no_model_is_not_trained():
    for hooks in None, PromptTuning(2, CONFIG):
        with pytest.raises(ValueError, match="model must be a Transformer; got a Config"):
            train(CONFIG, Successor(), hooks, steps=1, progress=False)


def test_what_is_no_number_of_steps_is_refused_before_the_batches_are_counted(model):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1; got None"):
        train(model, list(islice(Successor(), 3)), steps=None, progress=False)
