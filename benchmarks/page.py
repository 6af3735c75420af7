"""The page of results, `benchmarks/README.md`, and its plots, from the JSON of runs of `bench.py` and of `whole.py`.

    python benchmarks/page.py [benchmarks/results/1.json …]

Every figure on the page comes from those files; the first of them is shown whole, the others for their targets.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import starts

from minitransformer.pictures import BLUE, COLOURS, GREY, INK, RED, Picture, save, styled

HERE = Path(__file__).parent
FLOORS = ("floor", "products alone")
NEEDED = ("matrix products", "attention")
INTRODUCTION = """# Side by side

The same work, by this code and by what a user could pick instead: Hugging Face's Llama and its `generate`, PEFT, a GPT
of nanoGPT's shape with as many parameters, CTranslate2, llama.cpp, and bare matrix products. The same weights, the same
batches, the same loss. Losses, gradient norms, logits and greedy tokens are compared before anything is timed: who is
missing or says something else is left out, with the reason. (The nanoGPT-shaped peer is another architecture; its loss
and gradient are held against Hugging Face's GPT-2. A quantised model may say something else.)

Everyone runs once in each round, and the order turns round from round to round. Times are medians over the rounds; a
ratio is the median of the ratios within the rounds. *floor* is as many floating-point operations as our step takes, in
large square matrix products by the fastest library at hand; *products alone* is the model's own matrices times as many
vectors as are decoded, by the fastest one for each, and nothing else. S has 4 layers of width 128, M 6 of 256, with
random weights; base is the model that ships, on its own sentences; SmolLM2 is SmolLM2-135M in float32.
Training takes 32 rows of 64 tokens (SmolLM2: 4 rows) and 10 virtual tokens; decoding reads 16 tokens and says 64
(SmolLM2: 32).
"""
UNMET = """## Where a target is missed, and why

Where the time of a run goes: its median in milliseconds, shared out by the operators' own time in one profiled run,
the rival's and ours. *between operators* is Python, and what the profiler itself costs. *were the rest free* is the
ratio that would be left if everything but our matrix products and our attention took no time at all. The floor is
measured in the same rounds.

How to read it: matrix products and attention are library calls, and nobody who computes the same can save them; but a
faster call may be at hand. `minitransformer/products.py` takes the fastest for frozen weights. On some AMD processors
torch's other library multiplies many rows twice as fast, on others hardly faster: *products in GFLOP/s* above says how
it is on this one, and where it is not faster, the training steps keep the share of them that the table shows. One to
three rows by a large weight, as in decoding, are a batch of products (`torch.bmm`) in half the time of one, here.
In decoding the rest is hundreds of small operators a token, each of which costs more to call than to compute. The time
until a skill is right was aimed at with the smaller base of the first edition; the base that ships needs about 60 ms
for a step of 32 sentences, and ten to twenty steps.
"""
WHOLE = """## Demo and grader

Seconds from start to end, this commit beside the last one of the first edition in turns, one thread a process,
as `python benchmarks/whole.py {before} --only demo "grader, lesson 3 solved"` measures it. The demo ends when its
validation is right, and loads no compiler (`minitransformer/adamw.py`): half of what is left of it are imports, torch
and matplotlib. The grader takes longer than it did: it asks each answer in several worlds, and for more than one kind
of mistake.
"""


STARTS = """## Where a soft prompt starts

Exact match on skills that the base was never taught, as `python benchmarks/starts.py` measures it: each method started
at random, or as the skill asked for in words. From words a prompt learns “opposite” better, and nothing worse; a prefix
learns all three worse. A start at random is the default.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def amount(row: dict, value: float) -> str:
    if row["unit"] != "s":
        return f"{value:,.0f} {row['unit']}"
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.1f} ms"


def sides(target: dict) -> str:
    return f"{target['of']} / {target['against']}" if target["against"] else target["of"]


def growing(row: dict) -> bool:
    return " against " in row["work"]


def results(rows: Sequence[dict]) -> str:
    """Everyone's median and ratio."""
    lines = []
    for row in rows:
        each = [f"{name} {amount(row, value)} ({row['ratios'][name]:.2f})" for name, value in row["medians"].items()]
        lines.append([row["size"], row["work"], "<br>".join(each), str(row["rounds"])])
    return table(("size", "work", "median (ratio to the first)", "rounds"), lines)


def targets(runs: Sequence[dict]) -> str:
    """What was aimed at, and what each run reached, with the lowest and the highest of its rounds."""
    lines = []
    for row in runs[0]["rows"]:
        for place, target in enumerate(row["targets"]):
            here = (row["work"], row["size"])
            same = [other for run in runs for other in run["rows"] if (other["work"], other["size"]) == here]
            each = [other["targets"][place] for other in same if other["targets"][place]["met"] is not None]
            reached = ", ".join(f"{target['reached']:.2f} ({span(target)})" for target in each) or "–"
            met = "left out" if not each else "met" if all(target["met"] for target in each) else "**not met**"
            unit = "" if target["against"] else " s"
            lines.append([row["size"], row["work"], sides(target), f"≤ {target['most']}{unit}", reached, met])
    return table(("size", "work", "what against what", "target", "reached (of the rounds)", ""), lines)


def left_out(runs: Sequence[dict]) -> str:
    """Who was not timed, and why."""
    reasons = {(row["size"], row["work"], *reason) for run in runs for row in run["rows"] for reason in lost(row)}
    return table(("size", "work", "who", "why"), sorted(reasons)) if reasons else ""


def lost(row: dict) -> Iterable[tuple[str, str]]:
    return ((name, why.replace("|", "/")) for name, why in row.get("left out", {}).items())


def wholes(seconds: dict[str, dict[str, float]]) -> str:
    """Medians, and the median of the rounds' ratios."""
    lines = [
        [work, f"{each['before']:.1f}", f"{each['after']:.1f}", f"{each['ratio']:.2f}"]
        for work, each in seconds.items()
    ]
    return table(("what", "before", "after", "ratio"), lines)


def span(target: dict) -> str:
    """How far the rounds of a run lie apart."""
    lowest, highest = target["spread"]
    return f"{lowest:.2f}–{highest:.2f}"


def profiles(runs: Sequence[dict]) -> str:
    """For what missed its target and for its rival: where the time goes, in the first run that missed it."""
    lines, head = [], []
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        row = next((row for row in rows if row["shares"]), rows[0])
        floor = next((row["medians"][each] for each in FLOORS if each in row["medians"]), None)
        for name, shares in row["shares"].items():
            head, whole = list(shares), row["medians"][name]
            parts = [f"{1e3 * whole * share:.1f} ({share:.0%})" for share in shares.values()]
            limit = "–" if floor is None else f"{1e3 * floor:.1f}"
            lines.append([row["size"], row["work"], name, f"{1e3 * whole:.1f}", *parts, least(row, name), limit])
    return table(("size", "work", "whose", "ms", *head, "were the rest free", "floor, ms"), lines) if lines else ""


def least(row: dict, name: str) -> str:
    """The ratio that this one would reach with products and attention alone, for each target that it missed."""
    needed = row["medians"][name] * sum(row["shares"][name].get(each, 0.0) for each in NEEDED)
    missed = [target for target in row["targets"] if target["of"] == name and target["met"] is False]
    rivals = [target for target in missed if target["against"] in row["shares"]]
    return ", ".join(f"{needed / row['medians'][each['against']]:.2f} (target {each['most']})" for each in rivals)


@styled
def ratios_picture(runs: Sequence[dict], path: Path) -> None:
    """Each target as a line, and what was reached as a bar up to it or beyond it, with how far the runs differ."""
    picture = Picture((7, 0.6 + 0.24 * sum(len(row["targets"]) for row in runs[0]["rows"])))
    ax, met = picture.panel(), []
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        for same in zip(*(row["targets"] for row in rows), strict=True):
            if any(target["met"] is None for target in same):
                continue
            shares = sorted(target["reached"] / target["most"] for target in same)
            middle, name = median(shares), f"{rows[0]['size']}  {rows[0]['work']}: {sides(same[0])}"
            met.append(all(target["met"] for target in same))
            spread = [[middle - shares[0]], [shares[-1] - middle]]
            ax.barh(name, middle, xerr=spread, color=BLUE if met[-1] else RED, ecolor=INK)
    ax.axvline(1, color=GREY)
    ax.margins(y=0.01)
    ax.invert_yaxis()
    ax.set_xlabel("reached / target")
    ax.set_label(f"Of {len(met)} targets {sum(met)} are met in every run; the table gives the same numbers.")
    save(picture, path)


@styled
def growth_picture(rows: Sequence[dict], path: Path) -> None:
    """One panel a quantity, one line a method, both axes logarithmic."""
    panels: dict[str, list[dict]] = {}
    for row in rows:
        panels.setdefault(row["work"].split(" against ")[1], []).append(row)
    picture = Picture((2.2 * len(panels), 2.4))
    for place, (quantity, lines) in enumerate(panels.items(), 1):
        ax = picture.panel(1, len(panels), place)
        for row, colour in zip(lines, COLOURS, strict=False):
            counts, times = [int(name) for name in row["medians"]], [1e3 * each for each in row["medians"].values()]
            ax.loglog(
                counts,
                times,
                marker="o",
                markersize=3,
                color=colour,
                label=row["work"].split(" against ")[0].strip(","),
            )
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.minorticks_off()
        ax.set_ylim(bottom=min(1e3 * min(row["medians"].values()) for row in lines) / 3)
        ax.set_title(f"against {quantity}")
        ax.legend(fontsize=6)
        said = [f"{row['work']}: {1e3 * min(row['medians'].values()):.0f} ms at least" for row in lines]
        ax.set_label("; ".join(said) + ".")
        if place == 1:
            ax.set_ylabel("ms")
    save(picture, path)


def write(runs: Sequence[dict], folder: Path, whole: dict | None = None, begun: Sequence[dict] = ()) -> None:
    """The page and its plots; `whole` is what `whole.py` measured, `begun` what `starts.py` did."""
    first, rows = runs[0], runs[0]["rows"]
    machine = ", ".join(f"{name} {value}" for name, value in first["machine"].items() if name != "mean load")
    loads = " and ".join(f"{run['machine']['mean load']:.1f}" for run in runs)
    parts = [
        INTRODUCTION,
        f"Command: `{first['command']}`. Machine: {machine}. Mean load during the run: {loads}; more than the number of"
        " threads means that others were at work on the machine too, and then times are longer and more uneven.\n",
        "## Targets\n",
        targets(runs),
    ]
    if any(row["targets"] for row in rows):
        ratios_picture(runs, folder / "targets.png")
        parts.append("![What was reached against the targets](targets.png)\n")
    if unmet := profiles(runs):
        parts += [UNMET, unmet]
    if gone := left_out(runs):
        parts += ["## Who was left out, and why\n", gone]
    parts += ["## Everything\n", results([row for row in rows if not growing(row)])]
    if grown := [row for row in rows if growing(row)]:
        growth_picture(grown, folder / "growth.png")
        parts += ["## How our own steps grow\n", "![Our times against one quantity each](growth.png)\n", results(grown)]
    if whole:
        parts += [WHOLE.format(**whole), wholes(whole["seconds"])]
    if begun:
        parts += [STARTS, starts.table(begun)]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, default=sorted(HERE.glob("results/*.json")))
    parser.add_argument("--whole", type=Path, default=HERE / "whole.json", help="what whole.py wrote, if it did")
    parser.add_argument("--starts", type=Path, default=HERE / "starts.json", help="what starts.py wrote, if it did")
    parser.add_argument("--folder", type=Path, default=HERE, help="where to write the page")
    options = parser.parse_args(arguments)
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in options.runs]
    whole = json.loads(options.whole.read_text("utf-8")) if options.whole.exists() else None
    begun = json.loads(options.starts.read_text("utf-8")) if options.starts.exists() else ()
    write(runs, options.folder, whole, begun)


if __name__ == "__main__":
    main()
