"""Runs beside a student's code, shut in: loads the answers and answers calls. Nothing that it says is believed.

`python -I child.py FOLDER PIPE USER LESSON {"memory": …}`; it sees `wire.py` and the course's open part only.
"""

import importlib
import json
import os
import resource
import socket
import sys
import traceback
import types
from importlib.abc import SourceLoader


def shut_in(user: int, limits: dict[str, int]) -> None:
    """What root may do is given up before any limit is set, so that none can be lifted again."""
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    names = {"memory": "AS", "processes": "NPROC", "file": "FSIZE", "files": "NOFILE", "core": "CORE"}
    for name, what in names.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (limits[name], limits[name]))


class Piece(SourceLoader):
    """A piece of code that needs no disk, which an earlier one may have filled."""

    def __init__(self, name: str, source: str):
        self.name, self.source = f"<{name}>", source

    def get_filename(self, fullname: str) -> str:
        return self.name

    def get_data(self, path: str) -> bytes:
        return self.source.encode()


class Desk:
    """Where calls arrive: each method is a kind of call."""

    def __init__(self, lesson: str):
        import minitransformer

        self.answers, self.package = types.ModuleType("answers"), minitransformer
        sys.modules["answers"] = self.answers
        hidden = ("PromptTuning", "PrefixTuning", "KeyValuePrefix")
        later = {name: None for name in hidden if name not in vars(minitransformer)}
        vars(minitransformer).update(later)  # the asks may name what is handed over later
        self.asks = importlib.import_module(f"minitransformer.exercises.asks.lesson{lesson}")
        for name in later:
            delattr(minitransformer, name)
        self.plain = sys.modules["minitransformer.exercises.asks.plain"].plain

    def load(self, name: str, source: str) -> None:
        """One piece of the student's, into the module that all of them share."""
        Piece(name, source).exec_module(self.answers)

    def hand_over(self, source: str) -> None:
        """Soft prompts ready made, once nobody is asked to write them any more."""
        late = types.ModuleType("minitransformer.late")
        late.__package__ = "minitransformer"
        Piece("late", source).exec_module(late)
        vars(self.package).update({name: thing for name, thing in vars(late).items() if isinstance(thing, type)})
        self.asks = importlib.reload(self.asks)

    def call(self, ask: str, answer: str, given: list) -> object:
        return self.plain(getattr(self.asks, ask)(getattr(self.answers, answer), *map(self.plain, given)))

    def reply(self, kind: str, given: list) -> tuple[str, object]:
        try:
            return "gave", getattr(self, kind)(*given)
        except BaseException as error:  # an exit, too, is only something that happened
            blank = type(error) is NotImplementedError and (not error.args or "not written yet" in str(error.args[0]))
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename[0] == "<"]
            line = [frames[-1].filename[1:-1], frames[-1].lineno] if frames else ["", 0]
            return "blank" if blank else "raised", [type(error).__name__, *line]


def main(folder: str, pipe: str, user: str, lesson: str, limits: str) -> None:
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    bounds = json.loads(limits)
    shut_in(int(user), bounds)
    import wire

    link = socket.socket(fileno=int(pipe))
    stream = link.makefile("rb")
    desk = Desk(lesson)
    link.sendall(wire.packed(0, "ready", None))
    while sizes := stream.read(wire.LENGTHS.size):
        header, data = (stream.read(size) for size in wire.LENGTHS.unpack(sizes))
        number, kind, given = wire.unpacked(header, data)
        reply = wire.packed(number, *desk.reply(kind, given))
        if len(reply) > bounds["reply"]:
            reply = wire.packed(number, "too-much", None)
        link.sendall(reply)


if __name__ == "__main__":
    main(*sys.argv[1:])
