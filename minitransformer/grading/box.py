"""A child process with limits, in which a student's code answers calls, and of which nothing is left afterwards."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

import psutil

from . import wire
from .isolation import PROFILES, gives_grades, stranger

OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm")
ENDED = "your code ended the process that it ran in, or was ended for taking too much"


@dataclass(frozen=True)
class Limits:
    """Seconds for one call, a whole submission and the start; bytes; processes."""

    call: float = 20.0
    whole: float = 180.0
    start: float = 60.0
    memory: int = 4 << 30
    processes: int = 64
    file: int = 64 << 20
    reply: int = 16 << 20


class Stopped(Exception):
    """The child gave no answer; its name and what to say about it."""

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.name, self.message = name, message


class Ended(Stopped):
    """The exercise's process is gone, and the next one can begin."""


class NoChild(BaseException):
    """The machine's trouble and not the student's: no judge may take it for an answer."""


class Box:
    """One child process, asked over a pipe, and a thread that ends it when it takes too long or too much."""

    def __init__(self, profile: str, course: Path, limits: Limits, seconds: float):
        self.limits, self.number, self.began, self.deadline = limits, 0, 0, math.inf
        self.user = stranger() if gives_grades(profile) and os.geteuid() == 0 else None
        self.scratch = Path(tempfile.mkdtemp(prefix="graded-"))
        os.chown(self.scratch, self.user or -1, -1)
        self.socket, theirs = socket.socketpair()
        self.pipe = Connection(os.dup(self.socket.fileno()))
        bounds = {"AS": limits.memory, "NPROC": limits.processes, "FSIZE": limits.file, "NOFILE": 256, "CORE": 0}
        given = [str(course), str(theirs.fileno()), json.dumps(bounds | {"REPLY": limits.reply})]
        home = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "BOX": self.scratch.name}
        self.process = subprocess.Popen(
            [*PROFILES[profile](course, self.scratch), sys.executable, "-I", course / "child.py", *given],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=[theirs.fileno()], env=home | dict.fromkeys(("HOME", "TMPDIR"), str(self.scratch)),
            cwd=self.scratch,
        )  # fmt: skip
        theirs.close()
        self.why, self.closed, self.watcher = Stopped("stopped", ENDED), Event(), Thread(target=self.watch, daemon=True)
        self.watcher.start()
        try:
            self.ask("end", seconds=min(seconds, limits.start))
        except Ended:  # nothing runs yet: it is ready
            pass
        except Stopped as why:
            if seconds < limits.start and why.name == "time-out":
                raise
            raise NoChild(f"the child did not start under {profile}: {why}") from None

    def ask(self, kind: str, *given: object, seconds: float) -> tuple[str, object]:
        """A call's kind of answer and its value; Stopped where there is none."""
        self.deadline, self.number = time.monotonic() + seconds, self.number + 1
        self.began = self.number if kind == "begin" else self.began
        try:
            self.pipe.send_bytes(wire.packed([self.number, kind, list(given)]))
            while True:
                number, kind, value = wire.unpacked(self.pipe.recv_bytes(self.limits.reply))
                if kind == "ended" and number in (self.began, self.number):
                    raise Ended("stopped", ENDED)
                if number == self.number:  # an earlier call's second answer is nobody's
                    return kind, value
        except (OSError, EOFError):
            why = self.why
        except (ValueError, TypeError):
            why = Stopped("garbled", "what came back was no data: something in your code disturbs its own process")
        finally:
            self.deadline = math.inf
        self.close()
        raise why

    def end(self, seconds: float) -> bool:
        """Make an end of the exercise that runs, if one does; whether the next one can begin."""
        with suppress(Stopped):
            self.ask("end", seconds=seconds)
        return not self.closed.is_set()

    def watch(self) -> None:
        """Wait until it takes too long or too much, ends, or is closed; then leave nothing of it."""
        try:
            while not self.closed.wait(0.25):
                if time.monotonic() > self.deadline:
                    self.why = Stopped("time-out", "your code took longer than a call may take; an endless loop?")
                elif self.memory() > self.limits.memory:
                    self.why = Stopped("memory", "your code took more memory than it may")
                elif self.process.poll() is None:
                    continue
                break
        except Exception as error:
            self.why = NoChild(f"the child could not be watched: {error!r}")
        self.kill()

    def family(self) -> list[psutil.Process]:
        """All that lives of this child, whoever its parent is by now."""
        found = {each for each in psutil.process_iter() if self.marked(each)}
        with suppress(psutil.Error):
            top = psutil.Process(self.process.pid)
            found |= {top, *top.children(recursive=True)}
        return [each for each in found if alive(each)]

    def marked(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return self.user == process.uids().real if self.user else process.environ().get("BOX") == self.scratch.name
        return False

    def memory(self) -> int:
        found = 0
        for each in self.family():
            with suppress(psutil.Error):
                found += each.memory_info().rss
        return found

    def kill(self) -> None:
        """All of it, so that nobody waits for an answer any more."""
        while alive := self.family():
            for each in alive:
                with suppress(psutil.Error):
                    each.kill()
            self.process.poll()
            time.sleep(0.01)
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it, and remove what it wrote."""
        if self.closed.is_set():
            return
        self.closed.set()
        self.watcher.join()
        self.process.wait()
        self.socket.close()
        self.pipe.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (path for folder in OPEN_TO_ALL if self.user for path in Path(folder).glob("*")):
            with suppress(OSError):
                if path.lstat().st_uid == self.user:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False
