"""How marks come about, with a box that is played: what is asked of it, and what each of its answers earns."""

import hmac
from dataclasses import dataclass, field
from threading import RLock
from types import SimpleNamespace

import pytest
from tqdm import tqdm

from minitransformer.course.answers import Given
from minitransformer.course.exercise import Exercise, Misconception, NotWritten, Outcome, Part
from minitransformer.course.grading import marking
from minitransformer.course.grading.intake import Piece, Submission
from minitransformer.course.grading.marking import Session, mark
from minitransformer.course.isolation import Limits, Lost
from minitransformer.course.questions import Numeric, Reply

LIMITS = Limits(call=20, whole=180, start=60, patience=2)
SOURCE = "def double(x):\n    return x * 2\n"
QUESTION = Numeric(id="1.q1", kind="numeric", prompt="?", value=4, reason="two and two.")


@dataclass
class PlayedBox:
    """Answers with what `answer` says about a message; an exception is raised."""

    answer: object = None
    begins: bool = True
    used: float = 0.0
    held_up: bool = False
    closed: bool = False
    messages: list = field(default_factory=list)
    waits: list = field(default_factory=list)  # seconds that each beginning may take

    def begin(self, seconds):
        self.waits.append(seconds)
        return self.begins

    def ask(self, *message, seconds, serve):
        self.messages.append((message, seconds, serve))
        if message[0] == "begin":
            return "gave", None
        reply = self.answer(*message[5:]) if callable(self.answer) else self.answer
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self):
        self.closed = True


def ask_double(answer, x):
    return answer(x)


def doubles(call, rng):
    if (number := int(rng.integers(1 << 40))) * 2 != call(number):
        raise Misconception("not-doubled", "it is twice as much", "at the first number")


def exercise(name: str = "1.1", *judges) -> Exercise:
    parts = tuple(Part(f"part {n}", n + 1, judge) for n, judge in enumerate(judges or (doubles, doubles)))
    return Exercise(name, f"title {name}", ask_double, parts, ("nudge", "push", "nearly all"))


def session(box, *exercises, code=None, limits=LIMITS, questions=()) -> Session:
    """A submission for these exercises; `box` is one box, or several of which each is opened after the one before."""
    exercises = exercises or (exercise(),)
    assignment = SimpleNamespace(
        exercises={each.id: each for each in exercises}, questions={each.id: each for each in questions},
        setup="import torch\n", names={each.id: "double" for each in exercises},
    )  # fmt: skip
    code = {each.id: [Piece(False, "y = 1"), Piece(True, SOURCE)] for each in exercises} if code is None else code
    boxes = iter(box if isinstance(box, list) else [box])
    return Session(assignment, Submission(code), limits, lambda: next(boxes))


def marks(box, *exercises, key: bytes = b"key", answers=(), **settings) -> list[dict]:
    return list(mark(session(box, *exercises, **settings), dict(answers), key))


def gave(number):
    return "gave", 2 * number


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(marking.time, "monotonic", lambda: now.seconds)
    return now


def test_a_right_part_earns_its_points_and_shows_no_hint():
    one, two = marks(PlayedBox(gave))
    assert one == {"id": "1.1", "title": "title 1.1", "part": "part 0", "asked": None, "came": "right", "earned": 1,
                   "points": 1, "misconception": None, "hint": None}  # fmt: skip
    assert (two["earned"], two["points"], two["hint"]) == (2, 2, None)


def test_a_wrong_part_earns_nothing_and_says_what_and_where_with_the_first_hint():
    for test in marks(PlayedBox(("gave", 1))):
        assert test["came"] == "it is twice as much (at the first number)"
        assert (test["earned"], test["misconception"], test["hint"]) == (0, "not-doubled", "nudge")


def test_a_long_detail_is_cut_and_where_there_is_none_no_brackets_stand():
    def wordy(call, rng):
        raise Misconception("wordy", "too much", "x" * 300)

    def terse(call, rng):
        raise Misconception("terse", "too little")

    long, short = marks(PlayedBox(gave), exercise("1.1", wordy, terse))
    assert long["came"] == f"too much ({'x' * 200})" and short["came"] == "too little"


@pytest.mark.parametrize("code", [{}, {"1.1": []}])
def test_what_is_not_written_earns_nothing_and_opens_no_box(code):
    for test in marks([], code=code):
        assert (test["came"], test["earned"], test["misconception"], test["hint"]) == (
            "not written yet", 0, None, "nudge")  # fmt: skip


def test_a_blank_answer_is_not_written():
    assert {test["came"] for test in marks(PlayedBox(("blank", None)))} == {"not written yet"}


def test_code_that_was_lost_stays_lost_in_all_parts_and_is_not_asked_again():
    box = PlayedBox(Lost("time-out"))
    assert [(test["misconception"], test["earned"]) for test in marks(box)] == [("time-out", 0)] * 2
    assert len([message for message, *_ in box.messages if message[0] == "call"]) == 1


def test_after_a_loss_the_next_exercise_begins_afresh():
    box = PlayedBox(lambda number: Lost("time-out") if len(box.messages) == 2 else gave(number))
    tests = marks(box, exercise("1.1"), exercise("1.2"))
    assert [test["earned"] for test in tests] == [0, 0, 1, 2]


def drawn(key: bytes, *names: str) -> list[int]:
    numbers = []
    marks(PlayedBox(lambda number: numbers.append(number) or gave(number)), *map(exercise, names), key=key)
    return numbers


def test_the_hidden_inputs_hang_on_the_key_the_exercise_and_the_part_and_on_nothing_else():
    numbers = drawn(b"key", "1.1", "1.2")
    assert len(set(numbers)) == 4 and numbers == drawn(b"key", "1.1", "1.2")
    assert drawn(b"key", "1.2") == numbers[2:] and not set(numbers) & set(drawn(b"other", "1.1", "1.2"))


def test_who_does_not_know_the_key_cannot_draw_the_inputs(monkeypatch):
    used = []
    monkeypatch.setattr(hmac, "digest", lambda *what: used.append(what) or bytes(32))
    drawn(b"key", "1.1")
    assert used == [(b"key", b"1.1", "sha256")]
    monkeypatch.setattr(hmac, "digest", lambda *what: bytes(range(32)))
    monkeypatch.setattr(marking, "judge", lambda exercise, call, seed: used.append(seed) or Outcome(exercise, ()))
    marks(PlayedBox(gave))
    assert used[1:] == [0x0001020304050607]


def test_the_box_hears_which_cells_run_which_are_the_answer_s_own_and_what_is_asked():
    box = PlayedBox(gave)
    marks(box)
    (begin, call, _) = (message for message, *_ in box.messages)
    numbered = [(0, "import torch\n"), (1, "y = 1"), (2, SOURCE)]
    assert begin[0] == "begin" and begin[2:] == (numbered, [2], "double")
    assert call[:5] == ("call", __name__, "ask_double", "double", False) and len(call) == 6
    assert [serve for *_, serve in box.messages] == [None] * 3


def test_what_a_judge_serves_answers_its_open_methods_only():
    class Served:
        OPEN = ("twice",)

        def twice(self, x):
            return 2 * x

    box = PlayedBox(gave)
    marks(box, exercise("1.1", lambda call, rng: call(3, served=Served())))
    message, _, serve = box.messages[-1]
    assert message[4] is True and serve("twice", 4) == 8
    with pytest.raises(ValueError, match="the judge answers twice; got 'close'"):
        serve("close")


def test_one_box_serves_all_exercises_and_is_closed_in_the_end():
    box = PlayedBox(gave)
    marks(box, exercise("1.1"), exercise("1.2"))
    assert box.closed and box.waits == [60, 20]  # to start, and as a call


def test_a_box_that_does_not_begin_again_is_closed_and_its_seconds_count(clock):
    first, second = PlayedBox(gave), PlayedBox(gave)
    asked = session([first, second], exercise("1.1"), exercise("1.2"))
    asked.call(exercise("1.1"))
    first.begins, first.used, second.used = False, 50.0, 7.0
    asked.call(exercise("1.2"))(1)
    assert first.closed and not second.closed and asked.used == 50 and asked.left(1000) == 123
    asked.close()
    assert second.closed and asked.used == 57 and asked.box is None
    asked.trouble = Lost("time-out")
    asked.close()
    assert asked.used == 57 and asked.trouble is None


def test_the_box_is_closed_also_where_the_grader_fails():
    box = PlayedBox(gave)

    def stop(call, rng):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        marks(box, exercise("1.1", stop))
    assert box.closed


def test_a_box_that_cannot_start_is_the_machine_s_fault_unless_the_time_was_short(clock):
    with pytest.raises(RuntimeError, match="the child did not start"):
        marks(PlayedBox(begins=False))
    short = session(PlayedBox(begins=False))
    short.used = 130.0
    assert [test["misconception"] for test in mark(short, {}, b"key")] == ["out-of-time"] * 2
    assert not short.held_up  # its own work has used the time up
    late = session(PlayedBox(begins=False))
    clock.seconds += 300  # 30 seconds are left on the clock, and 60 of its own to start
    assert [test["misconception"] for test in mark(late, {}, b"key")] == ["out-of-time"] * 2 and late.held_up


def test_seconds_are_left_as_long_as_neither_the_work_nor_the_clock_has_used_them_up(clock):
    asked = session(PlayedBox())
    assert asked.left(20) == 20 and asked.left(1000) == 180
    asked.used = 100.0
    assert asked.left(1000) == 80
    clock.seconds += 300  # of twice 180 on the clock 60 are left: 30 of patience 2
    assert asked.left(1000) == 30 and asked.left(20) == 20
    asked.used = 180.0
    with pytest.raises(Lost, match="out-of-time"):
        asked.left(20)
    asked.used, clock.seconds = 0.0, 1359.0
    assert asked.left(20) == 0.5
    clock.seconds = 1360.0
    with pytest.raises(Lost, match="out-of-time"):
        asked.left(20)


def test_time_that_the_clock_takes_is_told_apart_from_time_that_the_work_takes(clock):
    asked = session(PlayedBox())
    assert not asked.hurried and not asked.held_up
    asked.left(1000)  # 180 seconds by the work and by the clock
    assert not asked.hurried
    asked.used = 180.0
    with pytest.raises(Lost):
        asked.left(20)
    assert not asked.held_up
    asked.used, clock.seconds = 0.0, clock.seconds + 359
    asked.left(20)
    assert asked.hurried and not asked.held_up
    clock.seconds += 1
    with pytest.raises(Lost):
        asked.left(20)
    assert asked.held_up


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("seconds", [0, 350])  # 5 seconds are left then, of 20 that a call may take
def test_points_lost_while_something_else_held_the_code_up_are_noted(clock, before, box, seconds):
    asked = session(PlayedBox(Lost("time-out"), held_up=box))
    call = asked.call(exercise())
    clock.seconds += seconds
    asked.held_up = before
    with pytest.raises(Lost):
        call(1)
    assert asked.held_up == (before or box or seconds > 0)


def test_who_is_late_earns_nothing_from_then_on(clock):
    def slow(number):
        clock.seconds += 400
        return gave(number)

    tests = marks(PlayedBox(slow), exercise("1.1"), exercise("1.2"))
    assert [test["earned"] for test in tests] == [1, 0, 0, 0]
    assert {test["misconception"] for test in tests[1:]} == {"out-of-time"}


def test_a_call_may_take_no_longer_than_a_call_may_or_than_is_left(clock):
    box = PlayedBox(gave)
    asked = session(box)
    call = asked.call(exercise())
    call(1)
    box.used = 175.0
    call(1)
    assert [seconds for _, seconds, _ in box.messages] == [20, 20, 5]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (("ValueError", 2, 2), "your code stopped with ValueError, at the line `return x * 2`"),
        (("ValueError", 2, 1), "your code stopped with ValueError, at the line `def double(x):`"),
        (("ValueError", 2, 0), "your code stopped with ValueError"),
        (("Secret", 2, 0), "your code stopped with an error of its own"),
        (("TypeError", 2, 0), "what your code gave back is no data, or it cannot be called as asked"),
        (("TypeError", 2, 2), "your code stopped with TypeError, at the line `return x * 2`"),
        (("ValueError", 9, 1), "your code stopped in a way of its own"),
        (("ValueError", 2, 9), "your code stopped in a way of its own"),
        (None, "your code stopped in a way of its own"),
        (7, "your code stopped in a way of its own"),
    ],
)
def test_an_error_is_told_by_its_kind_and_its_line(error, text):
    for test in marks(PlayedBox(("raised", error))):
        assert (test["came"], test["misconception"], test["earned"]) == (text, "raises", 0)


@pytest.mark.parametrize(("length", "shown"), [(120, 120), (121, 120)])
def test_a_long_line_is_cut_and_its_code_marks_are_harmless(length, shown):
    asked = session(PlayedBox())
    asked.sources = ["  `" + "x" * (length - 1) + "  "]
    cut = " …" if length > shown else ""
    assert asked.error_text("ValueError", 0, 1).endswith(f"at the line `'{'x' * (shown - 1)}`{cut}")


@pytest.mark.parametrize("kind", marking.MISSING)
def test_a_missing_name_says_that_much_is_away_while_graded(kind):
    assert session(PlayedBox()).error_text(kind, 0, 0).endswith(f"{kind}{marking.MISSING[kind]}")


def test_questions_come_after_exercises_and_one_without_an_answer_earns_nothing():
    for answers, earned, came in [({}, 0, "not answered yet"), ({"1.q1": Given("4")}, 1, "you answered 4\n\nright")]:
        *_, test = marks(PlayedBox(gave), questions=[QUESTION], answers=answers)
        assert (test["id"], test["earned"], test["points"], test["attempts"]) == ("1.q1", earned, 1, len(answers))
        assert test["came"].startswith(came) and test["hint"] is None and test["misconception"] is None


def test_of_a_question_s_attempts_so_many_count():
    asked = session(PlayedBox(gave), questions=[QUESTION])
    *_, test = mark(asked, {"1.q1": Given("4", attempts=3)}, b"key", 2)
    assert test["earned"] == 0 and test["attempts"] == 3


def question(given: Given, allowed: int | None = None) -> dict:
    return marking.question_test(QUESTION, given, allowed)


def test_an_answer_is_told_with_who_gave_it_and_what_it_says():
    test = question(Given("4", "anna"))
    assert test["chosen"] == [{"text": "4", "right": True}] and (test["student"], test["attempts"]) == ("anna", 1)
    assert question(Given("4", "x" * 300))["student"] == "x" * 200
    blank = question(Given("", "anna"))
    assert blank["attempts"] == 0 and not blank.keys() & {"chosen", "student"}


def test_an_answer_that_cannot_be_read_earns_nothing_and_is_shown_cut():
    test = question(Given("x" * 500))
    assert test["earned"] == 0 and test["came"].split("\n\n")[0] == f"you answered {'x' * 400}" and "chosen" not in test


def test_which_attempt_counts_stands_behind_the_answer():
    tries = Given("4"), Given("5"), Given("6")
    assert question(Given("6", tries=tries), allowed=1)["came"].split("\n\n") == [
        "you answered 4", "of your 3 attempts number 1 counts", "right: two and two."]  # fmt: skip


def test_a_third_of_a_point_is_told_by_three_digits(monkeypatch):
    monkeypatch.setattr(marking, "reply_to", lambda *_: Reply(1 / 3, ()))
    assert question(Given("4"))["earned"] == 0.333


def test_a_bar_leaves_no_semaphore_of_the_system_behind():
    tqdm.set_lock(None)
    marks(PlayedBox(gave))
    assert isinstance(tqdm.get_lock(), type(RLock()))


def test_a_judge_may_say_that_nothing_is_written():
    def blank(call, rng):
        raise NotWritten

    assert [test["came"] for test in marks(PlayedBox(gave), exercise("1.1", blank))] == ["not written yet"]
