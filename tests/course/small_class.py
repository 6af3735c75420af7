"""Eight students and what they hand in of lesson 2: right in two ways, half right, nothing, wrong, broken, changed.

The notebooks hold what earns points and the imports, so that each runs in seconds.
"""

import inspect
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).parents[2] / "lessons"))

from notebooks import notebook

from minitransformer.course import catalogue
from minitransformer.course.lesson2 import right_answers, wrong_answers
from minitransformer.course.lesson_text import answer_names, changed, solution, sources

LESSON, NAMES = 2, answer_names(2)
QUESTIONS = {name: question for name, question in catalogue.questions(LESSON).items() if question.points}
RIGHT = {name: question.answer for name, question in QUESTIONS.items()}


def short(book: NotebookNode) -> NotebookNode:
    """Without the texts and experiments."""
    book.cells = [
        cell
        for cell in book.cells
        if cell.cell_type == "code"
        and ("nbgrader" in cell.metadata or "quiz(" in cell.source or "minitransformer.course import" in cell.source)
    ]
    return book


def blank() -> NotebookNode:
    return short(notebook(sources()[LESSON], solved=False))


def filled(book: NotebookNode, exercises: dict[str, str], answers: dict[str, str]) -> NotebookNode:
    """The same with this code in its exercises, and these answers typed."""
    for cell in book.cells:
        role, _, about = cell.get("id", "").partition("-")
        about = about.replace("-", ".")
        if role == "exercise" and about in exercises:
            cell.source = exercises[about]
        if role == "question" and about in answers:
            cell.source = f"quiz({about!r}, answer={answers[about]!r})"
    return book


def solved(exercise: str) -> str:
    """The lesson's own solution."""
    return solution(exercise)


def unusual(exercise: str) -> str:
    """A right answer that looks unlike the lesson's."""
    answer = right_answers.ANSWERS[exercise][0]
    return f"{inspect.getsource(answer)}\n\n{NAMES[exercise]} = {answer.__name__}"


def wrong(exercise: str, misconception: str) -> str:
    """The lesson's solution with a known mistake in it."""
    return changed(exercise, *next(texts for name, *texts in wrong_answers.CHANGES[exercise] if name == misconception))


def with_other_checks(book: NotebookNode, change: Callable[[NotebookNode], None]) -> NotebookNode:
    """The same with a change in each cell that gives points."""
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            change(cell)
    return book


def gives_itself_all(cell: NotebookNode) -> None:
    cell.source = str(cell.metadata.nbgrader.points)
    cell.metadata.nbgrader.points = 100


def of(book: NotebookNode) -> dict[str, NotebookNode]:
    """What each student makes of a lesson that was handed out."""
    ours = {name: solved(name) for name in NAMES}
    half = {"2.1": wrong("2.1", "not-in-eval-mode"), "2.2": ours["2.2"]}
    some = dict(list(RIGHT.items())[:5]) | {"2.q2": "1a 2b 3c", "2.q12": "a c"}
    mistaken = {"2.1": wrong("2.1", "prompt-behind-the-text"), "2.2": wrong("2.2", "ignored-counted"),
                "2.3": wrong("2.3", "too-many-words")}  # fmt: skip
    broken = ours | {"2.2": "def prompt_loss(model, hooks, tokens, targets):\n    return loss("}
    return {
        "ada": filled(deepcopy(book), ours, RIGHT),
        "ben": filled(deepcopy(book), half, some),
        "cem": deepcopy(book),
        "dora": with_other_checks(deepcopy(book), gives_itself_all),
        "eve": filled(deepcopy(book), {name: unusual(name) for name in NAMES}, dict.fromkeys(RIGHT, "z")),
        "finn": filled(deepcopy(book), mistaken, RIGHT),
        "gita": without_checks(filled(deepcopy(book), ours, RIGHT)),
        "hugo": filled(deepcopy(book), broken, RIGHT),
    }


def without_checks(book: NotebookNode) -> NotebookNode:
    book.cells = [cell for cell in book.cells if "check(" not in cell.source]
    return book
