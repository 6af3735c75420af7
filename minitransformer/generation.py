"""Text from a model, token by token, through the cache."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from . import expect
from .hooks import NO_HOOKS, SITES, Hooks
from .model import Cache, Transformer
from .shortcuts import OneToken, lead_there

FEW = 0.8  # the others leave the batch when fewer than this share of its rows goes on: it takes a copy of the cache


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    hooks: Hooks = NO_HOOKS,
    max_new_tokens: int = 32,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    on_token: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """What follows each prompt, up to the model's end token or `max_new_tokens`; greedy at temperature 0.

    Prompts may differ in length and no padding is ever seen: all rows are read together as far as the shortest prompt
    goes; from there on, a row whose prompt is longer is fed its own next token while the others are fed what they said.
    Greedy rows that have ended leave the batch, unless somebody watches it.
    `on_token(row, token)` is called for each new token as it comes.
    """
    expect.a(Transformer, model=model)
    expect.a(Hooks, hooks=hooks)
    expect.several(prompts=prompts)
    rows = [expect.ids(model.config.vocab, "prompt", prompt) for prompt in prompts]
    if not all(rows):
        raise ValueError("each prompt must hold at least one token; got an empty one: begin with a word")
    check_choice(temperature, top_k, top_p, seed)
    expect.whole(0, max_new_tokens=max_new_tokens)
    expect.function(**expect.given(on_token=on_token))
    sampler = torch.Generator(model.embedding.weight.device).manual_seed(seed)
    unwatched = not any(map(hooks.watches, SITES))
    reading = torch.inference_mode() if unwatched else torch.no_grad()  # watchers may keep what they see, and train
    answers: list[list[int]] = [[] for _ in rows]
    if max_new_tokens == 0:
        return answers
    going = set(range(len(rows)))
    here, read = sorted(going), min(map(len, rows))  # the rows in the batch, and how far all prompts are read
    room = min(max(map(len, rows)) - read + max_new_tokens, model.config.context)
    cache, tokens = Cache(room), torch.tensor([row[:read] for row in rows], device=sampler.device)
    logits = model.logits(model.hidden(tokens, hooks, cache)[:, -1])  # (B, V)
    next_logits = OneToken(model).read if lead_there(model, hooks) else partial(read_on, model)
    while going:
        finite = logits.amax().isfinite()  # the largest of some numbers is NaN if one of them is
        chosen = choose(logits, temperature, top_k, top_p, sampler)
        finite, *chosen = torch.cat((finite[None], chosen)).tolist()  # here alone the device is waited for
        if not finite:
            raise ValueError("the logits must be finite to choose a token; got NaN or infinite ones: train it again")
        for place, (row, token) in enumerate(zip(here, chosen, strict=True)):
            if read < len(rows[row]):
                chosen[place] = rows[row][read]  # still reading its prompt
            elif row in going:
                if token != model.config.end:
                    answers[row].append(token)
                    if on_token is not None:
                        on_token(row, token)
                if token == model.config.end or len(answers[row]) == max_new_tokens:
                    going.remove(row)
        if unwatched and temperature == 0 and len(going) < FEW * len(here):
            places = [place for place, row in enumerate(here) if row in going]
            here, chosen = [here[place] for place in places], [chosen[place] for place in places]
            cache.keep(places)
            hooks = Remaining(hooks, places)
        if going:
            with reading:
                logits = next_logits(torch.tensor(chosen, device=sampler.device), hooks, cache)
            read += 1
    return answers


def read_on(model: Transformer, tokens: Tensor, hooks: Hooks, cache: Cache) -> Tensor:  # (B) -> (B, V)
    """One token more for each row, as the model reads everything."""
    return model.logits(model.read(tokens[:, None], hooks, cache).squeeze(1))


class Remaining(Hooks):
    """Hooks for some rows of a batch that has begun: nothing but their bias is asked for any more."""

    def __init__(self, hooks: Hooks, rows: Sequence[int]):
        super().__init__()
        self.hooks, self.rows = hooks, rows

    def bias(self, layer):
        bias = self.hooks.bias(layer)
        return bias if bias is None or len(bias) == 1 else bias[self.rows]


def choose(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, sampler: torch.Generator
) -> Tensor:  # (B, V) -> (B)
    """The likeliest token, or one drawn from the softmax at this temperature, cut to the top k and to the top p."""
    if temperature == 0:
        return logits.argmax(-1)
    logits, order = logits.sort(-1, descending=True)
    logits = (logits - logits[:, :1]) / max(temperature, torch.finfo(logits.dtype).tiny)  # the likeliest stays at 0
    if top_k is not None:
        logits[:, top_k:] = -torch.inf
    if top_p is not None:
        shares = logits.softmax(-1)
        before = shares.cumsum(-1) - shares  # what the likelier tokens already hold
        logits[:, 1:][before[:, 1:] >= top_p] = -torch.inf
    return order.gather(-1, torch.multinomial(logits.softmax(-1), 1, generator=sampler)).squeeze(1)


def check_choice(temperature: float, top_k: int | None, top_p: float | None, seed: int) -> None:
    expect.number(0, temperature=temperature)
    expect.whole(1, **expect.given(top_k=top_k))
    expect.positive(**expect.given(top_p=top_p))
    expect.number(0, 1, **expect.given(top_p=top_p))
    expect.whole(*expect.SEEDS, seed=seed)
