"""One child in its box: it answers, it is ended, and nothing of it is left."""

import os
from functools import partial

import numpy as np
import psutil
import pytest

from minitransformer.course.exercise import answered
from minitransformer.course.isolation import Box, Limits, Lost, write_open_part

CELL = """
import os, time, torch
def embed(tokens, table):
    return table[tokens]
def forever(tokens, table):
    while True: pass
def leaves(tokens, table):
    os._exit(3)
def much(tokens, table):
    hog = [torch.ones(1 << 26) for _ in range(8)]
    time.sleep(30)
def orphan(tokens, table):
    if not os.fork():
        os.setsid()
        if os.fork(): os._exit(0)
        time.sleep(1000)
        os._exit(0)
    os.wait()
    return table[tokens]
"""
ASKS_BACK = """
def asked(answer, what, *inputs, served):
    return [served(what, *inputs) for _ in range(1 if answer.__name__ == "embed" else 10_000_000)]
"""
TABLE, TOKENS = [[1.0], [2.0]], [[1, 0]]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = write_open_part(1, tmp_path_factory.mktemp("course") / "open")
    (folder / "minitransformer/course/lesson1/ask_back.py").write_text(ASKS_BACK)
    return folder


@pytest.fixture
def box(course):
    box = Box("local", course, 1, Limits(memory=4 << 30))
    assert box.begin(60) and begin(box) == ("gave", None)
    yield box
    box.close()
    assert not box.scratch.exists() and not box.family()


def begin(box, cell=CELL):
    return box.ask("begin", {}, [[1, cell]], [1], "embed", seconds=20)


def ask(box, answer, seconds=20.0):
    return box.ask(
        "call",
        "minitransformer.course.lesson1.ask",
        "embedding",
        answer,
        False,
        np.array(TOKENS),
        np.array(TABLE, np.float32),
        seconds=seconds,
    )


def test_it_answers(box):
    kind, came = ask(box, "embed")
    assert kind == "gave" and came["vectors"].tolist() == [[[2.0], [1.0]]]


class Doubles:
    OPEN = ("twice",)
    closed = "the answer"

    def twice(self, array):
        return 2 * array


def ask_back(box, what, *inputs, answer="embed", seconds=20.0, served=Doubles):
    serve = served and partial(answered, served())
    message = "call", "minitransformer.course.lesson1.ask_back", "asked", answer, True, what, *inputs
    return box.ask(*message, seconds=seconds, serve=serve)


def test_a_call_can_ask_the_judge_s_own_object_before_it_replies(box):
    kind, (came,) = ask_back(box, "twice", np.arange(3))
    assert kind == "gave" and came.tolist() == [0, 2, 4]


@pytest.mark.parametrize("what", ["closed", "__class__", "", 7, None, ["twice"], "twice" * 9_999])
def test_only_what_a_served_object_opens_is_answered(box, what):
    assert ask_back(box, what, 1) == ("raised", ["ValueError", 0, 0])


def test_what_a_served_object_cannot_answer_is_an_error_of_the_student_s_code(box):
    assert ask_back(box, "twice", None) == ("raised", ["TypeError", 0, 0])
    assert ask_back(box, "twice") == ("raised", ["TypeError", 0, 0])
    assert ask_back(box, "twice", 4) == ("gave", [8])


def test_who_asks_back_without_end_or_unasked_loses_its_exercise(box):
    box.limits = Limits(requests=50)
    with pytest.raises(Lost, match="no-end"):
        ask_back(box, "twice", 1, answer="forever")
    assert box.begin(20) and begin(box)[0] == "gave"
    with pytest.raises(Lost, match="garbled"):
        ask_back(box, "twice", 1, served=None)


def test_the_time_of_a_call_covers_what_it_asks_back(box):
    with pytest.raises(Lost, match="time-out"):
        ask_back(box, "twice", 1, answer="forever", seconds=1)
    assert not box.family()


def test_who_takes_too_long_is_ended(box):
    with pytest.raises(Lost, match="time-out"):
        ask(box, "forever", seconds=1)
    assert not box.family() and not box.begin(5)


def test_who_leaves_loses_its_exercise_and_the_next_one_can_begin(box):
    with pytest.raises(Lost, match="stopped"):
        ask(box, "leaves")
    assert box.begin(20) and begin(box)[0] == "gave"
    assert ask(box, "embed")[0] == "gave"


def test_who_will_not_leave_is_ended_before_the_next_one_begins(box):
    stays = "import os, threading, time\nos._exit = print\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n"
    assert box.begin(20) and begin(box, stays + CELL)[0] == "gave"
    (first,) = [each for each in box.family() if each.ppid() == box.process.pid]
    assert box.begin(5) and not psutil.pid_exists(first.pid)


def test_who_takes_too_much_memory_is_ended(course):
    box = Box("local", course, 1, Limits(memory=3 << 30))
    assert box.begin(60)
    box.limits = Limits(memory=1 << 30)  # what is watched, and not what the system was told
    begin(box)
    with pytest.raises(Lost, match="memory"):
        ask(box, "much", seconds=100)
    assert not box.family()


def test_an_orphan_that_hides_in_a_session_of_its_own_is_found_and_ended(box):
    assert ask(box, "orphan")[0] == "gave"
    orphans = [each for each in box.family() if each.ppid() == os.getpid() and each.pid != box.process.pid]
    box.close()
    assert orphans and not any(psutil.pid_exists(orphan.pid) for orphan in orphans)


def test_an_error_is_told_by_its_kind_and_line_and_only_where_it_left_no_answer(box):
    late = CELL + "nobody_knows_this\n"
    for cell, came in (
        (late, ("gave", None)),
        ("\n1 / 0", ("raised", ["ZeroDivisionError", 1, 2])),
        ("\n\ndef embed(:", ("raised", ["SyntaxError", 1, 3])),
        ("x = 1", ("gave", None)),
    ):
        assert box.begin(20) and begin(box, cell) == came
