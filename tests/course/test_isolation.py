"""One child in its box: it answers, it is ended, and nothing of it is left."""

import os

import numpy as np
import psutil
import pytest

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
TABLE, TOKENS = [[1.0], [2.0]], [[1, 0]]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return write_open_part(1, tmp_path_factory.mktemp("course") / "open")


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
        np.array(TOKENS),
        np.array(TABLE, np.float32),
        seconds=seconds,
    )


def test_it_answers(box):
    kind, came = ask(box, "embed")
    assert kind == "gave" and came["vectors"].tolist() == [[[2.0], [1.0]]]


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
