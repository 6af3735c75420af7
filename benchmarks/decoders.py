"""Programs that only decode, with our weights: CTranslate2 and llama.cpp, as `(tokens, count) -> new tokens`.

pip install '.[decoders]'
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

import peers
import torch
from work import Competitor, Peer, Size

from minitransformer import Transformer
from minitransformer.files.gguf import gguf_name
from minitransformer.optional import smollm2

CTRANSLATE2, LLAMA, QUANTISED = "CTranslate2, float32", "llama.cpp, float32", "llama.cpp, Q4_1 (quantised)"
Decode = Callable[[list[int], int], list[int]]


def everyone(size: Size, folder: Path, tokens: list[int], count: int) -> dict[str, Peer]:
    """Those who are rivals at this size, each with these tokens to read and so many to say."""
    if not size.decoders:
        return {}
    makers: dict[str, Callable[[], Decode]] = {CTRANSLATE2: lambda: ctranslate2(size.model, folder / "ctranslate2")}
    if size.config is None:  # SmolLM2: llama.cpp wants a vocabulary with the weights
        makers[LLAMA] = lambda: llama_cpp(write_gguf(size.model, folder / "float32.gguf"))
        makers[QUANTISED] = lambda: llama_cpp(smollm2())

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


def llama_cpp(path: Path) -> Decode:
    from xllamacpp import CommonParams, Server

    settings, threads = CommonParams(), torch.get_num_threads()
    settings.model.path, settings.n_parallel, settings.verbosity = str(path), 1, -1
    settings.n_ctx, settings.n_batch, settings.n_ubatch = 1024, 512, 512
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    server = Server(settings)

    def decode(tokens: list[int], count: int) -> list[int]:
        asked = {"prompt": tokens, "n_predict": count, "top_k": 1, "temperature": 0, "ignore_eos": True}
        told = {"cache_prompt": False, "verbose": True, "return_tokens": True}  # or it would know what it has read
        return server.handle_completions(asked | told)["__verbose"]["tokens"]

    return decode


def write_gguf(model: Transformer, path: Path) -> Path:
    """SmolLM2's weights in float32 as llama.cpp reads them; what else it wants is in the quantised file."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    writer = GGUFWriter(path, "llama")
    for name, field in GGUFReader(smollm2()).fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", "general.file_type"):
            inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for name, weight in model.state_dict().items():
        if ".query." in name or ".key." in name:  # numbers that are turned together stand side by side
            weight = weight.unflatten(0, (-1, 2, model.config.head // 2)).transpose(1, 2).flatten(0, 2)
        writer.add_tensor(gguf_name(name), weight.detach().float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
