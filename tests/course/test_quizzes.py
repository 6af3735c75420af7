"""The questions for course systems: every one of them, with its right answers, its points and its reasons."""

import io
import re
import zipfile
from xml.etree import ElementTree

import pytest

from minitransformer.commands import write_quizzes
from minitransformer.course import catalogue
from minitransformer.course.questions import Choice, Match, Numeric, Options, Order, Several, Text
from minitransformer.course.quizzes import gift, moodle, qti

ALL = [each for lesson in catalogue.lessons() for each in catalogue.questions(lesson).values()]
QTI = "{http://www.imsglobal.org/xsd/imsqti_v2p1}"


@pytest.fixture(scope="module")
def moodle_nodes() -> dict[str, ElementTree.Element]:
    quiz = ElementTree.fromstring(moodle.write())
    assert len(quiz.findall("question[@type='category']")) == len(catalogue.lessons())
    return {node.findtext("name/text").split()[0]: node for node in quiz.findall("question/name/..")}


@pytest.fixture(scope="module")
def items() -> dict[str, ElementTree.Element]:
    package = zipfile.ZipFile(io.BytesIO(qti.write()))
    manifest = ElementTree.fromstring(package.read("imsmanifest.xml"))
    named = [node.get("href") for node in manifest.iter() if node.tag.endswith("resource")]
    assert sorted(named) == sorted(name for name in package.namelist() if name != "imsmanifest.xml")
    roots = [ElementTree.fromstring(package.read(name)) for name in named]
    return {root.get("title").split()[0]: root for root in roots}


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_moodle_gets_each_question_with_its_reasons(each, moodle_nodes):
    node = moodle_nodes[each.id]
    assert node.findtext("questiontext/text")
    if isinstance(each, Choice):
        fractions = [float(option.get("fraction")) for option in node.findall("answer")]
        assert node.get("type") == "multichoice" and sorted(fractions)[-2:] == [0, 100]
        assert all(option.findtext("feedback/text") for option in node.findall("answer"))
    elif node.get("type") == "ordering":
        assert [float(step.get("fraction")) for step in node.findall("answer")] == [*range(1, len(each.steps) + 1)]
        assert node.findtext("incorrectfeedback/text")
    elif isinstance(each, Match | Order):
        parts = node.findall("subquestion")
        asked = [part for part in parts if part.findtext("text")]
        assert node.get("type") == "matching" and all(part.findtext("answer/text") for part in parts)
        assert len(asked) == len(each.pairs if isinstance(each, Match) else each.steps) >= 2
        assert node.findtext("incorrectfeedback/text")


def test_an_order_that_leaves_nothing_open_is_moodles_own():
    from minitransformer.course.question_files import build

    rules = [{"first": a, "then": b, "reason": f"{a} makes what {b} needs"} for a, b in ("xy", "yz")]
    steps = {"x": "freeze", "y": "forward", "z": "step"}
    question = build({"id": "1.q1", "kind": "order", "prompt": "?", "steps": steps, "rules": rules})
    node = moodle.question_xml(question)
    assert node.get("type") == "ordering" and node.findtext("gradingtype") == "RELATIVE_ALL_PREVIOUS_AND_NEXT"
    assert [step.findtext("text") for step in node.findall("answer")] == ["freeze", "forward", "step"]


def points(root: ElementTree.Element, response: list[str]) -> float:
    """What a QTI player gives, by the item's own rules."""
    declared = root.find(f"{QTI}responseDeclaration")
    mapping = declared.find(f"{QTI}mapping")
    if mapping is not None:
        shares = {entry.get("mapKey"): float(entry.get("mappedValue")) for entry in mapping}
        total = sum(shares.get(each, float(mapping.get("defaultValue"))) for each in response)
        return min(max(total, float(mapping.get("lowerBound"))), float(mapping.get("upperBound")))
    return float(sorted(response) == sorted(value.text for value in declared.iter(f"{QTI}value")))


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_a_qti_item_gives_its_points_to_the_right_response_alone(each, items):
    root = items[each.id]
    assert root.find(f"{QTI}itemBody") is not None and "".join(root.find(f"{QTI}itemBody").itertext()).strip()
    right = [value.text for value in root.findall(f"{QTI}responseDeclaration/{QTI}correctResponse/{QTI}value")]
    if isinstance(each, Text):
        assert root.find(f".//{QTI}rubricBlock").get("view") == "scorer" and not right
        return
    assert right
    if isinstance(each, Options):
        assert points(root, right) == pytest.approx(1)
        assert {*right} == {*each.answer.split()}
        every = [choice.get("identifier") for choice in root.iter(f"{QTI}simpleChoice")]
        assert points(root, every) == pytest.approx(0, abs=1e-6)
        assert {node.get("identifier") for node in root.iter(f"{QTI}modalFeedback")} == {*every}
    elif isinstance(each, Match | Order):
        assert points(root, right) == pytest.approx(1) and points(root, right[:1]) < 1 and points(root, []) == 0
    elif isinstance(each, Numeric):
        cases = root.findall(f".//{QTI}equal/{QTI}baseValue")
        assert [float(case.text) for case in cases] == [each.value, *(mistake.value for mistake in each.mistakes)]


def gift_parts() -> dict[str, tuple[str, str]]:
    found = re.findall(
        r"^::([\d.q]+) [\w-]+::\[html\](.*?)(?<!\\)\{(.*?)\n\}$", gift.write().decode(), re.DOTALL | re.MULTILINE
    )
    return {name: (prompt, answers) for name, prompt, answers in found}


def test_gift_holds_every_question_and_its_marks_are_escaped():
    parts = gift_parts()
    assert [*parts] == [each.id for each in ALL]
    for each in ALL:
        prompt, answers = parts[each.id]
        assert prompt.strip() and not re.search(r"(?<!\\)[{}~=]", prompt)
        lines = [line for line in answers.split("\n") if line.strip("# ")]
        if isinstance(each, Choice):
            assert [line[0] for line in lines].count("=") == 1 and len(lines) == len(each.options)
            assert all(len(re.findall(r"(?<!\\)#", line)) == 1 for line in lines)
        elif isinstance(each, Several):
            shares = [float(re.match(r"~%(-?[\d.]+)%", line)[1]) for line in lines]
            assert sum(share for share in shares if share > 0) == pytest.approx(100, abs=0.01)
        elif isinstance(each, Match | Order):
            assert all(line.startswith("=") and " -> " in line for line in lines)
        elif isinstance(each, Numeric):
            assert lines[0].startswith(f"={each.value}:") and len(lines) == 1 + len(each.mistakes)
        else:
            assert not lines


def test_the_command_knows_the_form_by_the_file_and_writes_the_same_twice(tmp_path, capsys):
    for name, begins in ("q.xml", b"<?xml"), ("q.zip", b"PK"), ("q.gift", b"$CATEGORY"):
        write_quizzes(tmp_path / name, [2, 3], None)
        first = (tmp_path / name).read_bytes()
        write_quizzes(tmp_path / name, [2, 3], None)
        assert first == (tmp_path / name).read_bytes() and first.startswith(begins)
    count = len(catalogue.questions(2)) + len(catalogue.questions(3))
    assert f"{count} questions" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"\.xml, \.zip, \.gift; got .*q\.txt"):
        write_quizzes(tmp_path / "q.txt", [], None)
    write_quizzes(tmp_path / "q.txt", [2], "gift")
    with pytest.raises(ValueError, match="the lessons are"):
        write_quizzes(tmp_path / "q.gift", [99], None)
