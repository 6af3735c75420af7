"""A control group for one box, where the system lets us make one: then the kernel counts, and misses nothing.

Both versions are known. A group for memory, processes and processor time may be had apart from the others (version 1).
"""

import os
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .leftovers import PREFIX, Folder, sweep

ITSELF = "grader"
# the files of each version that hold a limit: what is written there for a box's limits
FILES = {
    1: {
        "memory": {"memory.limit_in_bytes": "memory", "memory.memsw.limit_in_bytes": "memory"},
        "pids": {"pids.max": "processes"},
        "cpu": {"cpu.shares": "share"},
        "cpuacct": {},
    },
    2: {
        "memory": {"memory.max": "memory", "memory.swap.max": "nothing"},
        "pids": {"pids.max": "processes"},
        "cpu": {"cpu.weight": "weight"},
    },
}
OPTIONAL = ("memory.memsw.limit_in_bytes", "memory.swap.max")  # there is no such file where nothing is swapped
COUNTS = {"memory": "memory, shared memory too", "pids": "the number of processes", "cpu": "a fair share of processors"}
ENTER = 'for each in $0; do echo $$ > "$each/cgroup.procs" || exit 9; done; exec "$@"'


@dataclass(frozen=True)
class Place:
    """Where groups of one kind can be made."""

    version: int
    folder: Path


@cache
def places(proc: Path = Path("/proc/self")) -> dict[str, Place]:
    """For each kind, the folder of our own group in which we may make others."""
    found: dict[str, Place] = {}
    with suppress(OSError, ValueError):
        ours = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
        for mount in (proc / "mountinfo").read_text().splitlines():
            before, _, after = mount.partition(" - ")
            root, point = before.split()[3:5]
            system, _, options = after.split(" ", 2)
            for number, kinds, group in ours:
                folder = Path(point, os.path.relpath(group, root))
                if ".." in folder.parts:
                    continue
                if system == "cgroup" and kinds and set(kinds.split(",")) <= {*options.split()[-1].split(",")}:
                    found |= {kind: Place(1, folder) for kind in kinds.split(",") if kind in FILES[1]}
                if system == "cgroup2" and number == "0":
                    folder = folder.parent if folder.name == ITSELF else folder
                    found |= {kind: Place(2, folder) for kind in delegated(folder)}
    return {kind: place for kind, place in found.items() if os.access(place.folder, os.W_OK)}


def delegated(folder: Path) -> list[str]:
    """What groups in this one may count; a group of its own for the grader is made where this needs one."""
    with suppress(OSError):
        kinds = {*(folder / "cgroup.controllers").read_text().split()} & FILES[2].keys()
        given = folder / "cgroup.subtree_control"
        if missing := kinds - {*given.read_text().split()}:
            with suppress(OSError):  # a group with processes in it cannot: they move into one of their own
                if (here := [*map(int, (folder / "cgroup.procs").read_text().split())]) and {*here} <= family():
                    (folder / ITSELF).mkdir(exist_ok=True)
                    for process in here:
                        (folder / ITSELF / "cgroup.procs").write_text(str(process))
            given.write_text(" ".join(f"+{kind}" for kind in sorted(missing)))
        return sorted(kinds)
    return []


def family() -> set[int]:
    """This process and those that it has started: those that we may move."""
    import psutil

    here = psutil.Process()
    return {here.pid, *(each.pid for each in here.children(recursive=True))}


def gaps() -> tuple[str, ...]:
    """What no group counts here."""
    with Group({"memory": 1 << 30, "processes": 8}) as group:
        return tuple(text for kind, text in COUNTS.items() if kind not in group.kinds)


class Group:
    """One group of each kind that can be had, for one box; its limits are set before anything runs in it."""

    def __init__(self, limits: dict[str, int]):
        values, name = limits | {"share": 1024, "weight": 100, "nothing": 0}, f"{PREFIX}{secrets.token_hex(8)}"
        self.kinds: dict[str, Path] = {}
        self.held: dict[Path, Folder] = {}
        for kind, place in places().items():
            folder = place.folder / name
            try:
                if folder not in self.held:
                    sweep(place.folder, remove)
                    self.held[folder] = Folder(folder)
                for file, of in FILES[place.version][kind].items():
                    if (folder / file).exists() or file not in OPTIONAL:
                        (folder / file).write_text(str(values[of]))
                self.kinds[kind] = folder
            except OSError:  # this kind cannot be had here: see `gaps`
                continue

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *error: object) -> None:
        """End all that still runs in it, and remove it."""
        for folder in self.held.values():
            folder.close(remove)

    def entered(self) -> list[str]:
        """The beginning of a command that then runs in this group."""
        return ["sh", "-c", ENTER, " ".join(map(str, self.folders()))] if self.kinds else []

    def folders(self) -> list[Path]:
        return sorted(set(self.kinds.values()))

    def processes(self) -> set[int] | None:
        """All that run in it; None where no group can tell."""
        return processes_in(self.folders()[0]) if self.kinds else None

    def seconds(self) -> float | None:
        """The processor time that all of it has used; None where no group counts it."""
        if "cpuacct" in self.kinds:
            return int((self.kinds["cpuacct"] / "cpuacct.usage").read_text()) / 1e9
        if "cpu" in self.kinds and (count := self.kinds["cpu"] / "cpu.stat").exists():
            found = dict(line.split() for line in count.read_text().splitlines())
            return int(found["usage_usec"]) / 1e6 if "usage_usec" in found else None
        return None

    def took_too_much_memory(self) -> bool:
        """Whether the kernel has ended one of its processes for that."""
        for name in "memory.oom_control", "memory.events":
            with suppress(OSError, KeyError):
                found = dict(line.split() for line in (self.kinds["memory"] / name).read_text().splitlines())
                return int(found.get("oom_kill", 0)) > 0
        return False


def processes_in(folder: Path) -> set[int]:
    """All that run in this group, but for those that we cannot see: they stand there as 0."""
    with suppress(OSError):
        return {*map(int, (folder / "cgroup.procs").read_text().split())} - {0}
    return set()


def remove(folder: Path) -> None:
    """End all that runs in this group, and remove it."""
    for _ in range(500):  # a process that was ended takes a moment to be gone
        for each in processes_in(folder):
            with suppress(OSError):
                os.kill(each, signal.SIGKILL)
        with suppress(OSError):
            folder.rmdir()
        if not folder.exists():
            return
        time.sleep(0.02)
