"""All questions as Moodle XML, one category for each lesson."""

from xml.etree import ElementTree as xml

from ..display import marked_up
from ..questions import UNKNOWN, Choice, Match, Numeric, Options, Order, Question, Several, Text
from . import as_places, questions


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
        text(xml.SubElement(answer(node, "subquestion", pair.left), "answer"), pair.right)
    for wrong in question.wrong_texts:
        text(xml.SubElement(answer(node, "subquestion", ""), "answer"), wrong)
    reasons = [f"*{pair.left}*: {pair.reason}" for pair in question.pairs]
    reasons += [f"*{wrong.text}* fits nothing: {wrong.reason}" for wrong in question.distractors]
    formatted(xml.SubElement(node, "incorrectfeedback", format="html"), "\n\n".join(reasons))
    return node


def places(question: Order) -> xml.Element:
    """An order that leaves nothing open is Moodle's own; that knows no partial orders, so others are matched."""
    if len(question.before) == len(question.steps) * (len(question.steps) - 1) // 2:
        return ordering(question)
    asked, steps = as_places(question)
    node = started(question, "matching", asked)
    for step, place in steps:
        text(xml.SubElement(answer(node, "subquestion", step), "answer"), str(place))
    for kind, reasons in ("correct", ["Every step comes after all that it needs."]), ("incorrect", whys(question)):
        formatted(xml.SubElement(node, f"{kind}feedback", format="html"), "\n\n".join(reasons))
    return node


def ordering(question: Order) -> xml.Element:
    """Credit for each step that stands where it belongs, relative to all others."""
    node = started(question, "ordering", question.prompt)
    for name, value in {"layouttype": "VERTICAL", "selecttype": "ALL", "selectcount": "0",
                        "gradingtype": "RELATIVE_ALL_PREVIOUS_AND_NEXT", "showgrading": "SHOW"}.items():  # fmt: skip
        xml.SubElement(node, name).text = value
    letters = {letter: key for key, letter in question.letters().items()}
    for place, letter in enumerate(question.answer.split(), 1):
        answer(node, "answer", question.steps[letters[letter]], fraction=f"{place}.0000000")
    formatted(xml.SubElement(node, "incorrectfeedback", format="html"), "\n\n".join(whys(question)))
    return node


def whys(question: Order) -> list[str]:
    return [f"*{question.steps[rule.first]}* comes before *{question.steps[rule.then]}*: {rule.reason}"
            for rule in question.rules]  # fmt: skip


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
