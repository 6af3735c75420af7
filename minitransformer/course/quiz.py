"""Questions in place: answered in plain Python, `quiz("1.q1", "b")`, or by clicking where ipywidgets is installed."""

import html
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Real

from . import catalogue
from .answers import MIME, file_name
from .display import FAIR, GOOD, NOT_YET, PLAIN, Shown, as_code, box, in_notebook, loud, marked_up, plain_text
from .progress import RECORD, in_order_of, progress, recall, remember
from .questions import Match, Numeric, Order, Question, Reply, Several

NOT_COUNTED = "Not counted"


@dataclass(frozen=True, repr=False)
class Quiz(Shown):
    """A question that can be clicked, below its text; where no widget can be shown, the text is all there."""

    question: Question | None = None
    before: Shown | None = None  # what an answer of an earlier session got

    def _ipython_display_(self):
        from IPython.display import display

        from .widgets import controls

        def give(_: str, text: str) -> Shown:
            return clicked(self.question, text)

        display({"text/html": self.html, "text/plain": self.text}, raw=True)
        display(controls(self.question, give, self.before.html if self.before else ""))
        display(in_cell(self.question), raw=True, display_id=f"answer-{self.question.id}")


def quiz(question_id: str, answer: str = "") -> Shown:
    """Show a question; with an answer, or one from an earlier session, also what there is to say about it."""
    try:
        question = find_question(question_id)
    except ValueError as error:
        return unreadable(str(error))
    text, shown = asking(question)
    if not isinstance(answer, str) or answer.strip():
        replied = reply(question, answer)
        return Shown(f"{text}\n{replied.text}", shown + replied.html)
    how = f"Answer with {question.ask}: quiz({question.id!r}, answer={question.example!r})"
    if not clickable():
        how += " — to click instead: pip install ipywidgets"
    before = answered_before(question)
    text, asked = f"{text}\n{how}", f"{shown}<small>{html.escape(how, quote=False)}</small>"
    if in_notebook() and clickable():
        return Quiz(f"{text}\n{before.text}", asked, question, before)
    return Shown(f"{text}\n{before.text}".rstrip(), asked + before.html)


def answer(question_id: str, answer: str) -> Shown:
    """Answer a question: what there is to say about it, and where you are."""
    try:
        return reply(find_question(question_id), answer)
    except ValueError as error:
        return unreadable(str(error))


def clicked(question: Question, answer: str) -> Shown:
    """The same for a click: it stands in no cell's code, so the cell's output keeps it, and failing is said loudly."""
    said, trouble = replied(question, answer)
    if said.text.startswith(NOT_COUNTED):
        return said
    if in_notebook():
        from IPython.display import update_display

        update_display(in_cell(question), raw=True, display_id=f"answer-{question.id}")
    if not trouble:
        code = f"As code: {as_code(question.id, answer)}"
        return Shown(f"{said.text}\n{code}", f"{said.html}<small>{html.escape(code, quote=False)}</small>")
    warning = loud(question.id, answer, trouble)
    return Shown(f"{warning.text}\n{said.text}", warning.html + said.html)


def in_cell(question: Question) -> dict:
    """What the cell's output holds below the question: the answer in a form for the grader, and in words."""
    given = RECORD.given.get(question.id)
    if given is None:
        words, kept = f"{question.id}: no answer is kept yet", {}
    else:
        times = f" (attempt {given.attempts})" if given.attempts > 1 else ""
        lost = any(name == question.id for name, *_ in RECORD.not_kept)
        place = (
            "NOT in a file; in this cell"
            if lost
            else f"in {file_name(int(question.id.split('.')[0]))}, and in this cell"
        )
        words = (
            f"{question.id}: your answer {given.text}{times} is kept {place} once the notebook is saved; "
            "if the reply above is to another answer, run the cell again"  # a page that was reloaded shows no updates
        )
        kept = {"id": question.id, "answer": given.text, "student": given.student, "attempts": given.attempts}
        kept = {MIME: kept}
    return {"text/plain": words, "text/html": f"<small>{html.escape(words)}</small>"} | kept


def answered_before(question: Question) -> Shown:
    """What an earlier answer got, in the letters of this student; else why it cannot be read."""
    trouble = recall(int(question.id.split(".")[0]))
    if given := RECORD.given.get(question.id):
        try:
            text = in_order_of(question, given)
        except ValueError as other:
            return Shown(str(other), box(NOT_YET, html.escape(str(other))))
        RECORD.replies[question.id] = question.grade(text)
        return said_of(question, text)
    return Shown(trouble, box(NOT_YET, f"<strong>{html.escape(trouble)}</strong>")) if trouble else Shown("", " ")


def reply(question: Question, answer: object) -> Shown:
    """What there is to say about an answer; one that cannot be read is told so, and counts as none."""
    return replied(question, answer)[0]


def replied(question: Question, answer: object) -> tuple[Shown, str]:
    """The same, and why the answer could not be kept, if so."""
    try:
        text = as_text(question, answer)
        graded = question.grade(text)
    except ValueError as error:
        return unreadable(str(error)), ""
    note, trouble = remember(question, text, graded)
    said = said_of(question, text)
    if note:
        note = f"{note}."
        said = Shown(f"{note}\n{said.text}", box(NOT_YET, f"<strong>{html.escape(note)}</strong>") + said.html)
    return said, trouble


def said_of(question: Question, answer: str) -> Shown:
    strip = progress(int(question.id.split(".")[0]))
    return told(question, answer, RECORD.replies[question.id], strip)


def told(question: Question, answer: str, graded: Reply, *more: Shown) -> Shown:
    """What an answer earned, and why."""
    word, colour = graded.word, {1.0: GOOD, 0.0: NOT_YET, None: PLAIN}.get(graded.credit, FAIR)
    head = f"<strong>{html.escape(answer)}: {word}</strong>"
    if not question.points:  # one's own words may be many
        head = f"{marked_up(answer)}<br><strong>{word}</strong>"
    lines = [f"{question.id}, answered {answer}: {word}", *map(plain_text, graded.lines)]
    page = box(colour, head, *map(marked_up, graded.lines), *(each.html for each in more))
    return Shown("\n".join([*lines, *(each.text for each in more)]), page)


def find_question(question_id: str) -> Question:
    """The question in this student's order."""
    if not isinstance(question_id, str):
        raise ValueError(f"a question's name is a text such as '1.q1'; got {described(question_id)}")
    return catalogue.question(question_id).for_student(RECORD.student)


def as_text(question: Question, answer: object) -> str:
    """A number means its digits where a number is asked, and a list of letters those letters where several are."""
    if isinstance(answer, str):
        return answer
    if isinstance(question, Numeric) and isinstance(answer, Real) and not isinstance(answer, bool):
        return str(answer)
    if isinstance(question, Several | Order | Match) and isinstance(answer, list | tuple):
        return " ".join(each for each in answer if isinstance(each, str))
    raise ValueError(f"an answer is a text such as {question.example!r}; got {described(answer)}")


def described(came: object) -> str:
    return "None" if came is None else f"a {type(came).__name__}"


def clickable() -> bool:
    try:
        return bool(find_spec("ipywidgets"))
    except ValueError:  # its import was stopped
        return False


def unreadable(why: str) -> Shown:
    return Shown(f"{NOT_COUNTED}: {why}", box(NOT_YET, f"<strong>{NOT_COUNTED}</strong>: {html.escape(why)}"))


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
