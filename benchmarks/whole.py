"""How long the demo, the lessons, the suite and the grader take: this commit beside an earlier one, turn by turn.

    python benchmarks/whole.py COMMIT --json benchmarks/whole.json

Both are cloned, and run with this Python and its packages, one thread a process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = {
    "demo": "-m minitransformer demo --out {new}",
    "grader, lesson 3 solved": "-m minitransformer grade lessons/solutions/03_one_training_step.ipynb --lesson 3 "
    "--out {new}",
    "suite": "-m pytest -n 2",
    "lessons built": "lessons/build.py",
}


def clone(commit: str, folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    subprocess.run(["git", "checkout", "--quiet", commit], cwd=folder, check=True)
    return folder


def seconds(command: str, folder: Path) -> float:
    """How long it took; a SystemExit with the end of what it said where it failed."""
    surroundings = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as new:
        line = [sys.executable, *command.format(new=new).split()]
        began = time.perf_counter()
        done = subprocess.run(line, cwd=folder, env=surroundings, capture_output=True, text=True)
        taken = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return taken


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", help="the earlier one")
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the medians and their spread")
    options = parser.parse_args(arguments)
    taken = {work: {"before": [], "after": []} for work in options.only}
    with tempfile.TemporaryDirectory() as folder:
        commits = {"before": options.commit, "after": "HEAD"}
        places = {name: clone(commit, Path(folder, name)) for name, commit in commits.items()}
        for number in range(options.rounds):
            for work in options.only:
                for name in sorted(places, reverse=number % 2 == 0):
                    taken[work][name].append(seconds(WORK[work], places[name]))
                    print(f"{work}, {name}: {taken[work][name][-1]:.1f} s", flush=True)
    found = {work: summary(**times) for work, times in taken.items()}
    for work, each in found.items():
        print(f"{work}: before {each['before']} s, after {each['after']} s")
    if options.json:
        about = {"before": options.commit, "seconds": found}
        options.json.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def summary(before: list[float], after: list[float]) -> dict[str, float]:
    """Medians, and of the rounds' ratios the median, the lowest and the highest."""
    ratios = [late / early for early, late in zip(before, after, strict=True)]
    numbers = {
        "before": statistics.median(before),
        "after": statistics.median(after),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
    }
    return {"rounds": len(ratios)} | {name: round(value, 4) for name, value in numbers.items()}


if __name__ == "__main__":
    main()
