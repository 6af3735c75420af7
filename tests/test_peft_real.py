"""SmolLM2 with a soft prompt says with PEFT what it says here, whoever made the soft prompt."""

import pytest
import torch

from minitransformer import KeyValuePrefix, PrefixTuning, PromptTuning, export_peft, generate, import_peft

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
