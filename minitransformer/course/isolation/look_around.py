"""Run inside an empty box, with the paths that nobody there may read: says which of the promised walls do not stand."""

import os
import socket
import sys
from collections.abc import Iterator


def gaps(user: str, closed: list[str]) -> Iterator[str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        status = dict(line.split(":", 1) for line in file)
    if status["NoNewPrivs"].split() != ["1"]:
        yield "no-new-privs is not set"
    if any(int(status[rights], 16) for rights in ("CapEff", "CapPrm", "CapInh", "CapAmb")):
        yield "it keeps rights of root"
    if user and (os.getresuid() != (int(user),) * 3 or os.getresgid() != (int(user),) * 3 or os.getgroups()):
        yield "it has no user of its own"
    if {name for _, name in socket.if_nameindex()} > {"lo"}:
        yield "the network is open"
    if len([name for name in os.listdir("/proc") if name.isdigit()]) > 4:
        yield "other processes can be seen"
    if os.access("/", os.W_OK):
        yield "its files can be changed"
    yield from (f"{path} is open to it" for path in closed if readable(path))


def readable(path: str) -> bool:
    try:
        return bool(os.listdir(path)) if os.path.isdir(path) else not open(path, "rb").close()
    except OSError:
        return False


if __name__ == "__main__":
    print(*gaps(sys.argv[1], sys.argv[2:]), sep="\n", end="")
