"""Folders that go with whoever made them: a lock that ends with a process tells the others that it is gone."""

import fcntl
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PREFIX = "student-box-"


class Folder:
    """A new folder, held as long as we live; `remove` is called on it at the end, by us or by whoever comes next."""

    def __init__(self, path: Path):
        self.path = path
        while True:
            path.mkdir(0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                self.lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                fcntl.flock(self.lock, fcntl.LOCK_EX)
                if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(self.lock)):
                    return
                os.close(self.lock)  # one who sweeps took it between the first line and the third

    def close(self, remove: Callable[[Path], None]) -> None:
        remove(self.path)
        os.close(self.lock)


def sweep(place: Path, remove: Callable[[Path], None]) -> None:
    """Remove the folders in this place that were ours, or a predecessor's, and that nobody holds any longer."""
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.geteuid():
                    remove(path)
            finally:
                os.close(lock)


def remove_tree(path: Path) -> None:
    """With the system's programs: Python's own way gives up after some hundred folders in each other."""
    for command in ["chmod", "-R", "u+rwx"], ["rm", "-rf", "--one-file-system"]:
        subprocess.run([*command, "--", path], check=False, stderr=subprocess.DEVNULL)
