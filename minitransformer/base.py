"""The base model that ships with the package, and its smaller and larger sisters: how they are made and loaded."""

import time
from pathlib import Path

import torch

from .distributed import team
from .files.checkpoints import fingerprint, load_model, save_model, write_whole
from .losses import Batch, accuracy
from .model import Config, Transformer
from .phrasebook import Batches, Phrasebook
from .tokenizer import Tokenizer, batch
from .training import train

BASE = Path(__file__).parent / "data" / "phrasebook.safetensors"
SIZES = {  # 50 thousand parameters, 190 thousand, 470 thousand, 840 thousand (which ships), 2.6 million, 8.3 million
    "tiny": dict(context=128, width=32, layers=2, heads=2, kv_heads=1, hidden=88),
    "mini": dict(context=128, width=64, layers=3, heads=2, kv_heads=1, hidden=176),
    "small": dict(context=128, width=96, layers=4, heads=3, kv_heads=1, hidden=264),
    "base": dict(context=128, width=128, layers=4, heads=4, kv_heads=2, hidden=352),
    "large": dict(context=128, width=192, layers=6, heads=6, kv_heads=3, hidden=528),
    "huge": dict(context=128, width=320, layers=7, heads=10, kv_heads=5, hidden=880),
}
RECIPE = dict(steps=2000, rows=64, peak=3e-3, warmup=100, weight_decay=0.1, instructed=0.7)


def pretrained() -> tuple[Transformer, Tokenizer]:
    """The shipped base model and its tokenizer."""
    model, tokenizer, _ = load_model(BASE)
    return model, tokenizer


def pretrain(
    path: str | Path,
    book: Phrasebook | None = None,
    seed: int = 0,
    steps: int = RECIPE["steps"],
    size: str = "base",
    progress: bool = True,
) -> dict:
    """Train a base model on the phrasebook, write it and its card beside it, and return the card.

    Interrupted, it goes on where it was from the unfinished state beside `path`, which it removes at the end.
    """
    path, book, shape, together = Path(path), book or Phrasebook(), SIZES[size], team()
    tokenizer = book.tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(Config(vocab=len(tokenizer), end=tokenizer.end, **shape)).to(together.device)
    tests = {
        skill: [batch(tokenizer, book.examples(skill, "test", instructed=asked)) for asked in (True, False)]
        for skill in [*book.skills, *book.held_out]
    }  # drawn before anything is trained: a world may be too small for them
    peak = RECIPE["peak"] * SIZES["base"]["width"] / shape["width"]  # the wider, the slower
    recipe = RECIPE | dict(steps=steps, seed=seed, peak=peak)
    batches = Batches(book, tokenizer, list(book.skills), recipe["rows"], seed, recipe["instructed"])
    unfinished = path.with_suffix(".unfinished")
    settings = {name: recipe[name] for name in ("steps", "peak", "warmup", "weight_decay")}
    history = train(model, batches, **settings, every=250, checkpoint=unfinished, progress=progress)
    card = {
        "recipe": recipe,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "fingerprint": fingerprint(model),
        "minutes": round(history.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "scores": {skill: scores(model, *test) | {"held_out": skill in book.held_out} for skill, test in tests.items()},
    }
    if together.rank == 0:
        save_model(path, model, tokenizer, card)
        write_whole(path.with_suffix(".md"), describe(card, size).encode())
        unfinished.unlink()
    return card


def scores(model: Transformer, asked: Batch, unasked: Batch) -> dict:
    """Exact match on test sentences, with the instruction in words and without."""
    return {"with": round(accuracy(model, asked), 3), "without": round(accuracy(model, unasked), 3)}


def describe(card: dict, size: str = "base") -> str:
    """The model card, in Markdown."""
    recipe = card["recipe"]
    shape = ", ".join(f"{name} {value}" for name, value in SIZES[size].items())
    rows = [
        f"| {skill}{' (held out)' if score['held_out'] else ''} | {score['with']:.3f} | {score['without']:.3f} |"
        for skill, score in card["scores"].items()
    ]
    return "\n".join(
        [
            "# The phrasebook base model",
            "",
            f"A decoder-only Transformer of {card['parameters']:,} parameters "
            f"({shape}), fingerprint `{card['fingerprint']}`.",
            "",
            "- **Data**: sentences of the phrasebook's training split; eight skills, "
            f"asked for in words in {recipe['instructed']:.0%} of the examples and not at all in the others, "
            "so that without an instruction the model is torn between them. The loss counts the answers only.",
            f"- **Recipe**: seed {recipe['seed']}, {recipe['steps']} steps of {recipe['rows']} examples, AdamW, "
            f"peak learning rate {recipe['peak']}, {recipe['warmup']} steps of warm-up, cosine decay, "
            f"weight decay {recipe['weight_decay']}, gradients clipped at norm 1.",
            f"- **Command**: `python -m minitransformer pretrain --seed {recipe['seed']} --steps {recipe['steps']}"
            f"{'' if size == 'base' else f' --size {size}'}`, "
            f"{card['minutes']} minutes on {card['threads']} thread(s), torch {card['torch']}, {card['date']}.",
            "- **Use**: teaching. It knows this closed world and nothing else.",
            "",
            "Exact match on 200 test sentences per skill, none of them seen in training:",
            "",
            "| skill | asked for in words | not asked for |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
