"""The command line: `python -m minitransformer demo`, and what else `--help` names."""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import torch

from . import Batches, Phrasebook, PromptTuning, accuracy, batch, compare, generate, gradients, pretrained, train
from .base import RECIPE, SIZES, pretrain
from .checkpoints import write_whole
from .comparison import METHODS, instruction, no_prompt, skill_task
from .losses import loss
from .phrasebook import WORLD, prompt
from .real_data import SNIPPETS
from .results import Row, in_words, spread
from .together import team

LESSONS = Path(__file__).parents[1] / "lessons"


def demo(steps: int, out: Path) -> None:
    """Tune four vectors so that a torn base answers in Chinese, and draw where the gradient went."""
    model, tokenizer = pretrained()
    book = Phrasebook()
    text = "Look out!"
    print(f"The base model: {sum(p.numel() for p in model.parameters()):,} parameters, frozen from here on.\n")

    print("Asked for in words, it knows what to do:")
    for skill in "chinese", "shout", "count":
        asked = prompt(text, book.wordings(skill)[0])
        print(f"    {asked} {answer(model, tokenizer, asked)}")
    print("\nNot asked for anything, it is torn between its skills. Eight answers drawn at random:")
    drawn = generate(model, [tokenizer.encode(prompt(text))] * 8, temperature=1.0, seed=0)
    print(f"    {prompt(text)} {' | '.join(map(tokenizer.decode, drawn))}\n")

    print(f'Now {steps} steps on four vectors in front of the text, with translations of everything but "{text}":')
    book.phrases = [phrase for phrase in book.phrases if phrase.english != text]
    four = PromptTuning(4, model.config)
    history = train(model, Batches(book, tokenizer, ["chinese"]), four, steps=steps)
    test = batch(tokenizer, book.examples("chinese", "test", 200))
    print(f"    [p0 p1 p2 p3] {prompt(text)} {answer(model, tokenizer, prompt(text), four)}")
    print(
        f"    {accuracy(model, test):.1%} -> {accuracy(model, test, four):.1%} exactly right on 200 sentences "
        f"never seen, with {four.vectors.numel()} numbers trained in {history.seconds:.1f} s\n"
    )

    loss(model, *batch(tokenizer, [(prompt(text), "小心!")]), four).backward()
    from . import plots

    picture = plots.gradient_reach(gradients.parameter_norms(model), gradients.token_norms(four))
    out.mkdir(parents=True, exist_ok=True)
    path = plots.save(picture.figure, out / "gradient.png")
    found = history.proof
    print(
        f"Proof of freezing: of {found['base_parameters']} base parameters {found['base_gradients']} have a gradient, "
        f"every byte is what it was; {found['prompt_rows_reached']} of {found['prompt_rows']} prompt vectors were "
        f"reached, by gradients that flowed through layers {', '.join(map(str, found['layers_with_gradient_inside']))}."
    )
    print(f"Where the gradient landed, as a picture: {path}")


def answer(model, tokenizer, text: str, *hooks) -> str:
    return tokenizer.decode(generate(model, [tokenizer.encode(text)], *hooks)[0])


def say(text: str, temperature: float, top_k: int | None, top_p: float | None, seed: int, samples: int) -> None:
    """Print what the base model answers, token by token."""
    model, tokenizer = pretrained()
    asked = text if text.rstrip().endswith("→") else prompt(text)
    said = tokenizer.encode(asked)
    shown: list[int] = []

    def show(row: int, token: int) -> None:
        before = tokenizer.decode(said + shown)
        shown.append(token)
        print(tokenizer.decode(said + shown)[len(before) :], end="", flush=True)

    for sample in range(samples):
        print(asked, end="", flush=True)
        settings = dict(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed + sample)
        generate(model, [said], max_new_tokens=64, on_token=show, **settings)
        shown.clear()
        print()


def table(skills: list[str], length: int, seeds: int, steps: int, processes: int) -> None:
    """Print the accuracy of each method on each skill, with its spread over the seeds."""
    model, tokenizer = pretrained()
    model, book = model.to(team().device), Phrasebook()
    tasks = [skill_task(book, tokenizer, skill) for skill in skills or [*book.skills, *book.held_out]]
    rows = compare(model, tasks, lengths=[length], seeds=range(seeds), steps=steps, processes=processes)
    rows += [method(model, task) for task in tasks for method in (no_prompt, instruction)]
    show(rows, ["no prompt", "instruction", *METHODS])


def show(rows: list[Row], methods: Iterable[str]) -> None:
    """Print results as a table in Markdown, skill × method."""
    points = spread(rows, ("skill", "method"))
    cells = {(point["skill"], point["method"]): in_words(point).replace("\n", ", ") for point in points}
    methods = list(methods)
    print(f"\n| skill | {' | '.join(methods)} |\n|---{'|---' * len(methods)}|")
    for skill in dict.fromkeys(row["skill"] for row in rows):
        print(f"| {skill} | {' | '.join(cells.get((skill, method), '') for method in methods)} |")
    print(f"\nlongest training: {max(row['seconds'] for row in rows):.1f} s", flush=True)


def on_a_real_model(
    tasks: list[str], length: int, seeds: int, steps: int | None, snippets: Path, dtype: str | None, out: Path
) -> None:
    """The same tuning, comparison and pictures on SmolLM2-135M."""
    from . import plots, real

    makers = {
        "antonyms": real.antonym_texts,
        "sentiment": lambda: real.sentiment_texts(snippets),
        "chinese": real.chinese_texts,
    }
    unknown = [name for name in tasks if name not in makers]
    if unknown:
        raise ValueError(f"the tasks are {', '.join(makers)}; got {', '.join(unknown)}")
    every = [makers[name]() for name in tasks or makers]
    model, tokenizer, seconds = real.load(dtype and getattr(torch, dtype))
    taken = ", ".join(f"{str(kind).removeprefix('torch.')} {1e3 * took:.0f} ms" for kind, took in seconds.items())
    print(
        f"SmolLM2: {sum(p.numel() for p in model.parameters()):,} parameters, frozen; a step of tuning takes {taken}:"
    )
    print(f"here it is tuned in {str(model.embedding.weight.dtype).removeprefix('torch.')}.", flush=True)
    rows = []
    for texts in every:
        began = time.perf_counter()
        found = texts.untuned(model, tokenizer, texts)
        found += texts.tuned(model, tokenizer, texts, length, range(seeds), steps or texts.steps)
        show(found, dict.fromkeys(row["method"] for row in found))
        print(f"{texts.name}: {time.perf_counter() - began:.0f} s in all", flush=True)
        rows += found
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "results.json", json.dumps(rows, indent=1).encode())
    plots.save(plots.skill_matrix(rows), out / "comparison.png")
    texts = every[0]
    prompt = real.first_words(model, tokenizer, texts, length)["prompt"]
    one = real.task(replace(texts, test=texts.test[:1]), tokenizer)
    train(model, one.batches(0), prompt, steps=steps or texts.steps)
    step = gradients.record_step(model, *one.test, prompt)
    plots.save(plots.training_diagram(step, tokenizer), out / "training.png")
    print(f"wrote results.json, comparison.png and training.png, one step of tuning on {texts.name}, into {out}")


def rebuild(seed: int, steps: int, size: str, out: Path, world: Path) -> None:
    """Train the base model again, or one for another world."""
    card = pretrain(out, Phrasebook(world), seed, steps, size)
    known = [score for score in card["scores"].values() if not score["held_out"]]
    for kind in "with", "without":
        print(f"{kind} an instruction: {sum(score[kind] for score in known) / len(known):.1%} exactly right")
    print(f"wrote {out} and its card {out.with_suffix('.md')}; fingerprint {card['fingerprint']}")


def marks(
    submissions: list[Path], lesson: int, out: Path, profile: str, secret: Path | None, shard: tuple[int, int],
    processes: int | None, call: float, whole: float,
) -> None:  # fmt: skip
    """Grade a class."""
    import torch

    try:
        from .grading import Limits, grade, terminal
    except ImportError as error:
        sys.exit(f"the grader needs more than the lessons ({error}): run  pip install -r requirements.txt")
    torch.set_num_threads(1)  # the submissions share the cores
    named = dict(profile=profile, secret=secret, shard=shard, processes=processes)
    print(terminal(grade(submissions, lesson, out, limits=Limits(call=call, whole=whole), **named)), end="")
    print(f"wrote {out}: teacher.html, students/ and, where the profile gives grades, gradebook.csv and more")


def lab() -> None:
    """Open JupyterLab on the lessons."""
    if not LESSONS.is_dir():
        sys.exit(f"there are no lessons at {LESSONS}: run this in a clone of the repository")
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        sys.exit("JupyterLab is not installed: run  pip install -r requirements.txt")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(LESSONS)])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m minitransformer", description="Soft prompts on a small frozen Transformer."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("demo", help="tune four vectors in a minute and see where the gradient went")
    command.add_argument("--steps", type=at_least_one, default=100, help="training steps (default 100)")
    command.add_argument("--out", type=Path, default=Path("demo"), help="folder for the picture (default demo/)")
    command.set_defaults(run=demo)

    command = commands.add_parser("generate", help="let the base model answer, token by token")
    command.add_argument("text", help='for example "Look out!" or "in Chinese: Look out!"')
    command.add_argument("--temperature", type=float, default=0.0, help="0: the likeliest answer; 1: drawn (default 0)")
    command.add_argument("--top-k", type=int, help="draw from the k likeliest tokens only")
    command.add_argument("--top-p", type=float, help="draw from the likeliest tokens that hold this probability only")
    command.add_argument("--seed", type=int, default=0, help="the same seed draws the same answer (default 0)")
    command.add_argument("--samples", type=at_least_one, default=1, help="how many answers (default 1)")
    command.set_defaults(run=say)

    command = commands.add_parser("compare", help="tune every method on every skill and print the table of accuracies")
    command.add_argument("skills", nargs="*", help="the skills to compare on (default all)")
    command.add_argument("--length", type=at_least_one, default=4, help="virtual tokens (default 4)")
    command.add_argument("--seeds", type=at_least_one, default=3, help="trainings of each (default 3)")
    command.add_argument("--steps", type=at_least_one, default=150, help="training steps (default 150)")
    command.add_argument("--processes", type=at_least_one, default=1, help="trainings at the same time (default 1)")
    command.set_defaults(run=table)

    command = commands.add_parser("pretrain", help="train the base model again; interrupted, it goes on where it was")
    command.add_argument("--seed", type=int, default=0, help="decides the first weights and the data (default 0)")
    command.add_argument("--steps", type=at_least_one, default=RECIPE["steps"], help="training steps (default 2000)")
    command.add_argument("--size", choices=SIZES, default="base", help="how large (default base, the one that ships)")
    command.add_argument("--out", type=Path, default=Path("phrasebook.safetensors"), help="the file to write")
    command.add_argument("--world", type=Path, default=WORLD, help="the words and sentences (default English, Chinese)")
    command.set_defaults(run=rebuild)

    command = commands.add_parser("real", help="the same on a real model, SmolLM2-135M, and on real data")
    command.add_argument("tasks", nargs="*", help="antonyms, sentiment, chinese (default all)")
    command.add_argument("--length", type=at_least_one, default=10, help="virtual tokens (default 10)")
    command.add_argument("--seeds", type=at_least_one, default=1, help="trainings of each (default 1)")
    command.add_argument("--steps", type=at_least_one, help="training steps (default: what each task needs)")
    command.add_argument("--dtype", choices=("float32", "bfloat16"), help="numbers (default: the faster ones here)")
    command.add_argument("--snippets", type=Path, default=Path("real") / SNIPPETS, help="the sentences on films")
    command.add_argument("--out", type=Path, default=Path("real"), help="folder for results and pictures")
    command.set_defaults(run=on_a_real_model)

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
    command.add_argument("--call", type=float, default=20.0, help="seconds for one call (default 20)")
    command.add_argument("--whole", type=float, default=180.0, help="seconds for one submission (default 180)")
    command.set_defaults(run=marks)

    command = commands.add_parser("lab", help="open JupyterLab on the lessons")
    command.set_defaults(run=lab)

    options = vars(parser.parse_args(arguments))
    del options["command"]
    try:
        with redirect_stdout(sys.stdout if team().rank == 0 else io.StringIO()):  # one voice, also under torchrun
            options.pop("run")(**options)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"minitransformer: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped: files are written whole or not at all, so nothing is half-written")


def at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def part_of(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"expected the number of a part and of all parts, as in 2/5; got {text!r}")
    return int(part), int(parts)


if __name__ == "__main__":
    main()
