"""Reading and answering: prefill, greedy decoding with and without soft prompts, and many tenants in one batch."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import decoders
import peers
import torch
from torch import Tensor, nn
from work import Competitor, Peer, Size, Target, Work

from minitransformer import Cache, Hooks, KeyValuePrefix, PromptBank, PromptTuning, compile_prefix, generate
from minitransformer.hooks import NO_HOOKS

HF, PEFT, OURS, COMPILED, BARE = "HF generate", "HF + PEFT", "ours", "ours, compiled", "ours, no soft prompt"
PRODUCTS = "products alone"
ONE, MIXED, RAGGED = "one tenant", "16 tenants", "16 tenants, lengths 1 to 16"


def says_tokens(answers: list[list[int]]) -> dict:
    return {"tokens": answers}


def ours(size: Size, tokens: Tensor, hooks: Hooks = NO_HOOKS) -> Competitor:
    prompts = tokens.tolist()
    return Competitor(lambda: generate(size.model, prompts, hooks, size.new), says_tokens)


def theirs(make: Callable[[], nn.Module], size: Size, tokens: Tensor) -> Peer:
    asked = dict(input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=size.new, do_sample=False)

    def ready() -> Competitor:
        peer = make().eval()
        return Competitor(lambda: peer.generate(**asked)[:, -size.new :].tolist(), says_tokens)

    return Peer(ready)


def prefill(size: Size) -> Iterator[Work]:
    """A text read into a cache, with the logits of what comes after it, or the next token."""
    model, width = size.model, min(512, size.model.config.context // 2)
    tokens = size.tokens(1, width)

    def says(logits: Tensor) -> dict:
        return {"logits": logits, "tokens": logits.argmax(-1)[:, None]}

    def them() -> Competitor:
        llama = peers.hf_llama(model).eval()
        read = torch.no_grad()(lambda: llama(input_ids=tokens, use_cache=True, logits_to_keep=1).logits[:, -1])
        return Competitor(read, says)

    @torch.no_grad()
    def us() -> Tensor:
        return model.logits(model.hidden(tokens, cache=Cache())[:, -1])

    with tempfile.TemporaryDirectory() as folder:
        others = decoders.everyone(size, Path(folder), tokens[0].tolist(), 1)
        yield Work(
            f"prefill of {width} tokens",
            size.name,
            {HF: Peer(them), **others, OURS: Competitor(us, says)},
            alike=((OURS, HF, *decoders.exact(others)),),
            targets=(Target(OURS, HF, {"SmolLM2": 0.62}),),
        )


def decoding(size: Size) -> Iterator[Work]:
    for rows in size.batches:
        tokens = size.tokens(rows, size.read)
        goal = {"S": 0.25, "M": 0.42, "SmolLM2": 0.68} if rows == 1 else {"S": 0.45, "M": 0.58}
        with tempfile.TemporaryDirectory() as folder:
            others = decoders.everyone(size, Path(folder), tokens[0].tolist(), size.new) if rows == 1 else {}
            yield Work(
                f"greedy decoding, batch {rows}",
                size.name,
                {
                    HF: theirs(lambda: peers.hf_llama(size.model), size, tokens),
                    **others,
                    OURS: ours(size, tokens),
                    PRODUCTS: Competitor(peers.products(size.model, rows, size.new)),
                },
                alike=((OURS, HF, *decoders.exact(others)),),
                targets=(Target(OURS, HF, goal),),
            )


def soft_decoding(size: Size) -> Iterator[Work]:
    config = size.model.config
    prompt, prefix = PromptTuning(size.virtual, config), KeyValuePrefix(size.virtual, config)
    for rows in size.batches:
        tokens = size.tokens(rows, size.read)
        goal = {"S": 0.25, "M": 0.42} if rows == 1 else {"S": 0.45, "M": 0.58}
        against_peft, against_none = Target(OURS, PEFT, goal), Target(COMPILED, BARE, {"S": 1.05, "M": 1.05})
        yield Work(
            f"greedy with a prompt, batch {rows}",
            size.name,
            {
                PEFT: theirs(lambda: peers.hf_peft(size.model, prompt), size, tokens),
                OURS: ours(size, tokens, prompt),
                COMPILED: ours(size, tokens, compile_prefix(size.model, prompt)),
                BARE: ours(size, tokens),
            },
            alike=((OURS, COMPILED, PEFT),),
            targets=(against_peft, against_none),
        )
        both = {PEFT: theirs(lambda: peers.hf_peft(size.model, prefix), size, tokens), OURS: ours(size, tokens, prefix)}
        yield Work(
            f"greedy with a prefix, batch {rows}", size.name, both, alike=((OURS, PEFT),), targets=(against_peft,)
        )


def tenants(size: Size) -> Iterator[Work]:
    """Sixteen rows of one tenant, of sixteen, and of sixteen with soft prompts of all lengths."""
    model, prompts = size.model, size.tokens(16, size.read).tolist()
    bank = PromptBank(model)
    for row in range(16):
        bank.add(f"{row}", KeyValuePrefix(size.virtual, model.config, seed=row))
        bank.add(f"ragged {row}", KeyValuePrefix(1 + row, model.config, seed=row))
    mixes = {
        ONE: ["0"] * 16,
        MIXED: [f"{row}" for row in range(16)],
        RAGGED: [f"ragged {row}" for row in range(16)],
    }

    def together(names: list[str]) -> Competitor:
        return Competitor(lambda: bank.generate(names, prompts, max_new_tokens=size.new), says_tokens)

    def alone(names: list[str]) -> Competitor:
        rows = list(zip(names, prompts, strict=True))
        return Competitor(
            lambda: [generate(model, [row], bank.prefix(name), size.new)[0] for name, row in rows], says_tokens
        )

    yield Work(
        "tenants in a batch of 16",
        size.name,
        {name: together(names) for name, names in mixes.items()},
        alike=tuple((name, f"{name}, one by one") for name in mixes),
        witnesses={f"{name}, one by one": alone(names) for name, names in mixes.items()},
        targets=(Target(MIXED, ONE, {"S": 1.10, "M": 1.10}),),
    )


def crowds(size: Size) -> Iterator[Work]:
    """One large batch shared by more and more tenants."""
    rows, bank = 8 * size.rows, PromptBank(size.model)
    prompts, counts = size.tokens(rows, size.read).tolist(), [n for n in (1, 4, 16, 64, 256) if n <= rows]
    for tenant in range(counts[-1]):
        bank.add(str(tenant), KeyValuePrefix(size.virtual, size.model.config, seed=tenant))

    def share(count: int) -> Competitor:
        names = [str(row % count) for row in range(rows)]
        return Competitor(lambda: bank.generate(names, prompts, max_new_tokens=8), says_tokens)

    yield Work(f"{rows} rows, 8 tokens, against tenants", size.name, {str(count): share(count) for count in counts})
