"""Runs beside a student's code, shut in: loads the answers and answers calls. Nothing that it says is believed.

`python -I child.py FOLDER PIPE LIMITS`. It sees `wire.py` and the course's open part only. Each exercise gets a
fork of this process, so torch is imported once and no exercise can disturb another.
"""

import importlib
import json
import os
import resource
import sys
import traceback
import types
from multiprocessing.connection import Connection

AHEAD = {3: "torch._dynamo"}  # by lesson: what every exercise's optimizer would import anew, for a second each time


class Desk:
    """Where calls arrive, for one exercise: each method is a kind of call."""

    def begin(self, lesson: int, given: dict[str, str]) -> None:
        """`given` is the source of modules that this exercise hands out, and that are away otherwise."""
        package, self.answers = sys.modules["minitransformer"], types.ModuleType("answers")
        sys.modules["answers"] = self.answers
        for name, source in given.items():
            module = sys.modules[f"minitransformer.{name}"] = types.ModuleType(f"minitransformer.{name}")
            module.__package__ = "minitransformer"
            exec(compile(source, name, "exec"), vars(module))
            own = {key: it for key, it in vars(module).items() if getattr(it, "__module__", "") == module.__name__}
            vars(package).update(own | {name: module})
        self.asks = importlib.import_module(f"minitransformer.exercises.asks.lesson{lesson}")
        self.plain = sys.modules["minitransformer.exercises.asks.plain"].plain

    def load(self, name: str, source: str) -> None:
        """One piece of the student's, into the module that all of them share."""
        exec(compile(source, f"<{name}>", "exec"), vars(self.answers))

    def call(self, ask: str, answer: str, given: list) -> object:
        return self.plain(getattr(self.asks, ask)(getattr(self.answers, answer), *map(self.plain, given)))

    def reply(self, kind: str, given: list) -> tuple[str, object]:
        try:
            return "gave", getattr(self, kind)(*given)
        except BaseException as error:  # an exit, too, is only something that happened
            blank = type(error) is NotImplementedError and (not error.args or "not written yet" in str(error.args[0]))
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename[:1] == "<"]
            line = [frames[-1].filename[1:-1], frames[-1].lineno] if frames else ["", 0]
            return "blank" if blank else "raised", [type(error).__name__, *line]


def main(folder: str, pipe: str, limits: str) -> None:
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    bounds = json.loads(limits)
    longest = bounds.pop("REPLY")
    for name, limit in bounds.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    import wire

    import minitransformer  # noqa: F401

    link = Connection(int(pipe))

    def serve(message: list) -> None:
        desk, here = Desk(), os.getpid()
        while message[1] != "end":
            number, kind, given = message
            reply = wire.packed([number, *desk.reply(kind, given)])
            if os.getpid() != here:  # a student's fork that came back
                break
            link.send_bytes(reply if len(reply) <= longest else wire.packed([number, "too-much", None]))
            message = wire.unpacked(link.recv_bytes())
        os._exit(0)

    while message := wire.unpacked(link.recv_bytes()):
        if message[1] == "begin":
            importlib.import_module(AHEAD.get(message[2][0], "torch"))
            if not os.fork():
                serve(message)
            os.wait()
        link.send_bytes(wire.packed([message[0], "ended", None]))


if __name__ == "__main__":
    main(*sys.argv[1:])
