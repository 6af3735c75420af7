"""Files are written whole or not at all: whatever happens, a path holds what was there before or all of the new."""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no locks on folders: what a killed process leaves stays there
    fcntl = None


def write_whole(path: str | Path, data: bytes) -> None:
    """Write one file, all of it or none of it: a crash leaves what was there before.

    Links are followed, and a file keeps its mode. What a killed process left unfinished is removed.
    """
    path = destination(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.unfinished")
    with undisturbed(path):
        try:
            with open(unfinished, "xb") as file:
                if path.exists():
                    os.chmod(unfinished, stat.S_IMODE(path.stat().st_mode))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def destination(path: str | Path) -> Path:
    """Where links lead to; refused if something stands there that is not a file to be replaced."""
    real = Path(os.path.realpath(path))
    if os.path.lexists(real) and not stat.S_ISREG(real.lstat().st_mode):
        raise ValueError(f"{path} is no regular file but {kind(real.lstat().st_mode)}; give the path of a file")
    return real


def kind(mode: int) -> str:
    kinds = {
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISLNK: "a broken link",
    }
    return next((name for holds, name in kinds.items() if holds(mode)), "a device")


@contextmanager
def undisturbed(path: Path) -> Iterator[None]:
    """Writers share a lock on the folder; who has it alone knows that unfinished files belong to nobody.

    A process that ends, however it ends, loses its lock.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY) if fcntl else None
    except OSError:  # it may be written to and not read
        folder = None
    try:
        if folder is not None:
            with suppress(OSError):  # someone else writes here, or the file system knows no locks
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_unfinished(path)
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_SH)
        yield
    finally:
        if folder is not None:
            os.close(folder)


def remove_unfinished(path: Path) -> None:
    name = re.compile(rf"\.{re.escape(path.name)}\.([0-9a-f]{{16}}|\d+)\.unfinished")
    for other in os.listdir(path.parent):
        if name.fullmatch(other):
            (path.parent / other).unlink(missing_ok=True)
