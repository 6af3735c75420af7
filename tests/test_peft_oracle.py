"""The real PEFT, on a Llama of the same weights, says the same: of our soft prompts, and of its own."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from laws import SHAPES, equal, random_model, text

from minitransformer import KeyValuePrefix, PrefixTuning, PromptTuning, Stack, export_peft, generate, import_peft

transformers = pytest.importorskip("transformers", exc_type=ImportError)
peft = pytest.importorskip("peft", exc_type=ImportError)
llama = import_module("llama").llama  # benchmarks/llama.py

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # they speak to each other
OURS = {
    "prompt": lambda config: PromptTuning(4, config, scale=0.5),
    "prefix": lambda config: PrefixTuning(4, config, scale=0.5),
    "key/value prefix": lambda config: KeyValuePrefix(4, config, scale=0.5),
    "prompt and prefix": lambda config: Stack(PromptTuning(2, config, 0.5), PrefixTuning(3, config, scale=0.5)),
}
THEIRS = {
    "prompt": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "prefix": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "prefix through an MLP": lambda: peft.PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=20
    ),
}


@pytest.fixture(params=SHAPES, ids=str)
def model(request):
    return random_model(dtype=torch.float32, **request.param)


def twin(model):
    return llama(model, bos_token_id=None, eos_token_id=None, pad_token_id=None).eval()


def the_same(model, hooks, theirs):
    """Logits of several rows, and the greedy text after one; what the hooks do is seen in the logits."""
    tokens = text(model, 3, 12)
    logits = model(tokens, hooks)
    equal(logits, theirs(input_ids=tokens).logits[:, -12:], within=1e-4)
    assert (logits - model(tokens)).abs().max() > 0.1
    prompt = tokens[:1, :5]
    said = theirs.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False
    )[0].tolist()
    assert said[-20:] == generate(model, prompt.tolist(), hooks, max_new_tokens=20)[0]


@pytest.mark.parametrize("method", OURS)
@torch.no_grad()
def test_a_soft_prompt_of_ours_says_the_same_there(model, method, tmp_path):
    hooks = OURS[method](model.config)
    export_peft(hooks, model, tmp_path)
    the_same(model, hooks, peft.PeftModel.from_pretrained(twin(model), tmp_path).eval())


@pytest.mark.parametrize("method", THEIRS)
@torch.no_grad()
def test_a_soft_prompt_of_theirs_says_the_same_here(model, method, tmp_path):
    theirs = peft.get_peft_model(twin(model), THEIRS[method]())
    for parameter in theirs.prompt_encoder.parameters():
        parameter.data.normal_(std=0.5)
    theirs.eval().save_pretrained(tmp_path)
    the_same(model, import_peft(tmp_path, model), theirs)


def test_trained_here_and_trained_there_take_the_same_step(model, tmp_path):
    """The gradient of the loss, too: as theirs has it on the rows that we exported, with turned keys turned back."""
    hooks, tokens = KeyValuePrefix(4, model.config, scale=0.5), text(model, 3, 12)
    export_peft(hooks, model, tmp_path)
    theirs = peft.get_peft_model(twin(model), THEIRS["prefix"]())
    rows = peft.load_peft_weights(tmp_path)["prompt_embeddings"]
    theirs.prompt_encoder["default"].embedding.weight.data = rows
    for logits in model(tokens, hooks), theirs(input_ids=tokens).logits:
        logits.log_softmax(-1)[..., 3].mean().backward()
    (theirs_norm,) = (p.grad.norm() for p in theirs.parameters() if p.requires_grad)
    equal(torch.cat([p.grad.flatten() for p in hooks.parameters()]).norm(), theirs_norm, within=1e-4)


@torch.no_grad()
def test_what_the_docs_hand_to_an_engine_gives_our_logits(tmp_path, monkeypatch):
    """The code of lessons/BEYOND.md, with an engine that is their Llama and a tokenizer that knows one text."""
    model = random_model(dtype=torch.float32)
    prompt, tokens, seen = PromptTuning(4, model.config, scale=0.5), text(model, 1, 6), []
    export_peft(prompt, model, tmp_path / "antonyms")
    twin(model).save_pretrained(tmp_path / "path" / "to" / "the" / "model")
    monkeypatch.chdir(tmp_path)
    engine = SimpleNamespace(generate=lambda asked: seen.append(asked))
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=lambda base, enable_prompt_embeds: engine))
    known = lambda said, return_tensors: SimpleNamespace(input_ids=tokens)  # noqa: E731
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda base: known)
    page = Path(__file__).parents[1] / "lessons" / "BEYOND.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(next(block for block in blocks if "vllm" in block), {})
    logits = twin(model)(inputs_embeds=seen[0]["prompt_embeds"][None]).logits
    equal(model(tokens, prompt), logits[:, 4:], within=1e-4)
