"""Runs beside a student's code, closed in: reads the code and answers calls. The grader trusts nothing that it says.

`python -I child.py FOLDER DOOR LESSON LIMITS`. It sees `wire.py` and the course's open part only. Through DOOR, a
socket, it gets a pipe for each exercise and forks a process to serve it: torch is imported once, and no exercise
disturbs another: what the last one has started and written is gone before the next one begins.
"""

import builtins
import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

DIE_WITH_PARENT, OPEN_TO_OTHERS, ADOPT_ORPHANS = 1, 4, 36  # PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER


class StudentCode:
    """The code of one exercise. Each method is a kind of message that the grader sends, and `served` asks it back."""

    def __init__(self, served: Callable):
        self.served = served

    def begin(self, modules: dict[str, str], pieces: list[tuple[int, str]], own: list[int], answer: str) -> None:
        """`modules` are sources of modules that this exercise may use. An error counts if no answer is defined."""
        for name, source in modules.items():
            module = sys.modules[f"minitransformer.{name}"] = ModuleType(f"minitransformer.{name}")
            module.__package__ = "minitransformer"
            exec(compile(source, name, "exec"), vars(module))
            own_names = {key: it for key, it in vars(module).items() if key[:2] != "__"}
            vars(sys.modules["minitransformer"]).update(own_names | {name: module})
        self.answers = sys.modules["answers"] = ModuleType("answers")
        trouble = None
        for place, source in pieces:
            try:
                exec(compile(source, f"<{place}>", "exec"), vars(self.answers))
            except BaseException as error:
                trouble = trouble or (error if place in own else None)
        if trouble and answer not in vars(self.answers):
            raise trouble

    def call(self, module: str, ask: str, answer: str, serves: bool, *inputs: object) -> object:
        plain = importlib.import_module("minitransformer.course.plain_data").plain
        asking, beside = getattr(importlib.import_module(module), ask), {"served": self.served} if serves else {}
        return plain(asking(getattr(self.answers, answer), *map(plain, inputs), **beside))


def serve(pipe: Connection, wire: ModuleType) -> None:
    here, code = os.getpid(), StudentCode(partial(asked_back, pipe, wire))
    while True:
        kind, *parts = wire.unpacked(pipe.recv_bytes())
        try:
            reply = wire.packed(["gave", getattr(code, kind)(*parts)])
        except BaseException as error:  # an exit, too, is only something that happened
            reply = wire.packed(trouble(error))
        if os.getpid() != here:  # a process that the student's code has forked
            return
        pipe.send_bytes(reply)


def asked_back(pipe: Connection, wire: ModuleType, method: str, *inputs: object) -> object:
    """What the judge answers while it waits for the reply; where it cannot, its error is raised here."""
    plain = importlib.import_module("minitransformer.course.plain_data").plain
    pipe.send_bytes(wire.packed(["request", [method, *map(plain, inputs)]]))
    kind, value = wire.unpacked(pipe.recv_bytes())
    if kind == "gave":
        return value
    name, text = value
    known = getattr(builtins, name, None)
    raise (known if isinstance(known, type) and issubclass(known, Exception) else RuntimeError)(text)


def trouble(error: BaseException) -> list:
    """What kind of error it is, and on which line of which piece."""
    blank = type(error) is NotImplementedError and (not error.args or "not written yet" in str(error.args[0]))
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    frames += [(error.filename or "", error.lineno or 0)] if isinstance(error, SyntaxError) else []
    places = [(int(name[1:-1]), line) for name, line in frames if name[1:-1].isdigit()]
    return ["blank" if blank else "raised", [type(error).__name__, *(places[-1] if places else (0, 0))]]


def tidy_up() -> None:
    """End everything that was started here, also what has hidden, and remove everything that was written."""
    while children := [*map(int, Path("/proc/thread-self/children").read_text().split())]:
        for each in children:
            os.kill(each, signal.SIGKILL)
        for each in children:
            os.waitpid(each, 0)
    while left := os.listdir()[:1000]:  # a command takes only so many names
        subprocess.run(["chmod", "-R", "u+rwx", "--", *left], check=False)
        subprocess.run(["rm", "-rf", "--", *left], check=True)


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def address_space() -> int:
    """The bytes of addresses that this process has, whether or not there is memory behind them."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main(folder: str, door: str, lesson: str, limits: str) -> None:
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    prctl(DIE_WITH_PARENT, signal.SIGKILL)
    prctl(ADOPT_ORPHANS, 1)
    prctl(OPEN_TO_OTHERS, 0)  # an exercise reads and changes no memory of this process
    os.nice(5)  # the grader goes first
    seccomp, wire, _ = map(importlib.import_module, ("seccomp", "wire", "minitransformer"))
    for name, limit in json.loads(limits).items():
        limit += address_space() if name == "AS" else 0  # torch alone has 3 GB where it is built for CUDA
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    seccomp.put_on()
    asking = Path(folder, f"minitransformer/course/lesson{lesson}").glob("ask*.py")
    if any("torch.optim" in path.read_text(encoding="utf-8") for path in asking):
        importlib.import_module("torch._dynamo")  # each fork's first optimizer would import it, for a second each time
    pipes = socket.socket(fileno=int(door))
    while handed := socket.recv_fds(pipes, 1, 1)[1]:
        tidy_up()
        if not os.fork():
            try:
                prctl(DIE_WITH_PARENT, signal.SIGKILL)
                prctl(OPEN_TO_OTHERS, 1)
                pipes.close()
                serve(Connection(handed[0]), wire)
            finally:
                os._exit(0)
        os.close(handed[0])
        pipes.send(b"!")


if __name__ == "__main__":
    main(*sys.argv[1:])
