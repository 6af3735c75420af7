"""Questions come again where they were missed, their graded answers stay as they are, and odd records end calmly."""

import json
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

from minitransformer.course import (
    Unfinished,
    answer,
    answers,
    catalogue,
    check,
    keeping,
    lesson_text,
    predict,
    progress,
    progress_map,
    question_points,
    quiz,
    reveal,
    student,
    warm_up,
)
from minitransformer.course.display import plain_text
from minitransformer.course.progress import RECORD, note, practised
from minitransformer.course.progress_map import HEADS
from minitransformer.course.questions import Choice, Numeric
from minitransformer.course.repetition import COUNT, Claim, chosen, claims, fixed, order

ROOT = Path(__file__).parents[2]
LESSONS = catalogue.lessons()[1:]
pytestmark = pytest.mark.usefixtures("notebook_folder")


def restart() -> None:
    """What a new kernel knows: nothing."""
    RECORD.forget()


def right(name: str) -> str:
    return catalogue.question(name).answer


def wrong(name: str) -> str:
    """An answer that can be read and earns less than all."""
    question = catalogue.question(name)
    letters = question.labels
    tries = [*letters, " ".join(letters), " ".join(reversed(letters)), "123456789"]
    tries += [" ".join(f"{number}{letter}" for number in range(1, 9 - gone)) for letter in letters for gone in range(8)]
    for text in tries:
        try:
            if question.grade(text).credit < 1:
                return text
        except ValueError:
            continue
    raise AssertionError(name)


def asked(lesson: int) -> list[str]:
    warm_up(lesson)
    return practised(lesson)[0].asked


def file_of(folder: Path, lesson: int) -> Path:
    return folder / answers.file_name(lesson)


def graded(folder: Path, lesson: int) -> dict:
    """What a grader reads."""
    path = file_of(folder, lesson)
    return answers.read(path.read_bytes()) if path.exists() else {}


# ---- strangers' records: each ends in a calm sentence


DAMAGED = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"answers": []}', b"[" * 100_000]


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: data[:20])
def test_a_damaged_file_of_an_earlier_lesson_is_said_and_the_rule_chooses(notebook_folder, data):
    file_of(notebook_folder, 1).write_bytes(data)
    for said in (warm_up(2), progress_map()):
        assert "answers-lesson1.json is damaged" in said.text and "answers-lesson1.json is damaged" in said.html
    assert asked(2) == [each.id for each in fixed(2)] and file_of(notebook_folder, 1).read_bytes() == data


def test_a_damaged_file_of_this_lesson_stays_until_a_graded_answer_sets_it_aside(notebook_folder):
    file_of(notebook_folder, 2).write_bytes(b"{")
    (first, *_) = asked(2)
    assert "is damaged" in warm_up(2).text
    said = warm_up(2, first, right(first)).text
    assert "✓ right" in said and "is damaged" in said and "counts in this session only" in said
    assert file_of(notebook_folder, 2).read_bytes() == b"{" and "1 of 5 answered" in warm_up(2).text
    answer("2.q1", right("2.q1"))
    progress(2)
    warm_up(2, first, wrong(first))
    restart()
    assert [each.text for each in practised(2)[0].answers[first]] == [right(first), wrong(first)]


ODD = [
    "x", 3, None, [], {"warm_up": 1}, {"warm_up": {"asked": "1.q6", "answers": []}},
    {"warm_up": {"asked": [1, None, ["1.q6"], "1.q6", "1.q6"], "answers": {"1.q6": "b"}}},
    {"warm_up": {"asked": ["1.q6"], "answers": {"1.q6": [3, {"answer": 3}, {"answer": "zz", "student": ""}]}}},
    {"exercises": {"2.1": 3, "1.1": {"earned": "x", "named": []}, "9.9": {"earned": 3, "named": 3}}},
    {"exercises": {"1.1": {"earned": 10**9, "named": [1]}}, "predictions": {"2.p1": "near", "2.p99": True}},
]  # fmt: skip


@pytest.mark.parametrize("practice", ODD, ids=str)
def test_what_cannot_be_read_of_the_practice_is_passed_over_and_answers_count(notebook_folder, practice):
    content = {"format": 1, "answers": {"2.q1": [{"answer": right("2.q1"), "student": ""}]}, "practice": practice}
    for lesson in (1, 2):
        file_of(notebook_folder, lesson).write_text(json.dumps(content))
    assert len(asked(2)) == len({*asked(2)}) == COUNT and len(asked(3)) == COUNT
    for name in asked(2):
        assert "Not counted" not in warm_up(2, name, wrong(name)).text
    with pytest.raises(Unfinished):
        check("2.1", lambda: None)
    assert "of 3 done" in progress_map().text and question_points(2) == 1 and "0000" not in progress(1).text
    restart()
    assert "5 of 5 answered, 0 right at once" in warm_up(2).text and question_points(2) == 1


def test_a_record_of_a_lesson_that_does_not_exist_changes_nothing(notebook_folder):
    content = {"format": 1, "answers": {"77.q1": [{"answer": "a", "student": ""}]},
               "practice": {"exercises": {"77.1": {"earned": 1, "named": ["x"]}}}}  # fmt: skip
    for lesson in (1, 77):
        file_of(notebook_folder, lesson).write_text(json.dumps(content))
    assert asked(2) == [each.id for each in fixed(2)] and "77" not in progress_map().text


def test_a_question_that_was_removed_is_replaced_and_the_others_stay(notebook_folder):
    before = asked(3)
    path = file_of(notebook_folder, 3)
    path.write_text(path.read_text().replace(f'"{before[1]}"', '"1.q999"'))
    restart()
    now = asked(3)
    assert now[:4] == [name for name in before if name != before[1]] and len({*now}) == COUNT
    restart()
    assert asked(3) == now


def test_an_answer_that_no_longer_fits_its_question_is_shown_as_none(notebook_folder):
    (name, *_) = asked(2)
    path = file_of(notebook_folder, 2)
    content = json.loads(path.read_text())
    content["practice"]["warm_up"]["answers"] = {name: [{"answer": "zz", "student": ""}]}
    path.write_text(json.dumps(content))
    restart()
    assert "0 of 5 answered" in warm_up(2).text and "answered zz" not in warm_up(2).text


def test_two_notebooks_at_once_show_the_same_five_and_lose_no_answer(notebook_folder):
    mine = asked(3)
    vars_of_mine = dict(vars(RECORD))
    restart()
    theirs = asked(3)
    warm_up(3, theirs[0], right(theirs[0]))
    vars(RECORD).update(vars_of_mine)
    warm_up(3, mine[1], right(mine[1]))
    assert mine == theirs and "2 of 5 answered, 2 right at once" in warm_up(3).text


def test_what_another_notebook_chose_meanwhile_is_shown_here_too(notebook_folder, monkeypatch):
    other = [each for each in catalogue.questions(1)][-COUNT:]

    def chosen_by_another(lesson, changes):
        content = {"warm_up": {"asked": list(other)}}
        answers.keep_practice(file_of(notebook_folder, lesson), content)
        return keep(lesson, changes)

    keep = keeping.keep_practice
    monkeypatch.setattr(keeping, "keep_practice", chosen_by_another)
    said = warm_up(2).text
    assert all(f"{name} " in said for name in other)


@pytest.mark.parametrize("where", ["/proc", "/nowhere/at/all"])
def test_where_nothing_can_be_written_it_is_said_and_the_session_knows(where, monkeypatch):
    monkeypatch.setattr(keeping, "folder", lambda: Path(where))
    said = warm_up(2)
    assert "could not be written" in said.text and "counts in this session only" in said.html
    (first, *_) = asked(2)
    assert "✓ right" in warm_up(2, first, right(first)).text and "1 of 5 answered" in warm_up(2).text
    assert "could not be written" in progress_map().text and "1 of 5 right at once" in progress_map().text


def test_an_empty_record_gets_the_fixed_rule_and_says_so():
    said = warm_up(4).text
    assert "a fixed rule chose them" in said and asked(4) == [each.id for each in fixed(4)]


def test_who_answered_all_right_is_told_so():
    for name in catalogue.questions(1):
        answer(name, right(name))
    said = warm_up(2).text
    assert "You missed nothing in what is kept here" in said and len(asked(2)) == COUNT


def test_who_answered_everything_wrong_gets_missed_ones_of_all_lessons():
    for lesson in (1, 2, 3):
        for name, each in catalogue.questions(lesson).items():
            if each.points:
                answer(name, wrong(name))
    again = chosen(4)
    assert all(each.why == "you missed it at first" for each in again)
    assert {each.lesson for each in again} == {1, 2, 3}
    assert "They were chosen because of what you missed." in warm_up(4).text


@pytest.mark.parametrize("lesson", [0, 99, -1, "3", None, 2.0, True, [3], 10**30])
def test_a_lesson_that_is_none_gets_a_sentence(lesson):
    assert warm_up(lesson).text.startswith("Not counted: ") and len(warm_up(lesson).text) < 200


def test_the_first_lesson_has_nothing_before_it(notebook_folder):
    assert "nothing to repeat yet" in warm_up(1).text and not list(notebook_folder.iterdir())


@pytest.mark.parametrize(
    "odd", ["", "?", None, {"b": 1}, "x" * 30_000, "a" + " " * 30_000], ids=lambda odd: str(odd)[:9]
)
def test_an_answer_that_is_none_is_not_kept(odd):
    (first, *_) = asked(2)
    said = warm_up(2, first, odd).text
    assert said.startswith("Not counted: ") and "0 of 5 answered" in warm_up(2).text


@pytest.mark.parametrize("name", ["2.q1", "nope", 3, ["1.q6"]])
def test_a_question_that_this_warm_up_does_not_ask_is_refused_with_those_that_it_does(name):
    assert f"Not counted: this warm-up asks {', '.join(asked(2))}; got " in warm_up(2, name, "a").text


# ---- what is graded stays as it is


def test_answers_in_a_warm_up_change_no_graded_answer_and_no_points(notebook_folder):
    for name in [*catalogue.questions(1)][:6]:
        answer(name, wrong(name))
    answer("1.q7", right("1.q7"))
    before, points, strip = graded(notebook_folder, 1), question_points(1), progress(1).text
    for name in asked(2):
        for text in (wrong(name), right(name)):
            warm_up(2, name, text)
    for _ in range(2):
        assert graded(notebook_folder, 1) == before and not graded(notebook_folder, 2)
        assert question_points(1) == points and question_points(2) == 0 and progress(1).text == strip
        restart()


def test_a_quiz_cell_shows_the_answer_of_its_lesson_and_not_that_of_the_warm_up():
    for name in asked(2):
        warm_up(2, name, right(name))
    restart()
    assert not any(f"{name}, answered" in quiz(name).text for name in asked(2))


# ---- the same five until they are answered, and what the next lesson learns


def test_a_restart_shows_the_same_five_although_more_was_missed_since():
    before = asked(4)
    for name in catalogue.questions(1):
        answer(name, catalogue.question(name).answer)
    for name in ("2.q1", "3.q1", "3.q2"):
        answer(name, wrong(name))
    restart()
    assert asked(4) == before and f"{before[0]} " in warm_up(4).text


def test_the_replies_come_back_after_a_restart_and_the_same_answer_is_no_new_try():
    first, second, *_ = asked(2)
    for _ in range(2):
        warm_up(2, first, wrong(first))
        warm_up(2, second, right(second).upper())
    restart()
    said = warm_up(2)
    assert f"{first}, answered {wrong(first)}: " in said.text and "✓ right" in said.html
    assert "2 of 5 answered, 1 right at once" in said.text
    assert [len(each) for each in practised(2)[0].answers.values()] == [1, 1]


def test_only_the_first_try_is_right_at_once():
    (first, *_) = asked(2)
    warm_up(2, first, wrong(first))
    warm_up(2, first, right(first))
    assert "1 of 5 answered, 0 right at once" in warm_up(2).text


def test_what_was_missed_in_a_warm_up_comes_again_and_what_was_right_does_not():
    missed, *others = asked(2)
    warm_up(2, missed, wrong(missed))
    warm_up(2, missed, right(missed))  # after it was told why
    for name in others:
        warm_up(2, name, right(name))
    assert "What you missed comes again in a later lesson." in warm_up(2).text
    again = chosen(3)
    assert (again[0].question.id, again[0].why) == (missed, "you missed it in a warm-up")
    assert not {*others} & {each.question.id for each in again}


def test_a_question_missed_in_its_lesson_is_done_with_once_it_was_right_in_a_warm_up():
    answer("1.q6", wrong("1.q6"))
    answer("1.q6", right("1.q6"))
    restart()
    assert chosen(2)[0].question.id == "1.q6" and chosen(2)[0].why == "you missed it at first"
    assert asked(2)[0] == "1.q6"
    warm_up(2, "1.q6", right("1.q6"))
    assert "1.q6" not in {each.question.id for each in chosen(3)}


# ---- what counts as missed


def section_mates(name: str) -> set[str]:
    sections = lesson_text.sections(lesson_text.lesson_of(name))
    return {each for each, section in sections.items() if section == sections[name]}


def test_a_check_that_named_a_misconception_brings_a_question_of_its_section(notebook_folder):
    wrong_answer = catalogue.known_answers(1, "wrong")["1.2"][0][1]
    with pytest.raises(Unfinished):
        check("1.2", wrong_answer)
    restart()
    again = chosen(2)
    named = [each for each in again if each.why == "your check of 1.2 beside it named a mistake"]
    assert named and {each.question.id for each in named} <= section_mates("1.2") and "1.1" not in section_mates("1.2")
    assert again[: len(named)] == named


def test_a_blank_that_is_checked_leaves_nothing(notebook_folder):
    def blank(queries, keys):
        raise NotImplementedError

    with pytest.raises(Unfinished):
        check("1.2", blank)
    assert not list(notebook_folder.iterdir()) and "exercises □□□" in progress(1).text


def test_code_that_stops_names_no_misconception():
    with pytest.raises(Unfinished):
        check("1.2", lambda queries, keys: 1 / 0)
    assert practised(1)[0].exercises["1.2"].named == () and not any(each.why for each in chosen(2))


def test_a_first_prediction_that_was_off_brings_a_question_of_its_section():
    predict("1.p1", {"cat, dog": 0.0, "cat, two": 0.9})
    for guess in ({"cat, dog": 0.0, "cat, two": 0.9}, {"cat, dog": 0.6, "cat, two": 0.1}):
        predict("1.p1", guess)
        reveal("1.p1", {"cat, dog": 0.6, "cat, two": 0.1})
    restart()
    (first, *_) = chosen(2)
    assert first.why == "your prediction 1.p1 beside it was off" and first.question.id in section_mates("1.p1")


@pytest.mark.parametrize(
    ("guess", "measured", "near"),
    [
        ("large", "large", True), ("large", "mean", False), (3, "large", False), ("3", 3, False),
        (50, 40, True), (50, 30, False), (0, 0, True), (0.1, 0.0, False), (-1, 1, False),
        ({"a": 0.1, "b": 0.9}, {"a": 0.2, "b": 0.95}, True), ({"a": 0.5, "b": 0.9}, {"a": 0.2, "b": 0.95}, False),
        ({"a": 0.2}, {"a": 0.2, "b": 0.1}, False), 
    ],
)  # fmt: skip
def test_a_guess_is_near_where_it_is_the_word_or_its_bars_are_close(guess, measured, near):
    predict("1.p1", guess)
    reveal("1.p1", measured)
    assert practised(1)[0].predictions == {"1.p1": near}
    assert any("prediction 1.p1" in each.why for each in chosen(2)) != near


def test_a_prediction_that_was_not_made_and_one_of_one_s_own_are_not_kept(notebook_folder):
    reveal("1.p1", 3)
    predict("mine", 3)
    reveal("mine", 3)
    assert not list(notebook_folder.iterdir())


# ---- the rule


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_fixed_rule_takes_short_questions_of_as_many_lessons_as_there_are(lesson):
    names = [each.id for each in fixed(lesson)]
    assert len({*names}) == COUNT and names == [each.id for each in fixed(lesson)]
    assert {lesson_text.lesson_of(name) for name in names} == {*order(lesson)[:COUNT]}
    assert lesson_text.lesson_of(names[0]) == lesson - 1


def test_the_last_lesson_comes_first_and_then_those_that_this_one_builds_on():
    assert lesson_text.builds_on(7).keys() == {2, 3, 5, 6}
    assert order(7) == [6, 5, 3, 2, 4, 1] and order(2) == [1]


def test_within_a_lesson_short_questions_come_first_and_then_those_with_the_words_that_this_one_needs(monkeypatch):
    monkeypatch.setattr(lesson_text, "builds_on", lambda lesson: {1: "The mask, and what a query sees"})
    asked = [catalogue.question(each.id) for each in fixed(2)]
    assert all(isinstance(each, Choice | Numeric) for each in asked)
    assert "mask" in asked[0].prompt and ("query" in str(asked[0]) or "queries" in str(asked[0]))


def test_a_check_that_named_a_mistake_counts_before_a_prediction_that_was_off_and_a_missed_answer_before_both():
    note(1, "add_check", "1.2", 0, ("wrong-corner",))
    for name in ("1.p1", "1.p2"):
        note(1, "add_prediction", name, False)
    answer("1.q20", wrong("1.q20"))
    ranks = [each.claim for each in chosen(2)]
    assert ranks[0] == Claim.MISSED and ranks[1] == Claim.NAMED and ranks == sorted(ranks)
    assert "1.p2" in section_mates("1.2") and not any("prediction 1.p2" in each.why for each in claims(2))


def test_the_lessons_that_a_head_names_are_read_with_what_is_needed_of_them(tmp_path, monkeypatch):
    needs = "**1 minutes · builds on**: lessons 2 to 4 (loops),\n# lessons 5 and 7 and lesson 12 (the future)."
    head = f"# %% [markdown]\n# # Lesson 9 · X\n#\n# {needs}\n#\n# In lesson 1 …\n"
    (tmp_path / "source").mkdir()
    (tmp_path / "source/09_x.py").write_text(head, encoding="utf-8")
    monkeypatch.setattr(lesson_text, "lessons_folder", lambda: tmp_path)
    lesson_text.builds_on.cache_clear()
    assert lesson_text.builds_on(9) == {2: "loops", 3: "loops", 4: "loops", 5: "", 7: ""}
    assert lesson_text.builds_on(8) == {} and lesson_text.sections.__wrapped__(8) == {}
    lesson_text.builds_on.cache_clear()


# ---- as it is shown


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_warm_up_is_announced_as_repetition_and_shows_as_text_and_as_html(lesson):
    said = warm_up(lesson)
    assert "You have seen these" in said.text and "Nothing here is graded" in said.html
    for question in fixed(lesson):
        assert f"warm_up({lesson}, {question.id!r}, {question.example!r})" in said.text
    assert ElementTree.fromstring(f"<p>{said.html.replace('&ensp;', ' ')}</p>") is not None


def test_each_student_sees_the_questions_in_an_order_of_their_own(notebook_folder):
    student("ada\ud800")
    name = next(name for name in asked(2) if isinstance(catalogue.question(name), Choice))
    mine = catalogue.question(name).for_student("ada\ud800")
    assert all(f"  {letter}) {plain_text(line)}" in warm_up(2).text for letter, line in mine.lines())
    assert "✓ right" in warm_up(2, name, mine.answer).text
    restart()
    assert practised(2)[0].answers[name][0].student == "ada?"
    student("bob")
    theirs = catalogue.question(name).for_student("bob")
    assert f"{name}, answered {theirs.answer}: ✓ right" in warm_up(2).text


# ---- the map


def test_the_map_has_a_row_for_each_lesson_with_what_was_done_and_lasts_over_a_restart():
    check("1.2", lesson_text.reference("1.2"))
    answer("1.q6", right("1.q6"))
    answer("1.q2", wrong("1.q2"))
    predict("1.p2", 3)
    reveal("1.p2", 3)
    first, second, *_ = asked(2)
    warm_up(2, first, right(first))
    warm_up(2, second, wrong(second))
    for _ in range(2):
        said = progress_map()
        one, two = said.text.split("2 · Soft prompts")[0], said.text.split("2 · Soft prompts")[1].split("3 · ")[0]
        assert "□■□" in one and "1 of 3 done" in one and "1 of 19 right" in one and "1 of 6 made, 1 near" in one
        assert "■✗□□□" in two and "1 of 5 right at once" in two
        assert "1 of 3 done" in said.html and "□■□" in progress(1).text
        restart()


def test_the_map_is_a_table_whose_words_say_all_that_its_squares_say():
    page = progress_map().html
    table = ElementTree.fromstring(f"<p>{page}</p>").find("div/table")
    assert [each.text for each in table.iter("th") if each.get("scope") == "col"] == [*HEADS]
    rows = [each for each in table.iter("tr")][1:]
    assert len(rows) == len(catalogue.lessons()) and table.find("caption") is not None
    for row in rows:
        assert row[0].get("scope") == "row" and len(row) == 5
        for cell in row[1:]:
            hidden = [each for each in cell if each.get("aria-hidden") == "true"]
            words = "".join(text for each in cell if each not in hidden for text in each.itertext())
            assert (words == "none" or " of " in words) and not {*words} & {*"■◧✗□"}
    assert [*rows[0][4].itertext()] == ["none"]


def test_an_exercise_that_is_checked_again_keeps_the_most_it_earned_and_all_that_was_named():
    (one, bad), (other, worse), *_ = catalogue.known_answers(1, "wrong")["1.2"]
    for each in (bad, worse):
        with pytest.raises(Unfinished):
            check("1.2", each)
    check("1.2", lesson_text.reference("1.2"))
    with pytest.raises(Unfinished):
        check("1.2", bad)
    kept = practised(1)[0].exercises["1.2"]
    assert kept.earned == catalogue.exercise("1.2").points and {one, other} <= {*kept.named}
    assert "□◧□" in progress(1).text or "□✗□" in progress(1).text
    restart()
    assert "□■□" in progress(1).text


def test_a_file_of_before_has_no_practice_and_still_counts(notebook_folder):
    content = {"format": 1, "answers": {"1.q6": [{"answer": right("1.q6"), "student": ""}]}}
    file_of(notebook_folder, 1).write_text(json.dumps(content))
    assert "1 of 19 right" in progress_map().text and question_points(1) == 1
    assert json.loads(file_of(notebook_folder, 1).read_text()) == content


def test_nothing_is_written_where_no_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "folder", lambda: None)
    monkeypatch.chdir(tmp_path)
    (first, *_) = asked(2)
    for text in (right(first), wrong(first), right(first)):
        warm_up(2, first, text)
    assert [each.text for each in practised(2)[0].answers[first]] == [right(first), wrong(first), right(first)]
    assert "1 of 5 right at once" in progress_map().text and not list(tmp_path.iterdir())


# ---- in a kernel


CLICK = (
    "import ipywidgets, warnings\nwarnings.simplefilter('ignore')\n"  # of Widget.widgets
    "buttons = [each for each in list(ipywidgets.Widget.widgets.values()) if isinstance(each, ipywidgets.Button)]\n"
    "next(each for each in buttons if each.description == {!r}).click()"
)


def test_a_lesson_s_run_waits_for_nobody_shows_what_any_other_shows_and_a_click_is_practice(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "lessons"))
    from notebooks import executed

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    first = fixed(2)[0]
    sources = ["from minitransformer.course import progress_map, warm_up\nwarm_up(2)", CLICK.format(first.answer)]
    sources += [
        "progress_map()",
        "print(*__import__('glob').glob('*.json*'))",
        'print(open("answers-lesson2.json").read())',
    ]
    book = executed(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources]))
    shown = [output.data for output in book.cells[0].outputs]
    assert "\n".join(data["text/plain"] for data in shown) == warm_up(2).text and len(shown) == COUNT + 1
    assert all("text/html" in data and answers.MIME not in data for data in shown)
    names, content = (cell.outputs[0].text for cell in book.cells[3:])
    (tmp_path / "copy").write_text(content)
    assert names.split() == [answers.file_name(2)] and answers.read((tmp_path / "copy").read_bytes()) == {}
    kept = json.loads(content)["practice"]["warm_up"]["answers"]
    assert kept == {first.id: [{"answer": first.answer, "student": ""}]}
    warm_up(2, first.id, first.answer)
    assert book.cells[2].outputs[0].data["text/plain"] == progress_map().text
