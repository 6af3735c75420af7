"""A process for each job: whatever a job does to its process, it costs this job and no other.

A server is started once and imports torch; it forks a process for each job, with limits on memory and time. When the
command that started the server is gone, for whatever reason, the server ends everything and leaves nothing behind.
"""

import ctypes
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path

import psutil
import torch

from ...distributed import ctrl_c_for_us_alone
from ..display import clean

DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
LARGEST_RESULT = 16 << 20


@dataclass(frozen=True)
class Died:
    """Why there is no result."""

    why: str


@dataclass(frozen=True)
class Bounds:
    """What one job may use: bytes of address space, and seconds."""

    memory: int = 2 << 30
    seconds: float = 300.0


class Workers:
    """The server, and how its work is asked for. `prepare()` runs once, in the server, and gives `job -> bytes`.

    It runs before the first fork, so what it loads is there for every job; it must not run backward, since torch
    refuses gradients in a fork of a process that has computed some.
    """

    def __init__(self, prepare: Callable[[], Callable[[object], bytes]], bounds: Bounds):
        spawn = get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.server = spawn.Process(target=serve, args=(theirs, prepare, bounds))
        with ctrl_c_for_us_alone():
            self.server.start()
        theirs.close()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        """End the server and all that it started, also in the middle of a job."""
        self.pipe.close()
        self.server.join()

    def results(self, jobs: list, at_once: int) -> Iterator[tuple[int, bytes | Died]]:
        """A job's place in the list and its result, as they come."""
        waiting = enumerate(jobs)
        try:
            for each in islice(waiting, at_once):
                self.pipe.send(each)
            for _ in jobs:
                number, result = self.pipe.recv()
                if number < 0:
                    raise ChildProcessError(f"nothing can be graded here: {result.why}")
                yield number, result
                for each in islice(waiting, 1):
                    self.pipe.send(each)
        except (EOFError, ConnectionError):
            raise ChildProcessError(
                "the process that starts the graders was ended; is there enough memory? Run the same command to go on"
            ) from None


@dataclass(frozen=True)
class Running:
    """A job at work."""

    number: int
    process: int
    deadline: float


def serve(pipe: Connection, prepare: Callable, bounds: Bounds) -> None:
    """The server's whole life."""
    os.setsid()  # the terminal's signals are for the command
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    prctl(ADOPT_ORPHANS, 1)  # what a dead job leaves behind becomes ours, so that we can end it
    torch.set_num_threads(1)
    running: dict[Connection, Running] = {}
    with temporary_folder(), suppress(EOFError, ConnectionError):
        try:
            do = outcome_of(prepare)
            if isinstance(do, Died):
                pipe.send((-1, do))
                return
            while True:
                first = min((job.deadline for job in running.values()), default=time.monotonic() + 3600)
                for ready in wait([pipe, *running], max(0.0, first - time.monotonic())):
                    if ready is pipe:
                        number, job = pipe.recv()
                        process, end = forked(do, job, bounds.memory)
                        running[end] = Running(number, process, time.monotonic() + bounds.seconds)
                    else:
                        pipe.send((running[ready].number, ended(ready, running)))
                for end in [end for end, job in running.items() if job.deadline <= time.monotonic()]:
                    number = running[end].number
                    ended(end, running)
                    pipe.send((number, Died(f"it took longer than {bounds.seconds:g} s")))
        finally:
            for end in [*running]:
                ended(end, running)


def forked(do: Callable[[object], bytes], job: object, memory: int) -> tuple[int, Connection]:
    """A new process for this job, and where its result will come out."""
    ours, theirs = Pipe(duplex=False)
    server = os.getpid()
    if process := os.fork():
        theirs.close()
        return process, ours
    try:
        prctl(DIE_WITH_PARENT, signal.SIGKILL)
        memory += psutil.Process().memory_info().vms  # torch alone takes 3 GB of addresses where it is built for CUDA
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory, most))  # the soft one: students' code has limits of its own
        if os.getppid() == server:
            result = outcome_of(do, job)
            theirs.send_bytes(b"-" + result.why.encode() if isinstance(result, Died) else b"+" + result)
    finally:
        os._exit(0)


def outcome_of(do: Callable[..., object], *job: object) -> object:
    """What it returns, or why it did not."""
    try:
        return do(*job)
    except MemoryError:
        return Died("it took more memory than a grader may take")
    except BaseException as error:
        return Died(clean(f"{type(error).__name__}: {error}"))


def ended(end: Connection, running: dict[Connection, Running]) -> bytes | Died:
    """The result of a job; its process and all that it has started are gone."""
    process, said = running.pop(end).process, b""
    with suppress(EOFError, OSError):
        said = end.recv_bytes(LARGEST_RESULT) if end.poll() else b""
    end.close()
    os.kill(process, signal.SIGKILL)  # it is ours and not waited for yet, so this is no other process
    _, status = os.waitpid(process, 0)
    end_orphans({job.process for job in running.values()})
    if said:
        return said[1:] if said[:1] == b"+" else Died(said[1:].decode("utf-8", "replace"))
    signalled = f" by {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else ""
    return Died(f"the process that graded it was ended{signalled}; did it take too much memory?")


def end_orphans(working: set[int]) -> None:
    """End what dead jobs have left: it has become our own child, and is no job at work."""
    patience = time.monotonic() + 10
    while orphans := [each for each in psutil.Process().children() if each.pid not in working]:
        if time.monotonic() > patience:  # what no signal ends must not stop the class
            return
        for each in orphans:
            with suppress(psutil.Error):
                for one in (each, *each.children(recursive=True)):
                    one.kill()
        psutil.wait_procs(orphans, timeout=1)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Where everything temporary lies while a class is graded; folders of commands that are gone are removed."""
    remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix="course-"))
    folder.chmod(0o755)
    handle = os.open(folder / "new", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (folder / "new").rename(folder / "lock")
        tempfile.tempdir = str(folder)
        yield folder
    finally:
        tempfile.tempdir = None
        remove(folder)
        os.close(handle)


def remove_abandoned(place: Path) -> None:
    """Remove folders whose lock nobody holds."""
    for lock in place.glob("course-*/lock"):
        with suppress(OSError):
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                ours = os.fstat(handle).st_uid == lock.parent.lstat().st_uid == os.geteuid()
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if ours:
                    remove(lock.parent)
            finally:
                os.close(handle)


def remove(folder: Path) -> None:
    """Remove it with `rm`, which goes as deep as there is anything; Python's own gives up after some hundred levels."""
    if shutil.which("rm"):
        subprocess.run(["rm", "-rf", "--one-file-system", "--", folder], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
