"""Five questions from earlier lessons at the start of one. Their answers are kept apart from those that are graded."""

import html
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from . import catalogue, lesson_text
from .answers import LONGEST, Given
from .display import FAIR, NOT_YET, PLAIN, Shown, box, in_notebook
from .practice import Practice
from .progress import RECORD, coloured, in_order_of, note, practised, recall, repeated, squares
from .questions import Question
from .quiz import as_text, asking, clickable, told, unreadable
from .repetition import Again, before, chosen, earned

PURPOSE = (
    "You have seen these: answering once more, from memory, is how they stay. "
    "Nothing here is graded, and your answers in those lessons stay as they are."
)


@dataclass(frozen=True, repr=False)
class Clickable(Shown):
    """The questions, each with its buttons below it; where no widget can be shown, the texts are all there."""

    lesson: int = 0
    head: Shown | None = None
    questions: tuple[tuple[Question, Shown, Shown], ...] = ()  # what it asks, and what was answered before

    def _ipython_display_(self):
        from IPython.display import display

        from .widgets import controls

        display(self.head)
        for question, asked, given in self.questions:
            display(asked)
            give = partial(clicked, self.lesson, question)
            display(controls(question, give, given.html, not_kept))


def warm_up(lesson: int, question_id: str = "", answer: object = "") -> Shown:
    """Show the five questions from before this lesson, or answer one of them: warm_up(3, "1.q6", "b")."""
    try:
        if type(lesson) is not int:
            raise ValueError(f"a warm-up is named by its lesson, as in warm_up(3); got a {type(lesson).__name__}")
        catalogue.folder(lesson)
        if not before(lesson):
            text = f"Lesson {lesson} is the first one: there is nothing to repeat yet."
            return Shown(text, box(PLAIN, text))
        again, trouble = asked(lesson)
        if question_id:
            return reply(lesson, asked_by(again, question_id), answer)
    except ValueError as error:
        return unreadable(str(error))
    return shown(lesson, again, trouble)


def asked(lesson: int) -> tuple[list[Again], str]:
    """The questions of this warm-up: chosen once, and the same from then on; and why that cannot be kept, if so."""
    practice, trouble = practised(lesson)
    again = chosen(lesson, practice.asked)
    if (names := [each.question.id for each in again]) != practice.asked:
        trouble = note(lesson, "ask", tuple(names), tuple(practice.asked)) or trouble
        again = chosen(lesson, practised(lesson)[0].asked)  # another notebook may have chosen meanwhile
    return again, trouble


def asked_by(again: list[Again], name: object) -> Question:
    known = {each.question.id: each.question for each in again}
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"this warm-up asks {', '.join(known)}; got {name!r:.80}")
    return known[name].for_student(RECORD.student)


def shown(lesson: int, again: list[Again], trouble: str) -> Shown:
    head = announced(lesson, again, trouble)
    practice = practised(lesson)[0]
    parts = []
    for each in again:
        question = each.question.for_student(RECORD.student)
        parts.append((question, posed(lesson, each, question), answered_before(practice, question)))
    pieces = [head, *(piece for _, *pieces in parts for piece in pieces)]
    text = "\n".join(piece.text for piece in pieces if piece.text)
    page = "".join(piece.html for piece in pieces)
    if in_notebook() and clickable():
        return Clickable(text, page, lesson, head, tuple(parts))
    return Shown(text, page)


def announced(lesson: int, again: list[Again], trouble: str) -> Shown:
    """What this is, why these were chosen, where one is, and what could not be read or kept."""
    title = f"Warm-up for lesson {lesson}: {len(again)} questions from before."
    troubles = [each for each in (*map(recall, before(lesson)), trouble) if each]
    lines = [PURPOSE, reason(lesson, again), *(f"{each}." for each in dict.fromkeys(troubles))]
    if in_notebook() and not clickable():
        lines.append("To click instead of typing: pip install ipywidgets.")
    strip = strip_of(lesson)
    page = box(FAIR if troubles else PLAIN, f"<strong>{title}</strong>", *map(html.escape, lines), strip.html)
    return Shown("\n".join([title, *lines, strip.text]), page)


def reason(lesson: int, again: list[Again]) -> str:
    if missed := sum(bool(each.why) for each in again):
        return (
            f"{missed} of them were chosen because of what you missed."
            if missed < len(again)
            else ("They were chosen because of what you missed.")
        )
    if any(name.split(".")[0] in map(str, before(lesson)) for name in RECORD.given):
        return "You missed nothing in what is kept here: these keep it fresh."
    return "No answers of yours from earlier lessons are kept here, so a fixed rule chose them."


def posed(lesson: int, again: Again, question: Question) -> Shown:
    """One question, where it is from and why it comes again, and how to answer in code."""
    text, page = asking(question)
    place = f"From lesson {again.lesson}, {lesson_text.title(again.lesson)}" + (f": {again.why}." if again.why else ".")
    how = f"Answer with {question.ask}: warm_up({lesson}, {question.id!r}, {question.example!r})"
    above, below = (f"<small>{html.escape(each, quote=False)}</small>" for each in (place, how))
    return Shown(f"\n{place}\n{text}\n{how}", f'<div style="margin-top:1.2em">{above}</div>{page}{below}')


def answered_before(practice: Practice, question: Question) -> Shown:
    """What the last answer in this warm-up got; nothing where there is none that can be read."""
    tries = practice.answers.get(question.id, [])
    with suppress(ValueError):
        if tries:
            text = in_order_of(question, tries[-1])
            return told(question, text, question.grade(text))
    return Shown("", " ")


def reply(lesson: int, question: Question, answer: object) -> Shown:
    """What there is to say about an answer, which is kept as one more try."""
    text = as_text(question, answer)
    said = told(question, text, question.grade(text))
    if len(text) > LONGEST:
        raise ValueError(f"an answer has at most {LONGEST:,} signs, and this one has {len(text):,}")
    tries, trouble = practised(lesson)[0].answers.get(question.id, []), ""
    if not tries or not repeated(question, text, tries[-1]):
        trouble = note(lesson, "add_answer", question.id, Given(text, question.student, len(tries) + 1))
    strip = strip_of(lesson)
    warning = f"{trouble}." if trouble else ""
    page = said.html + (box(NOT_YET, html.escape(warning)) if warning else "") + strip.html
    return Shown("\n".join(filter(None, [said.text, warning, strip.text])), page)


def clicked(lesson: int, question: Question, _: str, text: str) -> Shown:
    try:
        return reply(lesson, question, text)
    except ValueError as error:
        return unreadable(str(error))


def not_kept(question_id: str, answer: str, why: str) -> Shown:
    """For what nobody foresaw: a front end shows nothing that a click raises."""
    text = f"Your answer {answer} to {question_id} is not kept: {why}. Run the cell again."
    return Shown(text, box(NOT_YET, html.escape(text)))


def strip_of(lesson: int) -> Shown:
    """Where one is in this warm-up."""
    credits = credits_of_warm_up(lesson)
    answered = [each for each in credits if each is not None]
    words = f"{len(answered)} of {len(credits)} answered, {sum(each == 1 for each in answered)} right at once"
    done = " What you missed comes again in a later lesson." if len(answered) == len(credits) else ""
    text = f"warm-up {squares(credits)} {words}.{done}"
    return Shown(text, f'<div style="margin:.4em 0">warm-up {coloured(credits)} {words}.{done}</div>')


def credits_of_warm_up(lesson: int) -> list[float | None]:
    """What the first answer to each question of this warm-up earned; an empty list where none was chosen yet."""
    practice, credits = practised(lesson)[0], []
    for name in practice.asked:
        with suppress(ValueError):  # a question that is gone
            tries = earned(catalogue.question(name), practice.answers.get(name, []))
            credits.append(tries[0] if tries else None)
    return credits
