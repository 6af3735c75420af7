"""Bugs that people really make in soft prompts: the student's test of exercise 5.7 should catch them.

Each is a known wrong answer to an exercise (see `wrong_answers.py` of its lesson), named by its misconception.
"""

from importlib import import_module

from .. import catalogue
from ..lesson_text import changed, lesson_of, reference, solution

PROGRAM = "2.1", "2.2", "2.3", "5.1"  # the exercises whose answers make up a program
REFUSED = " (this model refuses it; another would not)"
BUGS = {  # the misconception -> its exercise, and what one sees of it
    "prompt-replaces-tokens": ("2.1", "short texts lose their meaning; the longer the prompt, the worse" + REFUSED),
    "prompt-behind-the-text": ("2.1", "no word of the text sees the prompt" + REFUSED),
    "not-a-parameter": ("2.1", "the optimizer gets an empty list"),
    "gradient-cut-off": ("2.1", "the vectors never move; where the model is not frozen, nothing is raised"),
    "prompt-added": ("2.1", "every word is moved, and the length is right" + REFUSED),
    "prompt-in-first-text-only": ("2.1", "right alone, wrong in a batch"),
    "start-ignored": ("2.1", "a prompt made of words starts no better than one of nothing"),
    "targets-shifted-twice": ("2.2", "a falling loss, and accuracy zero"),
    "prompt-not-passed": ("2.2", "the loss is the same whatever the vectors are"),
    "logits-sliced": ("2.2", "right without a prompt, and NaN with a long one"),
    "tokens-for-targets": ("2.2", "a loss that the targets do not change; it falls, and accuracy is zero"),
    "ignored-counted": ("2.2", "the loss falls when the batch is padded more"),
    "last-word-repeated": ("2.3", "most of the prompt is one word"),
    "table-from-the-top": ("2.3", "every prompt starts from the same rows of the table, whatever its words"),
    "same-at-every-layer": ("5.1", "only layer 0's vectors ever get a gradient"),
}


def program(bug: str = "") -> str:
    """The text's own solutions of these exercises as one piece of code, with this bug in it."""
    cells = {exercise: solution(exercise) for exercise in PROGRAM}
    if bug:
        exercise, _ = BUGS[bug]
        bank = import_module(f"..lesson{lesson_of(exercise)}.wrong_answers", __package__)
        texts = next(texts for name, *texts in bank.CHANGES[exercise] if name == bug)
        cells[exercise] = changed(exercise, *texts)
    return "\n".join(cells.values())


def pieces(rng, bug: str = "") -> dict[str, object]:
    """A program as its pieces by exercise: each is drawn from the right answers, but for the one with this bug."""
    drawn = {exercise: some(right_pieces(exercise), rng) for exercise in PROGRAM}
    if bug:
        exercise, _ = BUGS[bug]
        wrong = catalogue.known_answers(lesson_of(exercise), "wrong")[exercise]
        drawn[exercise] = some([answer for name, answer in wrong if name == bug], rng)
    return drawn


def right_programs(rng) -> list[dict[str, object]]:
    """Programs in which every right answer takes part; the first one is the text's own."""
    columns = {}
    for exercise in PROGRAM:
        first, *others = right_pieces(exercise)
        columns[exercise] = [first, *(others[place] for place in rng.permutation(len(others)))]
    longest = max(map(len, columns.values()))
    return [{name: column[n % len(column)] for name, column in columns.items()} for n in range(longest)]


def right_pieces(exercise: str) -> list[object]:
    """The text's own solution, and the unusual right answers."""
    return [reference(exercise), *catalogue.known_answers(lesson_of(exercise), "right")[exercise]]


def some(answers: list, rng) -> object:
    return answers[rng.integers(len(answers))]
