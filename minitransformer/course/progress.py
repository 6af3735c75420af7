"""What a student has done, in this session and, as far as answers were kept, before; and the strip that shows it."""

import html
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from . import catalogue, keeping
from .answers import LONGEST, Given
from .display import FAIR, GOOD, NOT_YET, PLAIN, Shown, box
from .exercise import Outcome
from .practice import Practice
from .questions import Question, Reply


@dataclass
class Record:
    """What was answered and guessed. It lasts as long as the notebook's kernel; answers are kept in a file as well."""

    student: str = ""  # whose order of options is shown
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    passing: dict[str, object] = field(default_factory=dict)  # the answers that passed, to know them again
    replies: dict[str, Reply] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)  # the answers that these replies are for
    not_kept: list[tuple[str, str, str]] = field(default_factory=list)  # question, answer, student: to be tried again
    hints: dict[str, int] = field(default_factory=dict)  # how many were shown
    guesses: dict[str, object] = field(default_factory=dict)
    unkept: dict[int, dict[tuple, None]] = field(default_factory=dict)  # changes of a lesson's practice, in order
    trouble: dict[int, str] = field(default_factory=dict)  # why these cannot be kept

    def forget(self) -> None:
        vars(self).update(vars(Record()))


RECORD = Record()


def student(name: str) -> Shown:
    """Say who you are: from here on questions have an order of options, and numbers, of your own."""
    if type(name) is not str or not name.strip() or len(name) > LONGEST:
        text = "a name is a text such as 'ada': student('ada'). The order of the options stays as it was."
        return Shown(text, box(NOT_YET, html.escape(text)))
    RECORD.student = name.strip()
    text = f"Questions now have the order and the numbers of {RECORD.student}: run the cells with questions again."
    return Shown(text, box(PLAIN, html.escape(text)))


def remember(question: Question, text: str, reply: Reply) -> tuple[str, str]:
    """Record an answer and keep it: what else there is to know, and why it could not be kept, if so.

    The same answer again is no new attempt: a notebook may run twice, and a click may be a double one.
    """
    lesson = int(question.id.split(".")[0])
    recall(lesson)
    before = RECORD.given.get(question.id, Given("", attempts=0))
    RECORD.replies[question.id] = reply
    if not repeated(question, text, before):
        tries = *before.tries, Given(text, question.student)
        RECORD.given[question.id] = Given(text, question.student, before.attempts + 1, tries)
        RECORD.not_kept.append((question.id, text, question.student))
    return keep_all(lesson)


def keep_all(lesson: int) -> tuple[str, str]:
    """Keep what is not kept yet of this lesson, in order."""
    notes = []
    for each in [each for each in RECORD.not_kept if each[0].startswith(f"{lesson}.")]:
        try:
            notes.append(keeping.keep(*each))
        except keeping.NotKept as why:
            return " ".join(filter(None, notes)), str(why)
        RECORD.not_kept.remove(each)
    return " ".join(filter(None, notes)), ""


def recall(lesson: int) -> str:
    """Take over the answers of earlier sessions and other notebooks; say so if they cannot be read."""
    try:
        kept = keeping.kept(lesson)
    except keeping.NotKept as why:
        return str(why)
    known = catalogue.questions(lesson)
    for name, given in kept.items():
        now = RECORD.given.get(name)
        if name in known and (now is None or given.attempts > now.attempts):
            with suppress(ValueError):  # it fitted an earlier form of the question
                RECORD.replies[name] = known[name].for_student(given.student).grade(given.text)
                RECORD.given[name] = given
    return ""


def note(lesson: int, change: str, *about: object) -> str:
    """Keep a change of what is not graded. One that cannot be kept counts in this session; say why, if so."""
    changes = RECORD.unkept.setdefault(lesson, {})
    changes[change, *about] = None
    RECORD.trouble[lesson] = ""
    try:
        if keeping.keep_practice(lesson, lambda content: apply(changes, content)):
            changes.clear()
    except keeping.NotKept as why:
        RECORD.trouble[lesson] = f"{why}. What you do counts in this session only"
    return RECORD.trouble[lesson]


def practised(lesson: int) -> tuple[Practice, str]:
    """What was done of this lesson without being graded; and why what is kept of it cannot be read, if so."""
    content, trouble = {}, ""
    try:
        content = keeping.practised(lesson)
    except keeping.NotKept as why:
        trouble = str(why)
    return apply(RECORD.unkept.get(lesson, {}), content), trouble


def apply(changes: Iterable[tuple], content: dict) -> Practice:
    practice = Practice(content)
    for change, *about in changes:
        getattr(practice, change)(*about)
    return practice


def same(text: str) -> str:
    return " ".join(text.lower().split())


def repeated(question: Question, text: str, given: Given) -> bool:
    """Whether this text is an earlier answer once more, to the same question."""
    with suppress(ValueError):
        return same(text) == same(in_order_of(question, given))
    return False


def in_order_of(question: Question, given: Given) -> str:
    """A kept answer in the letters that stand for the same texts in this student's order.

    A ValueError says that it was to other numbers, and so to another question.
    """
    asked = question.for_student(given.student)
    if asked.prompt != question.prompt:
        raise ValueError(f"Your answer {given.text} was to this question with other numbers: answer it once more.")
    then, now = asked.lines(), question.lines()
    if then == now:
        return given.text
    label_of = {(label.isdigit(), text): label for label, text in now}
    label_now = {label: label_of[label.isdigit(), text] for label, text in then}
    words = re.sub(r"\band\b", " ", given.text.lower())
    labels = [label_now[label] for label in re.findall(r"\d+|[a-z]", words) if label in label_now]
    return re.sub(r"(\d) ", r"\1", " ".join(labels))


def progress(lesson: int) -> Shown:
    """Where you are in this lesson: a square for each exercise and each question."""
    trouble = recall(lesson)
    earned, answered = points_of_exercises(lesson), credits_of_questions(lesson)
    done, of = shares(earned), sum(each.points for each in catalogue.exercises(lesson).values())
    points = sum(each or 0 for each in earned.values())
    right = sum(credit or 0 for credit in answered)
    counts = f"{points} of {of} points", f"{right:.3g} of {len(answered)}"
    text = f"lesson {lesson}   exercises {squares(done)} {counts[0]}   questions {squares(answered)} {counts[1]}"
    strip = (
        f"<strong>Lesson {lesson}</strong> &emsp; exercises {coloured(done)} {counts[0]}"
        f" &emsp; questions {coloured(answered)} {counts[1]}"
    )
    if trouble:
        text, strip = f"{text}\n{trouble}", f"{strip}<br><strong>{html.escape(trouble)}</strong>"
    return Shown(text, f'<div style="margin:.4em 0">{strip}</div>')


def points_of_exercises(lesson: int) -> dict[str, int | None]:
    """What each exercise earned: when it was checked in this session, or else the most that is kept."""
    exercises, kept = catalogue.exercises(lesson), practised(lesson)[0].exercises
    earned = {name: min(max(kept[name].earned, 0), exercises[name].points) for name in exercises if name in kept}
    for name in exercises:
        if outcome := RECORD.outcomes.get(name):
            earned[name] = outcome.earned if outcome.written else None
    return {name: earned.get(name) for name in exercises}


def shares(earned: dict[str, int | None]) -> list[float | None]:
    """Which part of its points each exercise earned."""
    return [None if points is None else points / catalogue.exercise(name).points for name, points in earned.items()]


def credits_of_questions(lesson: int) -> list[float | None]:
    """What each question that no person reads earned; None for those that are open."""
    names = [name for name, each in catalogue.questions(lesson).items() if each.points]
    return [RECORD.replies[name].credit if name in RECORD.replies else None for name in names]


def question_points(lesson: int) -> float:
    """The sum of what the questions of this lesson earned so far: a plain number, which nbgrader takes as points."""
    recall(lesson)
    known = catalogue.questions(lesson)
    credits = [reply.credit or 0 for question, reply in RECORD.replies.items() if question in known]
    return float(round(sum(round(credit, 3) for credit in credits), 3))  # as the grader rounds


def mark(credit: float | None) -> str:
    return "□" if credit is None else "✗" if credit == 0 else "■" if credit == 1 else "◧"


def squares(credits: list[float | None]) -> str:
    return "".join(map(mark, credits))


def coloured(credits: list[float | None]) -> str:
    colours = {"■": GOOD, "◧": FAIR}
    spans = (f'<span style="color:{colours.get(mark(each), "inherit")}">{mark(each)}</span>' for each in credits)
    return f'<span style="letter-spacing:.15em">{"".join(spans)}</span>'
