"""A child process with limits, in which a student's code answers calls; it ends with all that it has started."""

import ctypes
import json
import math
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

import psutil

from ..exercise import Misconception
from ..plain_data import NotFinite
from . import counting, wire
from .cgroups import Group
from .leftovers import PREFIX, Folder, remove_tree, sweep
from .profiles import GRADED, PROFILES, ROOT, SCRATCH, User

Serve = Callable[..., object]  # serve(method, *plain) -> plain
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER: what a child leaves behind becomes ours, and so it can be total


@dataclass(frozen=True)
class Limits:
    """Seconds for one call, a whole submission and the start; bytes; processes; what one call may ask back.

    The seconds are those in which it works or sleeps; those in which it waits for a processor are the machine's fault,
    and count only when there are `patience` times as many.
    """

    call: float = 20.0
    whole: float = 180.0
    start: float = 60.0
    memory: int = 4 << 30
    processes: int = 64
    file: int = 64 << 20
    reply: int = 16 << 20
    requests: int = 20_000
    patience: float = 6.0


class Lost(Misconception):
    """No answer came, and none will come in this exercise."""

    WHY = {  # noqa: RUF012
        "time-out": "your code took longer than a call may take; an endless loop?",
        "out-of-time": "the time for this whole submission was used up before this was asked",
        "memory": "your code took more memory than it may",
        "stopped": "your code ended the process that it ran in, or was ended for taking too much",
        "no-end": "your code asks the model again and again, far more often than the task needs; an endless loop?",
        "garbled": "what came back was no data, or more of it than may come back",
    }

    def __init__(self, name: str):
        super().__init__(name, self.WHY[name])


def reply_to(serve: Serve | None, *request: object) -> list:
    """The answer to what a child asks back. What fails here failed on the child's own words, so it gets the error."""
    if serve is None:
        raise ValueError("this call serves nothing, and its child knows that")
    try:
        return ["gave", serve(*request)]
    except Exception as error:
        return ["refused", [type(error).__name__, str(error)[:1000]]]


class Box:
    """One child process, asked over a pipe, and a thread that ends it when it takes too long or too much."""

    def __init__(self, profile: str, course: Path, lesson: int, limits: Limits):
        ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)
        self.limits, self.others, self.closed = limits, set(psutil.Process().children(recursive=True)), Event()
        self.taken, self.used, self.most, self.deadline = 0, 0.0, math.inf, math.inf
        self.pipe, self.waiting, self.held_up = None, False, False
        with ExitStack() as opened:  # what was opened is closed, also where the rest cannot be
            self.scratch = SCRATCH if profile in GRADED else opened.enter_context(scratch_folder())
            self.user = opened.enter_context(User()) if profile in GRADED and ROOT else None
            self.group = opened.enter_context(Group({"memory": limits.memory, "processes": limits.processes}))
            self.door, theirs = socket.socketpair()
            opened.enter_context(self.door)
            with theirs:
                self.process = self.started(PROFILES[profile], course, lesson, theirs.fileno())
            opened.enter_context(self.process)
            opened.callback(self.end)
            self.watcher = Thread(target=self.watch, daemon=True)
            self.watcher.start()
            opened.callback(self.watcher.join)
            opened.callback(self.closed.set)
            self.opened = opened.pop_all()

    def started(self, wall: Callable, course: Path, lesson: int, door: int) -> subprocess.Popen:
        limits = self.limits
        bounds = {"AS": limits.memory, "NPROC": limits.processes, "FSIZE": limits.file, "NOFILE": 256, "CORE": 0}
        home = dict.fromkeys(("HOME", "TMPDIR"), str(self.scratch))
        return subprocess.Popen(
            [*self.group.entered(), *wall(course, self.user.become() if self.user else []), sys.executable, "-I",
             course / "child.py", course, str(door), str(lesson), json.dumps(bounds)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=[door], cwd="/" if self.scratch == SCRATCH else self.scratch,
            env=home | {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def allow(self, seconds: float) -> None:
        """From now on it may use so many seconds, and a multiple of them on the clock."""
        self.most, self.deadline = self.used + seconds, time.monotonic() + seconds * self.limits.patience

    def begin(self, seconds: float) -> bool:
        """A fresh process for an exercise, in place of the last one's; False where there is none to be had."""
        ours, theirs = socket.socketpair()
        self.pipe = Connection(ours.detach())
        self.allow(seconds)
        with theirs, suppress(OSError):
            socket.send_fds(self.door, [b"!"], [theirs.fileno()])
            with self.its_turn():
                return self.door.recv(1) == b"!"
        return False

    def ask(self, *message: object, seconds: float, serve: Serve | None = None) -> tuple[str, object]:
        """A call's kind of answer and its value; Lost where there is none. `serve` answers what the child asks back."""
        self.allow(seconds)
        try:
            self.pipe.send_bytes(wire.packed(message))
            kind, value = self.received()
            for _ in range(self.limits.requests):
                if kind != "request":
                    self.allow(math.inf)
                    return kind, value
                self.pipe.send_bytes(wire.packed(reply_to(serve, *value)))
                kind, value = self.received()
            why = "no-end"
        except (OSError, EOFError, ValueError, TypeError) as error:
            why = "stopped" if isinstance(error, EOFError | ConnectionError) else "garbled"
        if self.over():
            why = "memory" if self.too_much() else "time-out"
            self.held_up = why == "time-out" and self.used <= self.most  # the clock ran out, its own time did not
            self.close()  # it must not be used again
        raise Lost(why)

    def received(self) -> list:
        with self.its_turn():
            return wire.unpacked(self.pipe.recv_bytes(self.limits.reply), NotFinite)

    @contextmanager
    def its_turn(self) -> Iterator[None]:
        """While it is waited for, its sleep counts; while we work for it, it does not."""
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False

    def over(self) -> bool:
        """Whether it took too long or too much."""
        return self.used > self.most or time.monotonic() > self.deadline or self.too_much()

    def too_much(self) -> bool:
        return self.taken > self.limits.memory or self.group.took_too_much_memory()

    def watch(self) -> None:
        """Wait until it takes too long or too much, or is closed; then end all its processes."""
        worked, slept, then = 0.0, 0.0, time.monotonic()
        try:
            while not self.closed.wait(0.25) and not self.over():
                family, now = self.family(), time.monotonic()
                worked = max(worked, self.group.seconds() or counting.seconds_of(family))
                slept += now - then if self.waiting and not counting.any_works(family) else 0.0
                self.used, then = worked + slept, now
                if "memory" not in self.group.kinds:
                    self.taken = counting.memory_of(family, self.scratch)
        finally:
            self.end()

    def end(self) -> None:
        """End all its processes."""
        for _ in range(100):  # what no signal ends must not stop the class
            if not (family := self.family()):
                return
            for each in family:
                with suppress(psutil.Error):
                    each.kill()
            psutil.wait_procs(family, timeout=0.1)

    def family(self) -> set[psutil.Process]:
        """All processes that this child has started, directly or not."""
        if (inside := self.group.processes()) is None:
            return set(psutil.Process().children(recursive=True)) - self.others
        found = set()
        for process in inside | ({self.process.pid} if self.process.poll() is None else set()):
            with suppress(psutil.Error):
                found.add(psutil.Process(process))
        return found

    def close(self) -> None:
        """End all of it, and remove what it wrote."""
        self.opened.close()
        self.pipe = None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where a child writes that has no files of its own; what graders that are gone have left there goes, too."""
    place = Path(tempfile.gettempdir())
    sweep(place, remove_tree)
    folder = Folder(place / f"{PREFIX}{secrets.token_hex(8)}")
    try:
        yield folder.path
    finally:
        folder.close(remove_tree)
