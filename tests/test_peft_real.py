"""SmolLM2 with a soft prompt says with PEFT what it says here, whoever made the soft prompt."""

import re
from pathlib import Path

import pytest
import torch

from minitransformer import KeyValuePrefix, PrefixTuning, PromptTuning, export_peft, generate, import_peft
from minitransformer.real import own_tuning
from minitransformer.real.own_pairs import OwnPair
from minitransformer.real.own_tuning import Settings

for needed in "gguf", "tokenizers", "transformers", "peft":
    pytest.importorskip(needed, exc_type=ImportError)
from_gguf = pytest.importorskip("minitransformer.files.gguf").from_gguf
extras = pytest.importorskip("minitransformer.optional")
try:
    PATH = extras.smollm2()
except FileNotFoundError as missing:
    pytest.skip(str(missing), allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
TEXTS = "The capital of France is Paris, and that of Italy is", "The opposite of hot is"
METHODS = {
    "prompt": lambda model: PromptTuning.from_vocabulary(6, model),
    "prefix": lambda model: PrefixTuning(6, model.config, scale=1.0),
    "key/value prefix": lambda model: KeyValuePrefix(6, model.config, scale=0.5),
}


@pytest.fixture(scope="module")
def real():
    return from_gguf(PATH)


@pytest.fixture(scope="module")
def theirs():
    """It is slow to load, and PEFT leaves it as it was."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(PATH.parent, gguf_file=PATH.name, dtype=torch.float32).eval()


@torch.no_grad()
def the_same(real, hooks, theirs):
    model, tokenizer = real
    for text in TEXTS:
        tokens = torch.tensor([tokenizer.encode(text)])
        logits = model(tokens, hooks)
        assert (logits - theirs(input_ids=tokens).logits[:, -tokens.shape[1] :]).abs().max() < 1e-3
        assert (logits - model(tokens)).abs().max() > 0.1  # the soft prompt does something
        attending = torch.ones_like(tokens)
        said = theirs.generate(input_ids=tokens, attention_mask=attending, max_new_tokens=16, do_sample=False)[0]
        (ours,) = generate(model, tokens.tolist(), hooks, max_new_tokens=16)
        assert ours == [token for token in said.tolist() if token != tokenizer.end][-len(ours) :] and ours


@pytest.mark.parametrize("method", METHODS)
def test_a_soft_prompt_of_ours_says_the_same_there(real, theirs, method, tmp_path):
    from peft import PeftModel

    hooks = METHODS[method](real[0])
    export_peft(hooks, real[0], tmp_path)
    the_same(real, hooks, PeftModel.from_pretrained(theirs, tmp_path).eval())


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
def test_a_soft_prompt_of_theirs_says_the_same_here(real, theirs, kind, tmp_path):
    import peft

    theirs = peft.get_peft_model(theirs, getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=6)).eval()
    theirs.prompt_encoder["default"].embedding.weight.data.normal_(std=0.3)
    theirs.save_pretrained(tmp_path)
    the_same(real, import_peft(tmp_path, real[0]), theirs)


def test_a_prompt_tuned_on_own_pairs_answers_there_as_it_does_here(real, theirs, tmp_path, monkeypatch, capsys):
    """Through the two programs of lessons/YOUR_OWN_DATA.md, with the same weights for both."""
    import transformers

    opposites = {"hot": "cold", "big": "small", "good": "bad", "old": "new", "up": "down", "left": "right"}
    opposites |= {"yes": "no", "day": "night", "fast": "slow", "wet": "dry"}
    pairs = [OwnPair(word, opposite, word) for word, opposite in opposites.items()]
    words = Settings(steps=10, rows=4, instruction="Write the opposite of each word.")
    results = own_tuning.tune(*real, pairs, tmp_path / "adapter", words, progress=False)
    assert results["steps"] == 10 or results["validation"][-1][1] >= 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_tuning, "open_model", lambda name: (*real, name))
    spoken = transformers.AutoTokenizer.from_pretrained(PATH.parent, gguf_file=PATH.name)
    for kind, there in (transformers.AutoModelForCausalLM, theirs), (transformers.AutoTokenizer, spoken):
        monkeypatch.setattr(kind, "from_pretrained", lambda name, there=there: there)
    page = (Path(__file__).parents[1] / "lessons" / "YOUR_OWN_DATA.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for program in programs:
        exec(program, {})
    here, there = capsys.readouterr().out.splitlines()
    assert len(programs) == 2 and here.strip() and there == f" hot ->{here}"
