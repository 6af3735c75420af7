"""What the commands of `minitransformer` do, and print."""

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from . import Batches, Phrasebook, PromptTuning, accuracy, batch, compare, generate, gradients, pretrained, train
from .base import measured_again, pretrain
from .comparison import METHODS, instruction, no_prompt, skill_task
from .course import own_copies
from .course.lesson_text import lessons_folder
from .distributed import team
from .files.checkpoints import write_whole
from .losses import loss
from .phrasebook import prompt
from .results import Row, in_words, spread

RIGHT = 0.99  # of the sentences held back: so many are enough for the demo


def demo(steps: int, out: Path) -> None:
    """Tune four vectors so that a torn base answers in Chinese, and draw where the gradient went."""
    out.mkdir(parents=True, exist_ok=True)
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

    print(f'Now four vectors in front of the text learn from translations of everything but "{text}":')
    book.phrases = [phrase for phrase in book.phrases if phrase.english != text]
    four, held_back = PromptTuning(4, model.config), batch(tokenizer, book.examples("chinese", "validation", 100))
    until_right = dict(validate=partial(accuracy, model, held_back, four), every=10, until=RIGHT)
    history = train(model, Batches(book, tokenizer, ["chinese"], rows=8), four, steps=steps, **until_right)
    test = batch(tokenizer, book.examples("chinese", "test", 200))
    print(f"    [p0 p1 p2 p3] {prompt(text)} {answer(model, tokenizer, prompt(text), four)}")
    print(
        f"    {accuracy(model, test):.1%} -> {accuracy(model, test, four):.1%} exactly right on 200 sentences "
        f"never seen, with {four.vectors.numel()} numbers trained for {len(history.loss)} steps in "
        f"{history.seconds:.1f} s\n"
    )

    loss(model, *batch(tokenizer, [(prompt(text), "小心!")]), four).backward()
    from . import plots

    picture = plots.gradient_reach(gradients.parameter_norms(model), gradients.token_norms(four))
    path = plots.save(picture.figure, out / "gradient.png")
    proof = history.proof
    print(
        f"Proof of freezing: of {proof['base_parameters']} base parameters {proof['base_gradients']} have a gradient, "
        f"every byte is what it was; {proof['prompt_rows_reached']} of {proof['prompt_rows']} prompt vectors were "
        f"reached, by gradients that flowed through layers {', '.join(map(str, proof['layers_with_gradient_inside']))}."
    )
    print(f"Where the gradient landed, as a picture: {path}")


def answer(model, tokenizer, text: str, *hooks) -> str:
    return tokenizer.decode(generate(model, [tokenizer.encode(text)], *hooks)[0])


def answer_text(text: str, temperature: float, top_k: int | None, top_p: float | None, seed: int, samples: int) -> None:
    """Print what the base model answers, token by token."""
    model, tokenizer = pretrained()
    asked = text if text.rstrip().endswith("→") else prompt(text)
    prompt_tokens = tokenizer.encode(asked)
    shown: list[int] = []

    def show(row: int, token: int) -> None:
        before = tokenizer.decode(prompt_tokens + shown)
        shown.append(token)
        print(tokenizer.decode(prompt_tokens + shown)[len(before) :], end="", flush=True)

    for sample in range(samples):
        print(asked, end="", flush=True)
        settings = dict(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed + sample)
        generate(model, [prompt_tokens], max_new_tokens=64, on_token=show, **settings)
        shown.clear()
        print()


def compare_methods(
    skills: list[str], length: int, seeds: int, steps: int, until: float | None, processes: int
) -> None:
    """Print the accuracy of each method on each skill, with its spread over the seeds."""
    model, tokenizer = pretrained()
    model, book = model.to(team().device), Phrasebook()
    parts = {"unseen": "sentences with a pairing of words that training never shows", "words": "known words at random"}
    tasks = [skill_task(book, tokenizer, skill, parts=[*parts]) for skill in skills or [*book.skills, *book.held_out]]
    rows = compare(model, tasks, lengths=[length], seeds=range(seeds), steps=steps, processes=processes, until=until)
    show([*rows, *(method(model, task) for task in tasks for method in (no_prompt, instruction))],
         ["no prompt", "instruction", *METHODS])  # fmt: skip
    for part, texts in parts.items():
        print(f"\nThe same soft prompts on {texts}:")
        table([row | {"accuracy": row[part]} for row in rows if part in row], METHODS)


def show(rows: list[Row], methods: Iterable[str]) -> None:
    """Print results as a table, and how long the longest training took."""
    table(rows, methods)
    print(f"\nlongest training: {max(row['seconds'] for row in rows):.1f} s", flush=True)


def table(rows: list[Row], methods: Iterable[str]) -> None:
    """Print results as a table in Markdown, skill × method."""
    points = spread(rows, ("skill", "method"))
    cells = {(point["skill"], point["method"]): in_words(point).replace("\n", ", ") for point in points}
    methods = list(methods)
    print(f"\n| skill | {' | '.join(methods)} |\n|---{'|---' * len(methods)}|")
    for skill in dict.fromkeys(row["skill"] for row in rows):
        print(f"| {skill} | {' | '.join(cells.get((skill, method), '') for method in methods)} |")


def tune_real_model(
    tasks: list[str],
    length: int,
    seeds: int,
    steps: int | None,
    until: float | None,
    snippets: Path,
    dtype: str | None,
    out: Path,
) -> None:
    """The same tuning, comparison and pictures on SmolLM2-135M."""
    from . import plots
    from .real import tasks as real

    makers = {
        "antonyms": real.antonym_texts,
        "sentiment": lambda: real.sentiment_texts(snippets),
        "chinese": real.chinese_texts,
    }
    unknown = [name for name in tasks if name not in makers]
    if unknown:
        raise ValueError(f"the tasks are {', '.join(makers)}; got {', '.join(unknown)}")
    out.mkdir(parents=True, exist_ok=True)
    every = [makers[name]() for name in tasks or makers]
    model, tokenizer, seconds = real.load_smollm2(dtype and getattr(torch, dtype))
    taken = ", ".join(f"{str(kind).removeprefix('torch.')} {1e3 * took:.0f} ms" for kind, took in seconds.items())
    print(
        f"SmolLM2: {sum(p.numel() for p in model.parameters()):,} parameters, frozen; a step of tuning takes {taken}:"
    )
    print(f"here it is tuned in {str(model.embedding.weight.dtype).removeprefix('torch.')}.", flush=True)
    rows = []
    for texts in every:
        began = time.perf_counter()
        results = texts.untuned(model, tokenizer, texts)
        results += texts.tuned(model, tokenizer, texts, length, range(seeds), steps or texts.steps, until)
        show(results, dict.fromkeys(row["method"] for row in results))
        print(f"{texts.name}: {time.perf_counter() - began:.0f} s in all", flush=True)
        rows += results
    write_whole(out / "results.json", json.dumps(rows, indent=1).encode())
    plots.save(plots.skill_matrix(rows), out / "comparison.png")
    texts = every[0]
    prompt = real.first_words(model, tokenizer, texts, length)["prompt"]
    one = real.task(replace(texts, test=texts.test[:1]), tokenizer)
    train(model, one.batches(0), prompt, steps=steps or texts.steps)
    step = gradients.record_step(model, *one.test, prompt)
    plots.save(plots.training_diagram(step, tokenizer), out / "training.png")
    print(f"wrote results.json, comparison.png and training.png, one step of tuning on {texts.name}, into {out}")


def tune_own_pairs(
    pairs: Path, model: str, out: Path, method: str, length: int, steps: int, rows: int, seed: int, instruction: str,
    dtype: str,
) -> None:  # fmt: skip
    """Train a soft prompt on one's own pairs of text and answer, and say whether it was worth it."""
    from .real import own_pairs
    from .real import own_tuning as own

    read = own_pairs.read_pairs(pairs)
    settings = own.Settings(method, length, steps, rows, seed, instruction)
    counts = {name: len(part) for name, part in own_pairs.split(read, seed)._asdict().items()}
    frozen, tokenizer, base_model = own.open_model(model, getattr(torch, dtype))
    print(
        f"{pairs}: {counts['train']} pairs to learn from, {counts['validation']} to see when they are learned, "
        f"{counts['test']} held back to measure at the end"
    )
    print(f"{model}: {sum(p.numel() for p in frozen.parameters()):,} parameters, frozen", flush=True)
    results = own.tune(frozen, tokenizer, read, out, settings, base_model)
    right = results["right"]
    print(f"\n{results['numbers']:,} numbers trained for {results['steps']} steps.")
    print(f"Exactly right of {counts['test']} held back:")
    for name, share in right.items():
        print(f"    {name:<12} {share:.0%}")
    for answer in results["answers"]:
        print(f"    {answer['text']} | wanted: {answer['wanted']} | tuned: {answer['tuned']}")
    best = max((name for name in right if name != "tuned"), key=right.get)
    if right["tuned"] <= right[best]:
        print(f"The tuned one does not beat {best!r}: more pairs, other words to start from or more steps may help.")
    if counts["test"] < own.ENOUGH:
        print(f"{counts['test']} pairs say little: with {own.ENOUGH} held back, the share is known to a tenth or so.")
    print(
        f"wrote {out}: {own.PROMPT} for load(), the folder for PeftModel.from_pretrained(model, {str(out)!r}), "
        f"and {own.RESULTS}"
    )


def pretrain_base(seed: int, steps: int, size: str, out: Path, world: Path) -> None:
    """Train the base model again, or one for another world."""
    card = pretrain(out, Phrasebook(world), seed, steps, size)
    known = [score for skill, score in card["scores"].items() if skill not in card["held_out"]]
    for kind in "with", "without":
        print(f"{kind} an instruction: {sum(score[kind] for score in known) / len(known):.1%} exactly right")
    print(f"wrote {out} and its card {out.with_suffix('.md')}; fingerprint {card['fingerprint']}")


def show_card(model: Path, world: Path) -> None:
    """Measure a base model again, on texts that training never shows, and print its card."""
    print(measured_again(model, Phrasebook(world)), end="")


def grade_class(
    submissions: list[Path], lesson: int, out: Path, profile: str, secret: Path | None, shard: tuple[int, int],
    processes: int | None, call: float, whole: float, attempts: int | None, course: Path | None,
) -> None:  # fmt: skip
    """Grade a class."""
    from .course.grading import Limits, grade  # on Linux only, so that the other commands run everywhere
    from .course.office import roster, settings

    torch.set_num_threads(1)  # the submissions share the cores
    named = dict(profile=profile, secret=secret, shard=shard, processes=processes, attempts=attempts)
    if course is not None:
        about = settings.read_course(course)
        named["absent"] = roster.read_roster(about.roster, about.names).absent
    rows = grade(submissions, lesson, out, limits=Limits(call=call, whole=whole), **named)
    if not rows and shard == (1, 1):
        print(f"nothing is handed in at {', '.join(map(str, submissions))}; expected notebooks, .py, zips or folders")
    print((out / "summary.txt").read_text(encoding="utf-8"), end="")
    print(f"wrote {out}: teacher.html, students/ and, where the profile gives grades, gradebook.csv and more")


def hand_out_course(course: Path, out: Path, each: bool, wheel: Path | None, install: str) -> None:
    """Write what students get, one bundle for all or one for each of the roster."""
    from .course.office import handout, roster, settings

    about = settings.read_course(course)
    students = [*roster.read_roster(about.roster, about.names).students.values()] if each else []
    if wheel is not None and not wheel.is_file():
        raise FileNotFoundError(f"there is no file {wheel}; make it with  python -m hatchling build")
    count = handout.hand_out(about, out, install, students, wheel, secret_of_names(about.secret) if each else b"")
    print(f"wrote {out}: {f'{count} bundles, one for each student' if each else 'one bundle for everybody'}")
    if wheel is not None:
        print("the wheel holds the checks, and so what they compare with: where that matters, install it yourself")


def secret_of_names(path: Path | None) -> bytes:
    """What the names in students' notebooks are made with; nothing where course.toml names no secret."""
    from .course.grading.classroom import secret_bytes

    return secret_bytes(path, "bundles that were handed out before have other names in them") if path else b""


def write_quizzes(out: Path, lessons: list[int], form: str | None) -> None:
    """Write the questions for a course system, in the form that the file's name says or that is named."""
    from .course.quizzes import gift, moodle, qti, questions

    forms = {"moodle": (".xml", moodle), "qti": (".zip", qti), "gift": (".gift", gift)}
    by_name = {ending: name for name, (ending, _) in forms.items()}
    if form is None and out.suffix not in by_name:
        raise ValueError(f"a file's ending says its form: {', '.join(by_name)}; got {out}: rename it, or add --format")
    chosen = forms[form or by_name[out.suffix]][1]
    write_whole(out, chosen.write(tuple(lessons)))
    print(f"wrote {out}: {sum(map(len, questions(lessons).values()))} questions")


def combine_marks(course: Path, graded: list[Path], out: Path) -> None:
    """One row for each student of a course, out of what was graded; files for course systems; and who is missing."""
    from .course.grading.reports import as_csv, harmless
    from .course.office import gradebook, roster, settings

    about = settings.read_course(course)
    students = roster.read_roster(about.roster, about.names)
    changed = gradebook.read_overrides(about.overrides, about, students)
    submissions = [each for folder in graded for each in gradebook.read_graded(folder)]
    if about.secret and not about.secret.is_file():
        raise FileNotFoundError(
            f"there is no secret {about.secret}, which  minitransformer handout --each  made: copy it here, or take "
            f"secret out of {course}; without it nobody can tell whose notebook questions were answered in"
        )
    book = gradebook.combine(about, students, submissions, changed, secret_of_names(about.secret))
    files = {"gradebook": gradebook.as_table, "moodle": gradebook.for_moodle, "canvas": gradebook.for_canvas}
    for name, made in files.items():
        rows = [[harmless(cell) for cell in line] for line in made(book)]
        write_whole(out / f"{name}.csv", as_csv(rows).encode("utf-8-sig" if name == "gradebook" else "utf-8"))
    for number in sorted(book.course.lessons):
        marks = [each[number] for each in book.marks.values()]
        absent = sum("not handed in" in each.notes for each in marks)
        mean, worth = sum(each.points for each in marks) / max(len(marks), 1), about.lessons[number].worth
        print(f"lesson {number}: {len(marks) - absent} of {len(marks)} handed in; mean {mean:.1f} of {worth:g}")
    if waiting := sorted(about.lessons.keys() - book.course.lessons.keys()):
        print(f"not graded yet, and in no table: lesson {', '.join(map(str, waiting))}")
    for each, why in book.strangers:
        print(f"nobody's: {each.name!r}, lesson {each.lesson}: {why}")
    if book.strangers:
        print(f'say whose they are in {course}:  [roster.names]  "the name" = "a student\'s id"')
    print(f"wrote {out}: {', '.join(f'{name}.csv' for name in files)}")


def lab(copy_to: Path, copy_only: bool, port: int | None, no_browser: bool, further: list[str]) -> None:
    """Open JupyterLab on one's own copies of the lessons."""
    try:
        import jupyterlab  # noqa: F401
    except ImportError as error:
        raise ImportError(f"JupyterLab cannot be started ({error}): run  pip install jupyterlab") from None
    words = own_copies.jupyterlab(copy_to, port, no_browser)
    copied, kept = own_copies.copy_lessons(lessons_folder(), copy_to)
    print(f"{copy_to}: {len(copied)} lessons copied")
    if kept:
        print(f"these were there, and stay as they are: {', '.join(kept)}; to start one anew, give yours another name")
    if copy_only:
        return
    print(f"JupyterLab opens on {copy_to.resolve()}; Ctrl-C here stops it.", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *words, *further])


def play(out: Path | None, port: int, no_browser: bool, build_only: bool) -> None:
    """Build the page on which a prompt is trained, unless it is there, and show it."""
    from .live.build import build, built  # what records graphs takes a second to import
    from .live.serving import address, serve, server
    from .live.showing import ready

    if out is None:
        out = ready()
    elif built(out):
        print(f"{out}: the page that is there; remove the folder to have it built again", flush=True)
    else:
        print(f"{out}: building the page, some minutes, once …", flush=True)
        build(out)
    if build_only:
        print(f"{out}: the page is there; any static server shows it.")
    else:
        listening = server(out, port)
        print(f"{address(listening)} shows it; Ctrl-C here stops it.", flush=True)
        serve(listening, show=not no_browser)
