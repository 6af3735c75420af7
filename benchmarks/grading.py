"""How long a class takes: 300 submissions of lesson 1, one in ten of them hostile, graded in one command.

python benchmarks/grading.py [--count 300] [--processes 2]
"""

import argparse
import sys
import tempfile
import threading
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import psutil
import torch

from minitransformer.course.grading import grade

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/course/hostile"))

import cases  # noqa: E402


def fill(folder: Path, count: int) -> None:
    """Solved, untouched, half done, and every tenth hostile."""
    (solved,), (untouched,) = (list((ROOT / "lessons" / place).glob("01_*.ipynb")) for place in ("solutions", ""))
    half = cases.notebook({"1.1": cases.HONEST["1.1"]}, {"1.q3": "a"})
    honest = cycle([solved.read_text("utf-8"), untouched.read_text("utf-8"), half])
    hostile = cycle([cases.notebook(cases.HONEST | {name: cell}) for name, cell, _ in cases.CODE.values()])
    for number in range(count):
        text = next(hostile if number % 10 == 9 else honest)
        (folder / f"{number:03}.ipynb").write_text(text, encoding="utf-8")


def watch(sizes: list[int], done: threading.Event) -> None:
    """The memory of this process and of those that judge for it, every second; not of students' code.

    Judges share most of theirs with the process that they are forked from: each counts with its part.
    """
    here = psutil.Process()
    while not done.wait(1):
        with suppress(psutil.Error):
            judges = [each for each in here.children(recursive=True) if "spawn_main" in " ".join(each.cmdline())]
            sizes.append(sum(each.memory_full_info().pss for each in (here, *judges)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes, done = [], threading.Event()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        fill(Path(folder), options.count)
        watcher = threading.Thread(target=watch, args=(sizes, done))
        watcher.start()
        began = time.perf_counter()
        rows = grade([folder], 1, out, processes=options.processes)
        seconds = time.perf_counter() - began
        done.set()
        watcher.join()
    each = sorted(row["seconds"] for row in rows)
    sizes = sizes[:-3] or sizes  # while everyone was at work
    quarters = [sizes[place * (len(sizes) - 1) // 4] >> 20 for place in range(1, 5)]
    rate = f"{60 * len(rows) / seconds:.0f} a minute"
    print(f"{len(rows)} submissions in {seconds:.0f} s on {options.processes} processes: {rate}")
    print(f"one: median {each[len(each) // 2]:.1f} s, longest {each[-1]:.1f} s; profile {rows[0]['profile']}")
    print(f"memory of the judging processes after each quarter of the time: {quarters} MiB")
    marks = [sum(row["earned"] == earned for row in rows) for earned in (0, rows[0]["points"])]
    print(f"{marks[1]} earned everything, {marks[0]} nothing")


if __name__ == "__main__":
    main()
