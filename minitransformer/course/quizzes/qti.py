"""All questions as a QTI 2.1 package, which Canvas, Blackboard and others import: a zip of one item for each question,
and a test for each lesson.

Each item computes its own points. The reason of what was chosen is shown as feedback, or all reasons where options
have none.
"""

import io
import zipfile
from xml.etree import ElementTree as xml

from ..display import marked_up
from ..questions import UNKNOWN, Choice, Match, Numeric, Options, Order, Question, Text
from . import prompt, questions, reasons, right_order, rubric

QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
CONTENT = "http://www.imsglobal.org/xsd/imscp_v1p1"
MAP_RESPONSE = "http://www.imsglobal.org/question/qti_v2p1/rptemplates/map_response"


def write(lessons: tuple[int, ...] = ()) -> bytes:
    """The package, the same bytes for the same questions."""
    items = {
        f"{lesson}/{file_name(each)}": item(each) for lesson, asked in questions(lessons).items() for each in asked
    }
    tests = {f"lesson-{lesson}.xml": test(lesson, asked) for lesson, asked in questions(lessons).items()}
    files = {"imsmanifest.xml": manifest(items, tests), **tests, **items}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        for name, root in files.items():
            xml.indent(root)
            package.writestr(
                zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), xml.tostring(root, "utf-8", xml_declaration=True)
            )
    return made.getvalue()


def file_name(question: Question) -> str:
    return f"question-{question.id.replace('.', '-')}.xml"


def test(lesson: int, asked: list[Question]) -> xml.Element:
    """One lesson's questions in their order."""
    name, titled = f"lesson-{lesson}", f"Lesson {lesson}"
    root = xml.Element("assessmentTest", xmlns=QTI, identifier=name, title=titled)
    part = xml.SubElement(root, "testPart", identifier="all", navigationMode="nonlinear", submissionMode="individual")
    section = xml.SubElement(part, "assessmentSection", identifier="questions", title=titled, visible="true")
    for each in asked:
        href = f"{lesson}/{file_name(each)}"
        xml.SubElement(section, "assessmentItemRef", identifier=f"q-{each.id.replace('.', '-')}", href=href)
    return root


def manifest(items: dict[str, xml.Element], tests: dict[str, xml.Element]) -> xml.Element:
    root = xml.Element("manifest", xmlns=CONTENT, identifier="minitransformer")
    about = xml.SubElement(root, "metadata")
    xml.SubElement(about, "schema").text = "QTIv2.1 Package"
    xml.SubElement(about, "schemaversion").text = "1.0.0"
    xml.SubElement(root, "organizations")
    resources = xml.SubElement(root, "resources")
    for name, each in tests.items():
        needed = listed(resources, name, each, "imsqti_test_xmlv2p1")
        for ref in each.iter("assessmentItemRef"):
            xml.SubElement(needed, "dependency", identifierref=f"r-{ref.get('identifier')}")
    for name, each in items.items():
        listed(resources, name, each, "imsqti_item_xmlv2p1")
    return root


def listed(resources: xml.Element, name: str, root: xml.Element, kind: str) -> xml.Element:
    node = xml.SubElement(resources, "resource", identifier=f"r-{root.get('identifier')}", type=kind, href=name)
    xml.SubElement(node, "file", href=name)
    return node


def item(question: Question) -> xml.Element:
    root = xml.Element(
        "assessmentItem", xmlns=QTI, identifier=f"q-{question.id.replace('.', '-')}", timeDependent="false",
        title=f"{question.id} {question.kind}", adaptive="false",
    )  # fmt: skip
    match question:
        case Options():
            choices(root, question)
        case Match():
            pairs = [(pair.left, pair.right) for pair in question.lefts]
            matched(root, question.prompt, pairs, question.shown)
        case Order():
            places(root, question)
        case Numeric():
            number(root, question)
        case Text():
            essay(root, question)
    if why := reasons(question):
        setting(root.find("responseProcessing"), "FEEDBACK", "identifier", "why")
        feedback(root, "why", why)
    return root


def choices(root: xml.Element, question: Options) -> None:
    """One right option, or several: then wrong ones cost what Moodle takes for them, and nothing falls below 0."""
    one = isinstance(question, Choice)
    right = [letter for option, letter in question.letters().items() if option.right]
    wrong = len(question.shown) - len(right)
    shares = {letter: 1 / len(right) if letter in right else -1 / wrong for letter in question.labels}
    declared(root, "single" if one else "multiple", "identifier", right, {} if one else shares)
    outcomes(root)
    body = xml.SubElement(root, "itemBody")
    asked = xml.SubElement(
        body, "choiceInteraction", responseIdentifier="RESPONSE", shuffle="true", maxChoices="1" if one else "0"
    )
    xhtml(xml.SubElement(asked, "prompt"), question.prompt)
    for option, letter in question.letters().items():
        xhtml(xml.SubElement(asked, "simpleChoice", identifier=letter, fixed="false"), option.text)
    processed(root, mapped=not one)
    for option, letter in question.letters().items():
        feedback(root, letter, option.reason)


def matched(root: xml.Element, prompt: str, pairs: list[tuple[str, str]], rights: list[str]) -> None:
    names = {right: f"r{place}" for place, right in enumerate(rights)}
    answer = [f"l{place} {names[right]}" for place, (_, right) in enumerate(pairs)]
    declared(root, "multiple", "directedPair", answer, dict.fromkeys(answer, 1 / len(pairs)))
    outcomes(root)
    body = xml.SubElement(root, "itemBody")
    asked = xml.SubElement(
        body, "matchInteraction", responseIdentifier="RESPONSE", shuffle="true", maxAssociations=str(len(pairs))
    )
    xhtml(xml.SubElement(asked, "prompt"), prompt)
    lefts, others = (xml.SubElement(asked, "simpleMatchSet") for _ in range(2))
    for place, (left, _) in enumerate(pairs):
        xhtml(xml.SubElement(lefts, "simpleAssociableChoice", identifier=f"l{place}", matchMax="1"), left)
    for right, name in names.items():
        xhtml(xml.SubElement(others, "simpleAssociableChoice", identifier=name, matchMax="0"), right)
    processed(root, mapped=True)


def places(root: xml.Element, question: Order) -> None:
    """All or nothing: QTI compares whole orders."""
    names = {key: f"s{place}" for place, key in enumerate(question.shown)}
    declared(root, "ordered", "identifier", [names[key] for key in right_order(question)], {})
    outcomes(root)
    body = xml.SubElement(root, "itemBody")
    asked = xml.SubElement(body, "orderInteraction", responseIdentifier="RESPONSE", shuffle="true")
    xhtml(xml.SubElement(asked, "prompt"), prompt(question))
    for key, name in names.items():
        xhtml(xml.SubElement(asked, "simpleChoice", identifier=name), question.steps[key])
    processed(root, mapped=False)


def number(root: xml.Element, question: Numeric) -> None:
    declared(root, "single", "float", [str(question.value)], {})
    outcomes(root)
    body = xml.SubElement(root, "itemBody")
    xhtml(xml.SubElement(body, "div"), question.prompt)
    line = xml.SubElement(body, "p")
    xml.SubElement(
        line, "textEntryInteraction", responseIdentifier="RESPONSE", expectedLength="12"
    ).tail = question.unit
    condition = xml.SubElement(xml.SubElement(root, "responseProcessing"), "responseCondition")
    known = [(question.value, "right", 1), *((each.value, f"m{n}", 0) for n, each in enumerate(question.mistakes))]
    for place, (value, name, points) in enumerate(known):
        case = xml.SubElement(condition, "responseElseIf" if place else "responseIf")
        equal = xml.SubElement(
            case, "equal", toleranceMode="absolute", tolerance=f"{question.tolerance} {question.tolerance}"
        )
        xml.SubElement(equal, "variable", identifier="RESPONSE")
        xml.SubElement(equal, "baseValue", baseType="float").text = str(value)
        setting(case, "SCORE", "float", str(points))
        setting(case, "FEEDBACK", "identifier", name)
    setting(xml.SubElement(condition, "responseElse"), "FEEDBACK", "identifier", "unknown")
    feedback(root, "unknown", UNKNOWN)
    feedback(root, "right", question.reason)
    for n, each in enumerate(question.mistakes):
        feedback(root, f"m{n}", each.reason)


def essay(root: xml.Element, question: Text) -> None:
    """A person marks it: the rubric is for scorers. After an answer a model answer is shown, as in a notebook."""
    declared(root, "single", "string", [], {})
    outcomes(root)
    body = xml.SubElement(root, "itemBody")
    xhtml(xml.SubElement(xml.SubElement(body, "rubricBlock", view="scorer"), "div"), rubric(question))
    asked = xml.SubElement(body, "extendedTextInteraction", responseIdentifier="RESPONSE", expectedLines="8")
    xhtml(xml.SubElement(asked, "prompt"), question.prompt)
    xml.SubElement(root, "responseProcessing")


def declared(root: xml.Element, cardinality: str, kind: str, right: list[str], shares: dict[str, float]) -> None:
    node = xml.SubElement(root, "responseDeclaration", identifier="RESPONSE", cardinality=cardinality, baseType=kind)
    if right:
        correct = xml.SubElement(node, "correctResponse")
        for value in right:
            xml.SubElement(correct, "value").text = value
    if shares:
        mapping = xml.SubElement(node, "mapping", lowerBound="0", upperBound="1", defaultValue="0")
        for value, share in shares.items():
            xml.SubElement(mapping, "mapEntry", mapKey=value, mappedValue=f"{share:.7g}")


def outcomes(root: xml.Element) -> None:
    xml.SubElement(root, "outcomeDeclaration", identifier="SCORE", cardinality="single", baseType="float")
    xml.SubElement(root, "outcomeDeclaration", identifier="FEEDBACK", cardinality="multiple", baseType="identifier")


def processed(root: xml.Element, mapped: bool) -> None:
    """The points of the mapping, or 1 for the right response; the feedback is on what was chosen."""
    node = xml.SubElement(root, "responseProcessing")
    if mapped:
        scored = xml.SubElement(node, "setOutcomeValue", identifier="SCORE")
        xml.SubElement(scored, "mapResponse", identifier="RESPONSE")
    else:
        condition = xml.SubElement(node, "responseCondition")
        case = xml.SubElement(condition, "responseIf")
        same = xml.SubElement(case, "match")
        xml.SubElement(same, "variable", identifier="RESPONSE")
        xml.SubElement(same, "correct", identifier="RESPONSE")
        setting(case, "SCORE", "float", "1")
        setting(xml.SubElement(condition, "responseElse"), "SCORE", "float", "0")
    if root.find(".//choiceInteraction") is not None:
        told = xml.SubElement(node, "setOutcomeValue", identifier="FEEDBACK")
        several = xml.SubElement(told, "multiple")
        xml.SubElement(several, "variable", identifier="RESPONSE")


def setting(node: xml.Element, name: str, kind: str, value: str) -> None:
    where = xml.SubElement(node, "setOutcomeValue", identifier=name)
    inside = xml.SubElement(where, "multiple") if name == "FEEDBACK" else where
    xml.SubElement(inside, "baseValue", baseType=kind).text = value


def feedback(root: xml.Element, name: str, reason: str) -> None:
    node = xml.SubElement(root, "modalFeedback", outcomeIdentifier="FEEDBACK", identifier=name, showHide="show")
    xhtml(node, reason)


def xhtml(node: xml.Element, markdown: str) -> None:
    """What the Markdown of a question says, as elements in QTI's own XHTML."""
    made = xml.fromstring(f"<div>{marked_up(markdown)}</div>")
    node.text = made.text
    node.extend(made)
