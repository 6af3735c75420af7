"""Make the lessons' notebooks from their sources: `python lessons/build.py [01 02 …]`.

For each lesson `source/NN_name.py` gives the student's notebook `NN_name.ipynb`, without outputs, and the solved,
executed one `solutions/NN_name.ipynb`; README.md gets the badges of one_click.py. `--check` writes nothing and fails
where the notebooks have drifted from their source; `--quick` does so without running them. `--site` writes the solved
lessons as pages to read: open `lessons/_site/index.html`.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
from tqdm.auto import tqdm

import one_click
from minitransformer.course.lesson_text import sources
from notebooks import LESSONS, drift, executed, kinds_alone, notebook, stray_errors, text_of

LARGEST = 1_500_000  # bytes of a committed notebook


def paths(source: Path) -> tuple[Path, Path]:
    """Where the student's and the solved notebook of a source are kept."""
    return LESSONS / f"{source.stem}.ipynb", LESSONS / "solutions" / f"{source.stem}.ipynb"


def build(source: Path) -> str:
    began = time.perf_counter()
    for path, book in zip(paths(source), (notebook(source, False), executed(notebook(source, True))), strict=True):
        text = text_of(book)
        if len(text.encode()) > LARGEST:
            raise ValueError(f"{path.name} would have {len(text.encode()):,} bytes; at most {LARGEST:,} are kept")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return f"{source.stem}: built in {time.perf_counter() - began:.0f} s"


def drifted(source: Path, run: bool = True, twice: bool = False) -> list[str]:
    """What differs between the kept notebooks and their source; with `run`, what they show and a student's run too;
    with `twice`, whether two runs show the same.
    """
    found = []
    for solved, path in enumerate(paths(source)):
        if not path.is_file():
            found.append(f"{path.name} is missing")
            continue
        kept, made = nbformat.read(path, 4), notebook(source, bool(solved))
        if solved and run:
            made = executed(notebook(source, True))
            if twice:
                again = executed(notebook(source, True))
                found += [f"{source.stem}, run twice on this machine, {each}" for each in drift(made, again)]
            kinds_alone(made)
            kinds_alone(kept)
        elif solved:
            forget_outputs(kept)
        found += [f"{path.parent.name}/{path.name}, {each}" for each in drift(made, kept)]
    if run:
        found += [
            f"{source.stem}, as a student runs it, {each}" for each in stray_errors(executed(notebook(source, False)))
        ]
    return found


def forget_outputs(book: nbformat.NotebookNode) -> None:
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = []


def chosen(numbers: list[str]) -> list[Path]:
    every = [*sources().values()]
    wanted = [source for source in every if not numbers or source.name[:2] in numbers]
    unknown = set(numbers) - {source.name[:2] for source in every}
    if unknown:
        raise SystemExit(f"the lessons are {', '.join(each.name[:2] for each in every)}; got {', '.join(unknown)}")
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="NN", help="two digits each; all of them if none is given")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail on drift, in sources and outputs; run both notebooks")
    what.add_argument("--quick", action="store_true", help="fail on drift in the cells' sources; run nothing")
    what.add_argument("--site", action="store_true", help="write the solved lessons as pages into lessons/_site")
    parser.add_argument("--twice", action="store_true", help="with --check: run the solved ones twice and compare")
    parser.add_argument("--play", type=Path, metavar="FOLDER", help="with --site: the page that `play` has built, too")
    parser.add_argument("--repository", default="", metavar="OWNER/NAME", help="with --site: where it is on GitHub")
    parser.add_argument("--address", default="", metavar="URL", help="with --site: where the site will be")
    options = parser.parse_args()
    if options.site:
        import site_pages

        count = site_pages.write(LESSONS / "_site", options.play, options.repository, options.address)
        return print(f"{count} lessons: open {LESSONS / '_site' / 'index.html'}")
    every = chosen(options.lessons)
    with ProcessPoolExecutor(2) as side_by_side:
        if not (options.check or options.quick):
            for line in tqdm(side_by_side.map(build, every), total=len(every), unit="lesson"):
                tqdm.write(line)
            page = LESSONS / "README.md"
            page.write_text(one_click.with_badges(page.read_text("utf-8"), one_click.repository()), encoding="utf-8")
            return
        checks = side_by_side.map(partial(drifted, run=options.check, twice=options.twice), every)
        found = dict(zip(every, tqdm(checks, total=len(every), unit="lesson"), strict=True))
    for source, problems in found.items():
        print("\n".join(problems) or f"{source.stem}: as its source makes it")
    sys.exit("run `python lessons/build.py` and commit what it writes" if any(found.values()) else 0)


if __name__ == "__main__":
    main()
