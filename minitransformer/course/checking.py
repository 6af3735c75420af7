"""In the notebook: check an exercise, ask for a hint, go on with the reference where one's own is not ready."""

import html
import os
import zlib

from .catalogue import exercise as find_exercise
from .display import FAIR, GOOD, PLAIN, Shown, box, inline, marked_up, plain_text, read_by_a_person, show
from .exercise import Exercise, Finding, Outcome, in_process, judge
from .lesson_text import reference
from .progress import RECORD, note, progress


class Unfinished(Exception):
    """A check that does not pass yet; a notebook shows it without a traceback, since nothing is broken."""

    def _render_traceback_(self):
        return str(self).splitlines()


def check(exercise_id: str, answer: object) -> Shown:
    """Run the public checks of an exercise on your answer: a report if they pass, else `Unfinished` saying why.

    A blank that nobody has touched is no error to who reads the notebook, and gets a calm note there. nbgrader's
    autograder, which would give nothing for an error, gets what the parts that are right have earned.
    """
    exercise = find_exercise(exercise_id)
    outcome = run_checks(exercise, answer)
    if outcome.passed:
        return with_points(outcome, report(outcome))
    if not outcome.written and read_by_a_person():
        return blank(outcome)
    if os.environ.get("NBGRADER_EXECUTION") == "autograde":
        return with_points(outcome, Shown(unfinished_text(outcome)))
    raise Unfinished(unfinished_text(outcome))


def with_points(outcome: Outcome, shown: Shown) -> Shown:
    """The same, but as text the points alone where nbgrader runs the cell: it takes that number for the marks."""
    return Shown(str(float(outcome.earned)), shown._repr_html_()) if "NBGRADER_EXECUTION" in os.environ else shown


def blank(outcome: Outcome) -> Shown:
    """What an exercise without a line of an answer gets."""
    text = unfinished_text(outcome)
    title, stuck, _ = text.splitlines()
    strip = progress(outcome.exercise.lesson)
    return Shown(text, box(PLAIN, f"<strong>{html.escape(title)}</strong>", html.escape(stuck), strip.html))


def run_checks(exercise: Exercise, answer: object) -> Outcome:
    outcome = judge(exercise, in_process(exercise, answer), seed=zlib.crc32(exercise.id.encode()))
    RECORD.outcomes[exercise.id] = outcome
    RECORD.passing.pop(exercise.id, None)
    if outcome.passed:
        RECORD.passing[exercise.id] = answer
    if outcome.written:
        named = tuple(each.misconception.name for each in outcome.findings if each.misconception)
        note(exercise.lesson, "add_check", exercise.id, outcome.earned, named)
    return outcome


def unfinished_text(outcome: Outcome) -> str:
    """What to say about an exercise that is not done."""
    exercise = outcome.exercise
    stuck = f'Stuck? hint("{exercise.id}") helps a little, and more each time.'
    if not outcome.written:
        lines = [f"Exercise {exercise.id} is not written yet: {exercise.title}."]
    else:
        lines = [f"Exercise {exercise.id}: {outcome.earned} of {exercise.points} points so far."]
        explained: set[str] = set()
        for finding in outcome.findings:
            lines += finding_lines(finding, explained)
    return "\n".join([*lines, stuck, repr(progress(exercise.lesson))])


def finding_lines(finding: Finding, explained: set[str]) -> list[str]:
    """The result of one part; what was explained for an earlier one is not explained again."""
    part, wrong = f"{finding.part.name} ({finding.earned} of {finding.part.points})", finding.misconception
    if finding.right:
        return [f"  ✓ {part}"]
    if not finding.written:
        return [f"  □ {part}: not written yet"]
    if wrong.message in explained:
        return [f"  ✗ {part}: [{wrong.name}] again"]
    explained.add(wrong.message)
    return [f"  ✗ {part}: [{wrong.name}] {wrong.message}", *([f"      {wrong.detail}"] if wrong.detail else [])]


def report(outcome: Outcome) -> Shown:
    exercise, strip = outcome.exercise, progress(outcome.exercise.lesson)
    title = f"Exercise {exercise.id}, {exercise.title}: your public checks pass."
    parts = [f"✓ {finding.part.name} ({finding.earned} of {finding.part.points})" for finding in outcome.findings]
    shown = box(GOOD, f"<strong>{html.escape(title)}</strong>", html.escape(" · ".join(parts)), strip.html)
    return Shown("\n".join([title, *(f"  {part}" for part in parts), strip.text]), shown)


def hint(exercise_id: str) -> Shown:
    """A nudge at the first call, more at the second, nearly all of it at the third."""
    exercise = find_exercise(exercise_id)
    level = RECORD.hints[exercise.id] = min(3, RECORD.hints.get(exercise.id, 0) + 1)
    titles = [f"Hint {n} of 3 for exercise {exercise.id}" for n in range(1, level + 1)]
    hints = list(zip(titles, exercise.hints, strict=False))
    folded = [f"<details><summary>{title}</summary>{marked_up(text)}</details>" for title, text in hints[:-1]]
    newest = f"<strong>{titles[-1]}.</strong> {marked_up(hints[-1][1])}"
    return Shown(f"{titles[-1]}. {plain_text(hints[-1][1])}", box(PLAIN, *folded, newest))


def use(exercise_id: str, answer: object) -> object:
    """Your answer if it passes its checks; else, and visibly, the reference, so that the lesson can go on."""
    exercise = find_exercise(exercise_id)
    if RECORD.passing.get(exercise.id) is answer or run_checks(exercise, answer).passed:
        return answer
    note = (
        f"Exercise {exercise.id} does not pass its checks yet: "
        "what follows uses the reference for now. Come back to it, and run this cell again."
    )
    show(Shown(note, box(FAIR, inline(note))))
    return reference(exercise.id)
