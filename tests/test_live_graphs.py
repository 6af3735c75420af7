"""What a browser will run is what torch computes: graphs run by ONNX Runtime on texts and lengths they never saw.

Recording one takes half a minute: every change records a step, and with LIVE=all the others are recorded, too.
"""

import os
from functools import cache

import pytest
import torch

from minitransformer import (
    Hooks,
    KeyValuePrefix,
    Phrasebook,
    PrefixTuning,
    PromptTuning,
    batch,
    compile_prefix,
    freeze,
    generate,
    pretrained,
)
from minitransformer.gradients import record_step
from minitransformer.live.graphs import VIRTUAL, Whole, export
from minitransformer.phrasebook import prompt

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

MODEL, TOKENIZER = pretrained()
freeze(MODEL)
METHODS = {"prompt": PromptTuning, "prefix": PrefixTuning, "key_value": KeyValuePrefix}
ALL = pytest.mark.skipif(os.environ.get("LIVE") != "all", reason="LIVE=all records more graphs, in minutes")
STEPS = ["prompt", *(pytest.param(method, marks=ALL) for method in ("prefix", "key_value"))]
CASES = [("chinese", 5, 4), ("backwards", 2, 1), ("opposite", 7, 10), ("shout", 1, 3)]  # skill, rows, virtual tokens


@cache
def graph(method: str, gradients: bool = True, unfrozen: bool = False):
    hooks = METHODS[method](VIRTUAL, MODEL.config) if method in METHODS else Hooks()
    return export(MODEL, hooks, gradients=gradients, unfrozen=unfrozen)


def outcome(graph, hooks: Hooks, tokens, targets=None) -> dict[str, torch.Tensor]:
    """What ONNX Runtime makes of these numbers, on one thread, by name."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(graph.onnx, options)
    state = {name: tensor.numpy() for name, tensor in Whole(MODEL, hooks).state().items()}
    texts = {"tokens": tokens.numpy()} | ({} if targets is None else {"targets": targets.numpy()})
    return dict(zip(graph.outputs, map(torch.tensor, session.run(graph.outputs, state | texts)), strict=True))


def examples(skill: str, rows: int):
    return batch(TOKENIZER, Phrasebook().examples(skill, "test", rows))


def close(got, wanted) -> bool:
    return torch.allclose(torch.as_tensor(got), torch.as_tensor(wanted), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("skill", "rows", "length"), CASES)
@pytest.mark.parametrize("method", STEPS)
def test_loss_and_every_gradient_are_torch_s(method, skill, rows, length):
    hooks, (tokens, targets) = METHODS[method](length, MODEL.config, seed=rows), examples(skill, rows)
    got, wanted = outcome(graph(method), hooks, tokens, targets), record_step(MODEL, tokens, targets, hooks)
    record = wanted.recorder
    assert close(got["loss"], wanted.loss) and close(got["logits"], record["logits", None])
    for layer in range(MODEL.config.layers):
        assert close(got["attention"][:, layer], record["weights", layer])
    stream = [("embedding", None), *(("output", layer) for layer in range(MODEL.config.layers))]
    reached = [place for place in stream if record.grad(*place) is not None]
    assert len(got["stream_gradients"]) == len(reached) >= MODEL.config.layers - 1
    for gradient, norms, place in zip(got["stream_gradients"], got["stream_norms"], reached, strict=True):
        assert close(gradient, record.grad(*place)) and close(norms, wanted.activations[stream.index(place)])
    for name, norms in wanted.token_norms.items():
        assert close(got[f"norm.hooks.{name}"], norms)


@pytest.mark.parametrize("method", STEPS)
def test_while_the_base_is_frozen_no_graph_gives_a_gradient_of_it(method):
    names = [name for name in graph(method).outputs if name.startswith(("gradient.", "norm."))]
    assert names and not [name for name in names if ".model." in name]


@ALL
def test_unfrozen_every_parameter_of_the_base_has_its_gradient():
    hooks, (tokens, targets) = PromptTuning(5, MODEL.config), examples("count", 3)
    got = outcome(graph("prompt", unfrozen=True), hooks, tokens, targets)
    MODEL.requires_grad_(True)
    try:
        wanted = record_step(MODEL, tokens, targets, hooks).base
    finally:
        MODEL.requires_grad_(False)
    assert {name for name in got if name.startswith("norm.model.")} == {f"norm.model.{name}" for name in wanted}
    assert all(close(got[f"norm.model.{name}"], norm) and norm > 0 for name, norm in wanted.items())


@pytest.mark.parametrize("method", ["none", *(pytest.param(method, marks=ALL) for method in METHODS)])
def test_read_greedily_a_graph_says_what_generate_says(method):
    length = {} if method == "none" else {"length": 6}
    hooks = METHODS[method](config=MODEL.config, scale=1.0, **length) if length else Hooks()
    for text in prompt("Look out!"), prompt("The old cat sleeps.", Phrasebook().wordings("shout")[0]):
        tokens = TOKENIZER.encode(text)
        (wanted,) = generate(MODEL, [tokens], hooks, max_new_tokens=8)
        said: list[int] = []
        while len(said) < 8:
            choices = outcome(graph(method, gradients=False), hooks, torch.tensor([tokens + said]))["choices"]
            if choices[0, -1] == TOKENIZER.end:
                break
            said.append(choices[0, -1].item())
        assert said == wanted


@ALL
@pytest.mark.parametrize("length", [1, 4])
def test_keys_and_values_in_front_of_a_text_are_the_compiled_prefix(length):
    prompt = PromptTuning(length, MODEL.config)
    got = outcome(graph("prompt", gradients=False), prompt, torch.tensor([TOKENIZER.encode("Look out! →")]))
    wanted = compile_prefix(MODEL, prompt)
    for layer in range(MODEL.config.layers):
        assert close(got["keys"][layer, 0, :, :length], wanted.keys[layer])
        assert close(got["values"][layer, 0, :, :length], wanted.values[layer])
