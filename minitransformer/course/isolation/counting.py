"""What a box's processes use, counted by looking at them: for machines on which no control group counts it."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

FILE = 1024  # about what the kernel keeps for an empty file


def memory_of(processes: Iterable[psutil.Process], scratch: Path) -> int:
    """Bytes: their own, those that they share (once, and whole: what is put away is not gone), and their files."""
    own, shared, files = 0, {}, 0
    for each in processes:
        with suppress(OSError, ValueError, psutil.Error):
            own += own_memory(each.pid)
            shared |= mapped_together(each.pid)
        with suppress(OSError):  # another user's are not for everyone to see
            shared |= {(at.st_dev, at.st_ino): at.st_blocks * 512 for at in files_of_no_name(each.pid)}
            files = max(files, files_in(f"/proc/{each.pid}/root{scratch}"))
    return own + sum(shared.values()) + files


def own_memory(process: int) -> int:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return sum(int(lines.get(name, "0").split()[0]) << 10 for name in ("RssAnon", "VmSwap"))


def mapped_together(process: int) -> dict[tuple, int]:
    """The size of each piece of memory that it may share, by what it is a piece of."""
    found: dict[tuple, int] = {}
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        addresses, rights, _, device, number, *_ = line.split()
        if rights[3] == "s":
            begin, end = (int(each, 16) for each in addresses.split("-"))
            major, minor = (int(each, 16) for each in device.split(":"))
            key = os.makedev(major, minor), int(number)
            found[key] = found.get(key, 0) + end - begin
    return found


def files_of_no_name(process: int) -> Iterable[os.stat_result]:
    for hold in os.scandir(f"/proc/{process}/fd"):
        with suppress(OSError):
            at = os.stat(hold.path)
            if stat.S_ISREG(at.st_mode) and not at.st_nlink:
                yield at


def files_in(folder: str) -> int:
    """What a file system in memory holds; a real one is not counted."""
    if os.stat(folder).st_dev == os.stat(f"{folder}/..").st_dev:
        return 0
    at = os.statvfs(folder)
    return (at.f_blocks - at.f_bfree) * at.f_frsize + (at.f_files - at.f_ffree) * FILE


def seconds_of(processes: Iterable[psutil.Process]) -> float:
    """Processor time, with that of their children that are gone."""
    total = 0.0
    for each in processes:
        with suppress(psutil.Error):
            total += sum(each.cpu_times()[:4])
    return total


def any_works(processes: Iterable[psutil.Process]) -> bool:
    """Whether one of their threads works, or would if there were a processor or a disk for it."""
    for each in processes:
        with suppress(OSError, IndexError):
            for thread in Path(f"/proc/{each.pid}/task").iterdir():
                if (thread / "stat").read_text().rpartition(") ")[2][:1] in ("R", "D"):
                    return True
    return False
