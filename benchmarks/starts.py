"""What a soft prompt gains where it starts as the skill asked for in words, and not at random.

    python benchmarks/starts.py

On skills that the base was never taught. The words, repeated or cut to the length, are read by the base once; from
there on each is trained as `compare` trains it. Writes starts.json, one line for a skill, a method and a start.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from minitransformer import Config, Hooks, Phrasebook, Tokenizer, Transformer, compare, pretrained
from minitransformer.comparison import METHODS, skill_task
from minitransformer.files.checkpoints import write_whole
from minitransformer.results import in_words, spread

HERE = Path(__file__).parent
SKILLS = ("next_to_last", "opposite", "twice")
STARTS = ("at random", "from words")


def starts(model: Transformer, tokenizer: Tokenizer, words: str) -> dict[str, Callable[..., Hooks]]:
    """Each method with each start, as `compare` wants them."""
    tokens = tokenizer.encode(words)

    def from_words(method: type, length: int, config: Config, seed: int) -> Hooks:
        return method.from_tokens(model, (tokens * length)[:length])

    begun = {f"{name}, from words": partial(from_words, method) for name, method in METHODS.items()}
    return {f"{name}, at random": method for name, method in METHODS.items()} | begun


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skills", nargs="+", default=SKILLS)
    parser.add_argument("--length", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "starts.json")
    options = parser.parse_args(arguments)
    (model, tokenizer), book, rows = pretrained(), Phrasebook(), []
    for skill in options.skills:
        methods = starts(model, tokenizer, book.wordings(skill)[0])
        settings = dict(lengths=[options.length], seeds=range(options.seeds), processes=options.processes)
        rows += compare(model, [skill_task(book, tokenizer, skill)], methods, steps=options.steps, **settings)
    points = spread(rows, ("skill", "method"))
    lines = [json.dumps({name: point[name] for name in ("skill", "method", "mean", "low", "high")}) for point in points]
    write_whole(options.out, ("[\n " + ",\n ".join(lines) + "\n]\n").encode())
    print(table(points))


def table(points: Sequence[dict]) -> str:
    """Mean over the seeds, lowest to highest: a row for a skill and a start, a column for a method."""
    cells = {(point["skill"], point["method"]): in_words(point).replace("\n", ", ") for point in points}
    lines = [f"| skill | start | {' | '.join(METHODS)} |", f"|---|---{'|---' * len(METHODS)}|"]
    for skill, start in product(dict.fromkeys(point["skill"] for point in points), STARTS):
        found = [cells[skill, f"{method}, {start}"] for method in METHODS]
        lines.append(f"| {skill} | {start} | {' | '.join(found)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
