"""All questions as GIFT, a text that Moodle and others import: one question a paragraph."""

import re

from ..display import marked_up
from ..questions import Choice, Match, Numeric, Order, Question, Several, Text
from . import as_places, questions

MARKS = re.compile(r"([~=#{}:\\])")  # what GIFT reads itself


def write(lessons: tuple[int, ...] = ()) -> bytes:
    parts = []
    for lesson, asked in questions(lessons).items():
        parts.append(f"$CATEGORY: $course$/minitransformer/lesson {lesson}")
        parts += [f"::{each.id} {each.kind}::[html]{text(prompt(each))} {{{answers(each)}\n}}" for each in asked]
    return ("\n\n".join(parts) + "\n").encode()


def prompt(question: Question) -> str:
    return as_places(question)[0] if isinstance(question, Order) else question.prompt


def answers(question: Question) -> str:
    """What stands between the braces: = is right, ~ is wrong or a share, # begins the reason."""
    match question:
        case Choice():
            return lines(("=" if option.right else "~", option.text, option.reason) for option in question.shown)
        case Several():
            right = sum(option.right for option in question.options)
            shares = {True: f"~%{100 / right:.5g}%", False: f"~%{-100 / (len(question.options) - right):.5g}%"}
            return lines((shares[option.right], option.text, option.reason) for option in question.shown)
        case Match():
            pairs = [(pair.left, pair.right) for pair in question.lefts]
            return matched([*pairs, *(("", wrong) for wrong in question.wrong_texts)])
        case Order():
            return matched([(step, str(place)) for step, place in as_places(question)[1]])
        case Numeric():
            wrong = "".join(
                f"\n=%0%{each.value}:{question.tolerance}#{text(each.reason)}" for each in question.mistakes
            )
            return f"#\n={question.value}:{question.tolerance}#{text(question.reason)}{wrong}"
        case Text():
            return ""


def lines(options) -> str:
    return "".join(f"\n{mark}{text(option)}#{text(reason)}" for mark, option, reason in options)


def matched(pairs: list[tuple[str, str]]) -> str:
    return "".join(f"\n={text(left)} -> {text(right)}" for left, right in pairs)


def text(markdown: str) -> str:
    """HTML in one line, with GIFT's own marks escaped."""
    return MARKS.sub(r"\\\1", " ".join(marked_up(markdown).replace("\n", "<br>").split())).replace("-\\>", "-&gt;")
