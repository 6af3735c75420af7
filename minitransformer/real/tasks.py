"""Tasks for a real model, in the form that `compare` wants, and what has to be beaten without any training."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..comparison import METHODS, Task, row, soft_prompt
from ..files.byte_pairs import BytePairs
from ..files.gguf import from_gguf
from ..freezing import freeze
from ..hooks import NO_HOOKS, Hooks
from ..losses import Batch, accuracy, shared_loss
from ..model import Transformer
from ..optional import smollm2
from ..phrasebook import Phrasebook
from ..results import Row
from ..soft_prompts import PromptTuning, compile_prefix
from ..tokenizer import IGNORED, batch
from .data import LABELS, Pair, antonyms, snippets

RECORDED = Path(__file__).parents[1] / "data" / "smollm2.json"
LEARNED = 50  # texts that are tuned on, of which `until` asks how many are right
FRAME = " {} ->"  # what stands around a text where nothing is said about the task


@dataclass(frozen=True)
class Wording:
    """A way of asking: what is said around a text, and how the answer looks there, which may begin without a space."""

    asked: str
    answered: str = "{}"

    def example(self, pair: Pair) -> Pair:
        return self.asked.format(pair[0]), self.answered.format(pair[1], pair[1].strip())


@dataclass(frozen=True)
class Texts:
    """A task in words, and how it is measured."""

    name: str
    train: Sequence[Pair]
    test: Sequence[Pair]
    wordings: Sequence[Wording]  # the task asked for, in several ways; the first also stands in front of examples
    untuned: Callable[..., list[Row]]  # (model, tokenizer, texts)
    tuned: Callable[..., list[Row]]  # (model, tokenizer, texts, length, seeds, steps, until)
    steps: int  # that it takes to learn it
    rows: int


@dataclass(frozen=True)
class Draws:
    """An endless, seeded stream of (tokens, targets), drawn from a list; iterating again starts it again."""

    tokenizer: BytePairs
    pairs: Sequence[Pair]
    rows: int
    seed: int = 0

    def __iter__(self) -> Iterator[Batch]:
        rng = random.Random(self.seed)
        while True:
            yield batch(self.tokenizer, rng.sample(self.pairs, self.rows))


def task(texts: Texts, tokenizer: BytePairs) -> Task:
    """The task as `compare` wants it, in the plain frame; an answer ends with its line."""
    line = BytePairs(tokenizer.pairs, tokenizer.encode("\n")[0])
    train, test, asked = (
        [wording.example(pair) for pair in pairs]
        for pairs, wording in (
            (texts.train, Wording(FRAME)),
            (texts.test, Wording(FRAME)),
            (texts.test, texts.wordings[0]),
        )
    )
    learned = batch(line, train[:LEARNED])
    return Task(
        texts.name, partial(Draws, line, train, texts.rows), batch(line, test), batch(line, asked), validation=learned
    )


def hard_prompt(model: Transformer, tokenizer: BytePairs, text: str) -> Hooks:
    """A hard prompt: this text in front of every row, read once."""
    return compile_prefix(model, PromptTuning.from_tokens(model, tokenizer.encode(text)))


def shots(texts: Texts, count: int, seed: int, front: str = "") -> str:
    """Examples of the task in the plain frame, one a line."""
    drawn = random.Random(seed).sample(list(texts.train), count)
    return front + "".join(f"{prompt}{answer}\n" for prompt, answer in map(Wording(FRAME).example, drawn))


def untuned(model: Transformer, tokenizer: BytePairs, texts: Texts, draws: int = 3) -> list[Row]:
    """What needs no training: no prompt, the task asked for in each of its wordings, and eight examples of it.

    They are read leniently: it counts if the answer comes first, whatever is said after it.
    """
    measured, plain, asked = task(texts, tokenizer), Wording(FRAME), texts.wordings[0].asked.removesuffix(FRAME)

    def scored(name: str, seed: int, wording: Wording, hooks: Hooks = NO_HOOKS) -> Row:
        tokens, targets = batch(tokenizer, [wording.example(pair) for pair in texts.test])
        begun = tokens, targets.masked_fill(targets == tokenizer.end, IGNORED)
        return row(name, measured, 0, accuracy(model, begun, hooks)) | {"seed": seed}

    rows = [scored("no prompt", 0, plain)]
    rows += [scored("instruction", number, wording) for number, wording in enumerate(texts.wordings)]
    for seed in range(draws):
        examples = hard_prompt(model, tokenizer, shots(texts, 8, seed, asked))
        rows.append(scored("eight examples", seed, plain, examples))
    return rows


def untuned_choices(model: Transformer, tokenizer: BytePairs, texts: Texts, draws: int = 3) -> list[Row]:
    """The same for a choice between two labels: the likelier one counts, whatever else might be likelier still.

    Calibrated, the threshold between them is such that the model says each of them of half of 100 training texts, whose
    labels it is not told.
    """
    measured, plain, asked = task(texts, tokenizer), Wording(FRAME), texts.wordings[0].asked.removesuffix(FRAME)
    first = torch.tensor([pair[1] == LABELS[0] for pair in texts.test])

    def scored(name: str, seed: int, leaning: Tensor, threshold: float = 0.0) -> Row:
        return row(name, measured, 0, ((leaning > threshold) == first).float().mean().item()) | {"seed": seed}

    rows = [scored("no prompt", 0, leanings(model, tokenizer, texts.test, plain))]
    for number, wording in enumerate(texts.wordings):
        rows.append(scored("instruction", number, leanings(model, tokenizer, texts.test, wording)))
    for seed in range(draws):
        examples = hard_prompt(model, tokenizer, shots(texts, 4, seed, asked))
        leaning = leanings(model, tokenizer, texts.test, plain, examples)
        middle = leanings(model, tokenizer, texts.train[:100], plain, examples).median().item()
        rows.append(scored("four examples", seed, leaning))
        rows.append(scored("calibrated", seed, leaning, middle))
    return rows


@torch.no_grad()
def leanings(
    model: Transformer, tokenizer: BytePairs, pairs: Sequence[Pair], wording: Wording, hooks: Hooks = NO_HOOKS
) -> Tensor:
    """How much likelier the first label is than the second, in logits, one for each text."""
    tokens, targets = batch(tokenizer, [wording.example(pair) for pair in pairs])
    here = (targets != IGNORED).int().argmax(1)  # where the answer begins
    labels = [tokenizer.encode(wording.example(("", label))[1])[0] for label in LABELS]
    logits = model.logits(model.hidden(tokens, hooks)[range(len(tokens)), here])[:, labels].float()
    return logits[:, 0] - logits[:, 1]


def first_words(model: Transformer, tokenizer: BytePairs, texts: Texts, length: int) -> dict[str, Hooks]:
    """Every kind of soft prompt as it starts: as the task asked for in words, over and over up to this length.

    Thirty layers of random vectors would silence the model, and training would first have to undo that.
    """
    asked = tokenizer.encode(texts.wordings[0].asked.removesuffix(FRAME))
    words = (asked * length)[:length]
    return {name: method.from_tokens(model, words).float() for name, method in METHODS.items()}


def trainings(
    model: Transformer,
    tokenizer: BytePairs,
    texts: Texts,
    length: int,
    seeds: Sequence[int],
    steps: int,
    until: float | None = None,
) -> Iterator[tuple[Row, Hooks]]:
    """Every kind of soft prompt tuned with every seed, as in `compare`; a seed decides which examples come when."""
    for method, seed in tqdm([*product(METHODS, seeds)], unit="run", dynamic_ncols=True):
        hooks = first_words(model, tokenizer, texts, length)[method]
        result = soft_prompt(model, task(texts, tokenizer), hooks, method, seed, steps, until)
        yield result | {"length": length}, hooks


def new_texts(model: Transformer, tokenizer: BytePairs, texts: Texts, *settings) -> list[Row]:
    """How soft prompts do on texts that they never saw."""
    return [result for result, _ in trainings(model, tokenizer, texts, *settings)]


def learned_and_new(model: Transformer, tokenizer: BytePairs, texts: Texts, *settings) -> list[Row]:
    """The same, and how each does on the very texts that it was tuned on."""
    rows, learned = [], task(replace(texts, name=f"{texts.name}, learned", test=texts.train), tokenizer)
    for result, hooks in trainings(model, tokenizer, texts, *settings):
        again = {"skill": learned.name, "accuracy": accuracy(model, learned.test, hooks)}
        rows += [result, result | again]
    return rows


def antonym_texts(count: int = 200) -> Texts:
    train, test = antonyms()
    chat = "<|im_start|>user\nWhat is the antonym of {0}?<|im_end|>\n<|im_start|>assistant\nThe antonym of {0} is"
    wordings = [Wording(f"Write the antonym of each word.\n{FRAME}"), Wording("The opposite of {} is"), Wording(chat)]
    return Texts("antonyms", train, test[:count], wordings, untuned, new_texts, steps=20, rows=16)


def sentiment_texts(path: str | Path, count: int = 200) -> Texts:
    train, test = snippets(path)
    halves = [[pair for pair in test if pair[1] == label][: count // 2] for label in LABELS]
    chat = "<|im_start|>user\nIs this review positive or negative? {}<|im_end|>\n<|im_start|>assistant\nThis review is"
    wordings = [Wording(f"Say of each review whether it is positive or negative.\n{FRAME}"), Wording(chat)]
    return Texts("sentiment", train, halves[0] + halves[1], wordings, untuned_choices, new_texts, steps=50, rows=8)


def chinese_texts() -> Texts:
    """The set phrases of the phrasebook: 16 to learn, the others to translate."""
    pairs = [(phrase.english, f" {phrase.chinese}") for phrase in Phrasebook().phrases]
    random.Random(0).shuffle(pairs)
    chat = "<|im_start|>user\nTranslate to Chinese: {}<|im_end|>\n<|im_start|>assistant\n"
    wordings = [Wording(f"Translate each sentence to Chinese.\n{FRAME}"), Wording(chat, "{1}")]
    return Texts("chinese", pairs[:16], pairs[16:], wordings, untuned, learned_and_new, steps=80, rows=8)


def recorded() -> list[Row]:
    """The results that lesson 7 and the README show, as the commands kept beside them gave them."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))["rows"]


def load_smollm2(dtype: torch.dtype | None = None) -> tuple[Transformer, BytePairs, dict[torch.dtype, float]]:
    """SmolLM2, frozen, in this type of numbers or in the one that is faster here, and how long a step took."""
    first, *others = (torch.float32, torch.bfloat16) if dtype is None else (dtype,)
    model, tokenizer = from_gguf(smollm2(), first)
    models = {first: model} | {kind: deepcopy(model).to(kind) for kind in others}
    seconds = {kind: step_seconds(freeze(each)) for kind, each in models.items()}
    return models[min(seconds, key=seconds.get)], tokenizer, seconds


def step_seconds(model: Transformer, rows: int = 16, width: int = 8) -> float:
    """How long a step of prompt tuning takes, once the first, slower one is done."""
    tokens = torch.arange(rows * width).reshape(rows, width)
    targets = tokens.roll(-1, 1)
    targets[:, :-3] = IGNORED
    prompt = PromptTuning(10, model.config)
    shared_loss(model, tokens, targets, prompt).backward()
    began = time.perf_counter()
    shared_loss(model, tokens, targets, prompt).backward()
    return time.perf_counter() - began
