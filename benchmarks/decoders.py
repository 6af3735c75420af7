"""Programs that only decode, with our weights: CTranslate2 and llama.cpp, as `(tokens, count) -> new tokens`.

    pip install '.[decoders]'

llama-cpp-python is compiled while it is installed, which takes about twenty minutes on one core.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

import peers
import torch
from work import Competitor, Peer, Size

from minitransformer import Transformer
from minitransformer.files.gguf import CONFIG_NAMES, HEAD, KV_HEADS, ROPE_BASE, VOCAB, gguf_name
from minitransformer.optional import smollm2

CTRANSLATE2, LLAMA, QUANTISED = "CTranslate2, float32", "llama.cpp, float32", "llama.cpp, Q4_1 (quantised)"
Decode = Callable[[list[int], int], list[int]]


def everyone(size: Size, folder: Path, tokens: list[int], count: int) -> dict[str, Peer]:
    """Those who are rivals at this size, each with these tokens to read and so many to say."""
    if not size.decoders:
        return {}
    makers: dict[str, Callable[[], Decode]] = {
        CTRANSLATE2: lambda: ctranslate2(size.model, folder / "ctranslate2"),
        LLAMA: lambda: llama_cpp(write_gguf(size.model, folder / "float32.gguf"), size.model.config.context),
    }
    if size.config is None:
        makers[QUANTISED] = lambda: llama_cpp(smollm2(), size.model.config.context)

    def ready(make: Callable[[], Decode]) -> Competitor:
        decode = make()
        return Competitor(lambda: decode(tokens, count), lambda said: {"tokens": [said]})

    return {name: Peer(partial(ready, make)) for name, make in makers.items()}


def exact(names: Iterable[str]) -> Collection[str]:
    """Those who must say what we say: quantised activations may choose another word."""
    return [name for name in names if name != QUANTISED]


def ctranslate2(model: Transformer, folder: Path) -> Decode:
    """The same weights as CTranslate2 keeps them, through its own converter; its words are our ids."""
    from ctranslate2 import Generator
    from ctranslate2.converters.transformers import LlamaLoader

    llama, words = peers.hf_llama(model), [str(token) for token in range(model.config.vocab)]
    llama.config.rope_theta = model.config.rope_base  # where the converter looks for it
    with torch.no_grad():
        spec = LlamaLoader().get_model_spec(llama)
    spec.register_vocabulary(words)
    spec.config.layer_norm_epsilon = model.config.eps
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = words[0]
    spec.validate()
    spec.optimize(quantization="float32")
    folder.mkdir()
    spec.save(str(folder))
    generator = Generator(str(folder), compute_type="float32", intra_threads=torch.get_num_threads())

    def decode(tokens: list[int], count: int) -> list[int]:
        (found,) = generator.generate_batch(
            [[words[token] for token in tokens]],
            max_length=count,
            end_token=[],  # answers never end
            include_prompt_in_result=False,
        )
        return list(found.sequences_ids[0])

    return decode


def llama_cpp(path: Path, context: int) -> Decode:
    from llama_cpp import Llama

    threads = torch.get_num_threads()
    model = Llama(
        str(path), n_ctx=min(context, 1024), n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
    )

    def decode(tokens: list[int], count: int) -> list[int]:
        model.reset()  # or it would remember what it has read
        said = model.generate(tokens, top_k=1, temp=0.0, repeat_penalty=1.0)
        return [next(said) for _ in range(count)]

    return decode


def write_gguf(model: Transformer, path: Path) -> Path:
    """Our weights in float32 as llama.cpp reads them, without a vocabulary."""
    from gguf import GGUFWriter

    config = model.config
    writer = GGUFWriter(path, "llama")
    for ours, theirs in CONFIG_NAMES.items():
        (writer.add_float32 if ours == "eps" else writer.add_uint32)(theirs, getattr(config, ours))
    writer.add_uint32(KV_HEADS, config.kv_heads)
    writer.add_uint32(VOCAB, config.vocab)
    writer.add_float32(ROPE_BASE, config.rope_base)
    writer.add_uint32(HEAD[0], config.head)
    writer.add_tokenizer_model("no_vocab")
    for name, weight in model.state_dict().items():
        if ".query." in name or ".key." in name:  # numbers that are turned together stand side by side
            weight = weight.unflatten(0, (-1, 2, config.head // 2)).transpose(1, 2).flatten(0, 2)
        writer.add_tensor(gguf_name(name), weight.detach().float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
