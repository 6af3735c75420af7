"""What a student has done in this session, and the strip that shows it."""

from dataclasses import dataclass, field

from . import catalogue
from .display import FAIR, GOOD, Shown
from .exercise import Outcome
from .questions import Reply


@dataclass
class Record:
    """What was answered and guessed. It lasts as long as the notebook's kernel; nothing is written to disk."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    passing: dict[str, object] = field(default_factory=dict)  # the answers that passed, to know them again
    replies: dict[str, Reply] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)  # how many were shown
    guesses: dict[str, object] = field(default_factory=dict)

    def forget(self) -> None:
        for kept in vars(self).values():
            kept.clear()


RECORD = Record()


def progress(lesson: int) -> Shown:
    """Where you are in this lesson: a square for each exercise and each question."""
    exercises = catalogue.exercises(lesson).values()
    questions = [name for name, each in catalogue.questions(lesson).items() if each.points]  # not those a person reads
    done = [share(RECORD.outcomes.get(each.id)) for each in exercises]
    answered = [RECORD.replies[each].credit if each in RECORD.replies else None for each in questions]
    points = sum(RECORD.outcomes[each.id].earned for each in exercises if each.id in RECORD.outcomes)
    of = sum(each.points for each in exercises)
    right = sum(credit or 0 for credit in answered)
    counts = f"{points} of {of} points", f"{right:.3g} of {len(answered)}"
    text = f"lesson {lesson}   exercises {squares(done)} {counts[0]}   questions {squares(answered)} {counts[1]}"
    strip = (
        f"<strong>Lesson {lesson}</strong> &emsp; exercises {coloured(done)} {counts[0]}"
        f" &emsp; questions {coloured(answered)} {counts[1]}"
    )
    return Shown(text, f'<div style="margin:.4em 0">{strip}</div>')


def question_points(lesson: int) -> float:
    """The sum of what the questions of this lesson earned so far: a plain number, which nbgrader takes as points."""
    known = catalogue.questions(lesson)
    return float(sum(reply.credit or 0 for question, reply in RECORD.replies.items() if question in known))


def share(outcome: Outcome | None) -> float | None:
    if outcome is None or not outcome.written:
        return None
    return outcome.earned / outcome.exercise.points


def mark(credit: float | None) -> str:
    return "□" if credit is None else "✗" if credit == 0 else "■" if credit == 1 else "◧"


def squares(credits: list[float | None]) -> str:
    return "".join(map(mark, credits))


def coloured(credits: list[float | None]) -> str:
    colours = {"■": GOOD, "◧": FAIR}
    spans = (f'<span style="color:{colours.get(mark(each), "inherit")}">{mark(each)}</span>' for each in credits)
    return f'<span style="letter-spacing:.15em">{"".join(spans)}</span>'
