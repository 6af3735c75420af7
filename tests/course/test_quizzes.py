"""The questions for course systems: every one of them, with its right answers, its points and its reasons."""

import html
import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minitransformer.commands import write_quizzes
from minitransformer.course import catalogue, quizzes
from minitransformer.course.question_files import build
from minitransformer.course.questions import UNKNOWN, Choice, Match, Numeric, Options, Order, Question, Several, Text
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
    roots = [ElementTree.fromstring(package.read(name)) for name in named if "/" in name]
    return {root.get("title").split()[0]: root for root in roots}


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_moodle_gets_each_question_with_its_reasons(each, moodle_nodes):
    node = moodle_nodes[each.id]
    assert node.findtext("questiontext/text")
    if isinstance(each, Choice):
        fractions = [float(option.get("fraction")) for option in node.findall("answer")]
        assert node.get("type") == "multichoice" and sorted(fractions)[-2:] == [0, 100]
        assert all(option.findtext("feedback/text") for option in node.findall("answer"))
    elif isinstance(each, Order):
        assert node.get("type") == "ordering" and node.findtext("gradingtype") == "RELATIVE_ALL_PREVIOUS_AND_NEXT"
        steps = [moodle.marked_up(each.steps[key]) for key in quizzes.right_order(each)]
        assert [step.findtext("text") for step in node.findall("answer")] == steps
        assert [float(step.get("fraction")) for step in node.findall("answer")] == [*range(1, len(steps) + 1)]
        assert node.findtext("selectcount") == f"{len(steps)}" and node.findtext("selecttype") == "ALL"
    elif isinstance(each, Match):
        parts = node.findall("subquestion")
        asked = [part for part in parts if part.findtext("text")]
        assert node.get("type") == "matching" and all(part.findtext("answer/text") for part in parts)
        assert len(asked) == len(each.pairs) >= 2


@pytest.mark.parametrize("each", [q for q in ALL if isinstance(q, Order)], ids=lambda each: each.id)
def test_an_orders_text_leaves_one_right_order_only(each):
    """With the pairs that it fixes every two neighbours are ordered, and so are all steps."""
    order, text = quizzes.right_order(each), quizzes.prompt(each)
    assert sorted(order) == sorted(each.steps) and each.share(order) == 1 and text.startswith(each.prompt)
    fixed = [pair for pair in pairwise(order) if pair not in each.before]
    assert text.count(" stands somewhere before ") == len(fixed)
    for first, then in fixed:
        assert f"“{each.steps[first]}” stands somewhere before “{each.steps[then]}”." in text


def test_an_order_without_a_choice_is_asked_as_it_stands():
    rules = [{"first": a, "then": b, "reason": f"{a} makes what {b} needs"} for a, b in ("xy", "yz")]
    steps = {"x": "freeze", "y": "forward", "z": "step"}
    question = build({"id": "1.q1", "kind": "order", "prompt": "?", "steps": steps, "rules": rules})
    assert quizzes.prompt(question) == "?" and quizzes.right_order(question) == ["x", "y", "z"]


def words(text: str) -> str:
    """The letters and digits alone, whatever marks and escapes a form puts between them."""
    return "".join(re.findall(r"\w", html.unescape(re.sub(r"<[^<>]+>", " ", text.replace("\\", "")))))


def all_reasons(each: Question) -> list[str]:
    """Every reason that a question's file gives, and the model answer and levels of a text."""
    parts = [getattr(each, name, ()) for name in ("options", "rules", "pairs", "distractors", "mistakes")]
    own = [each.reason, UNKNOWN] if isinstance(each, Numeric) else []
    own += [each.model, *(level for row in each.rubric for level in row.levels)] if isinstance(each, Text) else []
    return [part.reason for group in parts for part in group] + own


@pytest.mark.parametrize(
    "written",
    [
        lambda each: "".join(moodle.question_xml(each).itertext()),
        lambda each: "".join(qti.item(each).itertext()),
        lambda each: gift.answers(each) + gift.after(each),
    ],
    ids=["moodle", "qti", "gift"],
)
def test_no_form_loses_a_reason_of_any_question(written):
    lost = []
    for each in ALL:
        said = words(written(each))
        lost += [(each.id, why) for why in all_reasons(each) if words(gift.marked_up(why)) not in said]
    assert lost == []


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
    assert root.get("adaptive") == root.get("timeDependent") == "false"
    parts = [part.tag.removeprefix(QTI) for part in root]
    assert [*dict.fromkeys(parts)] == [
        "responseDeclaration", "outcomeDeclaration", "itemBody", "responseProcessing", "modalFeedback"
    ]  # fmt: skip
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
    elif isinstance(each, Order):
        shown = {step.get("identifier"): "".join(step.itertext()) for step in root.iter(f"{QTI}simpleChoice")}
        steps = [words(gift.marked_up(each.steps[key])) for key in quizzes.right_order(each)]
        assert [words(shown[name]) for name in right] == steps
        assert root.find(f"{QTI}responseDeclaration").get("cardinality") == "ordered"
    elif isinstance(each, Match):
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
        lines = [line for line in answers.split("\n") if line.strip("# ") and not line.startswith("####")]
        if isinstance(each, Choice):
            assert [line[0] for line in lines].count("=") == 1 and len(lines) == len(each.options)
            assert all(len(re.findall(r"(?<!\\)#", line)) == 1 for line in lines)
        elif isinstance(each, Several):
            shares = [float(re.match(r"~%(-?[\d.]+)%", line)[1]) for line in lines]
            assert sum(share for share in shares if share > 0) == pytest.approx(100, abs=0.01)
        elif isinstance(each, Match | Order):
            assert all(line.startswith("=") and " -> " in line for line in lines)
        elif isinstance(each, Numeric):
            assert lines[0].startswith(f"={each.value}:") and len(lines) == 2 + len(each.mistakes)
        else:
            assert not lines


def test_gift_s_own_signs_lose_their_meaning():
    assert gift.text(r"a=b ~ {c} # d: \n -> e") == r"a\=b \~ \{c\} \# d\: \\n -&gt; e"


def test_code_keeps_its_lines_in_gift_and_no_blank_line_ends_a_question():
    assert gift.text("So:\n\n```python\nif a:\n    b\n\nc\n```") == r"<p>So\:</p><pre>if a\:<br>    b<br><br>c</pre>"
    assert all("\n\n" not in gift.answers(each) + gift.text(quizzes.prompt(each)) + gift.after(each) for each in ALL)


PARSE = "const p = require('gift-pegjs'); console.log(JSON.stringify(p.parse(require('fs').readFileSync(0, 'utf8'))))"


def test_an_independent_parser_of_gift_reads_the_same_questions():
    """Where `npm install gift-pegjs` was run and NODE_PATH names its `node_modules`."""
    if not shutil.which("node"):
        pytest.skip("there is no node")
    done = subprocess.run(["node", "-e", PARSE], input=gift.write(), capture_output=True)
    if b"Cannot find module" in done.stderr:
        pytest.skip("there is no gift-pegjs")
    assert done.returncode == 0, done.stderr.decode()
    read = {each["title"].split()[0]: each for each in json.loads(done.stdout) if each["type"] != "Category"}
    assert [*read] == [each.id for each in ALL]
    for each in ALL:
        question = read[each.id]
        assert words(question["stem"]["text"]) == words(gift.marked_up(quizzes.prompt(each)))
        if isinstance(each, Options):
            found = {
                words(option["text"]["text"]): option["isCorrect"] or (option["weight"] or 0) > 0
                for option in question["choices"]
            }
            assert found == {words(gift.marked_up(option.text)): option.right for option in each.options}
        elif isinstance(each, Match | Order):
            many = len(each.shown) if isinstance(each, Order) else len(each.pairs) + len(each.distractors)
            assert question["type"] == "Matching" and len(question["matchPairs"]) == many
        else:
            assert question["type"] == ("Numerical" if isinstance(each, Numeric) else "Essay")


def test_the_package_keeps_to_the_published_schemas():
    """Where QTI_SCHEMAS names a folder with `qtiv2p1/imsqti_v2p1.xsd`, `imscp_v1p1.xsd` and what these import."""
    folder = os.environ.get("QTI_SCHEMAS") or pytest.skip("QTI_SCHEMAS names no folder")
    xmlschema = pytest.importorskip("xmlschema")
    items, manifest = (
        xmlschema.XMLSchema(Path(folder, name)) for name in ("qtiv2p1/imsqti_v2p1.xsd", "imscp_v1p1.xsd")
    )
    package = zipfile.ZipFile(io.BytesIO(qti.write()))
    for name in package.namelist():
        (manifest if name == "imsmanifest.xml" else items).validate(io.BytesIO(package.read(name)))


def test_the_manifest_and_the_tests_name_each_item_once():
    package = zipfile.ZipFile(io.BytesIO(qti.write((2, 3))))
    manifest = ElementTree.fromstring(package.read("imsmanifest.xml"))
    found = {node.get("identifier"): node.get("href") for node in manifest.iter() if node.tag.endswith("resource")}
    needed = [node.get("identifierref") for node in manifest.iter() if node.tag.endswith("dependency")]
    assert sorted(needed) == sorted(name for name in found if name.startswith("r-q-"))
    for lesson in (2, 3):
        test = ElementTree.fromstring(package.read(f"lesson-{lesson}.xml"))
        hrefs = [node.get("href") for node in test.iter(f"{QTI}assessmentItemRef")]
        assert hrefs == [f"{lesson}/{qti.file_name(each)}" for each in catalogue.questions(lesson).values()]
        assert {*hrefs} <= {*found.values()} & {*package.namelist()}


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
