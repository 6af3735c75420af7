"""A child process with limits, in which a student's code answers calls; it ends with all that it has started."""

import ctypes
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

import psutil

from ..exercise import Misconception
from . import wire
from .profiles import PROFILES, STRANGER

Serve = Callable[..., object]  # serve(method, *plain) -> plain
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER: what a child leaves behind becomes ours, and so it can be total


@dataclass(frozen=True)
class Limits:
    """Seconds for one call, a whole submission and the start; bytes; processes; what one call may ask back."""

    call: float = 20.0
    whole: float = 180.0
    start: float = 60.0
    memory: int = 4 << 30
    processes: int = 64
    file: int = 64 << 20
    reply: int = 16 << 20
    requests: int = 20_000


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
        self.limits, self.others, self.taken = limits, set(psutil.Process().children(recursive=True)), 0
        self.user = STRANGER if profile == "uid-drop" else -1
        self.scratch = Path(tempfile.mkdtemp(prefix="graded-"))
        os.chown(self.scratch, self.user, -1)
        self.door, theirs = socket.socketpair()
        bounds = {"AS": limits.memory, "NPROC": limits.processes, "FSIZE": limits.file, "NOFILE": 256, "CORE": 0}
        home = dict.fromkeys(("HOME", "TMPDIR"), str(self.scratch))
        self.process = subprocess.Popen(
            [*PROFILES[profile](course, self.scratch), sys.executable, "-I", course / "child.py",
             course, str(theirs.fileno()), str(lesson), json.dumps(bounds)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=[theirs.fileno()], cwd=self.scratch,
            env=home | {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        theirs.close()
        self.pipe, self.deadline, self.closed = None, math.inf, Event()
        self.watcher = Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def begin(self, seconds: float) -> bool:
        """A fresh process for an exercise, in place of the last one's; False where there is none to be had."""
        ours, theirs = socket.socketpair()
        self.pipe, self.deadline = Connection(ours.detach()), time.monotonic() + seconds
        with theirs, suppress(OSError):
            socket.send_fds(self.door, [b"!"], [theirs.fileno()])
            return self.door.recv(1) == b"!"
        return False

    def ask(self, *message: object, seconds: float, serve: Serve | None = None) -> tuple[str, object]:
        """A call's kind of answer and its value; Lost where there is none. `serve` answers what the child asks back."""
        self.deadline = time.monotonic() + seconds
        try:
            self.pipe.send_bytes(wire.packed(message))
            kind, value = self.received()
            for _ in range(self.limits.requests):
                if kind != "request":
                    self.deadline = math.inf
                    return kind, value
                self.pipe.send_bytes(wire.packed(reply_to(serve, *value)))
                kind, value = self.received()
            why = "no-end"
        except (OSError, EOFError, ValueError, TypeError) as error:
            why = "stopped" if isinstance(error, EOFError | ConnectionError) else "garbled"
        if self.over():
            why = "memory" if self.taken > self.limits.memory else "time-out"
            self.close()  # it must not be used again
        raise Lost(why)

    def received(self) -> list:
        return wire.unpacked(self.pipe.recv_bytes(self.limits.reply))

    def over(self) -> bool:
        """Whether it took too long or too much."""
        return time.monotonic() > self.deadline or self.taken > self.limits.memory

    def watch(self) -> None:
        """Wait until it takes too long or too much, or is closed; then end all its processes."""
        try:
            while not self.closed.wait(0.25) and not self.over():
                self.taken = self.memory()
        finally:
            while family := self.family():
                for each in family:
                    with suppress(psutil.Error):
                        each.kill()
                psutil.wait_procs(family, timeout=0.1)

    def family(self) -> set[psutil.Process]:
        """All processes that this child has started, directly or not."""
        return set(psutil.Process().children(recursive=True)) - self.others

    def memory(self) -> int:
        total = 0
        for each in self.family():
            with suppress(psutil.Error):
                total += each.memory_info().rss
        return total

    def close(self) -> None:
        """End all of it, and remove what it wrote."""
        self.closed.set()
        self.watcher.join()
        self.process.wait()
        self.door.close()
        self.pipe = None
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (path for folder in ("/tmp", "/var/tmp", "/dev/shm") for path in Path(folder).glob("*")):
            with suppress(OSError):
                if path.lstat().st_uid == self.user:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
