"""What a file defines decides: what strangers hand in is read, and what was taken is told. Nothing is run by intake.

`CELLS`: what a notebook's code cells hold, after the lesson's blank for 1.1; what `embed(3, 4)` then gives.
"""

# ruff: noqa: E501

import ast
import json
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))

import cases

from minitransformer.course import catalogue, lesson_text
from minitransformer.course.answers import MIME, Given
from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import intake

LESSONS = Path(__file__).parents[2] / "lessons"
every_lesson = pytest.mark.parametrize("lesson", catalogue.lessons())
BLANK = '''def embed(tokens, table):
    """The vectors of the tokens."""
    ### BEGIN SOLUTION
    raise NotImplementedError("Exercise 1.1 is not written yet")
    ### END SOLUTION
'''
MINE = "def embed(tokens, table):\n    return tokens + table\n"
CELLS = {
    "in a new cell below its blank": [MINE],
    "in a new cell with a trial at its end": [MINE + "embed(what, ever)\nprint(embed)\n"],
    "twice, the last one counts": ["def embed(tokens, table):\n    return 0\n", MINE],
    "as a lambda": ["embed = lambda tokens, table: tokens + table"],
    "as another name of a function": ["def mine(tokens, table):\n    return tokens + table\n", "embed = mine"],
    "as one of two names": ["def mine(a, b):\n    return a + b\n", "embed, other = mine, 3"],
    "as a chain of names": ["def mine(a, b):\n    return a + b\n", "one = embed = mine"],
    "as an annotated name": ["from typing import Callable\nembed: Callable = lambda a, b: a + b"],
    "with a walrus": ["(embed := lambda a, b: a + b)"],
    "as a partial function": [
        "import functools\ndef sums(much, tokens, table):\n    return much + tokens + table\n",
        "embed = functools.partial(sums, 0)",
    ],
    "under if True": ["if True:\n    def embed(tokens, table):\n        return tokens + table\n"],
    "under try": ["try:\n    import nowhere\nexcept ImportError:\n    def embed(a, b):\n        return a + b\n"],
    "under with": ["import torch\nwith torch.no_grad():\n    def embed(a, b):\n        return a + b\n    launch()\n"],
    "with a helper in another cell": ["def plus(a, b):\n    return a + b\n", "def embed(a, b):\n    return plus(a, b)\n"],
    "with a helper below it": ["def embed(a, b):\n    return plus(a, b)\n", "def plus(a, b):\n    return a + b\n"],
    "with a constant of another cell": ["EPS, TWO = 1e-5, 2", "def embed(a, b):\n    return a + b + TWO - 2\n"],
    "with a constant that is computed": [
        "import math\nroot = math.sqrt(4)",
        "two = int(root)",
        "def embed(a, b):\n    return a + b + two - 2\n",
    ],
    "with a table that is filled": [
        "table_of_sums = {}\nfor a in range(9):\n    for b in range(9):\n        table_of_sums[a, b] = a + b\n",
        "def embed(a, b):\n    return table_of_sums[a, b]\n",
    ],
    "with a list that grows": [
        "steps = []\nsteps.append(lambda a, b: a + b)\n", "def embed(a, b):\n    return steps[0](a, b)\n"],
    "with an import in another cell": ["import operator as op", "def embed(a, b):\n    return op.add(a, b)\n"],
    "with two imports of which one is away": [
        "from operator import add, nothing_like_this", "def embed(a, b):\n    return add(a, b)\n"],
    "with a default value": ["ONE = 1", "def embed(a, b, one=ONE):\n    return a + b + one - 1\n"],
    "with a decorator of its own": [
        "import functools\ndef loud(f):\n    @functools.wraps(f)\n    def g(*a):\n        return f(*a)\n    return g\n",
        "@loud\ndef embed(a, b):\n    return a + b\n",
    ],
    "decorated later": [
        "def twice(f):\n    return lambda a, b: 2 * f(a, b)\n",
        "def embed(a, b):\n    return (a + b) / 2\n",
        "embed = twice(embed)",
    ],
    "after %%time": ["%%time\n" + MINE],
    "after %%capture and an empty line": ["\n%%capture out\n" + MINE],
    "among shell lines": ["!pip install \\\n   nothing\n%matplotlib inline\nfiles = !ls\n?embed\nembed??\n" + MINE],
    "after %time in its line": ["%time import operator\ndef embed(a, b):\n    return operator.add(a, b)\n"],
    "on one line with others": ["import operator; x = 3; embed = operator.add; print(x)"],
    "as an object that can be called": [
        "class Sum:\n    def __call__(self, a, b):\n        return a + b\n", "embed = Sum()"],
    "as an object whose method comes later": [
        "class Sum:\n    pass\n", "Sum.__call__ = lambda self, a, b: a + b", "embed = Sum()"],
    "with setattr in a loop": [
        "class Sum:\n    pass\n", "for kind in (Sum,):\n    setattr(kind, '__call__', lambda s, a, b: a + b)", "embed = Sum()"],
    "with a class it is made from": [
        "class Base:\n    def __call__(self, a, b):\n        return a + b\n",
        "class Sum(Base):\n    pass\n",
        "embed = Sum()",
    ],
    "by a factory": ["def make(n):\n    def inner(a, b):\n        return a + b + n\n    return inner\n", "embed = make(0)"],
    "beside a cell that is no Python": ["this is ( no python", MINE],
    "beside a cell in another language": ["%%bash\necho '(' \"", "%%html\n<b>", MINE],
    "with names that are not English": ["größe = 1\n# 你好\ndef embed(a, b):\n    return a + b + größe - 1\n"],
    "with the line ends of old": ["x = 1\rdef embed(a, b):\r    return a + b\r"],
    "with tabs and Windows line ends": ["def embed(a, b):\r\n\treturn a + b\r\n"],
    "followed by a piece that fails": [MINE, "embed = compile_for_my_graphics_card(embed)"],
    "above a blank cell that was pasted again": [MINE, BLANK],
    "with a type for its checker": [
        "from __future__ import annotations\nimport operator\ndef embed(a: Nothing, b) -> Nowhere:\n"
        "    return operator.add(a, b)\n"],
    "with a use that the course has": [MINE, 'embed = use("1.1", embed)'],
    "with a use in a pair": [
        "def embed(a, b):\n    return a + b + zero\n", 'embed, zero = use("1.1", embed), len(())'],
    "with a global that a function sets": [
        "state = 0\ndef embed(a, b):\n    global state\n    state = a + b\n    return state\n"],
    "dispatched on a type": [
        "import functools\n@functools.singledispatch\ndef embed(a, b):\n    return 0\n",
        "@embed.register(int)\ndef _(a, b):\n    return a + b\n",
    ],
}  # fmt: skip


def book(*sources: str, outputs: dict[int, list] | None = None, **about: object) -> bytes:
    """A notebook without ids and metadata, as Colab writes it: each source is one text."""
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "execution_count": None,
              "outputs": (outputs or {}).get(n, [])} for n, source in enumerate(sources)]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 0} | about).encode()


def tagged(exercise: str, source: str) -> dict:
    name = f"exercise-{exercise.replace('.', '-')}"
    return {"cell_type": "code", "id": name, "source": source.splitlines(keepends=True), "outputs": [],
            "metadata": {"nbgrader": {"grade_id": name, "solution": True}, "tags": ["exercise"]}}  # fmt: skip


def read(data: bytes | dict[str, bytes], name: str = "a.ipynb", lesson: int = 1) -> intake.Submission:
    return intake.read(data if isinstance(data, dict) else {name: data}, Assignment.of(lesson))


def answer(found: intake.Submission, exercise: str = "1.1", lesson: int = 1) -> object:
    """What the child makes of an exercise's pieces: a failing one is passed over."""
    scope = {"__name__": "answers"}
    for piece in found.code[exercise]:
        with suppress(Exception):  # as the child does
            exec(compile(piece.source, "<piece>", "exec"), scope)
    return scope[Assignment.of(lesson).names[exercise]]


@pytest.mark.parametrize("name", CELLS)
def test_an_answer_counts_wherever_it_stands(name):
    cells = [tagged("1.1", BLANK)] + json.loads(book(*CELLS[name]))["cells"]
    found = read(json.dumps({"cells": cells}).encode())
    assert answer(found)(3, 4) == 7
    assert [exercise for exercise, _ in found.taken] == ["1.1"]


@pytest.mark.parametrize("name", CELLS)
def test_an_answer_counts_the_same_in_a_py_file_with_and_without_marks_of_cells(name):
    sources = [source.replace("\r\n", "\n").replace("\r", "\n") for source in CELLS[name]]
    if not any(source.lstrip().startswith(("%%bash", "this is")) for source in sources):
        assert answer(read("\n\n".join([BLANK, *sources]).encode(), "a.py"))(3, 4) == 7
    marked = "".join(f"\n# In[{n}]:\n\n\n{source}\n" for n, source in enumerate([BLANK, *sources]))
    assert answer(read(marked.encode(), "a.PY"))(3, 4) == 7


METHOD = (
    "class Prompt(torch.nn.Module):\n    def embed(self):\n        return 1\n\n    def other(self):\n        return 5\n"
)
PATCHES = {
    "an attribute": ["def better(self):\n    return 2\n", "Prompt.embed = better"],
    "setattr": ["def better(self):\n    return 2\n", 'setattr(Prompt, "embed", better)'],
    "a lambda": ["Prompt.embed = lambda self: 2"],
    "an attribute under if": ["if True:\n    Prompt.embed = lambda self: 2\n"],
    "a decorator later": [
        "def add(kind):\n    def inner(f):\n        setattr(kind, f.__name__, f)\n        return f\n    return inner\n",
        "@add(Prompt)\ndef embed(self):\n    return 2\n",
    ],
    "a class of its own name": ["class Prompt(Prompt):\n    def embed(self):\n        return 2\n"],
    "another name for the class": ["P = Prompt", "P.embed = lambda self: 2"],
}  # fmt: skip


@pytest.mark.parametrize("name", PATCHES)
def test_a_method_that_is_patched_on_later_holds(name):
    prompt = answer(read(book("import torch", METHOD, *PATCHES[name]), lesson=2), "2.1", 2)()
    assert prompt.embed() == 2 and prompt.other() == 5


def test_what_is_no_definition_is_not_run():
    cells = ["import requests\nrequests.get('http://nowhere')", MINE, "losses = train(1000)\nfor _ in range(9):\n    fit()\n",
             "if __name__ == '__main__':\n    launch()\n", "from google.colab import drive\ndrive.mount('/content')",
             "tokens = heavy()\n", "embed.cache_clear\n", "import torch\ntorch.manual_seed(0)\ntorch.add = 3"]  # fmt: skip
    found = read(book(*cells))
    assert [piece.source for piece in found.code["1.1"]] == [MINE.rstrip("\n")]  # its `tokens` is its argument


def test_a_helper_of_a_later_exercise_does_not_break_an_earlier_one():
    one = ["def helper(a, b):\n    return a + b\n\ndef embed(a, b):\n    return helper(a, b)\n", 'check("1.1", embed)']
    two = ["def helper(a):\n    return a\n\ndef visible(a, b):\n    return helper(a)\n", 'check("1.2", visible)']
    found = read(book(*one, *two))
    assert answer(found)(3, 4) == 7 and answer(found, "1.2")(3, 4) == 3


def test_a_helper_that_is_mended_below_its_answer_counts():
    cells = ["def helper(a, b):\n    return nothing\n", "def embed(a, b):\n    return helper(a, b)\n",
             "def helper(a, b):\n    return a + b\n", 'check("1.1", embed)', "def visible(a, b):\n    return 1\n"]  # fmt: skip
    assert answer(read(book(*cells)))(3, 4) == 7


def test_a_helper_that_is_mended_before_the_last_check_counts():
    cells = ["def helper(a, b):\n    return 0\n\ndef embed(a, b):\n    return helper(a, b)\n",
             "def visible(a, b):\n    return 1\n", "def helper(a, b):\n    return a + b\n", 'check("1.1", embed)']  # fmt: skip
    assert answer(read(book(*cells)))(3, 4) == 7


def test_pieces_of_one_exercise_stay_out_of_the_others():
    found = read(book("import os, re", "while True:\n    def visible(a, b):\n        return 1\n", MINE))
    assert len(found.code["1.1"]) == 1 and found.code["1.2"] and "1.3" not in found.code


def test_a_cell_that_runs_into_an_error_of_syntax_is_named_and_still_counts_as_tried():
    found = read(book("x = 1", "def visible(queries, keys:\n    return 1\n", MINE))
    assert "cell 2 is not Python, and was left out: line 1" in " ".join(found.notes)
    assert [piece.own for piece in found.code["1.2"]] == [True]  # the student is told the error and its line


def test_a_tagged_cell_that_makes_its_answer_in_some_other_way_is_taken_whole():
    source = "exec('def embed(a, b):\\n    return a + b')\n"
    assert answer(read(json.dumps({"cells": [tagged("1.1", source)]}).encode()))(3, 4) == 7


def test_what_was_taken_is_told_with_the_cell_or_the_line():
    found = read(book("EPS = 1", "", "def embed(a, b):\n    return plus(a, b, EPS)\n",
                      "def plus(*a):\n    return sum(a)\n", 'quiz("1.q3", "b")'))  # fmt: skip
    assert ("1.1", "cell 3: def embed, with EPS, plus") in found.taken and ("1.q3", "cell 5: b") in found.taken
    found = read((MINE + "\n\nvisible = lambda a, b: 3\nvisible.x = 3\n").encode(), "a.py")
    assert found.taken == [("1.1", "line 1: def embed"), ("1.2", "line 5: visible = …; line 6: visible.x = …")]


def test_what_is_missing_is_told_with_the_nearest_name():
    found = read(book(MINE, "def viisble(queries, keys):\n    return 1\n"))
    assert "1.2: no `visible` was found; there is a `viisble` in cell 2: did you mean that?" in found.notes
    assert "1.3: no `attend` was found" in found.notes


@pytest.mark.parametrize("text", ["x = 1\n", "# only words\n", ""])
def test_a_file_with_nothing_of_this_lesson_is_told_so(text):
    (note,) = read(text.encode(), "a.py").notes
    assert note == "nothing of lesson 1 was found in this file: is it the right one?"


# ---- answers to questions

TYPED = {
    'quiz("1.q1", answer="b a")': "b a",
    'quiz("1.q1", "b a")': "b a",
    'quiz(question_id="1.q1", answer="b a")': "b a",
    'answer("1.q1", "b a")': "b a",
    'course.quiz("1.q1", answer="b a")': "b a",
    'import minitransformer.course as c\nc.answer("1.q1", "b a")': "b a",
    'from minitransformer.course import quiz as q\nq("1.q1", "b a")': "b a",
    'mine = "b a"\nquiz("1.q1", answer=mine)': "b a",
    'which, mine = "1.q1", "b a"\nquiz(which, mine)': "b a",
    'quiz("1.q1", answer=12)': "12",
    'quiz("1.q1", answer=-0.5)': "-0.5",
    'quiz("1.q1", answer=["a", "c"])': "a c",
    'quiz("1.q1", answer=("a", "c"))': "a c",
    'quiz("1.q1", answer={"1": "c", 2: "a"})': "1c 2a",
    'quiz("1.q1", answer=True)': "True",
    'quiz("1.q1", answer="c")\nquiz("1.q1", answer="b a")': "b a",
    'quiz("1.q1", answer="b a")\nquiz("1.q1", answer="")\nquiz("1.q1")': "b a",
    'if True:\n    shown = quiz("1.q1", answer="b a")': "b a",
    '%%time\nquiz("1.q1", answer="b a")': "b a",
    'text = """two\nlines"""\nquiz("1.q1", text)': "two\nlines",
}


@pytest.mark.parametrize("source", TYPED)
def test_an_answer_that_is_typed_counts_as_a_person_would_have_typed_it(source):
    assert read(book(source)).answers == {"1.q1": Given(TYPED[source])}
    if "%%" not in source:
        assert read(source.encode(), "a.py").answers == {"1.q1": Given(TYPED[source])}


def test_an_answer_that_a_call_makes_is_named_and_no_answer():
    found = read(book('quiz("1.q1", answer=think("hard"))', 'quiz("1.q3", "a")'))
    assert found.answers == {"1.q3": Given("a")}
    assert "the answer to 1.q1 in cell 1 is not written out, so it does not count: write it as a text" in found.notes


def test_letters_stand_for_the_order_of_the_student_whom_the_code_names():
    found = read(
        book(
            'quiz("1.q1", "a")',
            'course.student("s1234")',
            'quiz("1.q3", "b")',
            'me = 7\nstudent(me)\nquiz("1.q4", "c")',
        )
    )
    assert found.answers == {"1.q1": Given("a"), "1.q3": Given("b", "s1234"), "1.q4": Given("c", "7")}


def shown(question: str, text: str, attempts: int = 1, student: str = "") -> dict:
    bundle = {MIME: {"id": question, "answer": text, "student": student, "attempts": attempts}, "text/plain": "…"}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def kept(**answers: list[str]) -> bytes:
    tried = {
        name.replace("_", "."): [{"answer": text, "student": "me"} for text in each] for name, each in answers.items()
    }
    return json.dumps({"format": 1, "answers": tried}).encode()


def test_what_is_typed_counts_before_the_file_and_the_file_before_what_cells_show():
    shows = {
        0: [shown("1.q1", "z"), shown("1.q3", "z"), shown("1.q4", "c", 2, "me"), {"output_type": "stream", "text": "x"}]
    }
    notebook = book('quiz("1.q1", "b a")', outputs=shows)
    found = read({"a.ipynb": notebook, "answers-lesson1.json": kept(**{"1_q1": ["y"], "1_q3": ["x", "y"]})})
    assert found.answers == {"1.q1": Given("b a", "", 2), "1.q3": Given("y", "me", 2), "1.q4": Given("c", "me", 2)}
    assert ("1.q3", "answers-lesson1.json: y") in found.taken and ("1.q4", "shown by cell 1: c") in found.taken


def test_attempts_are_not_forgotten_by_typing_the_answer_once_more():
    found = read({"a.ipynb": book('quiz("1.q1", "b a")'), "answers-lesson1.json": kept(**{"1_q1": ["x", "y", "z"]})})
    assert found.answers["1.q1"] == Given("b a", "", 4)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"answers": {"1.q1": [{"answer": 3}]}}', b"\xff\xfe", b"[" * 100_000])
def test_answers_that_cannot_be_read_cost_a_note_and_nothing_else(data):
    broken = {"output_type": "display_data", "data": {MIME: ["?"]}}
    found = read({"a.ipynb": book(MINE, outputs={0: [broken, shown("1.q3", "b")]}), "answers-lesson1.json": data})
    assert "1.1" in found.code and found.answers == {"1.q3": Given("b")}
    assert any("answers-lesson1.json: this is no file of answers" in note for note in found.notes)
    assert "what cell 1 shows as an answer cannot be read" in found.notes


def test_answers_of_another_lesson_s_file_stay_out():
    assert not read({"a.ipynb": book(MINE), "answers-lesson2.json": kept(**{"2_q1": ["a"]})}).answers


def test_a_warm_up_and_all_that_is_practice_change_nothing_of_what_is_handed_in():
    answers = json.loads(kept(**{"1_q3": ["x", "y"]}))
    tried = {"1.q1": [{"answer": "a", "student": ""}], "1.q3": [{"answer": "z", "student": ""}]}
    practice = {"exercises": {"1.1": {"earned": 9, "named": []}}, "warm_up": {"asked": [*tried], "answers": tried}}
    plain = read({"a.ipynb": book(MINE), "answers-lesson1.json": json.dumps(answers).encode()})
    more = book(
        MINE, "warm_up(1)", 'warm_up(1, "1.q1", "b")', 'course.warm_up(1, "1.q3", answer="z")', "progress_map()"
    )
    found = read({"a.ipynb": more, "answers-lesson1.json": json.dumps(answers | {"practice": practice}).encode()})
    assert found.answers == plain.answers == {"1.q3": Given("y", "me", 2)}
    assert found.answers["1.q3"].tries == plain.answers["1.q3"].tries
    assert (found.code, found.taken, found.notes) == (plain.code, plain.taken, plain.notes)


# ---- several files of one attempt


def test_the_file_with_more_of_the_lesson_is_graded_and_the_others_are_named():
    other = "def embed(a, b):\n    return 0\n\ndef visible(a, b):\n    return 1\n"
    found = read({"draft.ipynb": book(MINE), "lesson1.py": other.encode(), "notes.pdf": b"%PDF"})
    assert set(found.code) == {"1.1", "1.2"}
    assert "graded was lesson1.py; draft.ipynb holds less of lesson 1 and was left aside" in found.notes


@pytest.mark.parametrize(
    ("how", "use"),
    [("from helper import plus", "plus(a, b)"), ("from helper import plus as p", "p(a, b)"),
     ("from helper import *", "plus(a, b)"), ("import helper", "helper.plus(a, b)"), ("import helper as h", "h.plus(a, b)"),
     ("from .helper import plus", "plus(a, b)")],
)  # fmt: skip
def test_a_module_that_lies_beside_and_is_imported_travels(how, use):
    module = b"import operator\nZERO = 0\nlaunch()\n\ndef plus(a, b):\n    return operator.add(a, b) + ZERO\n"
    found = read({"a.ipynb": book(how, f"def embed(a, b):\n    return {use}\n"), "helper.py": module})
    assert answer(found)(3, 4) == 7


def test_an_answer_in_a_module_beside_counts_where_the_notebook_imports_it():
    found = read({"a.ipynb": book("from mine import embed"), "mine.py": MINE.encode()})
    assert answer(found)(3, 4) == 7 and found.taken == [("1.1", "cell 1: from mine import embed")]


def test_a_module_that_a_cell_writes_travels():
    found = read(book("%%writefile helper.py\ndef plus(a, b):\n    return a + b\n",
                      "from helper import plus\ndef embed(a, b):\n    return plus(a, b)\n"))  # fmt: skip
    assert answer(found)(3, 4) == 7


def test_nothing_readable_is_refused_with_the_reason_of_its_best_file():
    with pytest.raises(intake.Refused, match="UTF-8"):
        read({"a.ipynb": "é".encode("utf-16"), "b.pdf": b"%PDF"})
    with pytest.raises(intake.Refused, match="expected a notebook"):
        read({"b.pdf": b"%PDF"})


def test_a_broken_file_does_not_cost_the_readable_one_beside_it():
    found = read({"broken.ipynb": b"{", "good.ipynb": book(MINE)})
    assert "1.1" in found.code and any(note.startswith("broken.ipynb: this is no notebook") for note in found.notes)


# ---- exports


def forms(lesson: int) -> dict[str, dict[str, bytes]]:
    """A lesson's solution in all the forms in which people hand it in."""
    (path,) = LESSONS.glob(f"solutions/{lesson:02}_*.ipynb")
    solved = json.loads(path.read_bytes())
    code = [cell for cell in solved["cells"] if cell["cell_type"] == "code"]
    plain = book(*("".join(cell["source"]) for cell in code))
    first = ["!pip install minitransformer\nfrom google.colab import drive\ndrive.mount('/content/drive')"]
    exported = ["#!/usr/bin/env python\n# coding: utf-8\n"]
    for n, cell in enumerate(code):
        exported.append(f"\n# In[{n}]:\n\n\n{''.join(cell['source'])}\n")
    exported.insert(
        3,
        "\n# In[ ]:\n\n\nget_ipython().system('pip install x')\nget_ipython().run_line_magic('matplotlib', 'inline')\n",
    )
    colab = '# -*- coding: utf-8 -*-\n"""Copy.ipynb\n\nAutomatically generated by Colab.\n"""\n\n'
    colab += "# !pip install minitransformer\nfrom google.colab import drive\ndrive.mount('/content/drive')\n\n"
    colab += "\n\n".join('"""## A heading"""\n\n' + "".join(cell["source"]) for cell in code)
    return {"notebook": {"a.ipynb": path.read_bytes()}, "plain": {"a.ipynb": plain},
            "colab": {"a.ipynb": book(*first, *("".join(cell["source"]) for cell in code))},
            "nbconvert": {"a.py": "".join(exported).encode()}, "colab's py": {"a.py": colab.encode()}}  # fmt: skip


@every_lesson
def test_a_solved_lesson_gives_the_same_in_every_form(lesson):
    assignment = Assignment.of(lesson)
    found = {name: intake.read(files, assignment) for name, files in forms(lesson).items()}
    first = found["notebook"]
    assert set(first.code) == set(assignment.exercises) and set(first.answers) == set(assignment.questions)
    for name, each in found.items():
        assert each.answers == first.answers and each.notes == [], name
        for exercise in assignment.exercises:
            own = [ast.unparse(ast.parse(piece.source)) for piece in each.code[exercise] if piece.own]
            assert own[-1] in ast.unparse(ast.parse(lesson_text.solution(exercise))), (name, exercise)


@every_lesson
def test_a_blank_lesson_holds_blanks_and_no_answer(lesson):
    (path,) = LESSONS.glob(f"{lesson:02}_*.ipynb")
    found = read({"a.ipynb": path.read_bytes()}, lesson=lesson)
    assert not found.answers and all(len(pieces) < 9 for pieces in found.code.values())


def test_a_cell_magic_that_nbconvert_wrote_as_a_call_is_read():
    text = "# In[1]:\n\n\nget_ipython().run_cell_magic('time', '', " + repr(MINE) + ")\n"
    assert answer(read(text.encode(), "a.py"))(3, 4) == 7


# ---- what is too much


@pytest.mark.parametrize(
    "source",
    ["a;" * 3_900_000, "a=1;" * 1_900_000, "(" * 300_000, "-" * 150_000 + "1", "x = " + "1+" * 90_000 + "1", "[" * 90 + "]" * 90,
     "def f(): pass\n" * 60_000, "if 1:\n" + " def f(): pass\n" * 50_000, "'''" * 100_001, "a." * 90_000 + "a", "# " * 4_000_000],
    ids=range(11),
)  # fmt: skip
def test_a_notebook_of_any_length_is_read_in_little_memory(source):
    tracemalloc.start()
    found = read(book(source, MINE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 << 20 and answer(found)(3, 4) == 7


def test_a_cell_that_is_too_long_is_named_with_what_to_do():
    found = read(book("a;" * 300_000, MINE))
    assert "cell 1 is longer than 200,000 signs and was left out: keep data in a file, and code short" in found.notes
    found = read(book(*["b;" * 90_000] * 8, MINE))
    assert any("together longer than 1,000,000 signs" in note for note in found.notes)


def test_many_definitions_that_need_each_other_are_sorted_out_quickly():
    chain = [f"def f{n}(a, b):\n    return f{n + 1}(a, b)\n" for n in range(900)]
    found = read(book("\n".join(chain), "def f900(a, b):\n    return a + b\n\nembed = f0"))
    assert len(found.code["1.1"]) == 902


def test_the_words_for_a_student_are_free_of_control_signs():
    found = read(book(MINE, 'quiz("1.q1", "a\x1b[31m")', "def visibel(): pass"))
    assert not any("\x1b" in text for _, text in found.taken) and found.answers["1.q1"].text == "a\x1b[31m"


@pytest.mark.parametrize("name", [name for name in cases.CODE if cases.CODE[name][2] == 2])
def test_honest_answers_that_are_noisy_are_found(name):
    exercise, source, _ = cases.CODE[name]
    assert any(piece.own for piece in read(cases.notebook(cases.HONEST | {exercise: source}).encode()).code[exercise])
