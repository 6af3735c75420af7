"""Reading and answering: prefill, greedy decoding with and without soft prompts, and many tenants in one batch."""

from collections.abc import Iterator

import peers
import torch
from torch import Tensor, nn
from work import Competitor, Size, Target, Work

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


def theirs(peer: nn.Module, size: Size, tokens: Tensor) -> Competitor:
    asked = dict(input_ids=tokens, attention_mask=torch.ones_like(tokens))

    def run() -> list[list[int]]:
        return peer.generate(**asked, max_new_tokens=size.new, do_sample=False)[:, -size.new :].tolist()

    return Competitor(run, says_tokens)


def prefill(size: Size) -> Iterator[Work]:
    """A text read into a cache, with the logits of what comes after it."""
    model, width = size.model, min(512, size.model.config.context // 2)
    tokens, llama = size.tokens(1, width), peers.hf_llama(size.model).eval()

    @torch.no_grad()
    def them() -> Tensor:
        return llama(input_ids=tokens, use_cache=True, logits_to_keep=1).logits[:, -1]

    @torch.no_grad()
    def us() -> Tensor:
        return model.logits(model.hidden(tokens, cache=Cache())[:, -1])

    both = {"HF Llama": them, OURS: us}
    yield Work(
        f"prefill of {width} tokens",
        size.name,
        {name: Competitor(run, lambda logits: {"logits": logits}) for name, run in both.items()},
        alike=(tuple(both),),
        targets=(Target(OURS, "HF Llama", {"SmolLM2": 1.0}),),
    )


def decoding(size: Size) -> Iterator[Work]:
    llama = peers.hf_llama(size.model).eval()
    for rows in size.batches:
        tokens = size.tokens(rows, size.read)
        goal = {"S": 0.35, "M": 0.35} if rows == 1 else {"S": 0.5, "M": 0.5}
        yield Work(
            f"greedy decoding, batch {rows}",
            size.name,
            {
                HF: theirs(llama, size, tokens),
                OURS: ours(size, tokens),
                PRODUCTS: Competitor(peers.products(size.model, rows, size.new)),
            },
            alike=((HF, OURS),),
            targets=(
                Target(OURS, HF, goal | {"SmolLM2": 1.0}),
                *([Target(OURS, PRODUCTS, {"M": 1.4})] if rows == 1 else []),
            ),
        )


def soft_decoding(size: Size) -> Iterator[Work]:
    config = size.model.config
    prompt, prefix = PromptTuning(size.virtual, config), KeyValuePrefix(size.virtual, config)
    for rows in size.batches:
        tokens = size.tokens(rows, size.read)
        goal = {"S": 0.35, "M": 0.35} if rows == 1 else {"S": 0.5, "M": 0.5}
        against_peft, against_none = Target(OURS, PEFT, goal), Target(COMPILED, BARE, {"S": 1.05, "M": 1.05})
        yield Work(
            f"greedy with a prompt, batch {rows}",
            size.name,
            {
                PEFT: theirs(peers.hf_peft(size.model, prompt).eval(), size, tokens),
                OURS: ours(size, tokens, prompt),
                COMPILED: ours(size, tokens, compile_prefix(size.model, prompt)),
                BARE: ours(size, tokens),
            },
            alike=((PEFT, OURS, COMPILED),),
            targets=(against_peft, against_none),
        )
        peft = theirs(peers.hf_peft(size.model, prefix).eval(), size, tokens)
        both = {PEFT: peft, OURS: ours(size, tokens, prefix)}
        yield Work(
            f"greedy with a prefix, batch {rows}", size.name, both, alike=((PEFT, OURS),), targets=(against_peft,)
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
