"""Every question can be answered, teaches where the answer is wrong, and gives nothing away by place or length."""

import re
from collections import Counter
from itertools import combinations, permutations
from xml.etree import ElementTree

import pytest

from minitransformer.course import answer, catalogue, question_files, question_points, quiz, widgets
from minitransformer.course.progress import RECORD
from minitransformer.course.questions import Choice, Match, Numeric, Order, Several, Text

ALL = [each for lesson in catalogue.lessons() for each in catalogue.questions(lesson).values()]
every_question = pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
CHOICES = [each for each in ALL if isinstance(each, Choice)]
every_order = pytest.mark.parametrize("each", [q for q in ALL if isinstance(q, Order)], ids=lambda each: each.id)
every_match = pytest.mark.parametrize("each", [q for q in ALL if isinstance(q, Match)], ids=lambda each: each.id)


def right_orders(question: Order) -> list[list[str]]:
    """Every order that the rules allow; for few steps."""
    return [list(keys) for keys in permutations(question.steps) if question.share(keys) == 1]


def commuting(question: Order) -> list[tuple[str, str]]:
    """The pairs that may stand either way round."""
    return [pair for pair in combinations(question.steps, 2) if not {pair, pair[::-1]} & question.before]


@pytest.fixture(autouse=True)
def fresh_record():
    RECORD.forget()
    yield
    RECORD.forget()


@every_question
def test_its_own_answer_gets_full_credit(each):
    assert each.grade(each.answer).credit == (1 if each.points else None)
    assert ("✓ right" if each.points else "a person reads this") in repr(answer(each.id, each.answer.upper()))
    assert question_points(int(each.id.split(".")[0])) == each.points


@pytest.mark.parametrize("each", CHOICES, ids=lambda each: each.id)
def test_every_other_letter_gets_nothing_and_a_reason_of_its_own(each):
    replies = {letter: each.grade(letter) for letter in each.labels}
    assert sum(reply.credit for reply in replies.values()) == 1
    assert len({reply.lines for reply in replies.values()}) == len(each.options)


@every_order
def test_an_order_takes_every_order_that_its_rules_allow(each):
    letters = dict(zip(each.shown, each.labels, strict=True))
    if len(each.steps) <= 7:
        assert all(each.grade(" ".join(letters[key] for key in keys)).credit == 1 for keys in right_orders(each))
    backwards = each.grade(" ".join(reversed(each.answer.split())))
    assert backwards.credit < 1 and "must come before" in backwards.lines[1]
    assert each.grade(" ".join(each.labels)).credit == 0, "the order shown gives the answer away"


def test_credit_is_for_pairs_and_the_first_broken_pair_is_named():
    order = question_files.build(
        {
            "id": "1.q1", "kind": "order", "prompt": "?", "steps": {"x": "one", "y": "two", "z": "three", "f": "free"},
            "rules": [{"first": "x", "then": "y", "reason": "x first"},
                      {"first": "y", "then": "z", "reason": "y first"}],
        }
    )  # fmt: skip
    letter = dict(zip(order.shown, order.labels, strict=True))
    assert {frozenset(pair) for pair in commuting(order)} == {frozenset((key, "f")) for key in "xyz"}
    reply = order.grade(f"{letter['f']} {letter['y']} {letter['x']} {letter['z']}")
    assert reply.credit == 0 and reply.lines[0].startswith("67% of the pairs whose order matters are right")
    assert reply.lines[1] == f"{letter['x']} must come before {letter['y']}: x first"


@every_match
def test_a_match_gives_credit_for_each_pair_but_one_and_says_why(each):
    first = each.answer.split()[0]
    wrong = next(letter for letter in each.labels if letter not in each.answer)
    reply = each.grade(each.answer.replace(first, f"1{wrong}"))
    assert reply.credit == pytest.approx(1 - 1 / (len(each.pairs) - 1))
    assert f"1{wrong} is not it: " in reply.lines[1]


@every_question
@pytest.mark.parametrize("odd", ["?", "", "  ", {"b": 1}])
def test_an_answer_that_is_none_gets_a_sentence_with_an_example_and_is_not_counted(each, odd, monkeypatch):
    monkeypatch.setattr(RECORD, "replies", {})
    said = answer(each.id, odd)
    assert re.search(r"Not counted: (\S+ takes .*; got '|an answer is a text such as '.*'; got a dict)", said.text)
    assert "Not counted" in said.html and not RECORD.replies


@every_question
def test_it_shows_as_text_and_as_html(each):
    shown = quiz(each.id)
    assert each.id in shown.text and shown.text.count("\n") >= len(each.labels)
    assert f"answer={each.example!r}" in shown.text
    assert ElementTree.fromstring(f"<p>{shown.html.replace('&ensp;', ' ')}</p>") is not None


@every_question
def test_clicking_gives_the_same_as_typing(each):
    given = []
    box = widgets.controls(each, lambda question, text: given.append((question, text)) or quiz(question, text))
    controls = box.children[0].children
    if isinstance(each, Match):
        for pair in each.answer.split():
            controls[int(pair[:-1]) - 1].value = pair[-1]
        controls[-1].click()
    elif isinstance(each, Numeric | Text):
        controls[0].value = each.answer
        controls[1].click()
    elif isinstance(each, Several):
        for box_to_check in controls[:-1]:
            box_to_check.value = box_to_check.description in each.answer
        controls[-1].click()
    else:
        for letter in each.answer.split():
            next(control for control in controls if control.description == letter).click()
    assert given == [(each.id, each.answer)]
    assert ("✓ right" if each.points else "a person reads this") in box.children[1].value


def test_an_unknown_question_is_refused_with_the_nearest():
    assert "Not counted: there is no question '1.q99'; did you mean '1.q9'?" in quiz("1.q99").text


def test_every_lesson_has_at_least_ten_questions():
    assert all(len(catalogue.questions(lesson)) >= 10 for lesson in catalogue.lessons())


def test_the_right_letter_is_no_habit():
    letters = Counter(each.answer for each in CHOICES)
    for letter in "abc":
        expected = sum(1 / len(each.options) for each in CHOICES)
        assert letters[letter] <= 2 * expected + 1, letters


RIGHT = {"text": "a", "reason": "r", "right": True}
WRONG = [{"text": "b", "reason": "r"}, {"text": "c", "reason": "r"}]
PAIRS = [{"left": "1", "right": "a", "reason": "r"}, {"left": "2", "right": "b", "reason": "r"}]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"kind": "essay"}, "the kinds are choice, .*; got 'essay'"),
        ({"kind": "choice", "options": [RIGHT]}, "at least three options, exactly one of them"),
        ({"kind": "choice", "options": [RIGHT, RIGHT | {"text": "x"}, *WRONG]}, "exactly one of them"),
        ({"kind": "choice", "options": [RIGHT, *WRONG, {"text": "b", "reason": "r"}]}, "the same: 'b'"),
        ({"kind": "choice", "options": [RIGHT, *WRONG, {"text": "d", "reason": " "}]}, "a text or a reason is empty"),
        ({"kind": "choice", "options": [RIGHT, *WRONG, {"text": "d"}]}, "an entry of options lacks 'reason'"),
        ({"kind": "choice"}, "kind 'choice' lacks 'options'"),
        ({"kind": "choice", "options": [RIGHT, *WRONG], "steps": {}}, "has no steps"),
        ({"kind": "order", "steps": {"a": "1"}, "rules": []}, "at least two pairs"),
        ({"kind": "order", "steps": {"a": "1"}, "rules": [{"first": "a", "then": "b", "reason": "r"}]}, "not list: b"),
        (
            {"kind": "order", "steps": {"a": "1", "b": "2"}, "rules": [
                {"first": "a", "then": "b", "reason": "r"}, {"first": "b", "then": "a", "reason": "r"}]},
            "wait for each other: a, a|wait for each other: a, b",
        ),
        ({"kind": "match", "pairs": PAIRS, "distractors": []}, "one distractor, or the last pair is found"),
        ({"kind": "match", "pairs": PAIRS, "distractors": [{"text": "a", "reason": "r"}]}, "the same: 'a'"),
    ],
)  # fmt: skip
def test_an_incomplete_item_is_refused_with_its_place(item, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        question_files.build({"id": "1.q1", "prompt": "?"} | item)


def test_a_file_s_mistake_is_told_with_file_and_item(tmp_path):
    path = tmp_path / "1.toml"
    path.write_text('[[items]]\nid = "1.q1"\nkind = "choice"\nprompt = "?"\n')
    with pytest.raises(ValueError, match=r"^1.toml, 1.q1: a question of kind 'choice' lacks 'options'$"):
        question_files.read_questions([path], 1)
    options = '{ text = "a", reason = "r", right = true }, { text = "b", reason = "s" }, { text = "c", reason = "t" }'
    path.write_text(f'[[items]]\nid = "1.q2"\nkind = "choice"\nprompt = "?"\noptions = [{options}]\n')
    with pytest.raises(ValueError, match=r"lesson 1 has 1 questions, but none with the id '1.q1'"):
        question_files.read_questions([path], 1)
    with pytest.raises(ValueError, match=r"1.toml: an id is 1.q1, 1.q2, …, each used once; got '1.q2'"):
        question_files.read_questions([path, path], 1)


def test_one_s_own_words_are_not_shouted_back():
    shown = answer("4.q13", "I would <measure> it with `please` again.")
    assert "I would &lt;measure&gt; it with" in shown.html and "<strong>a person reads this</strong>" in shown.html
    assert "<strong>I would" not in shown.html
