"""All questions as Moodle XML, which course systems import: `python lessons/build.py --moodle FILE`."""

from pathlib import Path
from xml.etree import ElementTree as xml

from . import catalogue
from .display import marked_up
from .questions import Choice, Match, Question


def quiz_xml(lessons: tuple[int, ...] | None = None) -> xml.Element:
    """One <quiz>, with a category for each lesson."""
    quiz = xml.Element("quiz")
    for lesson in lessons or catalogue.lessons():
        category = xml.SubElement(quiz, "question", type="category")
        text(xml.SubElement(category, "category"), f"$course$/minitransformer/lesson {lesson}")
        quiz.extend(question_xml(question) for question in catalogue.questions(lesson).values())
    return quiz


def question_xml(question: Question) -> xml.Element:
    if isinstance(question, Choice):
        node = started(question, "multichoice", question.prompt)
        xml.SubElement(node, "single").text = "true"
        for option in question.shown:
            chosen = answer(node, "answer", option.text, fraction="100" if option.right else "0")
            formatted(xml.SubElement(chosen, "feedback", format="html"), option.reason)
    elif isinstance(question, Match):
        node = started(question, "matching", question.prompt)
        for pair in question.lefts:
            text(xml.SubElement(answer(node, "subquestion", pair.left), "answer"), pair.right)
        for wrong in question.wrong_texts:
            text(xml.SubElement(answer(node, "subquestion", ""), "answer"), wrong)
    else:  # Moodle's own ordering knows no partial orders; how many steps must come earlier is one number for each
        asked = f"{question.prompt}\n\nFor each step: how many of the other steps must come before it?"
        node = started(question, "matching", asked)
        for key in question.shown:
            earlier = sum(then == key for _, then in question.before)
            text(xml.SubElement(answer(node, "subquestion", question.steps[key]), "answer"), str(earlier))
    return node


def started(question: Question, kind: str, prompt: str) -> xml.Element:
    node = xml.Element("question", type=kind)
    text(xml.SubElement(node, "name"), f"{question.id} {question.kind}")
    formatted(xml.SubElement(node, "questiontext", format="html"), prompt)
    xml.SubElement(node, "defaultgrade").text = "1"
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
