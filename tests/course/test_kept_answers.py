"""Answers are kept beside the notebook and in its cells, come back after a restart, and what cannot be kept is said."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from minitransformer.course import answer, answers, catalogue, keeping, progress, question_points, quiz, student
from minitransformer.course import quiz as quiz_function
from minitransformer.course.progress import RECORD

ROOT = Path(__file__).parents[2]
ALL = [each for lesson in catalogue.lessons() for each in catalogue.questions(lesson).values()]
RIGHT = catalogue.question("1.q6").answer
WRONG = next(letter for letter in "abc" if letter != RIGHT)
NAME = answers.file_name(1)
pytestmark = pytest.mark.usefixtures("notebook_folder")


def in_file(folder: Path, question: str = "1.q6") -> list[str]:
    content = json.loads((folder / answers.file_name(int(question[0]))).read_text(encoding="utf-8"))
    return [each["answer"] for each in content["answers"].get(question, [])]


def restart() -> None:
    """What a new kernel knows: nothing."""
    RECORD.forget()


# ---- kept, and counted


def test_an_answer_is_written_at_once_and_a_second_one_is_added(notebook_folder):
    answer("1.q6", WRONG)
    assert in_file(notebook_folder) == [WRONG]
    answer("1.q6", RIGHT)
    assert in_file(notebook_folder) == [WRONG, RIGHT]
    assert answers.read((notebook_folder / NAME).read_bytes())["1.q6"] == answers.Given(RIGHT, "", 2)


def test_running_all_cells_again_or_clicking_twice_is_no_new_attempt(notebook_folder):
    for _ in range(3):
        quiz("1.q6", WRONG)
        answer("1.q6", WRONG.upper())
    assert in_file(notebook_folder) == [WRONG]


def test_an_answer_that_is_none_is_not_kept(notebook_folder):
    quiz("1.q6", "zz")
    assert not list(notebook_folder.iterdir())


def test_nothing_is_written_where_no_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    answer("1.q6", RIGHT)
    assert question_points(1) == 1 and not list(tmp_path.iterdir())


def test_each_lesson_has_a_file_of_its_own(notebook_folder):
    answer("1.q6", RIGHT)
    answer("2.q1", catalogue.question("2.q1").answer)
    assert {path.name for path in notebook_folder.iterdir()} == {"answers-lesson1.json", "answers-lesson2.json"}


# ---- after a restart


def test_after_a_restart_the_question_shows_what_was_answered_and_its_reply():
    answer("1.q6", WRONG)
    restart()
    shown = quiz("1.q6")
    assert f"1.q6, answered {WRONG}: ✗ not it" in shown.text
    assert "✗ not it" in shown.html
    restart()
    assert "not it" not in quiz("1.q2").text


def test_after_a_restart_progress_and_points_count_what_was_answered():
    answer("1.q6", RIGHT)
    restart()
    assert question_points(1) == 1
    restart()
    assert "■" in progress(1).text.split("questions")[1]


def test_another_notebook_s_newer_answer_is_shown_and_this_one_s_own_is_not_lost(notebook_folder):
    answer("1.q6", WRONG)
    answers.keep(notebook_folder / NAME, "1.q6", RIGHT, "")
    assert question_points(1) == 1 and f"answered {RIGHT}" in quiz("1.q6").text


def test_what_no_longer_fits_the_question_is_shown_unanswered(notebook_folder):
    answers.keep(notebook_folder / NAME, "1.q6", "z", "")
    answers.keep(notebook_folder / NAME, "1.q999", "a", "")
    assert question_points(1) == 0 and "answered z" not in quiz("1.q6").text


# ---- whose order


def test_a_student_sees_an_order_of_their_own_and_it_is_kept(notebook_folder):
    student("ada")
    assert catalogue.question("1.q6").for_student("ada").lines()[0][1][:12] in quiz("1.q6").text
    answer("1.q6", catalogue.question("1.q6").for_student("ada").answer)
    assert question_points(1) == 1
    given = answers.read((notebook_folder / NAME).read_bytes())["1.q6"]
    assert given.student == "ada"


@pytest.mark.parametrize("odd", ["", "  ", None, 3, ["ada"], "x" * 30_000])
def test_a_student_s_name_is_a_text_or_gets_a_sentence(odd):
    assert "a name is a text such as" in student(odd).text and RECORD.student == ""


def asks_the_same(question, *names: str) -> bool:
    return len({question.for_student(name).prompt for name in names}) == 1


@pytest.mark.parametrize("each", [each for each in ALL if asks_the_same(each, "ada", "bob")], ids=lambda each: each.id)
def test_an_answer_of_another_order_is_the_same_answer_in_this_one(each):
    for text in (each.for_student("ada").answer, each.for_student("ada").example):
        try:
            earned = each.for_student("ada").grade(text).credit
        except ValueError:
            continue
        RECORD.forget()
        student("ada")
        answer(each.id, text)
        RECORD.replies.clear()
        student("bob")
        quiz(each.id)
        assert RECORD.replies[each.id].credit == earned


@pytest.mark.parametrize("each", [each for each in ALL if not asks_the_same(each, "", "ada")], ids=lambda each: each.id)
def test_an_answer_to_other_numbers_is_asked_for_once_more(each, notebook_folder):
    answer(each.id, each.answer)
    student("ada")
    assert f"Your answer {each.answer} was to this question with other numbers" in quiz(each.id).text
    assert "✓ right" in quiz(each.id, each.for_student("ada").answer).text
    assert "✗ not it" in quiz(each.id, each.answer).text
    kept = answers.read((notebook_folder / f"answers-lesson{each.id[0]}.json").read_bytes())[each.id]
    assert [given.student for given in kept.tries] == ["", "ada", "ada"]


@pytest.mark.parametrize("each", [each for each in ALL if not asks_the_same(each, "", "ada")], ids=lambda each: each.id)
def test_the_same_number_typed_for_other_numbers_is_a_new_answer_and_counts(each, notebook_folder):
    answer(each.id, each.answer)
    student("ada")
    assert "✗ not it" in quiz(each.id, each.answer).text
    restart()
    assert question_points(int(each.id[0])) == 0
    given = answers.read((notebook_folder / f"answers-lesson{each.id[0]}.json").read_bytes())[each.id]
    assert (given.student, given.attempts) == ("ada", 2)


def test_a_cell_shown_before_student_was_called_takes_clicks_in_its_own_order(notebook_folder):
    early = quiz_function("1.q6")
    question = getattr(early, "question", None) or catalogue.question("1.q6")
    student("ada")
    from minitransformer.course.quiz import reply

    reply(question, RIGHT)
    given = answers.read((notebook_folder / NAME).read_bytes())["1.q6"]
    assert given == answers.Given(RIGHT, "", 1) and RECORD.replies["1.q6"].credit == 1


# ---- two at once

WRITER = """
import sys
from pathlib import Path
from minitransformer.course import keeping
keeping.folder = lambda: Path(sys.argv[1])
for number in range(25):
    keeping.keep(sys.argv[2], f"{number}", "")
"""


def test_two_notebooks_that_write_at_once_lose_no_answer(notebook_folder):
    command = [sys.executable, "-c", WRITER, str(notebook_folder)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([*command, name], env=env) for name in ("1.q6", "1.q2", "1.q6")]
    assert [each.wait() for each in writers] == [0, 0, 0]
    assert len(in_file(notebook_folder, "1.q2")) == 25 and len(in_file(notebook_folder, "1.q6")) == 50
    assert [path.name for path in notebook_folder.iterdir()] == [NAME]


def test_a_lock_that_a_crashed_notebook_left_is_taken_over(notebook_folder):
    lock = notebook_folder / f".{NAME}.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    answer("1.q6", RIGHT)
    assert in_file(notebook_folder) == [RIGHT] and not lock.exists()


# ---- what cannot be kept


def click(question: str, text: str) -> str:
    from minitransformer.course.quiz import clicked

    return clicked(catalogue.question(question), text).text


LOUD = f'NOT KEPT: .*so type it: quiz\\("1.q6", answer="{RIGHT}"\\)'


def fails(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["fsync", "replace", "open"])
def test_on_a_full_disk_it_is_said_and_what_was_kept_stays(notebook_folder, monkeypatch, place):
    click("1.q6", WRONG)
    before = (notebook_folder / NAME).read_bytes()
    with monkeypatch.context() as full:
        full.setattr(os, place, fails)
        said = click("1.q6", RIGHT)
    assert "NOT KEPT: " in said and f'so type it: quiz("1.q6", answer="{RIGHT}")' in said and "No space left" in said
    assert (notebook_folder / NAME).read_bytes() == before and RECORD.replies["1.q6"].credit == 1
    assert [path.name for path in notebook_folder.iterdir()] == [NAME]


def test_what_could_not_be_kept_is_kept_with_the_next_answer(notebook_folder, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fails)
        click("1.q6", WRONG)
    assert "NOT KEPT" not in click("1.q2", catalogue.question("1.q2").answer)
    assert in_file(notebook_folder, "1.q6") == [WRONG]


@pytest.mark.parametrize("where", ["/proc", "/nowhere/at/all"])
def test_where_nothing_can_be_written_it_is_said(where, monkeypatch):
    monkeypatch.setattr(keeping, "folder", lambda: Path(where))
    said = click("1.q6", RIGHT)
    assert "✓ right" in said and "NOT KEPT: " in said and f'so type it: quiz("1.q6", answer="{RIGHT}")' in said


DAMAGED = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"answers": []}', b'{"answers": {"1.q6": "b"}}',
           b'{"answers": {"1.q6": [{"answer": 3, "student": ""}]}}', b"[" * 100_000,
           b'{"format": "x", "answers": {}}', b'{"format": null, "answers": {}}']  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: data[:20])
def test_a_damaged_file_is_set_aside_not_overwritten_and_that_is_said(notebook_folder, data):
    (notebook_folder / NAME).write_bytes(data)
    assert f"{NAME} is damaged" in quiz("1.q6").text and (notebook_folder / NAME).read_bytes() == data
    said = click("1.q6", RIGHT)
    assert "NOT KEPT" not in said and "now stands aside as answers-lesson1.damaged.json" in said
    assert (notebook_folder / "answers-lesson1.damaged.json").read_bytes() == data
    assert in_file(notebook_folder) == [RIGHT]
    (notebook_folder / NAME).write_bytes(data + b" ")
    assert "answers-lesson1.damaged-2.json" in click("1.q6", WRONG)
    assert (notebook_folder / "answers-lesson1.damaged.json").read_bytes() == data


def test_a_file_of_a_newer_format_is_left_alone_and_that_is_said(notebook_folder):
    newer = json.dumps({"format": 2, "answers": {}, "more": 1})
    (notebook_folder / NAME).write_text(newer)
    assert "newer minitransformer" in quiz("1.q6").text
    said = click("1.q6", RIGHT)
    assert "NOT KEPT: " in said and "newer minitransformer" in said and question_points(1) == 1
    assert (notebook_folder / NAME).read_text() == newer and len(list(notebook_folder.iterdir())) == 1


def test_a_folder_of_that_name_is_no_crash(notebook_folder):
    (notebook_folder / NAME).mkdir()
    assert "NOT KEPT: " in click("1.q6", RIGHT) and question_points(1) == 1


def test_what_an_editor_added_to_the_file_is_kept_as_well(notebook_folder):
    content = {"format": 1, "note": "mine", "answers": {"9.q9": [{"answer": "x", "student": ""}]}}
    (notebook_folder / NAME).write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    answer("1.q6", RIGHT)
    after = json.loads((notebook_folder / NAME).read_text())
    assert after["note"] == "mine" and after["answers"].keys() == {"9.q9", "1.q6"}


def test_an_answer_too_long_for_the_file_damages_nothing(notebook_folder):
    answer("1.q2", catalogue.question("1.q2").answer)
    with pytest.raises(keeping.NotKept, match="20,000"):
        keeping.keep("1.q6", "x" * 20_001, "")
    assert answers.read((notebook_folder / NAME).read_bytes()).keys() == {"1.q2"}


def test_halves_of_characters_are_kept_as_question_marks(notebook_folder):
    keeping.keep("1.q6", "a\ud800b", "\udfff")
    assert in_file(notebook_folder) == ["a?b"]


# ---- malformed answers in code


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("1.q6", ["b"]), "an answer is a text such as 'b'; got a list"),
        (("1.q6", 3), "an answer is a text such as 'b'; got a int"),
        (("1.q6", None), "an answer is a text such as 'b'; got None"),
        (("1.q6", True), "an answer is a text"),
        (("1.q6", {"b": 1}), "an answer is a text"),
        (("1.q6", object()), "an answer is a text"),
        (("1.q6", 10**5000), "an answer is a text"),
        (("1.q6", "zz"), "1.q6 takes one letter"),
        ((1,), "a question's name is a text such as '1.q1'; got a int"),
        ((None,), "a question's name is a text"),
        ((["1.q6"],), "a question's name is a text"),
        (("nope",), "there is no question 'nope'"),
        (("²",), "there is no question '²'"),
        (("1.q99", "b"), "there is no question '1.q99'; did you mean '1.q9'?"),
    ],
    ids=lambda value: str(type(value)),
)
@pytest.mark.parametrize("ask", [quiz, answer], ids=["quiz", "answer"])
def test_what_cannot_be_read_gets_a_sentence_and_no_traceback(call, said, ask):
    if ask is answer and len(call) == 1:
        call = (*call, "b")
    shown = ask(*call)
    assert f"Not counted: {said}" in shown.text and "Not counted" in shown.html and not RECORD.replies
    assert len(shown.text) < 3000


def test_numbers_and_lists_are_read_where_they_say_what_is_meant():
    from minitransformer.course.quiz import as_text

    order = next(each for each in ALL if each.kind == "order")
    assert answer(order.id, order.answer.split()).text.split("\n")[0].endswith("✓ right")
    assert as_text(order, tuple("abc")) == "a b c"
    from minitransformer.course.questions import Numeric

    number = Numeric(id="1.q6", kind="numeric", prompt="?", value=12, reason="r")
    assert as_text(number, 12) == "12" and as_text(number, 12.5) == "12.5"
    assert number.grade(as_text(number, 1e-05)).credit == 0


# ---- in a kernel


def run(folder: Path, *cells: str, before: str = "") -> nbformat.NotebookNode:
    """Run these cells in a fresh kernel, in this folder."""
    sources = [f"{before}\nfrom minitransformer.course import *\nimport ipywidgets", *cells]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return book


@pytest.fixture
def in_kernels(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)


CLICK = (
    "buttons = [each for each in list(ipywidgets.Widget.widgets.values()) if isinstance(each, ipywidgets.Button)]\n"
    "next(each for each in buttons if each.description == {!r}).click()"
)


def bundles(book: nbformat.NotebookNode) -> list[dict]:
    outputs = [output.get("data", {}) for cell in book.cells for output in cell.outputs]
    return [data[answers.MIME] for data in outputs if answers.MIME in data]


def said(book: nbformat.NotebookNode) -> str:
    return json.dumps([cell.outputs for cell in book.cells], ensure_ascii=False)


@pytest.mark.usefixtures("in_kernels")
def test_a_click_stands_in_the_question_s_cell_and_in_the_file_and_comes_back(tmp_path):
    book = run(tmp_path, 'quiz("1.q6", answer="")', CLICK.format(RIGHT))
    assert bundles(book) == [{"id": "1.q6", "answer": RIGHT, "student": "", "attempts": 1}]
    data = next(o.data for o in book.cells[1].outputs if answers.MIME in o.get("data", {}))
    assert f"your answer {RIGHT} is kept" in data["text/plain"] and "is kept" in data["text/html"]
    assert in_file(tmp_path) == [RIGHT]
    again = run(tmp_path, 'quiz("1.q6", answer="")', "question_points(1)")
    assert bundles(again) == bundles(book) and again.cells[2].outputs[0].data["text/plain"] == "1.0"


@pytest.mark.usefixtures("in_kernels")
def test_both_cells_of_one_question_show_what_was_clicked_last(tmp_path):
    book = run(tmp_path, 'quiz("1.q6")', 'quiz("1.q6")', CLICK.format(WRONG), CLICK.format(RIGHT))
    assert bundles(book) == [{"id": "1.q6", "answer": RIGHT, "student": "", "attempts": 2}] * 2


@pytest.mark.usefixtures("in_kernels")
def test_an_unanswered_question_and_a_typed_answer_show_no_bundle(tmp_path):
    assert not bundles(run(tmp_path, 'quiz("1.q6")', f'quiz("1.q2", answer="{RIGHT}")'))


@pytest.mark.usefixtures("in_kernels")
def test_without_ipywidgets_the_question_says_how_to_answer(tmp_path):
    hide = "import sys\nsys.modules['ipywidgets'] = None"
    sources = [f"{hide}\nfrom minitransformer.course import quiz", 'quiz("1.q6")']
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "to click instead: pip install ipywidgets" in said(book) and "quiz('1.q6', answer='b')" in said(book)


@pytest.mark.usefixtures("in_kernels")
def test_whatever_goes_wrong_in_a_click_is_shown(tmp_path):
    broken = "from minitransformer.course import keeping\ndef bad(*_): raise RuntimeError('boom')\nkeeping.keep = bad"
    show = "[w.value for w in ipywidgets.Widget.widgets.values() if isinstance(w, ipywidgets.HTML)]"
    book = run(tmp_path, 'quiz("1.q6")', broken, CLICK.format(RIGHT), show)
    text = "".join(book.cells[-1].outputs[-1].data["text/plain"])
    assert "NOT KEPT" in text and "boom" in text and "so type it" in text


@pytest.mark.usefixtures("in_kernels")
@pytest.mark.parametrize("how", ["jupyter", "vscode", "elsewhere"])
def test_the_file_lies_in_the_notebook_s_own_folder(tmp_path, how, monkeypatch):
    own, started = tmp_path / "own", tmp_path / "started"
    own.mkdir()
    started.mkdir()
    name = str(own / "01.ipynb")
    before = ""
    if how == "jupyter":
        monkeypatch.setenv("JPY_SESSION_NAME", name)
    elif how == "vscode":
        before = f"__vsc_ipynb_file__ = {name!r}"
    else:
        monkeypatch.setenv("JPY_SESSION_NAME", "fileId=https%3A//drive.example/x.ipynb")
    run(started, f'quiz("1.q6", answer="{RIGHT}")', before=before)
    assert in_file(started if how == "elsewhere" else own) == [RIGHT]


@pytest.mark.usefixtures("in_kernels")
def test_a_notebook_that_is_run_by_another_keeps_nothing_beside_that_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "lessons"))
    from notebooks import executed

    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "outer.ipynb"))
    cell = f'from minitransformer.course import quiz\nquiz("1.q6", answer="{RIGHT}")\n__import__("os").listdir()'
    book = executed(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]))
    assert NAME in book.cells[0].outputs[-1].data["text/plain"] and not list(tmp_path.iterdir())
    assert os.environ["JPY_SESSION_NAME"]
