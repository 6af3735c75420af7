"""One child in its box: it answers, it is ended, and nothing of it is left."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import psutil
import pytest

from minitransformer.course.differences import difference
from minitransformer.course.exercise import answered
from minitransformer.course.isolation import GRADED, Box, Limits, Lost, cgroups, leftovers, problem, write_open_part
from minitransformer.course.isolation import box as isolation_box
from minitransformer.course.plain_data import NotFinite

working = [name for name in GRADED if not problem(name)]

CELL = """
import os, time, torch
def embed(tokens, table):
    return table[tokens]
def forever(tokens, table):
    while True: pass
def leaves(tokens, table):
    os._exit(3)
def much(tokens, table):
    for child in range(6):  # each of them has no more than it may
        if not os.fork():
            hog = torch.ones(1 << 26)
            time.sleep(1000)
    time.sleep(1000)
def sleeps(tokens, table):
    time.sleep(1000)
def loops(tokens, table):
    for _ in range(12):
        if not os.fork():
            while True: pass
    time.sleep(1000)
def put_away(tokens, table):
    import mmap
    for child in range(6):
        if not os.fork():
            one = mmap.mmap(-1, 256 << 20)
            for n in range(32):
                one.write(bytes(8 << 20))
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
from minitransformer.course.isolation import Box, Limits, wire
box = Box(sys.argv[1], Path(sys.argv[2]), 1, Limits())
assert box.begin(60)
box.pipe.send_bytes(wire.packed(["begin", {}, [[1, sys.argv[3]]], 1, "embed"]))
while len(family := box.family()) < int(sys.argv[4]):
    pass
print(*[each.pid for each in family])
print(*box.group.folders(), *[box.scratch] * (sys.argv[1] == "local"), flush=True)
box.pipe.recv_bytes()
"""
HIDES_AND_LOOPS = """
import ctypes, os
for n in range(3):
    if not os.fork():
        os.setsid()
        break
ctypes.CDLL(None).prctl(1, 0)  # it need not die with anybody
while True: pass
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


@pytest.fixture(scope="module")
def opened(course):
    """One box for all tests; a new one where a test has lost it."""
    boxes = []

    def box() -> Box:
        if not (boxes and boxes[-1].begin(60)):
            boxes.append(Box("local", course, 1, Limits()))
            assert boxes[-1].begin(60)
        return boxes[-1]

    yield box
    for each in boxes:
        each.close()
        assert not each.scratch.exists() and not each.family() and not any(map(Path.exists, each.group.folders()))


@pytest.fixture
def box(opened, monkeypatch):
    box = opened()
    monkeypatch.setattr(box, "limits", box.limits)  # a test may set others
    assert begin(box) == ("gave", None)
    return box


def begin(box, cell=CELL, answer="embed"):
    return box.ask("begin", {}, [[1, cell]], [1], answer, seconds=20)


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


@pytest.mark.parametrize("patience", [100.0, 0.01])
def test_who_is_held_up_by_the_clock_is_told_apart_from_who_used_up_its_time(box, patience):
    box.limits = Limits(patience=patience)
    with pytest.raises(Lost, match="time-out"):
        ask(box, "forever", seconds=1)
    assert box.held_up == (patience < 1)


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


def test_an_orphan_that_hides_in_a_session_of_its_own_is_gone_before_the_next_exercise(box):
    assert ask(box, "orphan")[0] == "gave"
    orphans = [each for each in box.family() if each.ppid() == box.process.pid]
    assert len(orphans) > 1 and box.begin(20) and not any(psutil.pid_exists(orphan.pid) for orphan in orphans)


def test_what_an_exercise_wrote_is_gone_before_the_next_one_however_deep_it_lies(box):
    writes = "import os\nfor n in range(1500):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
    assert box.begin(20) and begin(box, writes + CELL)[0] == "gave" and any(box.scratch.iterdir())
    assert box.begin(20) and not any(box.scratch.iterdir())


def test_who_sleeps_is_ended_too(box):
    with pytest.raises(Lost, match="time-out"):
        ask(box, "sleeps", seconds=1)
    assert not box.family()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_plain_number_that_is_not_finite_arrives_as_what_cannot_be_compared(box, number):
    cell = f"def visible(queries, keys):\n    return float('{number}')"
    assert box.begin(20) and begin(box, cell, "visible")[0] == "gave"
    kind, came = box.ask("call", "minitransformer.course.lesson1.ask", "mask", "visible", False, 1, 1, seconds=20)
    assert kind == "gave" and type(came["mask"]) is NotFinite
    assert np.array_equal(float(came["mask"].text), float(number), equal_nan=True)
    assert difference(came["mask"], float(number), "the mask", 0.1).name == "not-finite"


@pytest.mark.parametrize(
    ("profile", "broken"),
    [
        ("local", "scratch_folder"),
        *product(("local", "uid-drop"), ("Group", "started", "Thread")),
        ("uid-drop", "User"),
    ],
)
def test_a_box_that_cannot_be_opened_leaves_nothing(course, monkeypatch, tmp_path, profile, broken):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cgroups, "PREFIX", prefix := f"{leftovers.PREFIX}of-this-test-")
    monkeypatch.setattr(Box if broken == "started" else isolation_box, broken, raises)
    holds = open_files()
    with pytest.raises(OSError, match="no more of these"):
        Box(profile, course, 1, Limits())
    assert not any(tmp_path.iterdir()) and open_files() == holds
    assert not [*groups(prefix)]


def groups(prefix: str) -> Iterator[Path]:
    for place in cgroups.places().values():
        yield from place.folder.glob(f"{prefix}*")


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def raises(*given, **named):
    raise OSError("no more of these")


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("answer", ["much", "put_away"])
def test_memory_is_counted_over_all_processes_also_where_none_seems_to_have_it(course, counted, answer, monkeypatch):
    """Shared and put away it is in no process's size: found by a control group, and without one."""
    if not counted:
        monkeypatch.setattr(cgroups, "places", dict)
    elif "memory" not in cgroups.places():
        pytest.skip("no control groups for memory can be made here")
    box = Box("local", course, 1, Limits(memory=1 << 30))
    try:
        assert box.begin(60) and begin(box)[0] == "gave"
        with pytest.raises(Lost, match="memory"):
            ask(box, answer)
        assert not box.family()
    finally:
        box.close()


def test_the_addresses_that_torch_takes_are_not_the_student_s_memory(course):
    """Where torch is built for CUDA they are 3 GB; the limit here is less than torch takes for processors alone."""
    box = Box("local", course, 1, Limits(memory=512 << 20))
    try:
        assert box.begin(60) and begin(box)[0] == "gave" and ask(box, "embed")[0] == "gave"
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


@pytest.mark.parametrize("profile", ["local", *working])
def test_when_the_grader_is_killed_a_student_s_loops_end_and_nothing_is_left_after_the_next_start(course, profile):
    grader = subprocess.Popen(
        [sys.executable, "-c", GRADER, profile, course, HIDES_AND_LOOPS, "5"], stdout=subprocess.PIPE, text=True
    )
    family, folders = map(str.split, (grader.stdout.readline(), grader.stdout.readline()))
    family = [psutil.Process(int(each)) for each in family]
    assert len(family) > 4 and all(each.is_running() for each in family) and all(map(os.path.exists, folders))
    grader.kill()
    grader.communicate()
    if profile != "local":  # what hides under local is found by whoever comes next
        assert not psutil.wait_procs(family, timeout=60)[1]
    Box("local", course, 1, Limits()).close()
    assert not psutil.wait_procs(family, timeout=60)[1] and not any(map(os.path.exists, folders))


def test_only_what_nobody_holds_is_swept_away(tmp_path):
    held = leftovers.Folder(tmp_path / f"{leftovers.PREFIX}held")
    for name in (f"{leftovers.PREFIX}left", "of-somebody-else"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / f"{leftovers.PREFIX}link").symlink_to(tmp_path / "of-somebody-else")
    leftovers.sweep(tmp_path, leftovers.remove_tree)
    names = {path.name.removeprefix(leftovers.PREFIX) for path in tmp_path.iterdir()}
    assert names == {"held", "link", "of-somebody-else"} and (tmp_path / "of-somebody-else/deep").exists()
    held.close(leftovers.remove_tree)
    assert not held.path.exists()


def test_an_error_is_told_by_its_kind_and_line_and_only_where_it_left_no_answer(box):
    late = CELL + "nobody_knows_this\n"
    for cell, came in (
        (late, ("gave", None)),
        ("\n1 / 0", ("raised", ["ZeroDivisionError", 1, 2])),
        ("\n\ndef embed(:", ("raised", ["SyntaxError", 1, 3])),
        ("x = 1", ("gave", None)),
    ):
        assert box.begin(20) and begin(box, cell) == came
