"""An independent Llama, Hugging Face's, given the same weights, says the same."""

from importlib import import_module

import pytest
import torch
from laws import METHODS, SHAPES, equal, random_model, text

from minitransformer import PromptTuning, Recorder, compile_prefix, generate
from minitransformer.files.llama import from_huggingface, llama_name
from minitransformer.model import Transformer

transformers = pytest.importorskip("transformers", exc_type=ImportError)

llama = import_module("llama")  # benchmarks/llama.py

EVERY_SHAPE = [*SHAPES, dict(vocab=11, width=6, heads=3, kv_heads=1, hidden=5, layers=2, rope_base=50.0, eps=1e-2)]


def reference(model: Transformer):
    return llama.llama(
        model, attn_implementation="eager", bos_token_id=None, eos_token_id=None, pad_token_id=None
    ).eval()


@pytest.fixture(params=EVERY_SHAPE, ids=str)
def pair(request):
    model = random_model(dtype=torch.float32, **request.param)
    return model, reference(model)


@torch.no_grad()
def test_the_logits_are_those_of_a_reference_llama(pair):
    model, theirs = pair
    tokens = text(model, 3, 20)
    logits = model(tokens)
    equal(logits, theirs(tokens).logits, within=1e-4)
    assert logits.std() > 0.5  # there was something to disagree about


@torch.no_grad()
def test_hidden_states_and_attention_weights_are_too(pair):
    model, theirs = pair
    tokens, recorder = text(model, 2, 12), Recorder()
    model(tokens, recorder)
    result = theirs(tokens, output_hidden_states=True, output_attentions=True)
    for layer in range(model.config.layers):
        equal(recorder["input", layer], result.hidden_states[layer], within=1e-4)
        equal(recorder["weights", layer], result.attentions[layer], within=1e-5)


def test_the_gradients_are_too(pair):
    model, theirs = pair
    tokens = text(model, 2, 12)
    for logits in model(tokens), theirs(tokens).logits:
        logits.log_softmax(-1)[..., 3].mean().backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in model.named_parameters():
        equal(parameter.grad, gradients[llama_name(name)], within=1e-4)


@torch.no_grad()
def test_the_greedy_text_is_the_same(pair):
    model, theirs = pair
    prompt = text(model, 1, 5)
    expected = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False)
    assert generate(model, prompt.tolist(), max_new_tokens=20)[0] == expected[0, 5:].tolist()


@torch.no_grad()
def test_a_soft_prompt_is_what_they_call_inputs_embeds(pair):
    model, theirs = pair
    hooks, tokens = PromptTuning(4, model.config, scale=0.5), text(model, 2, 9)
    embeds = torch.cat((hooks.vectors.expand(2, -1, -1), theirs.model.embed_tokens(tokens)), 1)
    equal(model(tokens, hooks), theirs(inputs_embeds=embeds).logits[:, 4:], within=1e-4)


@pytest.mark.parametrize(
    "method", ["prompt", "prefix", "key/value prefix", "reparametrised prefix", "prompt and prefix"]
)
@torch.no_grad()
def test_a_compiled_prefix_is_what_they_call_past_key_values(method):
    """Its keys, turned at 0..P-1, and its values, as a cache that their model goes on from."""
    hooks, model = METHODS[method](3), random_model(dtype=torch.float32)
    theirs, tokens = reference(model), text(model, 2, 9)
    compiled, past = compile_prefix(model, hooks), transformers.DynamicCache()
    for layer, (keys, values) in enumerate(zip(compiled.keys, compiled.values, strict=True)):
        half = keys.shape[2] // 2
        angle = torch.arange(keys.shape[1])[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        left, right = keys[..., :half], keys[..., half:]
        turned = (left * angle.cos() - right * angle.sin(), left * angle.sin() + right * angle.cos())
        past.update(torch.cat(turned, -1).expand(2, -1, -1, -1), values.expand(2, -1, -1, -1), layer)
    equal(model(tokens, hooks), theirs(tokens, past_key_values=past).logits, within=1e-4)


@pytest.mark.parametrize("size", ["1GB", "20KB"], ids=["one file", "in shards"])
@torch.no_grad()
def test_what_they_save_is_read_as_the_same_model(pair, size, tmp_path):
    model, theirs = pair
    theirs.save_pretrained(tmp_path, max_shard_size=size)
    ours, tokenizer = from_huggingface(tmp_path)
    tokens = text(model, 3, 20)
    equal(ours(tokens), theirs(tokens).logits, within=1e-4)
    assert tokenizer is None
    assert vars(ours.config) == vars(model.config)
