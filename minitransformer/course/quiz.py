"""Questions in place: answered in plain Python, `quiz("1.q1", "b")`, or by clicking where ipywidgets is installed."""

import html
from dataclasses import dataclass
from importlib.util import find_spec

from .catalogue import question as find_question
from .display import FAIR, GOOD, NOT_YET, PLAIN, Shown, box, in_notebook, marked_up, plain_text
from .progress import RECORD, progress
from .questions import Question, Reply


@dataclass(frozen=True, repr=False)
class Quiz(Shown):
    """A question that can be clicked, below its text; where no widget can be shown, the text is all there."""

    question: Question | None = None

    def _ipython_display_(self):
        from IPython.display import display

        from .widgets import controls

        display({"text/html": self.html, "text/plain": self.text}, raw=True)
        display(controls(self.question, answer))


def quiz(question_id: str, answer: str = "") -> Shown:
    """Show a question; with an answer, also what there is to say about it."""
    question = find_question(question_id)
    if answer:
        asked, replied = asking(question), reply(question, answer)
        return Shown(f"{asked[0]}\n{replied.text}", asked[1] + replied.html)
    text, shown = asking(question)
    how = f"Answer with {question.ask}: quiz({question.id!r}, answer={question.example!r})"
    text, shown = f"{text}\n{how}", f"{shown}<small>{html.escape(how)}</small>"
    clickable = find_spec("ipywidgets") and in_notebook()
    return Quiz(text, shown, question) if clickable else Shown(text, shown)


def answer(question_id: str, answer: str) -> Shown:
    """Answer a question: what there is to say about it, and where you are."""
    return reply(find_question(question_id), answer)


def reply(question: Question, answer: str) -> Shown:
    """What there is to say about an answer; one that cannot be read is told so, and counts as none."""
    if not isinstance(answer, str):
        return unreadable(f"an answer is a text such as {question.example!r}; got a {type(answer).__name__}")
    try:
        graded: Reply = question.grade(answer)
    except ValueError as error:
        return unreadable(str(error))
    RECORD.replies[question.id] = graded
    strip = progress(int(question.id.split(".")[0]))
    word, colour = graded.word, {1.0: GOOD, 0.0: NOT_YET, None: PLAIN}.get(graded.credit, FAIR)
    lines = [marked_up(each) for each in graded.lines]
    text = "\n".join([f"{question.id}, answered {answer}: {word}", *map(plain_text, graded.lines), strip.text])
    return Shown(text, box(colour, f"<strong>{html.escape(answer)}: {word}</strong>", *lines, strip.html))


def unreadable(why: str) -> Shown:
    return Shown(f"Not counted: {why}", box(NOT_YET, f"<strong>Not counted</strong>: {html.escape(why)}"))


def asking(question: Question) -> tuple[str, str]:
    """The question as text and as HTML."""
    text = [f"{question.id} {plain_text(question.prompt)}"]
    text += [f"  {label}) {plain_text(line)}" for label, line in question.lines()]
    rows = [f"<li><strong>{label}</strong>&ensp;{marked_up(line)}</li>" for label, line in question.lines()]
    split = sum(label.isdigit() for label, _ in question.lines())
    lists = [part for part in (rows[:split], rows[split:]) if part]
    shown = "".join(
        f'<ul style="list-style:none;padding-left:1em;margin:.4em 0">{"".join(part)}</ul>' for part in lists
    )
    return "\n".join(text), box(PLAIN, f"<strong>{question.id}</strong> {marked_up(question.prompt)}", shown)
