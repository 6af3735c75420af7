"""What a student may type for each kind of question, what it earns, and what is said to it."""

import json
import random
import zlib
from dataclasses import FrozenInstanceError, fields
from itertools import combinations, permutations
from xml.etree import ElementTree

import pytest

from minitransformer.__main__ import main
from minitransformer.course import answers, catalogue, question_files, question_points, widgets
from minitransformer.course.answers import Given
from minitransformer.course.grading import grade
from minitransformer.course.grading.marking import question_test
from minitransformer.course.progress import RECORD
from minitransformer.course.questions import Criterion, Mistake, Option, Pair, Reply, Rule
from minitransformer.course.quiz import reply as reply_to
from minitransformer.course.quizzes import moodle
from minitransformer.course.typed_numbers import number_in


def made(kind: str, **fields):
    return question_files.build({"id": "1.q1", "kind": kind, "prompt": "?"} | fields)


def options(*rights: bool) -> list[dict]:
    return [{"text": f"text {n}", "reason": f"reason {n}", "right": right} for n, right in enumerate(rights)]


NUMBERS = made("numeric", value=1536, unit="numbers", reason="12 vectors of 128 numbers.",
               mistakes=[{"value": 140, "reason": "they are multiplied."}])  # fmt: skip
SHARE = made("numeric", value=0.5, tolerance=0.01, reason="one of two.")
SIX = made("several", options=options(True, False, True, False, True, False))
ESSAY = made("text", model="I take 4 & I measure “five” seeds.", weak="More is better.",
             rubric=[{"name": "Evidence", "levels": ["none, or copied", "one run", "several seeds"]}])  # fmt: skip
RULES = [{"first": a, "then": b, "reason": f"{a} first"} for a, b in zip("pqrs", "qrst", strict=True)]
CHAIN = made("order", steps={key: f"step {key}" for key in "pqrst"}, rules=RULES)
FOUR = [{"left": f"left {n}", "right": f"right {n}", "reason": "why"} for n in range(4)]
ODD = [{"text": "odd", "reason": "fits nothing"}, {"text": "even", "reason": "fits nothing"}]
PAIRS = made("match", pairs=FOUR, distractors=ODD)
ONE_OF_THREE = made("choice", options=options(False, True, False))
EVERY_FORM = [ONE_OF_THREE, SIX, CHAIN, PAIRS, NUMBERS, ESSAY]
every_form = pytest.mark.parametrize("question", EVERY_FORM, ids=lambda each: each.kind)


@pytest.fixture(autouse=True)
def one_question_and_a_fresh_record(monkeypatch):
    RECORD.forget()
    monkeypatch.setattr(catalogue, "questions", lambda lesson: {"1.q1": NUMBERS})
    yield
    RECORD.forget()


# ---- numbers

ROWS = [{"P": 4, "D": 128}, {"P": 6, "D": 1024}, {"P": 9, "D": 64}]
OWN = made("numeric", numbers=ROWS, prompt="{P} vectors of {D:,}?", value="{P} * {D}", reason="{P} · {D:,}.",
           mistakes=[{"value": "{P} + {D}", "reason": "{P} times, not more."}])  # fmt: skip


def test_each_student_has_numbers_of_ones_own_and_the_same_each_time():
    prompts = {name: OWN.for_student(name).prompt for name in map(str, range(60))}
    assert {*prompts.values()} == {"4 vectors of 128?", "6 vectors of 1,024?", "9 vectors of 64?"}
    assert OWN.for_student("").prompt == OWN.prompt == "4 vectors of 128?" and (OWN.value, OWN.reason) == (
        512,
        "4 · 128.",
    )
    for name, prompt in prompts.items():
        mine = OWN.for_student("another").for_student(name)
        assert mine.prompt == prompt and mine.student == name and mine.grade(mine.answer).credit == 1
        assert all(each.close(mine.value, each.value) == (each.prompt == prompt) for each in OWN.variants)
    six = next(name for name in prompts if "6" in prompts[name][0])
    assert "6 times, not more" in OWN.for_student(six).grade("1030").lines[0]


def test_marking_grades_the_numbers_that_the_student_saw():
    name = next(name for name in map(str, range(60)) if OWN.for_student(name).value != OWN.value)
    mine = OWN.for_student(name)
    assert question_test(OWN, Given(mine.answer, name))["earned"] == 1
    assert (
        question_test(OWN, Given(OWN.answer, name))["earned"] == question_test(OWN, Given(mine.answer))["earned"] == 0
    )
    assert question_test(OWN, Given(mine.answer, name))["asked"] == mine.prompt


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": []},
        {"numbers": [{"P": 4, "D": 128}]},
        {"numbers": {"P": 4}},
        {"numbers": [{"P": 4}, {"P": 5}]},  # D is missing
        {"numbers": [{"P": 4, "D": 128}, {"P": 2, "D": 2}]},  # the mistake is right
        {"value": "{P} *"},
        {"value": "{P} / 0"},
        {"value": "open('/etc/passwd')"},
        {"kind": "choice"},
    ],
    ids=str,
)
def test_numbers_that_make_no_question_are_refused(change):
    fields = {"numbers": [{"P": 4, "D": 128}, {"P": 6, "D": 1024}], "kind": "numeric", "prompt": "{P} of {D}?"}
    fields |= {"value": "{P} * {D}", "reason": "because", "mistakes": [{"value": "{P} + {D}", "reason": "no"}]} | change
    with pytest.raises(ValueError):
        made(**fields)


@pytest.mark.parametrize(
    "typed",
    ["1536", "1,536", "1 536", "1\u202f536", "1'536", "1_536", " 1536 ", "+1536", "1.536e3", "1.536E3", "12 * 128",
     "12*128", "12 x 128", "12X128", "12 × 128", "12 · 128", "12 × 128 = 1,536", "n = 1536", "2^10 + 2^9", "2**10+512",
     "1.536 × 10³", "(8 + 4) * 128", "3072/2", "3072 ÷ 2", "1,536 numbers", "1536numbers", "1536 Numbers",
     "1,536 NUMBERS", "12 * 128 numbers", "1536.", "1536.0", "01536", "１５３６", "١٥٣٦", "≈ 1536", "153600%",
     "12 numbers * 128 ="],
)  # fmt: skip
def test_a_right_number_is_right_however_it_is_typed(typed):
    assert NUMBERS.grade(typed).credit == 1


@pytest.mark.parametrize("typed", ["0.5", ".5", "1/2", "50%", "50 %", "½", "0.49", "0.51", "5e-1", "2^-1", "5 · 10⁻¹"])
def test_a_share_may_be_a_fraction_or_a_percentage_and_is_right_within_its_tolerance(typed):
    assert SHARE.grade(typed).credit == 1


@pytest.mark.parametrize("typed", ["1535", "1537", "1536.001", "-1536", "0", "0.1536", "1.536", "15,360", "½"])
def test_a_number_beside_the_right_one_earns_nothing(typed):
    assert NUMBERS.grade(typed).credit == 0


@pytest.mark.parametrize(
    "typed",
    ["", "   ", "?", "both", "a", "a c", "one thousand", "1536 tokens", "1536 GB", "1,5", "0,125", "1.536,5", "12,34",
     "1,53", "1 5", "15 36", "1..5", "1e", "e", "1/0", "1e999", "inf", "nan", "True", "1j", "None", "9**9**9**9", "²",
     "(-8)**0.5",
     "(" * 150, "-" * 5000, "9" * 5000, "1" * 250, "1536; import os", "__import__('os')", "\x00", "\ud800",
     "1 if 1 else 2", "12in", "0x600", "=", "%", "numbers", "½ or ¼"],
)  # fmt: skip
def test_what_is_no_number_gets_a_sentence_and_is_not_counted(typed, recwarn):
    with pytest.raises(ValueError, match=r"^1.q1 takes a number \(numbers\), such as '1,200'; got .*: .") as why:
        NUMBERS.grade(typed)
    assert len(str(why.value)) < 300 and not recwarn.list
    assert reply_to(NUMBERS, typed).text.startswith("Not counted: 1.q1 takes") and not RECORD.replies


def test_a_number_may_be_as_long_as_anybody_types_and_no_longer():
    assert number_in("7".rjust(200)) == 7
    with pytest.raises(ValueError, match="it is too long for a number"):
        number_in("7".rjust(201))


@pytest.mark.parametrize("unit", ["vector", "vectors", " vectors ", "Vectors"])
def test_a_unit_may_be_typed_in_the_singular_or_in_the_plural(unit):
    assert [number_in(text, unit) for text in ("1 vector", "12 vectors", "12 VECTORS", "3")] == [1, 12, 12, 3]


def test_a_comma_that_may_mean_a_point_is_asked_about():
    with pytest.raises(ValueError, match=r"a comma parts thousands, as in 1,536; .* after a point, as in 1.5"):
        SHARE.grade("0,500")
    assert number_in("1,250") == 1250 and "1,250 is not it" in SHARE.grade("1,250").lines[0]  # it says what was read


def test_a_percentage_is_a_number_where_the_unit_is_percent():
    question = made("numeric", value=50, unit="%", reason="half.")
    assert question.grade("50").credit == question.grade("50 %").credit == 1 and question.grade("0.5").credit == 0


def test_a_known_mistake_is_answered_with_its_reason_and_any_other_with_none_of_them():
    assert NUMBERS.grade("12 + 128").lines == ("140 is not it: they are multiplied.",)
    assert NUMBERS.grade("1,536").lines == ("right: 12 vectors of 128 numbers.",)
    other = NUMBERS.grade("141").lines[0]
    assert other.startswith("141 is not it: ") and "multiplied" not in other and "1536" not in other


def test_rounding_decides_nothing():
    question = made("numeric", value=0.3, tolerance=0.05, reason="r")
    assert question.grade("0.35").credit == question.grade("0.25").credit == question.grade("0.1 + 0.2").credit == 1
    assert question.grade("0.3501").credit == 0
    assert made("numeric", value=1_000_000_000, reason="r").grade("1,000,000,001").credit == 0


# ---- several options


def letters_of(question, *texts: int) -> list[str]:
    return [letter for option, letter in question.letters().items() if int(option.text[-1]) in texts]


@pytest.mark.parametrize(
    "form", ["{} {} {}", "{}{}{}", "{},{},{}", "{}, {} and {}", "{}/{}/{}", "{}) {}) {})", "{}+{}&{}"]
)
def test_several_letters_may_be_joined_in_any_way(form):
    letters = letters_of(SIX, 0, 2, 4)
    for typed in (form.format(*letters), form.format(*reversed(letters)).upper(), f"  {form.format(*letters)}\n"):
        assert SIX.grade(typed).credit == 1
    assert SIX.grade("".join(chr(ord(letter) + 0xFEE0) for letter in letters)).credit == 1  # letters of full width


@pytest.mark.parametrize(
    "typed", ["", " ", "?", "both", "all", "none", "g", "a z", "1", "a1", "and", "\u0430", "\ud800"]
)
def test_what_names_no_options_gets_a_sentence(typed):
    with pytest.raises(ValueError, match=r"1.q1 takes the letters of all right options, from a to f, such as 'a c'"):
        SIX.grade(typed)


def test_each_option_that_was_missed_or_wrongly_chosen_is_named_with_its_reason():
    (right, missed, third), (wrong,) = letters_of(SIX, 0, 2, 4), letters_of(SIX, 1)
    reasons = {letter: option.reason for option, letter in SIX.letters().items()}
    lines = SIX.grade(f"{right} {third} {wrong}").lines
    assert set(lines) == {f"{missed} is missing: {reasons[missed]}", f"{wrong} does not belong here: {reasons[wrong]}"}


def test_all_none_or_chance_earn_next_to_nothing_and_one_slip_keeps_something():
    for count, rights in ((n, rights) for n in range(4, 8) for rights in range(1, n)):
        question = made("several", options=options(*[True] * rights, *[False] * (count - rights)))
        assert question.grade(question.labels).credit == 0
        every = [chosen for size in range(1, count + 1) for chosen in combinations(question.labels, size)]
        assert sum(question.grade(" ".join(chosen)).credit for chosen in every) / len(every) < 0.14
    two, (wrong,) = letters_of(SIX, 0, 2), letters_of(SIX, 1)
    for slip in (" ".join(two), f"{SIX.answer} {wrong}"):
        assert SIX.grade(slip).credit == pytest.approx(1 / 3)


# ---- orders, pairs, one option


def credits_of_all_orders(question) -> list[float]:
    return [question.grade(" ".join(letters)).credit for letters in permutations(question.labels)]


def test_a_random_order_earns_next_to_nothing_and_one_step_out_of_place_keeps_most():
    credits = credits_of_all_orders(CHAIN)
    assert sum(credits) / len(credits) <= 0.1 and credits.count(1) == 1
    right = CHAIN.answer.split()
    swapped = " ".join([right[1], right[0], *right[2:]])
    assert CHAIN.grade(swapped).credit == pytest.approx(2 / 3) and "90% of the pairs" in CHAIN.grade(swapped).lines[0]
    assert CHAIN.grade(" ".join(reversed(right))).credit == 0


@pytest.mark.parametrize(
    "form", ["{} {} {} {} {}", "{}{}{}{}{}", "{}, {}, {}, {}, {}", "{}→{}→{}→{}→{}", "{}>{}>{}>{}>{}"]
)
def test_an_order_may_be_typed_with_any_sign_between(form):
    assert CHAIN.grade(form.format(*CHAIN.answer.upper().split())).credit == 1


@pytest.mark.parametrize("typed", ["a b c d", "a b c d e e", "a b c d f", "b", "a and b", "12345", "a b c d e 1"])
def test_an_order_that_is_not_whole_gets_a_sentence(typed):
    with pytest.raises(ValueError, match="takes all letters, in order, from a to e"):
        CHAIN.grade(typed)


def test_random_pairs_earn_next_to_nothing_and_each_pair_after_the_first_counts():
    guesses = [" ".join(f"{n}{c}" for n, c in enumerate(each, 1)) for each in permutations(PAIRS.labels, 4)]
    assert sum(PAIRS.grade(guess).credit for guess in guesses) / len(guesses) <= 0.1
    odd = next(letter for letter in PAIRS.labels if letter not in PAIRS.answer)
    right = PAIRS.answer.split()
    earned = [
        PAIRS.grade(" ".join([*(f"{n}{odd}" for n in range(1, wrong + 1)), *right[wrong:]])) for wrong in range(5)
    ]
    assert [each.credit for each in earned] == pytest.approx([1, 2 / 3, 1 / 3, 0, 0])


@pytest.mark.parametrize("form", ["{}", "({})", "{})", "{}.", " {} "])
def test_one_letter_may_stand_in_brackets(form):
    assert ONE_OF_THREE.grade(form.format(ONE_OF_THREE.answer.upper())).credit == 1


@pytest.mark.parametrize("typed", ["", " ", "both", "a b", "a,c", "a and c", "d", "1", "²", "()"])
def test_two_letters_are_not_one(typed):
    with pytest.raises(ValueError, match=r"1.q1 takes one letter, from a to c, such as 'b'"):
        ONE_OF_THREE.grade(typed)


# ---- every student has an order of their own


@pytest.mark.parametrize("question", [ONE_OF_THREE, SIX, CHAIN, PAIRS], ids=lambda each: each.kind)
def test_every_student_has_an_order_of_their_own_and_it_stays(question):
    names = ["", *(f"student {n}" for n in range(30))]
    answers_of = {name: question.for_student(name).answer for name in names}
    assert len(set(answers_of.values())) > 2 and answers_of[""] == question.answer
    for name, right in answers_of.items():
        assert question.for_student(name).grade(right).credit == 1
        assert question.for_student("other").for_student(name).answer == right
    assert question.for_student("\ud800").labels == question.labels


def test_no_student_is_shown_an_order_that_earns_or_whose_reverse_earns():
    for name in range(300):
        mine = CHAIN.for_student(f"{name}")
        assert mine.grade(" ".join(mine.labels)).credit == mine.grade(" ".join(reversed(mine.labels))).credit == 0


# ---- texts


@pytest.mark.parametrize("typed", ["", "  ", "?", "…", "\n"])
def test_no_text_at_all_gets_a_sentence(typed):
    with pytest.raises(ValueError, match=r"1.q1 takes your own words, such as"):
        ESSAY.grade(typed)


def test_a_text_is_answered_with_the_model_the_weaker_one_and_what_a_reader_looks_at():
    said = reply_to(ESSAY, "I choose <b>4</b>.").text
    assert "a person reads this" in said and "✓" not in said and "✗" not in said
    for words in (
        "A model answer: I take 4 &",
        "A weaker answer: More is",
        "Evidence: none, or copied → one run → several",
    ):
        assert words in said
    assert "<b>" not in reply_to(ESSAY, "I choose <b>4</b>.").html


def test_a_text_changes_no_points_and_has_no_square(monkeypatch):
    monkeypatch.setattr(catalogue, "questions", lambda lesson: {"1.q1": ESSAY, "1.q2": NUMBERS})
    assert "questions □ 0 of 1" in reply_to(ESSAY, "I choose 4.").text
    assert question_points(1) == 0.0


# ---- marks


def test_a_row_takes_the_order_that_the_student_saw():
    mine = CHAIN.for_student("ada")
    assert mine.answer != CHAIN.answer
    assert question_test(CHAIN, Given(mine.answer, "ada"))["earned"] == 1
    assert question_test(CHAIN, Given(mine.answer, ""))["earned"] < 1


def test_a_row_says_how_often_a_student_tried():
    row = question_test(NUMBERS, Given("1536", "", 3))
    assert (row["earned"], row["points"], row["attempts"]) == (1, 1, 3)
    assert question_test(NUMBERS, Given(""))["attempts"] == 0


def test_a_text_is_collected_whole_for_a_person_with_the_rubric():
    text = "First line <b>.\nSecond line.\n" + "word " * 3000
    row = question_test(ESSAY, Given(text))
    assert text.rstrip() in row["came"] and (row["earned"], row["points"]) == (0, 0)
    assert row["rubric"] == [{"name": "Evidence", "levels": ["none, or copied", "one run", "several seeds"]}]
    assert "I take 4" not in row["came"] and row["asked"] == "?"
    assert len(question_test(ESSAY, Given("x" * 50_000))["came"]) <= answers.LONGEST
    assert question_test(ESSAY, Given(""))["came"] == "not answered yet"


@pytest.mark.parametrize("question", [NUMBERS, SIX, ESSAY], ids=lambda each: each.kind)
def test_a_row_holds_only_what_every_file_can_hold(question):
    came = question_test(question, Given("\ud800\x00\x1b[31m \uffff"))["came"]
    ElementTree.fromstring(f"<p>{came.replace('&', '').replace('<', '')}</p>".encode())


def tries(*texts: str, student: str = "") -> Given:
    return Given(texts[-1], student, len(texts), tuple(Given(text, student) for text in texts))


def test_where_attempts_are_limited_the_last_allowed_one_counts():
    late = tries("140", "141", "1536")
    assert question_test(NUMBERS, late)["earned"] == 1
    row = question_test(NUMBERS, late, allowed=2)
    assert row["earned"] == 0 and "you answered 141" in row["came"]
    assert "of your 3 attempts number 2 counts" in row["came"] and row["attempts"] == 3
    assert question_test(NUMBERS, late, allowed=3)["earned"] == 1
    assert question_test(NUMBERS, tries("140", "1536", "141"), allowed=2)["earned"] == 1  # what was earned stays


def test_what_could_not_be_read_and_the_same_once_more_use_up_no_attempt():
    row = question_test(NUMBERS, tries("both", "140", "140", "1,5", "1536"), allowed=2)
    assert row["earned"] == 1
    assert question_test(NUMBERS, tries("140", "1536", "140", "1536"), allowed=2)["earned"] == 1
    assert question_test(NUMBERS, tries("1536", "both"))["earned"] == 1
    assert "such as '1,200'; got 'both'" in question_test(NUMBERS, tries("both", "both"), allowed=1)["came"]


def test_an_answer_that_is_not_among_the_attempts_of_the_file_is_one_more():
    typed = Given("1536", "", 2, tries("140", "141").tries)
    assert question_test(NUMBERS, typed)["earned"] == question_test(NUMBERS, typed, allowed=3)["earned"] == 1
    assert question_test(NUMBERS, typed, allowed=2)["earned"] == 0


def test_where_the_attempts_are_only_counted_one_too_many_earns_nothing_and_says_so():
    row = question_test(NUMBERS, Given("1536", "", 3), allowed=2)
    assert row["earned"] == 0 and "3 attempts, and 2 are allowed: it earns nothing" in row["came"]
    assert question_test(NUMBERS, Given("1536", "", 2), allowed=2)["earned"] == 1


def test_a_file_of_answers_gives_every_attempt(tmp_path):
    path = tmp_path / answers.file_name(1)
    for text in ("140", "1536"):
        answers.keep(path, "1.q1", text, "ada")
    given = answers.read(path.read_bytes())["1.q1"]
    assert given == Given("1536", "ada", 2) and [each.text for each in given.tries] == ["140", "1536"]


# ---- forms to click


def clicked(question, act) -> str:
    given = []
    act(*widgets.controls(question, lambda _, text: given.append(text) or reply_to(question, text)).children)
    return given


def test_several_options_have_boxes_to_check_and_one_button():
    def act(form, reply, _):
        *boxes, button = form.children
        button.click()  # nothing is checked: nothing is given
        for box in boxes:
            box.value = box.description in SIX.answer
        button.click()
        assert "✓ right" in reply.value

    assert clicked(SIX, act) == [SIX.answer]


@pytest.mark.parametrize(("question", "typed"), [(NUMBERS, "12 * 128"), (ESSAY, 'I take "4" <script>')])
def test_a_number_and_a_text_have_a_field_and_a_button(question, typed):
    def act(form, reply, _):
        field, button = form.children
        button.click()  # an empty field gives nothing
        field.value = typed
        button.click()
        assert "Not counted" not in reply.value and "<script>" not in reply.value

    assert clicked(question, act) == [typed]


# ---- files and Moodle


LEVELS = [{"name": "Evidence", "levels": ["none", "some"]}]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"kind": "numeric"}, "a question of kind 'numeric' lacks 'value', 'reason'"),
        ({"kind": "numeric", "value": "12", "reason": "r"}, "are numbers; got '12'"),
        ({"kind": "numeric", "value": True, "reason": "r"}, "are numbers; got True"),
        ({"kind": "numeric", "value": float("nan"), "reason": "r"}, "are numbers; got nan"),
        ({"kind": "numeric", "value": 0.5, "reason": "r"}, "no whole number needs a tolerance above 0; got 0"),
        ({"kind": "numeric", "value": 5, "reason": " "}, "a text or a reason is empty"),
        ({"kind": "numeric", "value": 5, "reason": "r", "mistakes": [{"value": 5, "reason": "r"}]}, "the tolerance"),
        ({"kind": "numeric", "value": 5, "reason": "r", "mistakes": [{"value": 6}]}, "of mistakes lacks 'reason'"),
        ({"kind": "numeric", "value": 5, "reason": "r", "mistakes": [7]}, "an entry of mistakes is a table .*; got 7"),
        ({"kind": "several", "options": options(True, False, False)}, "4 to 7 options"),
        ({"kind": "several", "options": options(True, True, True, True)}, "at least one without"),
        ({"kind": "several", "options": options(False, False, False, False)}, "at least one with right = true"),
        ({"kind": "several", "options": options(*[True] * 5, *[False] * 3)}, "4 to 7 options"),
        ({"kind": "text", "rubric": LEVELS}, "lacks 'model'"),
        ({"kind": "text", "rubric": LEVELS, "model": " "}, "is empty"),
        ({"kind": "text", "rubric": [], "model": "m"}, "it needs a rubric"),
        ({"kind": "text", "rubric": [{"name": "n", "levels": ["one"]}], "model": "m"}, "a list of two or more texts"),
        ({"kind": "text", "rubric": [{"name": "n", "levels": "many"}], "model": "m"}, "a list of two or more texts"),
        ({"kind": "text", "rubric": [{"levels": ["a", "b"]}], "model": "m"}, "an entry of rubric lacks 'name'"),
        ({"kind": "choice", "options": options(True, False, False), "student": "ada"}, "has no student"),
        ({"kind": "choice", "options": options(True, False, False), "points": 3}, "has no points"),
    ],
)  # fmt: skip
def test_an_incomplete_item_of_a_new_kind_is_refused_with_what_is_missing(item, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        question_files.build({"id": "1.q1", "prompt": "?"} | item)


def test_moodle_takes_numbers_with_the_words_for_known_mistakes():
    node = moodle.question_xml(SHARE)
    assert node.get("type") == "numerical" and node.findtext("answer/tolerance") == "0.01"
    known = {each.findtext("text"): each for each in moodle.question_xml(NUMBERS).findall("answer")}
    assert {text: each.get("fraction") for text, each in known.items()} == {"1536": "100", "140": "0", "*": "0"}
    assert known["140"].findtext("feedback/text") == "they are multiplied."
    assert moodle.question_xml(NUMBERS).findtext("units/unit/unit_name") == "numbers"
    assert moodle.question_xml(SHARE).find("units") is None


@pytest.mark.parametrize(
    ("rights", "fractions"),
    [
        ([True, True, True, False], [-100, 33.33333, 33.33333, 33.33333]),
        ([True, False, False, True], [-50, -50, 50, 50]),
    ],
)
def test_moodle_takes_several_right_options_with_fractions_that_cancel_out(rights, fractions):
    node = moodle.question_xml(made("several", options=options(*rights)))
    assert node.findtext("single") == "false"
    assert sorted(float(each.get("fraction")) for each in node.findall("answer")) == fractions


def test_moodle_takes_a_text_with_the_rubric_for_who_grades_it():
    node = moodle.question_xml(ESSAY)
    assert node.get("type") == "essay" and node.findtext("defaultgrade") == "0"
    info = node.findtext("graderinfo/text")
    assert "Evidence" in info and "several seeds" in info and "I take 4 &amp; I measure" in info
    assert node.findtext("responseformat") == "plain" and "I take 4" not in node.findtext("questiontext/text")


@every_form
def test_every_form_makes_xml_that_reads_back(question):
    text = ElementTree.tostring(moodle.question_xml(question))
    assert ElementTree.fromstring(text).findtext("name/text") == f"1.q1 {question.kind}"


def test_a_class_is_graded_with_as_many_attempts_as_the_teacher_names(tmp_path, monkeypatch):
    monkeypatch.undo()  # the lesson's own questions
    handed_in = tmp_path / "in" / "a.py"
    handed_in.parent.mkdir()
    right = {each.id: each.answer for each in catalogue.questions(1).values()}
    handed_in.write_text("\n".join(f"quiz({name!r}, answer={text!r})" for name, text in right.items()))
    command = [
        "grade",
        str(handed_in),
        "--lesson",
        "1",
        "--profile",
        "local",
        "--processes",
        "1",
        "--out",
        str(tmp_path),
    ]
    main([*command, "--attempts", "1"])
    (row,) = (json.loads(path.read_bytes()) for path in (tmp_path / "rows").iterdir())
    assert row["earned"] == sum(each.points for each in catalogue.questions(1).values())
    with pytest.raises(SystemExit):
        main([*command, "--attempts", "0"])
    with pytest.raises(ValueError, match=r"question's attempts count, at least 1; got 0"):
        grade([handed_in], 1, tmp_path, attempts=0)


# ---- what makes a question


def pairs_of(*texts: str) -> list[dict]:
    return [{"left": f"left {text}", "right": f"right {text}", "reason": "why"} for text in texts]


def rules_of(*pairs: str) -> list[dict]:
    return [{"first": first, "then": then, "reason": "why"} for first, then in pairs]


THREE = {"p": "step p", "q": "step q", "r": "step r"}
LEFT, RIGHT = pairs_of("1", "2")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"kind": "choice", "options": options(True, False)}, "at least three options, exactly one of them"),
        ({"kind": "choice", "options": options(False, False, False)}, "exactly one of them with right = true"),
        ({"kind": "several", "options": [*options(True, False, False), {"text": "d", "reason": ""}]}, "is empty"),
        ({"kind": "several", "options": [*options(True, False, False), *options(False)]}, "the same: 'text 0'"),
        ({"kind": "order", "steps": THREE, "rules": rules_of("pq")}, "rules that order at least two pairs"),
        ({"kind": "order", "steps": THREE | {"r": " "}, "rules": rules_of("pq", "qr")}, "a text or a reason is empty"),
        ({"kind": "order", "steps": THREE | {"r": "step p"}, "rules": rules_of("pq", "qr")}, "the same: 'step p'"),
        ({"kind": "order", "steps": THREE, "rules": [*rules_of("pq"), RULES[1] | {"reason": ""}]}, "reason is empty"),
        ({"kind": "order", "steps": THREE, "rules": rules_of("xq", "qy")}, "steps that it does not list: x, y"),
        ({"kind": "order", "steps": THREE, "rules": rules_of("pq", "qr", "rp")}, "wait for each other: p, q, r"),
        ({"kind": "match", "pairs": pairs_of("1"), "distractors": ODD}, "at least two pairs and one distractor"),
        ({"kind": "match", "pairs": [LEFT, RIGHT | {"left": ""}], "distractors": ODD}, "is empty"),
        ({"kind": "match", "pairs": [LEFT, RIGHT | {"left": "left 1"}], "distractors": ODD}, "the same: 'left 1'"),
        ({"kind": "match", "pairs": [LEFT, RIGHT | {"right": ""}], "distractors": ODD}, "is empty"),
        ({"kind": "match", "pairs": [LEFT, RIGHT | {"reason": ""}], "distractors": ODD}, "is empty"),
        ({"kind": "match", "pairs": [LEFT, RIGHT], "distractors": [ODD[0] | {"reason": ""}]}, "is empty"),
        ({"kind": "match", "pairs": [LEFT, RIGHT], "distractors": [*ODD, *ODD]}, "two of its texts are the same"),
        ({"kind": "numeric", "value": 5, "reason": "r", "tolerance": -1}, "needs a tolerance above 0; got -1"),
        ({"kind": "numeric", "value": 5, "reason": "r", "tolerance": "1"}, "are numbers; got '1'"),
        ({"kind": "numeric", "value": 5, "reason": "r", "mistakes": [{"value": None, "reason": "r"}]}, "got None"),
        ({"kind": "numeric", "value": 5, "reason": "r", "mistakes": [{"value": 6, "reason": " "}]}, "is empty"),
        (
            {"kind": "numeric", "value": 5, "reason": "r",
             "mistakes": [{"value": value, "reason": "r"} for value in (6, 7, 6)]},
            "the mistake 6 lies within the tolerance of the value or of another",
        ),
        (
            {"kind": "numeric", "value": 5, "reason": "r", "mistakes": [{"value": 6, "reason": "r"}] * 2},
            "the mistake 6 lies within the tolerance of the value or of another",
        ),
        ({"kind": "text", "rubric": LEVELS, "model": "m", "prompt": ""}, "is empty"),
        ({"kind": "text", "rubric": LEVELS, "model": "?"}, "the same: '[?]'"),
        ({"kind": "text", "rubric": [*LEVELS, *LEVELS], "model": "m"}, "the same: 'Evidence'"),
        ({"kind": "text", "rubric": [{"name": " ", "levels": ["a", "b"]}], "model": "m"}, "is empty"),
        ({"kind": "text", "rubric": [{"name": "n", "levels": ["a", ""]}], "model": "m"}, "is empty"),
        ({"kind": "text", "rubric": [{"name": "n", "levels": ["a", "a"]}], "model": "m"}, "the same: 'a'"),
    ],
)  # fmt: skip
def test_what_would_make_a_bad_question_is_refused(item, message):
    with pytest.raises(ValueError, match=message):
        question_files.build({"id": "1.q1", "prompt": "?"} | item)


def test_the_smallest_and_the_largest_questions_are_taken():
    for question in (
        made("several", options=options(True, False, False, False)),
        made("several", options=options(True, True, True, False)),
        made("several", options=options(True, *[False] * 6)),
        made("order", steps=THREE, rules=rules_of("pq", "pr")),
        made("match", pairs=pairs_of("1", "2"), distractors=ODD[:1]),
        made("numeric", value=0, reason="r"),
        made("text", model="m", rubric=LEVELS),
    ):
        assert question.grade(question.answer).credit == (1 if question.points else None)


def test_a_step_that_three_others_wait_for_comes_before_all_that_follow_from_them():
    """Whatever order the steps are listed in, what follows from two rules and from three counts as a rule."""
    for keys in permutations("pqrs"):
        steps = {key: f"step {key}" for key in keys}
        question = made("order", steps=steps, rules=rules_of("pq", "qr", "rs"))
        assert question.before == {*combinations("pqrs", 2)}


def test_what_a_question_or_a_reply_holds_cannot_be_changed():
    parts = Option("t", "r"), Rule("p", "q", "r"), Pair("l", "r", "r"), Mistake(1, "r"), Criterion("n", ["a", "b"])
    for each in (Reply(1.0, ()), *parts, *EVERY_FORM):
        for field in fields(each):
            with pytest.raises(FrozenInstanceError):
                setattr(each, field.name, None)


def test_an_option_is_wrong_unless_it_is_said_to_be_right():
    option = made("choice", options=[{"text": t, "reason": "r"} for t in "ab"] + options(True)).options[0]
    assert option.right is False


# ---- what is shown and said


def drawn(things, text: str) -> list:
    """In the order that is drawn from a text: it is the same on every machine, and written answers rely on it."""
    things = list(things)
    random.Random(zlib.crc32(text.encode())).shuffle(things)
    return things


@pytest.mark.parametrize(("student", "behind"), [("", ""), ("ada", " ada"), ("Ünal", " Ünal")])
def test_the_order_that_a_student_sees_is_drawn_from_the_question_s_id_and_their_name(student, behind):
    six, again, pairs, chain = (each.for_student(student) for each in (SIX, made("several", options=options(
        True, False, True, False, True, False), shuffle=2), PAIRS, CHAIN))  # fmt: skip
    assert six.shown == drawn(six.options, f"1.q1 0{behind}")
    assert again.shown == drawn(again.options, f"1.q1 2{behind}")
    assert pairs.lefts == drawn(pairs.pairs, f"1.q1 left 0{behind}")
    assert pairs.shown == drawn([*(pair["right"] for pair in FOUR), "odd", "even"], f"1.q1 0{behind}")
    tried = [drawn("pqrst", f"1.q1 {1000 * draw}{behind}") for draw in range(20)]
    right = {*combinations("pqrst", 2)}
    assert chain.shown == next(keys for keys in tried if 3 <= len(right & {*combinations(keys, 2)}) <= 7)


def test_orders_of_which_three_or_seven_of_ten_pairs_are_right_are_shown_too():
    right = {*combinations("pqrst", 2)}
    shown = [CHAIN.for_student(f"{name}").shown for name in range(300)]
    assert {len(right & {*combinations(keys, 2)}) for keys in shown} == {3, 4, 5, 6, 7}


def test_a_credit_is_said_in_a_word():
    words = {None: "a person reads this", 1.0: "✓ right", 0.0: "✗ not it", 1 / 3: "◧ 33% right"}
    assert {credit: Reply(credit, ()).word for credit in words} == words


def test_a_credit_has_nine_decimal_places_so_that_floats_leave_no_dust_in_files():
    two = " ".join(letters_of(SIX, 0, 2))
    right = PAIRS.answer.split()
    odd = next(letter for letter in PAIRS.labels if letter not in PAIRS.answer)
    assert (SIX.grade(two).credit, PAIRS.grade(" ".join([f"1{odd}", *right[1:]])).credit) == (0.333333333, 0.666666667)


def test_the_right_letter_and_a_wrong_one_are_told_with_their_reasons():
    for option, letter in ONE_OF_THREE.letters().items():
        said = f"{letter} is right: reason 1" if option.right else f"{letter} is not it: {option.reason}"
        assert ONE_OF_THREE.grade(letter) == Reply(float(option.right), (said,))


def test_what_belongs_is_told_with_its_reason_once_all_is_right():
    letters = [(letter, option.reason) for option, letter in SIX.letters().items() if option.right]
    assert SIX.grade(SIX.answer).lines == tuple(f"{letter} belongs here: {reason}" for letter, reason in letters)


def test_the_steps_and_the_pairs_are_listed_with_their_labels():
    assert CHAIN.lines() == [(letter, f"step {key}") for letter, key in zip("abcde", CHAIN.shown, strict=True)]
    lefts = [(f"{number}", pair.left) for number, pair in zip((1, 2, 3, 4), PAIRS.lefts, strict=True)]
    assert PAIRS.lines() == [*lefts, *zip("abcdef", PAIRS.shown, strict=True)]
    assert NUMBERS.lines() == ESSAY.lines() == []


def test_of_several_broken_rules_the_one_about_the_earliest_step_is_named():
    names = CHAIN.letters()
    typed = " ".join(names[key] for key in "qptsr")  # q before p; t before s before r
    assert CHAIN.grade(typed).lines[1] == f"{names['p']} must come before {names['q']}: p first"
    typed = " ".join(names[key] for key in "tpqrs")
    assert CHAIN.grade(typed).lines[1] == f"{names['s']} must come before {names['t']}: s first"


def test_wrong_pairs_are_told_with_the_reason_of_what_fits_nothing_or_of_the_pair():
    right = PAIRS.answer.split()
    letter = {text: label for label, text in zip(PAIRS.labels, PAIRS.shown, strict=True)}
    typed = " ".join([f"1{letter['odd']}", f"2{right[0][1]}", *right[2:]])
    assert PAIRS.grade(typed).lines == (
        "2 of 4 pairs are right; the first earns nothing yet",
        f"1{letter['odd']} is not it: fits nothing",
        f"2{right[0][1]} is not it: why",
    )


@pytest.mark.parametrize("typed", ["1a 2b 3c", "1a 2b 3c 4z", "1a 2b 3c 5d", "0a 1b 2c 3d", "1a 2b 3c 4d 5e", "", "ab"])
def test_pairs_that_are_not_whole_get_a_sentence(typed):
    with pytest.raises(ValueError, match=r"1.q1 takes a pair for each number, from a to f, such as '1c 2a …'; got"):
        PAIRS.grade(typed)


def test_one_letter_may_be_paired_with_several_numbers():
    assert PAIRS.grade("1a 2a 3a 4a").credit == 0


def test_where_two_pairs_have_one_description_every_letter_may_be_used():
    question = made("match", pairs=[LEFT, RIGHT, {"left": "left 3", "right": "right 2", "reason": "why"}],
                    distractors=ODD[:1])  # fmt: skip
    assert question.labels == "abc" and question.grade("1a 2b 3c").credit < 1 == question.grade(question.answer).credit


@pytest.mark.parametrize(("question", "ask"), [(NUMBERS, "a number (numbers)"), (SHARE, "a number")])
def test_the_unit_is_asked_for_where_there_is_one(question, ask):
    assert question.ask == ask


def test_a_number_that_is_nobody_s_known_mistake_is_shown_with_advice():
    assert SHARE.grade("123456789.5").lines == (
        "123,456,789.5 is not it: work it out once more in small steps, and write down what you count.",
    )


def test_of_two_known_mistakes_within_the_tolerance_the_first_in_the_file_is_told():
    mistakes = [{"value": 6, "reason": "six"}, {"value": 7.5, "reason": "seven"}]
    question = made("numeric", value=50, reason="r", tolerance=1, mistakes=mistakes)
    assert question.grade("6.8").lines == ("6.8 is not it: six",) and question.grade("7.2").lines[0].endswith("seven")


def test_what_was_typed_is_repeated_up_to_eighty_signs():
    for length in 80, 81:
        with pytest.raises(ValueError, match="such as '1,200'; got") as told:
            NUMBERS.grade("x" * length)
        assert f"got '{'x' * 80}{' …' if length > 80 else ''}': " in str(told.value)


def test_a_text_without_a_weaker_answer_shows_none():
    lines = made("text", model="m", rubric=LEVELS).grade("my words").lines
    assert lines[0] == "**A model answer**: m" and lines[1].startswith("Compare yours with the model answer.")
    assert lines[2:] == ("**Evidence**: none → some",)
    assert ESSAY.grade("my words").lines[1] == "**A weaker answer**: More is better."
