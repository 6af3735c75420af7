"""What a lesson does, on the base that ships: a real batch, answers to 200 sentences, one skill learned until right."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice

import learning
import peers
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from work import Competitor, Peer, Target, Work

from minitransformer import Batches, Phrasebook, PromptTuning, accuracy, batch, freeze, generate, pretrained, train
from minitransformer.schedule import Schedule
from minitransformer.tokenizer import IGNORED

BASE, SKILL, VIRTUAL = "base", "chinese", 4
PEFT, SAME, OURS, HF = learning.PEFT, "HF + PEFT, our start", "ours", "HF generate"
RIGHT, EVERY, STEPS = 0.97, 10, 150  # the score to reach, how often it is asked for, and how long at most
SEEDS = (0, 1, 2)


@cache
def world() -> tuple:
    """The base that ships, its tokenizer, and the phrasebook."""
    model, tokenizer = pretrained()
    return freeze(model), tokenizer, Phrasebook()


def as_hugging_face(tokens: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """The same batch with a mask over its padding, and labels one place later: a token longer, or the last is lost."""
    last = (targets != IGNORED).long().cumsum(1).argmax(1, keepdim=True)  # where its answer ends, a row ends
    mask = torch.arange(tokens.shape[1] + 1) <= last
    labels = F.pad(targets, (1, 0), value=IGNORED)
    return {"input_ids": F.pad(tokens, (0, 1)), "attention_mask": mask.long(), "labels": labels}


def real_batch() -> Iterator[Work]:
    model, tokenizer, book = world()
    batch = next(iter(Batches(book, tokenizer, [SKILL])))
    rows, width = batch[0].shape
    name, hooks = f"prompt step, a real batch of {rows} × {width}", PromptTuning(VIRTUAL, model.config)
    yield learning.soft_step(name, BASE, model, batch, as_hugging_face(*batch), hooks, {BASE: 0.45})


def sentences(each: int = 25) -> Iterator[Work]:
    """Sentences held back from training, as many of each skill, asked for in words and answered to the end."""
    model, tokenizer, book = world()
    asked = [text for skill in book.skills for text, _ in book.examples(skill, "test", each, instructed=True)]
    prompts, end = [tokenizer.encode(text) for text in asked], tokenizer.end
    longest = max(map(len, prompts))
    padded = torch.tensor([[end] * (longest - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts])

    def them() -> Competitor:
        llama = peers.hf_llama(model, eos_token_id=end, pad_token_id=end).eval()
        given = dict(input_ids=padded, attention_mask=mask, max_new_tokens=32, do_sample=False)
        return Competitor(lambda: [until(row, end) for row in llama.generate(**given)[:, longest:].tolist()], says)

    def says(answers: list[list[int]]) -> dict:
        return {"tokens": [token for answer in answers for token in [*answer, end]]}

    us = Competitor(lambda: generate(model, prompts, max_new_tokens=32), says)
    both = {HF: Peer(them), OURS: us}
    yield Work(
        f"{len(prompts)} test sentences", BASE, both, alike=((OURS, HF),), targets=(Target(OURS, HF, {BASE: 0.35}),)
    )


def until(row: list[int], end: int) -> list[int]:
    return row[: row.index(end)] if end in row else row


def right() -> Iterator[Work]:
    """One skill, until it is right in 97 of 100 sentences held back: everyone looks after every ten steps.

    PEFT runs in the same loop as ours: the same batches, optimizer, schedule and score; once with the numbers that it
    begins with itself, once with ours. Who does not get there in as many steps as ours may take is left out.
    """
    model, tokenizer, book = world()
    held_back = batch(tokenizer, book.examples(SKILL, "validation", 100))
    for seed in SEEDS:
        batches = Batches(book, tokenizer, [SKILL], seed=seed)

        def us(seed: int = seed, batches: Batches = batches) -> Tensor:
            hooks = PromptTuning(VIRTUAL, model.config, seed=seed)
            score = partial(accuracy, model, held_back, hooks)
            settings = dict(steps=STEPS, validate=score, every=EVERY, until=RIGHT, progress=False)
            train(model, batches, hooks, **settings)
            return hooks.vectors.detach()

        def them(make: Callable, seed: int = seed, batches: Batches = batches) -> Competitor:
            start = PromptTuning(VIRTUAL, model.config, seed=seed)
            make(model, start)  # what is missing is found before anyone is timed

            def run() -> Tensor:
                torch.manual_seed(seed)
                return trained(make(model, start).train(), batches, held_back)

            return Competitor(run, says)

        def says(vectors: Tensor) -> dict:
            """The score by our own model, whoever learned these vectors."""
            hooks = PromptTuning(VIRTUAL, model.config)
            hooks.load_state_dict({name: vectors.clone() for name in hooks.state_dict()})
            return {"reached": accuracy(model, held_back, hooks) >= RIGHT}

        yield Work(
            f"{SKILL} until {RIGHT} are right, seed {seed}",
            BASE,
            {
                PEFT: Peer(lambda them=them: them(peers.hf_peft_as_it_starts)),
                SAME: Peer(lambda them=them: them(peers.hf_peft)),
                OURS: Competitor(us, says),
            },
            alike=((OURS, PEFT, SAME),),
            targets=(Target(OURS, None, {BASE: 0.30}),),
        )


def trained(peer: nn.Module, batches: Batches, held_back: tuple[Tensor, Tensor]) -> Tensor:
    """PEFT's vectors after the loop of `train`: as there, the score decides when it is enough."""
    parameters = [parameter for parameter in peer.parameters() if parameter.requires_grad]
    schedule = Schedule(STEPS, 3e-2, 10)
    optimizer = torch.optim.AdamW(parameters, lr=schedule.peak, weight_decay=0.0, fused=True)
    for step, (tokens, targets) in enumerate(islice(batches, STEPS)):
        optimizer.param_groups[0]["lr"] = schedule.rate(step)
        optimizer.zero_grad()
        peer(**as_hugging_face(tokens, targets)).loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if (step + 1) % EVERY == 0 and share_right(peer, *held_back) >= RIGHT:
            return parameters[0].detach()
    raise ValueError(f"not {RIGHT} right after {STEPS} steps, but {share_right(peer, *held_back)}")


@torch.no_grad()
def share_right(peer: nn.Module, tokens: Tensor, targets: Tensor) -> float:
    """`accuracy` for a model that gives logits for its virtual tokens, too."""
    mask = as_hugging_face(tokens, targets)["attention_mask"][:, :-1]
    logits = peer(input_ids=tokens, attention_mask=mask).logits[:, -tokens.shape[1] :]
    return ((logits.argmax(-1) == targets) | (targets == IGNORED)).all(1).float().mean().item()
