"""The base model that ships with the package, and its smaller and larger sisters: how they are made and loaded."""

import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from .distributed import team
from .files import schema
from .files.checkpoints import fingerprint, load_model, save_model
from .files.whole import write_whole
from .history import forget
from .losses import Batch, accuracy
from .model import Config, Transformer
from .phrasebook import Batches, Phrasebook
from .tokenizer import Tokenizer, batch
from .training import train

BASE = Path(__file__).parent / "data" / "phrasebook.safetensors"
SIZES = {  # 140 thousand parameters, 320 thousand, 670 thousand, 1.1 million (which ships), 3.0 million, 8.9 million
    "tiny": dict(context=128, rope_base=100.0, width=32, layers=2, heads=2, kv_heads=1, hidden=88),
    "mini": dict(context=128, rope_base=100.0, width=64, layers=3, heads=2, kv_heads=1, hidden=176),
    "small": dict(context=128, rope_base=100.0, width=96, layers=4, heads=3, kv_heads=1, hidden=264),
    "base": dict(context=128, rope_base=100.0, width=128, layers=4, heads=4, kv_heads=2, hidden=352),
    "large": dict(context=128, rope_base=100.0, width=192, layers=6, heads=6, kv_heads=3, hidden=528),
    "huge": dict(context=128, rope_base=100.0, width=320, layers=7, heads=10, kv_heads=5, hidden=880),
}
RECIPE = dict(
    steps=18_000, rows=48, pool=4, peak=2e-3, warmup=100, weight_decay=0.05, instructed=0.85,
    asked=dict(chinese=8, feeling=8, shout=2, backwards=2, repeat=2),  # times as often as the other skills
    unasked=dict(shout=3, backwards=3, repeat=3, count=3, first=3, last=3),  # one in three of their texts is a sentence
)  # fmt: skip
COLUMNS = {"with": "test", "unseen": "unseen", "words": "words"}  # what is asked for in words -> where it is drawn
CARD = schema.table(  # what `pretrain` notes, and `describe` prints
    {
        "recipe": schema.table(dict.fromkeys([*RECIPE, "seed"], schema.anything)),
        "size": schema.one_of(*SIZES),
        "parameters": schema.whole(1),
        "fingerprint": schema.FINGERPRINT,
        "minutes": schema.number(0),
        "threads": schema.whole(1),
        "processes": schema.whole(1),
        "torch": schema.TEXT,
        "date": schema.TEXT,
        "scores": schema.table({}, others=schema.table({}, others=schema.anything)),
        "held_out": schema.list_of(schema.TEXT),
    }
)
Questions = dict[str, dict[tuple[str, str], Batch]]  # skill -> (column, wording) -> texts and their answers


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
        model = untrained(Config(vocab=len(tokenizer), end=tokenizer.end, **shape), tokenizer).to(together.device)
    asked = questions(book, tokenizer)  # drawn before anything is trained: a world may be too small for them
    peak = RECIPE["peak"] * SIZES["base"]["width"] / shape["width"]  # the wider, the slower
    recipe = RECIPE | dict(steps=steps, seed=seed, peak=peak)
    drawn = {name: recipe[name] for name in ("rows", "seed", "instructed", "pool", "asked", "unasked")}
    batches = Batches(book, tokenizer, list(book.skills), **drawn)
    unfinished = path.with_suffix(".unfinished")
    settings = {name: recipe[name] for name in ("steps", "peak", "warmup", "weight_decay")}
    history = train(model, batches, **settings, every=250, checkpoint=unfinished, progress=progress)
    card = {
        "recipe": recipe,
        "size": size,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "fingerprint": fingerprint(model),
        "minutes": round(history.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "processes": together.size,
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "scores": scores(model, asked),
        "held_out": list(book.held_out),
    }
    if together.rank == 0:
        save_model(path, model, tokenizer, card)
        write_whole(path.with_suffix(".md"), describe(card).encode())
        forget(unfinished)
    return card


@torch.no_grad()
def untrained(config: Config, tokenizer: Tokenizer) -> Transformer:
    """The first weights, chosen so that a small model learns in minutes what it would learn in hours.

    They are as large as a narrow model needs them, the spellings of one word (cat, Cat, CAT) start out alike, and the
    first heads of the first layer already look at the words just before, which copying has to be built on.
    """
    model = Transformer(config)
    for weight in model.blocks.parameters():
        if weight.dim() == 2:
            weight *= config.width**-0.5 / 0.02
    words = {word: number for number, word in enumerate(dict.fromkeys(map(str.lower, tokenizer.vocabulary)))}
    word = torch.tensor([words[token.lower()] for token in tokenizer.vocabulary])
    spelling = torch.tensor([token.isupper() + token[0].isupper() for token in tokenizer.vocabulary])
    common, own = torch.randn(config.width), model.embedding.weight / 0.02
    of_word, of_spelling = torch.randn(len(words), config.width)[word], torch.randn(3, config.width)[spelling]
    model.embedding.weight.copy_(0.06 * (common + of_word + of_spelling + 0.25 * own))
    look_back(model, common)
    return model


def look_back(model: Transformer, common: Tensor) -> None:
    """Let the query heads of the first layer's first key head look one word back, two words back, and so on.

    What all embeddings have in `common` gives the same key everywhere and the same query everywhere, so that only the
    rotation tells the places apart: each query is turned back so far that it meets the key so many words before.
    """
    config, attention = model.config, model.blocks[0].attention
    speed = config.rope_base ** (-torch.arange(0, config.head, 2) / config.head)  # of each pair's rotation
    reads = common / common.norm() / 6.5  # about 1 for every token, once normed
    for number in range(config.heads // config.kv_heads):
        angle = -speed * (number + 1)
        turned = torch.cat((angle.cos(), angle.sin()))
        attention.query.weight[number * config.head : (number + 1) * config.head] = 3.7 * turned[:, None] * reads
    straight = torch.cat((torch.ones_like(speed), torch.zeros_like(speed)))
    attention.key.weight[: config.head] = 3.7 * straight[:, None] * reads


def questions(book: Phrasebook, tokenizer: Tokenizer, count: int = 200) -> Questions:
    """What the model is measured on: each skill, in each wording, on each part where it has an answer."""
    asked: Questions = {}
    for skill in [*book.skills, *book.held_out]:
        asked[skill] = {("without", ""): batch(tokenizer, book.examples(skill, "test", count))}
        for column, part in COLUMNS.items():
            if part == "words" and skill in book.meaning:
                continue  # words at random mean nothing
            for wording in book.wordings(skill):
                texts = book.examples(skill, part, count, instructed=wording)
                asked[skill][column, wording] = batch(tokenizer, texts)
    return asked


def scores(model: Transformer, asked: Questions) -> dict:
    """Exact match of each skill: in each column the mean over its wordings, and each wording by itself."""
    found = {}
    for skill, texts in asked.items():
        exact = {key: accuracy(model, examples) for key, examples in texts.items()}
        columns = dict.fromkeys(column for column, _ in exact)
        found[skill] = {name: mean(score for (column, _), score in exact.items() if column == name) for name in columns}
        worded: dict[str, dict[str, float]] = {}
        for (column, wording), score in exact.items():
            if wording:
                worded.setdefault(wording, {})[column] = round(score, 3)
        found[skill]["wordings"] = worded
    return found


def mean(values: Iterable[float]) -> float:
    values = [*values]
    return round(sum(values) / len(values), 3)


def measured_again(path: str | Path = BASE, book: Phrasebook | None = None) -> str:
    """The card of a model in a file, with its scores measured anew."""
    (model, tokenizer, card), book = load_model(path), book or Phrasebook()
    try:
        CARD(card, "card")
    except ValueError as error:
        expected = "expected a base model that `minitransformer pretrain` wrote"
        raise ValueError(f"{path} has no card to print: {expected} ({error})") from None
    if tokenizer.vocabulary != book.tokenizer().vocabulary:
        raise ValueError(f"{path} was trained on other words than this world has: name its own world, --world FILE")
    return describe(card | {"scores": scores(model, questions(book, tokenizer))})


def describe(card: dict) -> str:
    """The model card, in Markdown."""
    recipe, size = card["recipe"], card["size"]
    shape = ", ".join(f"{name} {value}" for name, value in SIZES[size].items())
    columns = [*COLUMNS, "without"]
    alone, several = "python -m", f"torchrun --nproc-per-node {card['processes']} -m"
    command = f"{alone if card['processes'] == 1 else several} minitransformer pretrain"
    rows, worded = [], []
    for skill, score in card["scores"].items():
        held_out = " (held out)" if skill in card["held_out"] else ""
        rows.append(row(f"{skill}{held_out}", score, columns))
        worded += [row(f"{skill}: {wording}", some, COLUMNS) for wording, some in score["wordings"].items()]
    return "\n".join(
        [
            "# The phrasebook base model",
            "",
            f"A decoder-only Transformer of {card['parameters']:,} parameters "
            f"({shape}), fingerprint `{card['fingerprint']}`.",
            "",
            "- **Data**: sentences of the phrasebook's training split as people may write them (with a final mark or "
            "without, in small letters, in capitals) and, for the six skills that need no meaning, pieces of them, "
            "their words shuffled, and known words at random. Eight skills, "
            f"asked for in words in {recipe['instructed']:.0%} of the examples and not at all in the others, "
            "so that without an instruction the model is torn between them. The loss counts the answers only.",
            f"- **Recipe**: seed {recipe['seed']}, {recipe['steps']} steps of {recipe['rows']} examples, AdamW, "
            f"peak learning rate {recipe['peak']}, {recipe['warmup']} steps of warm-up, cosine decay, "
            f"weight decay {recipe['weight_decay']}, gradients clipped at norm 1.",
            f"- **Command**: `{command} --seed {recipe['seed']} --steps {recipe['steps']}"
            f"{'' if size == 'base' else f' --size {size}'}`, {card['minutes']} minutes in {card['processes']} "
            f"process(es) of {card['threads']} thread(s), torch {card['torch']}, {card['date']}.",
            "- **Use**: teaching. It knows this closed world and nothing else.",
            "",
            "Exact match on 200 texts per skill and wording, none of them seen in training, as "
            "`python -m minitransformer card` measures it again. *Sentences* are of the test split; *new pairings* are "
            "sentences with two words that no training sentence has together; *words* are one to eight known words at "
            "random, which have no Chinese and no feeling.",
            "",
            "| skill | sentences | new pairings | words | sentences, not asked for |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "The same for each wording:",
            "",
            "| skill and wording | sentences | new pairings | words |",
            "|---|---|---|---|",
            *worded,
            "",
        ]
    )


def row(name: str, score: dict[str, float], columns: Iterable[str]) -> str:
    cells = [f"{score[column]:.3f}" if column in score else "" for column in columns]
    return f"| {name} | {' | '.join(cells)} |"
