"""One child in its box: it answers, it is ended, and nothing of it is left."""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import psutil
import pytest

from minitransformer.course.exercise import answered
from minitransformer.course.isolation import Box, Limits, Lost, cgroups, write_open_part

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
def sleeps(tokens, table):
    time.sleep(1000)
def nan(tokens, table):
    return float("nan")
def loops(tokens, table):
    for _ in range(12):
        if not os.fork():
            while True: pass
    time.sleep(1000)
def put_away(tokens, table):
    import mmap
    for child in range(3):
        if not os.fork():
            one = mmap.mmap(-1, 500 << 20)
            for n in range(50):
                one.write(bytes(10 << 20))
                one.madvise(mmap.MADV_DONTNEED)
            time.sleep(1000)
    time.sleep(1000)
def orphan(tokens, table):
    if not os.fork():
        os.setsid()
        if os.fork(): os._exit(0)
        time.sleep(1000)
        os._exit(0)
    os.wait()
    return table[tokens]
"""
GRADER = """
import sys
from pathlib import Path
from minitransformer.course.isolation import Box, Limits, choose, wire
box = Box(choose("local").name, Path(sys.argv[1]), 1, Limits())
assert box.begin(60)
box.pipe.send_bytes(wire.packed(["begin", {}, [[1, "while True: pass"]], 1, "embed"]))
print(*[each.pid for each in box.family()], flush=True)
box.pipe.recv_bytes()
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
    box.limits = Limits(requests=10_000_000)
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


def test_an_orphan_that_hides_in_a_session_of_its_own_is_gone_before_the_next_exercise(box):
    assert ask(box, "orphan")[0] == "gave"
    orphans = [each for each in box.family() if each.ppid() == box.process.pid]
    assert len(orphans) == 2 and box.begin(20) and not any(psutil.pid_exists(orphan.pid) for orphan in orphans)


def test_what_an_exercise_wrote_is_gone_before_the_next_one_however_deep_it_lies(box):
    writes = "import os\nfor n in range(3000):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
    assert box.begin(20) and begin(box, writes + CELL)[0] == "gave" and any(box.scratch.iterdir())
    assert box.begin(20) and not any(box.scratch.iterdir())


def test_who_sleeps_is_ended_too(box):
    with pytest.raises(Lost, match="time-out"):
        ask(box, "sleeps", seconds=1)
    assert not box.family()


def test_a_number_that_is_not_finite_is_told_as_what_it_is(box):
    assert ask(box, "nan") == ("not-finite", None)


def test_a_box_that_cannot_be_opened_leaves_nothing(course, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(TypeError):
        Box("local", course, 1, Limits(memory=object()))
    with pytest.raises(OSError, match="no such program"):
        monkeypatch.setattr(subprocess, "Popen", raises)
        Box("local", course, 1, Limits())
    assert not any(tmp_path.iterdir())


def raises(*given, **named):
    raise OSError("no such program")


@pytest.mark.parametrize("counted", [True, False])
def test_memory_that_no_process_seems_to_have_is_counted(course, counted, monkeypatch):
    """Shared and put away, so that it is in no process's size: found by a control group, and without one."""
    if not counted:
        monkeypatch.setattr(cgroups, "places", dict)
    elif cgroups.gaps():
        pytest.skip("no control groups can be made here")
    box = Box("local", course, 1, Limits(memory=1 << 30))
    try:
        assert box.begin(60) and begin(box)[0] == "gave"
        with pytest.raises(Lost, match="memory"):
            ask(box, "put_away", seconds=100)
        assert not box.family()
    finally:
        box.close()


def test_busy_neighbours_do_not_use_up_the_time_of_an_honest_one(course):
    """The first may use a second of a processor; twelve loops use that up soon, and the other's second is its own."""
    busy, honest = (Box("local", course, 1, Limits()) for _ in range(2))
    try:
        assert all(each.begin(60) and begin(each)[0] == "gave" for each in (busy, honest))
        with ThreadPoolExecutor() as pool:
            lost = pool.submit(ask, busy, "loops", 3)
            for _ in range(10):
                assert ask(honest, "embed", seconds=1)[0] == "gave"
            with pytest.raises(Lost, match="time-out"):
                lost.result()
    finally:
        busy.close()
        honest.close()


def test_a_student_s_loop_ends_when_the_grader_is_killed(course):
    grader = subprocess.Popen([sys.executable, "-c", GRADER, course], stdout=subprocess.PIPE, text=True)
    family = [psutil.Process(int(each)) for each in grader.stdout.readline().split()]
    assert family and all(each.is_running() for each in family)
    grader.kill()
    grader.communicate()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_an_error_is_told_by_its_kind_and_line_and_only_where_it_left_no_answer(box):
    late = CELL + "nobody_knows_this\n"
    for cell, came in (
        (late, ("gave", None)),
        ("\n1 / 0", ("raised", ["ZeroDivisionError", 1, 2])),
        ("\n\ndef embed(:", ("raised", ["SyntaxError", 1, 3])),
        ("x = 1", ("gave", None)),
    ):
        assert box.begin(20) and begin(box, cell) == came
