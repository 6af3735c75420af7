"""All questions as Moodle XML, one category for each lesson. Orders are Moodle's own type, part of it since 4.4.

Reasons that belong to no option are general feedback, which Moodle shows after any answer.
"""

from xml.etree import ElementTree as xml

from ..display import marked_up, plain_text
from ..questions import UNKNOWN, Choice, Match, Numeric, Options, Order, Question, Several, Text
from . import prompt, questions, reasons, right_order


def write(lessons: tuple[int, ...] = ()) -> bytes:
    quiz = xml.Element("quiz")
    for lesson, asked in questions(lessons).items():
        category = xml.SubElement(quiz, "question", type="category")
        text(xml.SubElement(category, "category"), f"$course$/minitransformer/lesson {lesson}")
        quiz.extend(map(question_xml, asked))
    xml.indent(quiz)
    return xml.tostring(quiz, "utf-8", xml_declaration=True)


def question_xml(question: Question) -> xml.Element:
    forms = {Choice: one_right, Several: several_right, Match: pairs, Order: places, Numeric: number, Text: essay}
    return forms[type(question)](question)


def one_right(question: Choice) -> xml.Element:
    return choices(question, right=100, wrong=0)


def several_right(question: Several) -> xml.Element:
    """Moodle adds the fractions up and stops at 0: all options together give nothing."""
    right = sum(option.right for option in question.options)
    return choices(question, right=100 / right, wrong=-100 / (len(question.options) - right))


def choices(question: Options, right: float, wrong: float) -> xml.Element:
    node = started(question, "multichoice", question.prompt)
    xml.SubElement(node, "single").text = str(isinstance(question, Choice)).lower()
    for option in question.shown:
        chosen = answer(node, "answer", option.text, fraction=f"{right if option.right else wrong:.7g}")
        formatted(xml.SubElement(chosen, "feedback", format="html"), option.reason)
    return node


def pairs(question: Match) -> xml.Element:
    node = started(question, "matching", question.prompt)
    for pair in question.lefts:
        text(xml.SubElement(answer(node, "subquestion", pair.left), "answer"), plain_text(pair.right))
    for wrong in question.wrong_texts:
        text(xml.SubElement(answer(node, "subquestion", ""), "answer"), plain_text(wrong))
    return node


def places(question: Order) -> xml.Element:
    """The answers stand in the right order; credit for each step by those before and behind it."""
    node = started(question, "ordering", prompt(question))
    settings = {"layouttype": "VERTICAL", "selecttype": "ALL", "selectcount": f"{len(question.steps)}",
                "gradingtype": "RELATIVE_ALL_PREVIOUS_AND_NEXT", "showgrading": "SHOW"}  # fmt: skip
    for name, value in settings.items():
        xml.SubElement(node, name).text = value
    for place, key in enumerate(right_order(question), 1):
        answer(node, "answer", question.steps[key], fraction=f"{place}")
    return node


def number(question: Numeric) -> xml.Element:
    node = started(question, "numerical", question.prompt)
    known = [(question.value, 100, question.reason), *((each.value, 0, each.reason) for each in question.mistakes)]
    for value, fraction, reason in [*known, ("*", 0, UNKNOWN)]:
        chosen = xml.SubElement(node, "answer", fraction=f"{fraction}", format="moodle_auto_format")
        text(chosen, f"{value}")
        xml.SubElement(chosen, "tolerance").text = f"{question.tolerance}"
        formatted(xml.SubElement(chosen, "feedback", format="html"), reason)
    if question.unit:
        unit = xml.SubElement(xml.SubElement(node, "units"), "unit")
        xml.SubElement(unit, "multiplier").text = "1"
        xml.SubElement(unit, "unit_name").text = question.unit
        xml.SubElement(node, "unitgradingtype").text = "0"  # with the unit or without
        xml.SubElement(node, "showunits").text = "0"  # typed behind the number
    return node


def essay(question: Text) -> xml.Element:
    """It gives no points in Moodle either, until a teacher changes its mark."""
    node = started(question, "essay", question.prompt, points=0)
    xml.SubElement(node, "responseformat").text = "plain"
    formatted(xml.SubElement(node, "graderinfo", format="html"), reasons(question))
    return node


def started(question: Question, kind: str, asked: str, points: int = 1) -> xml.Element:
    node = xml.Element("question", type=kind)
    text(xml.SubElement(node, "name"), f"{question.id} {question.kind}")
    formatted(xml.SubElement(node, "questiontext", format="html"), asked)
    if why := reasons(question):
        formatted(xml.SubElement(node, "generalfeedback", format="html"), why)
    xml.SubElement(node, "defaultgrade").text = f"{points}"
    xml.SubElement(node, "shuffleanswers").text = "true"
    return node


def answer(node: xml.Element, tag: str, markdown: str, **attributes: str) -> xml.Element:
    child = xml.SubElement(node, tag, format="html", **attributes)
    formatted(child, markdown)
    return child


def formatted(node: xml.Element, markdown: str) -> None:
    text(node, marked_up(markdown) if markdown else "")


def text(node: xml.Element, content: str) -> None:
    xml.SubElement(node, "text").text = content
