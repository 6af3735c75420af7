"""All questions as Moodle XML, which course systems import: `python lessons/build.py --moodle FILE`."""

from pathlib import Path
from xml.etree import ElementTree as xml

from . import catalogue
from .display import marked_up
from .questions import UNKNOWN, Choice, Match, Numeric, Options, Order, Question, Several, Text


def quiz_xml(lessons: tuple[int, ...] | None = None) -> xml.Element:
    """One <quiz>, with a category for each lesson."""
    quiz = xml.Element("quiz")
    for lesson in lessons or catalogue.lessons():
        category = xml.SubElement(quiz, "question", type="category")
        text(xml.SubElement(category, "category"), f"$course$/minitransformer/lesson {lesson}")
        quiz.extend(question_xml(question) for question in catalogue.questions(lesson).values())
    return quiz


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
        text(xml.SubElement(answer(node, "subquestion", pair.left), "answer"), pair.right)
    for wrong in question.wrong_texts:
        text(xml.SubElement(answer(node, "subquestion", ""), "answer"), wrong)
    return node


def places(question: Order) -> xml.Element:
    """Moodle's own ordering knows no partial orders; how many steps must come earlier is one number for each."""
    asked = f"{question.prompt}\n\nFor each step: how many of the other steps must come before it?"
    node = started(question, "matching", asked)
    for key in question.shown:
        earlier = sum(then == key for _, then in question.before)
        text(xml.SubElement(answer(node, "subquestion", question.steps[key]), "answer"), str(earlier))
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
    levels = [f"**{criterion.name}**: {' → '.join(criterion.levels)}" for criterion in question.rubric]
    model = [
        f"**A model answer**: {question.model}",
        *([f"**A weaker answer**: {question.weak}"] * bool(question.weak)),
    ]
    formatted(xml.SubElement(node, "graderinfo", format="html"), "\n\n".join([*levels, *model]))
    return node


def started(question: Question, kind: str, prompt: str, points: int = 1) -> xml.Element:
    node = xml.Element("question", type=kind)
    text(xml.SubElement(node, "name"), f"{question.id} {question.kind}")
    formatted(xml.SubElement(node, "questiontext", format="html"), prompt)
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


def write(path: str | Path) -> int:
    """Write the file; return how many questions it holds."""
    quiz = quiz_xml()
    xml.indent(quiz)
    xml.ElementTree(quiz).write(path, encoding="utf-8", xml_declaration=True)
    return len(quiz.findall("question/name"))
