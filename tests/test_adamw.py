"""AdamW steps as torch's own class does, to the last bit, and leaves torch's compiler where it is."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from minitransformer.adamw import AdamW

SHAPES = [(3, 5), (), (7,), (2, 3, 4)]


def parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def give_gradients(step, *lists):
    """The same to each list; the last parameter has none before the third step, and the second none after it."""
    generator = torch.Generator().manual_seed(step)
    for place, shape in enumerate(SHAPES):
        gradient = torch.randn(shape, generator=generator)
        without = (place == 3 and step < 2) or (place == 1 and step > 2)
        for parameter in (each[place] for each in lists):
            parameter.grad = None if without else gradient.to(parameter.dtype)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_its_steps_are_those_of_torch(dtype, decay):
    ours, theirs = parameters(dtype), parameters(dtype)
    own, torchs = AdamW(ours, decay), torch.optim.AdamW(theirs, weight_decay=decay, fused=True)
    for step, rate in enumerate([0.003, 0.01, 0.01, 0.03, 0.001]):
        give_gradients(step, ours, theirs)
        own.step(rate)
        torchs.param_groups[0]["lr"] = rate
        torchs.step()
        assert all(map(torch.equal, ours, theirs)), step
    states = torchs.state_dict()["state"]
    assert own.state.keys() == states.keys() == {0, 1, 2, 3}
    for place, state in states.items():
        assert own.state[place].keys() == state.keys()
        for name, tensor in state.items():
            assert torch.equal(own.state[place][name], tensor) and own.state[place][name].dtype == tensor.dtype
    assert [state["step"].item() for state in own.state.values()] == [5, 3, 5, 3]


def test_without_a_gradient_nothing_moves_and_nothing_is_kept():
    mine = parameters()
    optimizer = AdamW(mine, 0.1)
    optimizer.step(1.0)
    assert all(map(torch.equal, mine, parameters())) and optimizer.state == {}


def test_gradients_are_cleared_and_not_set_to_zero():
    mine = parameters()
    give_gradients(2, mine)
    AdamW(mine, 0.0).zero_grad()
    assert [parameter.grad for parameter in mine] == [None] * 4


def test_training_does_not_load_the_compiler():
    code = """
import sys
from minitransformer import Config, PromptTuning, Transformer, train
import torch
config = Config(vocab=9, context=8, width=8, layers=1, heads=1, kv_heads=1, hidden=8)
row = torch.arange(6)[None]
history = train(Transformer(config), [(row[:, :-1], row[:, 1:])] * 2, PromptTuning(1, config), steps=2, progress=False)
print(len(history.loss), "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
