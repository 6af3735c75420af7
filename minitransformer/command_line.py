"""The command line's words: which commands there are, and what each is called with."""

import argparse
import io
import math
import sys
import tomllib
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path

from .base import BASE, RECIPE, SIZES
from .commands import (
    answer_text,
    combine_marks,
    compare_methods,
    demo,
    grade_class,
    hand_out_course,
    lab,
    play,
    pretrain_base,
    show_card,
    tune_own_pairs,
    tune_real_model,
    write_quizzes,
)
from .comparison import METHODS
from .course.own_copies import FOLDER
from .distributed import team
from .phrasebook import WORLD
from .real.data import SNIPPETS


def run(arguments: list[str] | None) -> None:
    """Do what these words ask for."""
    parser = argparse.ArgumentParser(prog="minitransformer", description="Soft prompts on a small frozen Transformer.")
    parser.add_argument("--version", action="version", version=f"minitransformer {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("demo", help="tune four vectors in a minute and see where the gradient went")
    command.add_argument("--steps", type=at_least_one, default=100, help="training steps (default 100)")
    command.add_argument("--out", type=Path, default=Path("demo"), help="folder for the picture (default demo/)")
    command.set_defaults(run=demo)

    command = commands.add_parser("generate", help="let the base model answer, token by token")
    command.add_argument("text", help='for example "Look out!" or "in Chinese: Look out!"')
    command.add_argument("--temperature", type=number, default=0.0, help="0: the likeliest; 1: drawn (default 0)")
    command.add_argument("--top-k", type=int, help="draw from the k likeliest tokens only")
    command.add_argument("--top-p", type=number, help="draw from the likeliest tokens that hold this probability only")
    command.add_argument("--seed", type=int, default=0, help="the same seed draws the same answer (default 0)")
    command.add_argument("--samples", type=at_least_one, default=1, help="how many answers (default 1)")
    command.set_defaults(run=answer_text)

    command = commands.add_parser("compare", help="tune every method on every skill and print the table of accuracies")
    command.add_argument("skills", nargs="*", help="the skills to compare on (default all)")
    command.add_argument("--length", type=at_least_one, default=4, help="virtual tokens (default 4)")
    command.add_argument("--seeds", type=at_least_one, default=3, help="trainings of each (default 3)")
    command.add_argument("--steps", type=at_least_one, default=250, help="training steps (default 250)")
    command.add_argument(
        "--until",
        type=share,
        metavar="SHARE",
        help="end a training when so many of 200 validation sentences are right: .99",
    )
    command.add_argument("--processes", type=at_least_one, default=1, help="trainings at the same time (default 1)")
    command.set_defaults(run=compare_methods)

    command = commands.add_parser("pretrain", help="train the base model again; interrupted, it goes on where it was")
    command.add_argument("--seed", type=int, default=0, help="decides the first weights and the data (default 0)")
    steps = RECIPE["steps"]
    command.add_argument("--steps", type=at_least_one, default=steps, help=f"training steps (default {steps})")
    command.add_argument("--size", choices=SIZES, default="base", help="how large (default base, the one that ships)")
    command.add_argument("--out", type=Path, default=Path("phrasebook.safetensors"), help="the file to write")
    command.add_argument("--world", type=Path, default=WORLD, help="the words and sentences (default English, Chinese)")
    command.set_defaults(run=pretrain_base)

    command = commands.add_parser(
        "card", help="measure a base model again and print its card: what it can do, and how well"
    )
    command.add_argument("model", nargs="?", type=Path, default=BASE, help="its file (default: the one that ships)")
    command.add_argument("--world", type=Path, default=WORLD, help="the words and sentences (default English, Chinese)")
    command.set_defaults(run=show_card)

    command = commands.add_parser("real", help="the same on a real model, SmolLM2-135M, and on real data")
    command.add_argument("tasks", nargs="*", help="antonyms, sentiment, chinese (default all)")
    command.add_argument("--length", type=at_least_one, default=10, help="virtual tokens (default 10)")
    command.add_argument("--seeds", type=at_least_one, default=1, help="trainings of each (default 1)")
    command.add_argument("--steps", type=at_least_one, help="training steps (default: what each task needs)")
    command.add_argument(
        "--until",
        type=share,
        metavar="SHARE",
        help="end a training when so many of the texts it is tuned on are right: .99",
    )
    command.add_argument("--dtype", choices=("float32", "bfloat16"), help="numbers (default: the faster ones here)")
    command.add_argument("--snippets", type=Path, default=Path("real") / SNIPPETS, help="the sentences on films")
    command.add_argument("--out", type=Path, default=Path("real"), help="folder for results and pictures")
    command.set_defaults(run=tune_real_model)

    command = commands.add_parser("tune", help="tune a soft prompt on your own pairs of text and answer")
    command.add_argument("pairs", type=Path, help="a CSV file; its first row names the columns text and answer")
    command.add_argument(
        "--model", default="smollm2", help="smollm2 (default), base, a folder from Hugging Face, or a .gguf file"
    )
    command.add_argument("--out", type=Path, default=Path("adapter"), help="folder to write (default adapter/)")
    command.add_argument("--method", choices=METHODS, default="prompt", help="what is tuned (default prompt)")
    command.add_argument("--length", type=at_least_one, default=10, help="virtual tokens (default 10)")
    command.add_argument("--steps", type=at_least_one, default=100, help="at most so many steps (default 100)")
    command.add_argument("--rows", type=at_least_one, default=8, help="pairs in a step (default 8)")
    command.add_argument("--seed", type=int, default=0, help="decides which pairs are held back (default 0)")
    command.add_argument("--instruction", default="", help="the task in words, to start from and to compare with")
    command.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="numbers of the model")
    command.set_defaults(run=tune_own_pairs)

    command = commands.add_parser("grade", help="grade submissions, shut in and judged outside, and write all reports")
    command.add_argument(
        "submissions", nargs="+", type=Path, metavar="SUBMISSION", help="a notebook, .py, zip or folder"
    )
    command.add_argument("--lesson", type=at_least_one, required=True, help="which lesson was handed in")
    command.add_argument("--out", type=Path, default=Path("graded"), help="folder for the reports (default graded/)")
    command.add_argument("--profile", default="auto", help="bubblewrap, uid-drop, local (practice) or auto (default)")
    command.add_argument("--secret", type=Path, help="a file that tells the hidden inputs (default: made in --out)")
    command.add_argument("--shard", type=part_of, default=(1, 1), help="2/5: the second of five parts of the class")
    command.add_argument("--processes", type=at_least_one, help="submissions at the same time (default: the cores)")
    command.add_argument("--call", type=seconds, default=20.0, help="seconds for one call (default 20)")
    command.add_argument("--whole", type=seconds, default=180.0, help="seconds for one submission (default 180)")
    command.add_argument("--attempts", type=at_least_one, help="attempts at a question that count (default: all)")
    command.add_argument("--course", type=Path, help="a course.toml whose roster tells who has handed in nothing")
    command.set_defaults(run=grade_class)

    command = commands.add_parser("quizzes", help="write the questions for Moodle, Canvas, Blackboard and others")
    command.add_argument(
        "out", type=Path, metavar="FILE", help="its ending says the form: .xml (Moodle), .zip (QTI 2.1), .gift"
    )
    command.add_argument(
        "--lesson", type=int, action="append", dest="lessons", default=[], help="only this one; may come again"
    )
    command.add_argument("--format", choices=("moodle", "qti", "gift"), dest="form", help="whatever the file's ending")
    command.set_defaults(run=write_quizzes)

    command = commands.add_parser("handout", help="write what students get: notebooks, and scripts to start them")
    command.add_argument("course", type=Path, help="course.toml: which lessons count, and until when")
    command.add_argument("--out", type=Path, default=Path("handout"), help="a new folder (default handout/)")
    command.add_argument("--each", action="store_true", help="a bundle for each student, questions in an own order")
    command.add_argument("--wheel", type=Path, help="the package as a file, to travel with the bundle")
    needed = f"minitransformer=={version()}"
    command.add_argument("--install", default=needed, help=f"what pip installs for them (default {needed})")
    command.set_defaults(run=hand_out_course)

    command = commands.add_parser("gradebook", help="one row for each student of a course, out of what was graded")
    command.add_argument("course", type=Path, help="course.toml: the roster, what counts, and until when")
    command.add_argument("graded", nargs="+", type=Path, help="the folders that grade has written, one for each lesson")
    command.add_argument("--out", type=Path, default=Path("marks"), help="folder for the tables (default marks/)")
    command.set_defaults(run=combine_marks)

    command = commands.add_parser("lab", help="open JupyterLab on your own copies of the lessons")
    where = f"work in this folder; what is there stays as it is (default {FOLDER}/)"
    command.add_argument("--copy-to", type=Path, default=FOLDER, metavar="FOLDER", help=where)
    command.add_argument("--copy-only", action="store_true", help="copy the lessons, and end")
    command.add_argument("--port", type=port, help="where JupyterLab listens (default: a free one)")
    command.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    command.add_argument("further", nargs="*", metavar="OPTION", help="what stands after -- goes to JupyterLab")
    command.set_defaults(run=lab)

    command = commands.add_parser("play", help="train a prompt in the browser, and watch where the gradient goes")
    command.add_argument("--out", type=Path, help="folder for the page (default: kept for this user, built once)")
    command.add_argument("--port", type=port, default=0, help="where it is shown (default: a free one)")
    command.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    command.add_argument("--build-only", action="store_true", help="build the page for another server, and end")
    command.set_defaults(run=play)

    options = vars(parser.parse_args(arguments))
    del options["command"]
    with redirect_stdout(sys.stdout if team().rank == 0 else io.StringIO()):  # one voice, also under torchrun
        options.pop("run")(**options)


def version() -> str:
    """The version that is installed; in a clone that was not installed, what pyproject.toml says."""
    try:
        return metadata.version("minitransformer")
    except metadata.PackageNotFoundError:
        pyproject = Path(__file__).parents[1] / "pyproject.toml"
        return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"]


def at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port, a whole number from 1 to 65535, got {text!r}")
    return int(text)


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def share(text: str) -> float:
    if not 0 < (value := number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"expected a share, more than 0 and at most 1, got {text!r}")
    return value


def seconds(text: str) -> float:
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"expected seconds, more than 0, got {text!r}")
    return value


def part_of(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"expected the number of a part and of all parts, as in 2/5; got {text!r}")
    return int(part), int(parts)
