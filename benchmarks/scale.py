"""How the gap between prompt, prefix and full fine-tuning changes with the size of the base.

    python benchmarks/scale.py

Trains each base that is not in --folder yet, tunes it on skills that it was never taught, and writes the results to
scale.json, one line for a method, a skill and a size, and their picture. Interrupted, it goes on with the size where
it was.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from minitransformer import Phrasebook, compare, plots
from minitransformer.base import SIZES, pretrain
from minitransformer.comparison import full_fine_tuning, skill_task
from minitransformer.files.checkpoints import load_model, write_whole
from minitransformer.pictures import Picture
from minitransformer.results import Row, in_words, spread

HERE = Path(__file__).parent
SKILLS = ("next_to_last", "shout_last", "opposite")  # held out of pretraining, and not out of reach
METHODS = ("prompt", "prefix", "full")
BY_SEED = ("seed", "accuracy", "seconds")
KEPT = ("size", "base", "method", "skill", "seed", "parameters", "accuracy", "seconds")


def study(size: str, folder: Path, seeds: int, steps: int, processes: int) -> tuple[dict, list[Row]]:
    """What is to be known of one base, trained where it is not there yet, and every tuning of it."""
    path = folder / f"{size}.safetensors"
    if not path.exists():
        pretrain(path, size=size)
    model, tokenizer, card = load_model(path)
    tasks = [skill_task(Phrasebook(), tokenizer, skill) for skill in SKILLS]
    rows = compare(model, tasks, METHODS[:2], seeds=range(seeds), steps=steps, processes=processes)
    peak = 1e-3 * SIZES["base"]["width"] / model.config.width  # the wider, the slower, as in pretraining
    rows += [full_fine_tuning(model, task, seed, steps, peak) for task in tasks for seed in range(seeds)]
    asked = [score["with"] for skill, score in card["scores"].items() if skill not in card["held_out"]]
    base = {"size": size} | {name: card[name] for name in ("parameters", "minutes", "threads")}
    base |= {"asked": round(sum(asked) / len(asked), 3)}  # exact match on the skills that it was taught
    return base, [{key: (row | {"size": size, "base": card["parameters"]})[key] for key in KEPT} for row in rows]


def draw(rows: Sequence[Row]) -> Picture:
    """A panel a skill: exact match against the parameters of the base, a line a method."""
    picture = Picture((10, 3.4))
    for place, skill in enumerate(SKILLS, 1):
        chosen = [row for row in rows if row["skill"] == skill]
        ax = plots.accuracy_against_parameters(chosen, picture.panel(1, len(SKILLS), place), "base")
        bases = sorted({row["base"] for row in chosen})
        ax.set(title=f"exact match on “{skill}”", xlabel="parameters of the base", xscale="log")
        ax.set(xlim=(bases[0] / 1.5, bases[-1] * 1.5))
        ax.set_xticks(bases, [f"{base / 1e6:.2g}M" for base in bases], rotation=45)
        ax.set_xticks([], minor=True)
        ax.set_label(f"On the skill {skill}: {ax.get_label()}")
        if place < len(SKILLS):
            ax.get_legend().remove()
    return picture


def table(rows: Sequence[Row]) -> str:
    """The same in Markdown: mean over the seeds, lowest to highest."""
    by = "skill", "base", "method"
    cells = {tuple(point[key] for key in by): in_words(point).replace("\n", ", ") for point in spread(rows, by)}
    lines = [f"| skill | base | {' | '.join(METHODS)} |", f"|---|---{'|---' * len(METHODS)}|"]
    for place in sorted({(SKILLS.index(row["skill"]), row["base"]) for row in rows}):
        here = SKILLS[place[0]], place[1]
        lines.append(f"| {here[0]} | {here[1]:,} | {' | '.join(cells[*here, method] for method in METHODS)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=[*SIZES][:4])
    parser.add_argument("--folder", type=Path, default=Path("scale"), help="where the bases are kept (default scale/)")
    parser.add_argument("--out", type=Path, default=HERE / "scale.json")
    parser.add_argument("--picture", type=Path, default=HERE.parent / "lessons" / "pictures" / "scale.png")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150, help="of tuning (default 150)")
    parser.add_argument("--processes", type=int, default=2, help="trainings at the same time (default 2)")
    options = parser.parse_args(arguments)
    found = (
        json.loads(options.out.read_text())
        if options.out.exists()
        else {"torch": torch.__version__, "bases": [], "rows": []}
    )
    found |= {"rows": every_seed(found["rows"])}
    for size in options.sizes:
        if size not in [base["size"] for base in found["bases"]]:
            base, rows = study(size, options.folder, options.seeds, options.steps, options.processes)
            found = found | {"bases": [*found["bases"], base], "rows": [*found["rows"], *rows]}
            write_whole(options.out, lines_of(found).encode())
    plots.save(draw(found["rows"]), options.picture)
    spent = sum(base["minutes"] for base in found["bases"]) + sum(row["seconds"] for row in found["rows"]) / 60
    print(table(found["rows"]), f"\n{spent:.0f} minutes of training; wrote {options.out} and {options.picture}")


def all_seeds(rows: Sequence[Row]) -> list[dict]:
    """What differs from one seed to the next, put together: one row for each size, method and skill."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEPT if name not in BY_SEED), []).append(row)
    return [runs[0] | {name: [run[name] for run in runs] for name in BY_SEED} for runs in groups.values()]


def every_seed(rows: Sequence[dict]) -> list[Row]:
    """The way back: a row for each training."""
    return [
        row | dict(zip(BY_SEED, run, strict=True))
        for row in rows
        for run in zip(*(row[name] for name in BY_SEED), strict=True)
    ]


def lines_of(found: dict) -> str:
    """JSON with a line for each base, and for each size, method and skill."""
    lines = {"bases": found["bases"], "rows": all_seeds(found["rows"])}
    parts = [
        f" {json.dumps(name)}: [\n  " + ",\n  ".join(map(json.dumps, each)) + "\n ]" for name, each in lines.items()
    ]
    return f'{{\n "torch": {json.dumps(found["torch"])},\n' + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
