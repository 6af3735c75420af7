"""All questions as GIFT, a text that Moodle and others import: one question a paragraph.

GIFT knows no orders: each step is matched with its place.
"""

import re

from ..display import marked_up, plain_text
from ..questions import UNKNOWN, Choice, Match, Numeric, Order, Question, Several, Text
from . import prompt, questions, reasons, right_order

MARKS = re.compile(r"([~=#{}:\\])")  # what GIFT reads itself


def write(lessons: tuple[int, ...] = ()) -> bytes:
    parts = []
    for lesson, asked in questions(lessons).items():
        parts.append(f"$CATEGORY: $course$/minitransformer/lesson {lesson}")
        parts += [
            f"::{each.id} {each.kind}::[html]{text(prompt(each))} {{{answers(each)}{after(each)}\n}}" for each in asked
        ]
    return ("\n\n".join(parts) + "\n").encode()


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
            place = {key: str(number) for number, key in enumerate(right_order(question), 1)}
            return matched([(question.steps[key], place[key]) for key in question.shown])
        case Numeric():
            wrong = "".join(
                f"\n=%0%{each.value}:{question.tolerance}#{text(each.reason)}" for each in question.mistakes
            )
            return f"#\n={question.value}:{question.tolerance}#{text(question.reason)}{wrong}\n~#{text(UNKNOWN)}"
        case Text():
            return ""


def after(question: Question) -> str:
    """General feedback: what is said after any answer."""
    return f"\n####{text(reasons(question))}" if reasons(question) else ""


def lines(options) -> str:
    return "".join(f"\n{mark}{text(option)}#{text(reason)}" for mark, option, reason in options)


def matched(pairs: list[tuple[str, str]]) -> str:
    """What stands on the right is offered in a menu, which shows no marks."""
    return "".join(f"\n={text(left)} -> {escaped(' '.join(plain_text(right).split()))}" for left, right in pairs)


def text(markdown: str) -> str:
    """HTML in one line, with GIFT's own marks escaped; code keeps its lines and what they begin with."""
    blocks = re.split(r"(<pre>.*?</pre>)", marked_up(markdown), flags=re.DOTALL)
    blocks[::2] = (re.sub(r"\s+", " ", block.replace("\n", "<br>")) for block in blocks[::2])
    return escaped("".join(block.replace("\n", "<br>") for block in blocks)).replace("-\\>", "-&gt;")


def escaped(line: str) -> str:
    return MARKS.sub(r"\\\1", line)
