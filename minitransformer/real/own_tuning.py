"""A soft prompt for one's own pairs, on a frozen model: trained, compared with what needs no training, and kept."""

import hashlib
import json
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from .. import expect
from ..base import pretrained
from ..comparison import METHODS
from ..files.byte_pairs import BytePairs
from ..files.checkpoints import fingerprint, load_model
from ..files.gguf import from_gguf
from ..files.llama import from_huggingface
from ..files.peft import export_peft
from ..files.prompts import save
from ..files.schema import Source
from ..files.spreadsheet import shown
from ..files.whole import write_whole
from ..generation import generate
from ..history import forget
from ..hooks import NO_HOOKS, Hooks
from ..losses import accuracy, loss_and_accuracy
from ..model import Transformer
from ..optional import smollm2
from ..soft_prompts import compile_prefix, plain_tensors
from ..tokenizer import IGNORED, Tokenizer, batch
from ..training import train
from .own_pairs import OwnPair, Parts, split
from .tasks import Draws, hard_prompt

SETTINGS, STATE, RESULTS, PROMPT = "settings.json", "unfinished.safetensors", "results.json", "prompt.safetensors"
AT_ONCE = 16  # rows that are measured together: the logits of more would fill the memory of a laptop
EXAMPLES, DRAWS = 8, 3  # in front of a text, to compare with, and how often they are drawn
SIDE_BY_SIDE = 5  # answers that are shown
ENOUGH = 100  # pairs held back: a share of them is then known to about a tenth


@dataclass(frozen=True)
class Frame:
    """What stands around a text and its answer where nothing is said of the task."""

    text: str
    answer: str
    instruction: str
    example: str  # how an example ends

    def pair(self, own: OwnPair) -> tuple[str, str]:
        return self.text.format(own.text), self.answer.format(own.answer)

    def in_front(self, instruction: str, examples: Iterable[OwnPair] = ()) -> str:
        """An instruction, if there is one, and examples, as they stand in front of a text."""
        asked = self.instruction.format(instruction) if instruction else ""
        return asked + "".join("".join(self.pair(own)) + self.example for own in examples)


LINES = Frame(" {} ->", " {}", "{}\n", "\n")  # for a real language model
PHRASES = Frame("{} →", "{}", "{}: ", " <end> ")  # for a base of this course


@dataclass(frozen=True)
class Settings:
    """All that decides, together with the pairs and the model, what a training gives."""

    method: str = "prompt"
    length: int = 10  # virtual tokens
    steps: int = 100
    rows: int = 8  # pairs in a batch
    seed: int = 0
    instruction: str = ""  # what the soft prompt starts as: these words, or else examples

    def __post_init__(self):
        expect.one_of(METHODS, method=self.method)
        expect.whole(1, length=self.length, steps=self.steps, rows=self.rows)
        expect.whole(*expect.SEEDS, seed=self.seed)
        expect.a(str, instruction=self.instruction)


def open_model(name: str, dtype: torch.dtype = torch.float32) -> tuple[Transformer, BytePairs | Tokenizer, str | None]:
    """A model with its tokenizer, and the name under which PEFT's users find it."""
    path = Path(name)
    if name == "smollm2":
        return *from_gguf(smollm2(), dtype), "HuggingFaceTB/SmolLM2-135M-Instruct"
    if name == "base":
        return *pretrained(), None
    if path.suffix == ".safetensors":
        return *load_model(path)[:2], None
    if path.suffix == ".gguf":
        model, tokenizer = from_gguf(path, dtype)
    elif path.is_dir():
        model, tokenizer = from_huggingface(path, dtype)
    else:
        raise ValueError(
            f"the models are smollm2, base, a folder with config.json and safetensors files, a .gguf file and a base's "
            f".safetensors file; got {name}"
        )
    if tokenizer is None:
        raise ValueError(f"{name} holds no tokenizer: texts cannot be read; fetch it again, with its tokenizer")
    return model, tokenizer, name


def tune(
    model: Transformer,
    tokenizer,
    pairs: Sequence[OwnPair],
    folder: str | Path,
    settings: Settings = Settings(),
    base_model: str | None = None,
    progress: bool = True,
) -> dict:
    """Train a soft prompt on these pairs and write it into the folder, for this project and for PEFT; the results.

    A training that was stopped goes on where it was when it is called again with the same pairs, model and settings.
    """
    expect.a(Transformer, model=model)
    expect.a(Settings, settings=settings)
    frame = PHRASES if isinstance(tokenizer, Tokenizer) else LINES
    parts, folder = split(pairs, settings.seed), Path(folder)
    check_readable(model, tokenizer, pairs, frame, settings)
    begin(folder, asdict(settings) | {"pairs": digest(pairs), "model": fingerprint(model)})
    hooks = first(model, tokenizer, parts, frame, settings)
    draws = Draws(tokenizer, examples(frame, parts.train), min(settings.rows, len(parts.train)), settings.seed)
    learned = partial(score, model, tokenizer, examples(frame, parts.validation), hooks)
    history = train(
        model, draws, hooks, steps=settings.steps, validate=learned, every=10, until=len(parts.validation),
        checkpoint=folder / STATE, progress=progress,
    )  # fmt: skip
    results = {
        "settings": asdict(settings),
        "pairs": {name: len(part) for name, part in parts._asdict().items()},
        "numbers": sum(tensor.numel() for tensor in plain_tensors(hooks).values()),
        "steps": len(history.loss),
        "validation": history.validation,
        "right": compared(model, tokenizer, parts, frame, settings, hooks),
        "answers": side_by_side(model, tokenizer, parts.test[:SIDE_BY_SIDE], frame, hooks),
    }
    save(hooks, folder / PROMPT, model, score=results["right"]["tuned"], history=history)
    export_peft(hooks, model, folder, base_model)
    write_whole(folder / RESULTS, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())
    forget(folder / STATE)
    return results


def begin(folder: Path, settings: dict) -> None:
    """A new folder, or one in which the same training was begun; what somebody else put there stays."""
    there = folder / SETTINGS
    source = Source(folder, "name another folder, or remove this one")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not there.is_file())):
        raise source.wrong("holds something else; expected a new folder, or one in which this was begun")
    if (folder / RESULTS).exists():
        raise source.wrong(f"holds a training that came to its end: {RESULTS}")
    if there.is_file():
        before = source.parsed(there.read_bytes(), f"no {SETTINGS}")
        if before != settings:
            differ = [name for name in settings if not isinstance(before, dict) or before.get(name) != settings[name]]
            raise source.wrong(f"holds a training that was begun otherwise: other {', '.join(differ) or 'names'}")
    write_whole(there, (json.dumps(settings, indent=1, ensure_ascii=False) + "\n").encode())


def digest(pairs: Sequence[OwnPair]) -> str:
    told = json.dumps(sorted(pair[:3] for pair in pairs))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def check_readable(model: Transformer, tokenizer, pairs: Sequence[OwnPair], frame: Frame, settings: Settings) -> None:
    """Refuse texts that the model cannot read, or that leave no room for the soft prompt, with their lines."""
    tokenizer.encode(frame.in_front(settings.instruction))
    room, faults = model.config.context - settings.length, []
    for pair in pairs:
        try:
            tokens = sum(len(tokenizer.encode(part)) for part in frame.pair(pair))
            if tokens > room:
                raise ValueError(f"{tokens} tokens, and beside {settings.length} virtual ones there is room for {room}")
        except ValueError as fault:
            faults.append(f"line {pair.line}: {fault}")
    if faults:
        raise ValueError(
            f"this model cannot read these pairs: {shown(faults)}; write them otherwise, or leave them out"
        )


def first(model: Transformer, tokenizer, parts: Parts, frame: Frame, settings: Settings) -> Hooks:
    """The soft prompt before training: the words of the instruction, or of examples, over and over up to its length.

    Random vectors in every layer of a large model would silence it, and training would first have to undo that. A small
    base learns faster from random ones than from examples.
    """
    method, length = METHODS[settings.method], settings.length
    if not settings.instruction and frame is PHRASES:
        return method(length, model.config, seed=settings.seed)
    said = frame.in_front(settings.instruction, () if settings.instruction else parts.train[:EXAMPLES])
    words = tokenizer.encode(said)
    return method.from_tokens(model, (words * length)[:length]).float()


def examples(frame: Frame, pairs: Sequence[OwnPair]) -> list[tuple[str, str]]:
    return [frame.pair(pair) for pair in pairs]


def right(model: Transformer, tokenizer, pairs, hooks: Hooks = NO_HOOKS, to_the_end: bool = True) -> int:
    """How many answers are exactly right; unless asked to the end, whatever the model says after them."""
    count = 0
    for tokens, targets in batches(tokenizer, pairs):
        if not to_the_end:
            targets = targets.masked_fill(targets == tokenizer.end, IGNORED)
        count += round(len(tokens) * accuracy(model, (tokens, targets), hooks))
    return count


def batches(tokenizer, pairs) -> Iterator:
    """All of them, those of a length together."""
    pairs = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
    for start in range(0, len(pairs), AT_ONCE):
        yield batch(tokenizer, pairs[start : start + AT_ONCE])


def score(model: Transformer, tokenizer, pairs, hooks: Hooks) -> float:
    """How many are right; behind the point how likely a wanted token is, which decides between equally many."""
    once = compile_prefix(model, hooks)  # what stands in front is read once, not in every row
    rows = [(len(part[0]), *loss_and_accuracy(model, part, once)) for part in batches(tokenizer, pairs)]
    mean = sum(count * value for count, value, _ in rows) / len(pairs)
    return sum(round(count * share) for count, _, share in rows) + 0.99 * math.exp(-mean)


def compared(
    model: Transformer, tokenizer, parts: Parts, frame: Frame, settings: Settings, hooks: Hooks
) -> dict[str, float]:
    """The share of the test that is right: with nothing in front, with words, with examples drawn thrice, and tuned.

    For what is not tuned, an answer counts whatever comes after it; the tuned one must also end there.
    """
    test, asked = examples(frame, parts.test), settings.instruction
    fronts = {"no prompt": [""]}
    if asked:
        fronts["instruction"] = [frame.in_front(asked)]
    room = model.config.context - max(sum(len(tokenizer.encode(part)) for part in pair) for pair in test)
    draw = random.Random(settings.seed)
    draws = [draw.sample(parts.train, min(EXAMPLES, len(parts.train))) for _ in range(DRAWS)]
    for count in range(len(draws[0]), 0, -1):
        shots = [frame.in_front(asked, drawn[:count]) for drawn in draws]
        if max(len(tokenizer.encode(front)) for front in shots) <= room:
            fronts[f"{count} example{'s' * (count > 1)}"] = shots
            break
    shares = {}
    for name, words in fronts.items():
        led = [hard_prompt(model, tokenizer, front) if front else NO_HOOKS for front in words]
        count = sum(right(model, tokenizer, test, each, to_the_end=False) for each in led)
        shares[name] = count / len(led) / len(test)
    return shares | {"tuned": right(model, tokenizer, test, compile_prefix(model, hooks)) / len(test)}


def side_by_side(model: Transformer, tokenizer, pairs: Sequence[OwnPair], frame: Frame, hooks: Hooks) -> list[dict]:
    """What the model says with the soft prompt and without, beside what was wanted."""
    asked = [tokenizer.encode(frame.pair(pair)[0]) for pair in pairs]
    longest = max(len(tokenizer.encode(frame.pair(pair)[1])) for pair in pairs) + 4
    said = {}
    for name, each in ("no prompt", NO_HOOKS), ("tuned", hooks):
        said[name] = [tokenizer.decode(ids).strip() for ids in generate(model, asked, each, max_new_tokens=longest)]
    return [
        {"text": pair.text, "wanted": pair.answer} | {name: answers[row] for name, answers in said.items()}
        for row, pair in enumerate(pairs)
    ]
