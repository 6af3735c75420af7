"""What a user could pick instead: Hugging Face's Llama and PEFT, a GPT of nanoGPT's shape; and bare matrix products.

Libraries are imported where they are used: one that is missing costs its own rows.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitransformer import Hooks, Transformer
from minitransformer.files.peft import as_peft
from minitransformer.products import by_onednn, in_parts

ENDLESS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)


def hf_llama(model: Transformer, **ends: int) -> nn.Module:
    """Transformers' Llama with the same weights, whose answers never end where nothing is said of their ends."""
    from llama import llama

    return llama(model, **ENDLESS | ends)


def hf_peft(model: Transformer, hooks: Hooks) -> nn.Module:
    """The same with PEFT's own soft prompt in front of it, of the same vectors, ready to train."""
    _, rows = as_peft(hooks, model)
    peer = hf_peft_as_it_starts(model, hooks)
    peer.prompt_encoder["default"].embedding.weight.data = rows.clone()
    return peer


def hf_peft_as_it_starts(model: Transformer, hooks: Hooks) -> nn.Module:
    """PEFT's own soft prompt of the same size, with the numbers that PEFT itself begins with."""
    from peft import get_peft_config, get_peft_model

    about, _ = as_peft(hooks, model)
    return get_peft_model(hf_llama(model), get_peft_config(about))


class NanoBlock(nn.Module):
    """As in nanoGPT (Karpathy): queries, keys and values of one projection, fused attention, a GELU."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.c_fc, self.mlp_proj = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, D)
        parts = self.c_attn(self.ln_1(x)).split(x.shape[2], 2)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attn_proj(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    """nanoGPT's shape, with a feed-forward of such a width that it has as many parameters as the model given."""

    def __init__(self, model: Transformer):
        super().__init__()
        config = model.config
        width, layers = config.width, config.layers
        fixed = width * (config.vocab + config.context + 1 + layers * (4 * width + 2))
        room = (sum(parameter.numel() for parameter in model.parameters()) - fixed) / (2 * width * layers)
        self.heads, self.hidden = config.heads, max(8, 8 * round(room / 8))
        self.wte, self.wpe = nn.Embedding(config.vocab, width), nn.Embedding(config.context, width)
        self.h = nn.ModuleList(NanoBlock(width, config.heads, self.hidden) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width, bias=False)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:  # the loss
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return F.cross_entropy(F.linear(self.ln_f(x), self.wte.weight).flatten(0, 1), targets.flatten())


def hf_gpt2(nano: NanoGPT) -> nn.Module:
    """Transformers' GPT-2 with the same weights and nothing else to learn: the proof that the peer is one."""
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = dict(n_embd=nano.wte.embedding_dim, n_layer=len(nano.h), n_head=nano.heads, n_inner=nano.hidden)
    off = dict(embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0)
    words = dict(vocab_size=nano.wte.num_embeddings, n_positions=nano.wpe.num_embeddings)
    config = GPT2Config(activation_function="gelu", **words, **sizes, **off, **ENDLESS)
    twin = GPT2LMHeadModel(config)
    weights = {}
    for name, weight in nano.state_dict().items():
        name = name.replace("c_attn", "attn.c_attn").replace("attn_proj", "attn.c_proj")
        name = name.replace("c_fc", "mlp.c_fc").replace("mlp_proj", "mlp.c_proj")
        weights[f"transformer.{name}"] = weight.T if ".c_" in name else weight  # theirs are written the other way
    _, unexpected = twin.load_state_dict(weights, strict=False)
    assert not unexpected
    for name, parameter in twin.named_parameters():
        parameter.requires_grad_(not name.endswith("bias"))
    return twin


LIBRARIES = {"F.linear": F.linear, "torch.bmm": in_parts, "oneDNN": by_onednn}


@torch.no_grad()
def best_times(x: Tensor, weight: Tensor) -> dict[str, float]:
    """The best of several runs of each way to multiply these, in seconds."""
    best: dict[str, float] = {}
    for _ in range(5):
        for name, multiply in LIBRARIES.items():
            began = time.perf_counter()
            try:
                multiply(x, weight)
            except (AttributeError, RuntimeError):  # not every build of torch has the other one
                continue
            best[name] = min(best.get(name, float("inf")), time.perf_counter() - began)
    return best


def fastest(x: Tensor, weight: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    best = best_times(x, weight)
    return LIBRARIES[min(best, key=best.get)]


def rates(side: int = 1024) -> dict[str, int]:
    """GFLOP/s of each way in large square products."""
    return {name: round(2e-9 * side**3 / best) for name, best in best_times(*torch.randn(2, side, side)).items()}


def full_speed(flops: float) -> Callable[[], None]:
    """As many operations as this, in large square products by the fastest library: the floor under a training step."""
    side = int(min(1024, max(16, (flops / 2) ** (1 / 3))))
    left, times = torch.randn(side, side), flops / (2 * side**3)
    last, multiply = left[: round(side * (times % 1))], fastest(left, left)

    @torch.no_grad()
    def run() -> None:
        for _ in range(int(times)):
            multiply(left, left)
        if len(last):
            multiply(last, left)

    return run


def products(model: Transformer, rows: int, tokens: int) -> Callable[[], None]:
    """The model's own matrices, each times `rows` vectors in the fastest way for it: the floor under decoding."""
    weights = [module.weight.detach() for module in model.modules() if isinstance(module, (nn.Linear, nn.Embedding))]
    vectors = [torch.randn(rows, weight.shape[1]) for weight in weights]
    by_shape = {weight.shape: fastest(vector, weight) for vector, weight in zip(vectors, weights, strict=True)}

    @torch.no_grad()
    def run() -> None:
        for _ in range(tokens):
            for vector, weight in zip(vectors, weights, strict=True):
                by_shape[weight.shape](vector, weight)

    return run
