"""Run inside an empty box, with the paths that nobody there may see: says which of the promised walls do not stand."""

import json
import os
import sys
from collections.abc import Iterator

APART = {"net": "network", "mnt": "file system", "pid": "processes", "ipc": "shared memory"}  # the kernel's namespaces


def namespaces() -> dict[str, str]:
    return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in APART}


def gaps(user: str, outside: dict[str, str], closed: list[str]) -> Iterator[str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        status = dict(line.split(":", 1) for line in file)
    if status["NoNewPrivs"].split() != ["1"]:
        yield "no-new-privs is not set"
    if any(int(status[rights], 16) for rights in ("CapEff", "CapPrm", "CapInh", "CapAmb")):
        yield "it keeps rights of root"
    if user and (os.getresuid() != (int(user),) * 3 or os.getresgid() != (int(user),) * 3 or os.getgroups()):
        yield "it has no user of its own"
    yield from (f"it has no {APART[kind]} of its own" for kind, ours in namespaces().items() if ours == outside[kind])
    if len([name for name in os.listdir("/proc") if name.isdigit()]) > 4:
        yield "other processes can be seen"
    if os.access("/", os.W_OK):
        yield "its files can be changed"
    yield from (f"{path} is open to it" for path in closed if is_there(path))


def is_there(path: str) -> bool:
    """Whether it can be seen at all; an empty folder stands where a package is hidden."""
    try:
        return (not os.path.isdir(path) and os.path.lexists(path)) or bool(os.listdir(path))
    except FileNotFoundError:
        return False
    except OSError:
        return True


if __name__ == "__main__":
    user, outside, *closed = sys.argv[1:]
    print(*gaps(user, json.loads(outside), closed), sep="\n", end="")
