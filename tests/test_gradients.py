"""Gradients as numbers, each against the same number found another way; None and 0 never mixed up."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from laws import soft
from torch import nn

from minitransformer import (
    Gate,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    gradients,
    loss,
    reparametrise,
    train,
)
from minitransformer.tokenizer import IGNORED

METHODS = [PromptTuning, PrefixTuning, KeyValuePrefix]
every_method = pytest.mark.parametrize("method", METHODS)


def length_of(tensor):
    return math.sqrt(sum(number**2 for number in tensor.flatten().tolist()))


def test_a_missing_gradient_is_none_and_a_zero_gradient_is_zero():
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.zeros(2, 2)
    norms = gradients.parameter_norms(layer)
    assert norms == {"weight": 0.0, "bias": None}
    assert norms["weight"] is not None


@every_method
def test_only_the_soft_prompt_has_gradient_norms(frozen, tokens, targets, method):
    hooks = soft(method, frozen)
    loss(frozen, tokens, targets, hooks).backward()
    assert set(gradients.parameter_norms(frozen).values()) == {None}
    for name, parameter in hooks.named_parameters():
        assert gradients.parameter_norms(hooks)[name] == pytest.approx(length_of(parameter.grad), rel=1e-12)


def test_a_prompt_has_one_norm_per_vector(frozen, tokens, targets):
    prompt = soft(PromptTuning, frozen)
    assert gradients.token_norms(prompt) == {"vectors": None}
    loss(frozen, tokens, targets, prompt).backward()
    assert gradients.token_norms(prompt)["vectors"] == pytest.approx([length_of(row) for row in prompt.vectors.grad])


def test_a_textbook_prefix_has_norms_per_layer_and_vector(frozen, tokens, targets):
    prefix = soft(PrefixTuning, frozen)
    loss(frozen, tokens, targets, prefix).backward()
    norms = gradients.token_norms(prefix)["vectors"]
    for layer, token in itertools.product(range(3), range(3)):
        assert norms[layer][token] == pytest.approx(length_of(prefix.vectors.grad[layer, token]))


def test_the_heads_of_a_key_value_prefix_belong_to_one_virtual_token(frozen, tokens, targets):
    prefix = soft(KeyValuePrefix, frozen, length=4)
    loss(frozen, tokens, targets, prefix).backward()
    norms = gradients.token_norms(prefix)
    assert list(norms) == [f"{kind}.{layer}" for kind in ("keys", "values") for layer in range(3)]
    for token in range(4):
        assert norms["keys.1"][token] == pytest.approx(length_of(prefix.keys[1].grad[:, token]))


@every_method
def test_whole_tokens_add_up_to_the_whole_gradient(frozen, tokens, targets, method):
    hooks = soft(method, frozen)
    loss(frozen, tokens, targets, hooks).backward()
    whole = math.sqrt(sum(length_of(parameter.grad) ** 2 for parameter in hooks.parameters()))
    assert length_of(torch.tensor(gradients.whole_tokens(gradients.token_norms(hooks)))) == pytest.approx(whole)


def test_whole_tokens_are_none_only_where_every_part_is_none():
    assert gradients.whole_tokens({"a": [None, None, 0.0], "b": [[3.0, None, 0.0], [4.0, None]]}) == [5.0, None, 0.0]
    assert gradients.whole_tokens({"a": None}) == []


def test_a_prompt_trained_through_an_mlp_is_measured_at_its_own_vectors(frozen, tokens, targets):
    prompt = reparametrise(PromptTuning(3, frozen.config)).double()
    loss(frozen, tokens, targets, prompt).backward()
    raw = prompt.parametrizations.vectors.original
    assert gradients.token_norms(prompt) == {"vectors": pytest.approx([length_of(row) for row in raw.grad])}
    trace = gradients.Trace(prompt)
    assert torch.equal(trace.vectors[0]["vectors"], raw)


def test_a_gate_is_no_virtual_token(frozen):
    assert list(gradients.token_norms(Gate(soft(PromptTuning, frozen), frozen.config))) == ["hooks.vectors"]


def test_activation_norms_are_those_of_autograd(frozen, tokens, targets):
    prompt, recorder, seen = soft(PromptTuning, frozen), Recorder(gradients=True), {}

    class Keeper(Hooks):
        def watch(self, site, layer, value):
            seen[site, layer] = value

    def value(hooks):
        logits = frozen(tokens, Stack(prompt, hooks))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    alone = value(Keeper())
    found = torch.autograd.grad(alone, [*(seen["output", layer] for layer in range(3)), seen["queries", 1]])
    value(recorder).backward()
    norms = gradients.activation_norms(recorder)
    for layer, position in itertools.product(range(3), range(8)):
        rows = sum(length_of(found[layer][row, position]) for row in range(2))
        assert norms[layer][position] == pytest.approx(rows)
    assert gradients.activation_norms(recorder, "queries")[1][4] == pytest.approx(
        sum(length_of(found[3][row, :, 4]) for row in range(2))
    )


def test_activations_below_a_prefix_have_no_gradient_and_virtual_outputs_have_a_zero_one(frozen, tokens, targets):
    below = gradients.record_step(frozen, tokens, targets, soft(PrefixTuning, frozen)).activations
    assert below[0] == [None] * 5  # the embeddings: nothing that learns lies under them
    assert all(norm is not None for row in below[1:] for norm in row)
    top = gradients.record_step(frozen, tokens, targets, soft(PromptTuning, frozen)).activations[-1]
    assert top[:3] == [0.0] * 3  # dropped after the last block: a gradient of zero, not none
    assert all(norm > 0 for norm in top[-3:])


def test_asking_for_what_was_not_recorded_says_what_was(frozen, tokens):
    frozen(tokens, recorder := Recorder(["logits"]))
    with pytest.raises(KeyError, match=r"nothing recorded at.*logits"):
        gradients.activation_norms(recorder)


@every_method
def test_a_recorded_step_tells_what_a_step_by_hand_does(frozen, tokens, targets, method):
    hooks = soft(method, frozen)
    step = gradients.record_step(frozen, tokens, targets, hooks)
    assert all(parameter.grad is None for parameter in [*hooks.parameters(), *frozen.parameters()])
    value = loss(frozen, tokens, targets, hooks)
    value.backward()
    assert step.loss == pytest.approx(value.item())
    assert step.base == dict.fromkeys(dict(frozen.named_parameters()))
    assert step.prompt == pytest.approx(gradients.parameter_norms(hooks))
    assert step.virtual == (3 if method is PromptTuning else 0)
    probabilities = frozen(tokens, hooks).softmax(-1)
    for row, answers in enumerate(step.answers):
        assert [answer.position for answer in answers] == [2, 3, 4]
        for answer in answers:
            here = probabilities[row, answer.position]
            assert answer.target == targets[row, answer.position]
            assert answer.predicted == here.argmax()
            assert answer.target_probability == pytest.approx(here[answer.target].item())
            assert answer.predicted_probability == pytest.approx(here.max().item())
    surprises = [-math.log(answer.target_probability) for answers in step.answers for answer in answers]
    assert step.loss == pytest.approx(sum(surprises) / len(surprises))


def test_a_recorded_step_neither_counts_nor_disturbs_gradients_that_were_there(frozen, tokens, targets):
    prompt = soft(PromptTuning, frozen)
    clean = gradients.record_step(frozen, tokens, targets, prompt).prompt
    prompt.vectors.grad = torch.ones_like(prompt.vectors)
    frozen.norm.weight.grad = torch.ones_like(frozen.norm.weight)  # left over from pretraining
    step = gradients.record_step(frozen, tokens, targets, prompt)
    assert step.prompt == clean
    assert step.base["norm.weight"] is None
    assert torch.equal(prompt.vectors.grad, torch.ones_like(prompt.vectors))
    assert frozen.norm.weight.grad is not None


def test_a_step_without_anything_to_learn_is_refused(frozen, tokens, targets):
    with pytest.raises(ValueError, match="the model is frozen; pass hooks that own parameters"):
        gradients.record_step(frozen, tokens, targets)


def test_a_step_of_full_fine_tuning_reaches_every_parameter(model, tokens, targets):
    model.requires_grad_(True)
    assert all(norm > 0 for norm in gradients.record_step(model, tokens, targets).base.values())


@every_method
def test_a_trace_follows_training_step_by_step(frozen, tokens, targets, method):
    hooks, kept = soft(method, frozen), []
    name, parameter = next(iter(hooks.named_parameters()))
    trace = gradients.Trace(hooks, look=lambda: len(kept), every=2)

    def on_step(step):
        kept.append((parameter.detach().clone(), parameter.grad.clone()))
        trace.on_step(step)

    start = parameter.detach().clone()
    history = train(frozen, itertools.repeat((tokens, targets)), hooks, steps=5, progress=False, on_step=on_step)
    assert trace.steps == [0, 1, 2, 3, 4]
    assert trace.seen == {0: 1, 2: 3, 4: 5}
    for step, (after, gradient) in enumerate(kept):
        before = kept[step - 1][0] if step else start
        places = (Ellipsis, 1, slice(None))  # the second virtual token, of the first layer where there are layers
        was, now, slope = before[places], after[places], gradient[places]
        if method is PrefixTuning:
            was, now, slope = was[0], now[0], slope[0]
        first = [numbers[step][name] for numbers in (trace.gradient_norms, trace.update_norms, trace.rates)]
        norm, update, rate = [(one[0] if method is PrefixTuning else one)[1] for one in first]
        assert norm == pytest.approx(length_of(slope))
        assert update == pytest.approx(length_of(now - was))
        assert rate == pytest.approx(length_of(now - was) / length_of(was))
        for cosines, arrow in (trace.gradient_cosines, slope), (trace.update_cosines, now - was):
            found = cosines[step][name][0] if method is PrefixTuning else cosines[step][name]
            expected = (arrow * was).sum().item() / length_of(arrow) / length_of(was)
            assert found[1] == pytest.approx(expected)
    assert [length_of(torch.tensor(gradients.whole_tokens(norms))) for norms in trace.gradient_norms] == pytest.approx(
        [min(norm, 1.0) for norm in history.grad_norm], rel=1e-4
    )  # as the optimizer saw them: clipped at 1


def test_a_trace_keeps_none_apart_from_zero():
    class Two(Hooks):
        def __init__(self):
            super().__init__()
            self.silent, self.still = (nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 0.0]])) for _ in range(2))

    hooks = Two()
    trace = gradients.Trace(hooks)
    hooks.still.grad = torch.zeros(2, 2)
    trace.on_step(0)
    assert trace.gradient_norms == [{"silent": None, "still": [0.0, 0.0]}]
    assert trace.update_norms == [{"silent": [0.0, 0.0], "still": [0.0, 0.0]}]
    assert trace.gradient_cosines == [{"silent": None, "still": [None, None]}]  # a zero vector points nowhere
    assert trace.rates == [{"silent": [0.0, None], "still": [0.0, None]}]


def test_the_textbook_prefix_gets_a_gradient_orthogonal_to_its_vectors(frozen, tokens, targets):
    config = type(frozen.config)(**(vars(frozen.config) | {"eps": 1e-30}))
    exact = type(frozen)(config).to(torch.float64)
    exact.load_state_dict(frozen.state_dict())
    for method, orthogonal in (PrefixTuning, True), (PromptTuning, False):
        hooks = method(3, config, scale=1.0).to(torch.float64)
        trace = gradients.Trace(hooks)
        train(exact, itertools.repeat((tokens, targets)), hooks, steps=3, progress=False, on_step=trace.on_step)
        cosines = torch.tensor([step["vectors"] for step in trace.gradient_cosines])
        assert (cosines.abs().max().item() < 1e-9) is orthogonal


def test_plain_gradient_descent_can_only_lengthen_a_textbook_prefix_so_its_effective_rate_falls(
    frozen, tokens, targets
):
    prefix = PrefixTuning(2, frozen.config, scale=1.0).to(torch.float64)
    optimizer, trace = torch.optim.SGD(prefix.parameters(), lr=30.0), gradients.Trace(prefix)
    for step in range(4):
        optimizer.zero_grad()
        loss(frozen, tokens, targets, prefix).backward()
        optimizer.step()
        trace.on_step(step)
    lengths = torch.stack([vectors["vectors"].norm(dim=-1) for vectors in trace.vectors])
    assert (lengths.diff(dim=0) > 0).all()
    for step, (rate, update) in enumerate(zip(trace.rates, trace.update_norms, strict=True)):
        assert torch.allclose(torch.tensor(rate["vectors"]) * lengths[step], torch.tensor(update["vectors"]).double())
