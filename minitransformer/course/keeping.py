"""Keeps answers in the notebook's folder: one writer at a time, all or nothing, and nothing unread is overwritten."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import answers
from .display import in_notebook, valid_unicode

PATIENCE = 10  # seconds: a lock that is older was left by a notebook that crashed


class NotKept(Exception):
    """Why an answer cannot be kept, or those of earlier sessions cannot be read."""


def folder() -> Path | None:
    """The notebook's folder: as its front end tells it, or else where the kernel runs; none outside a notebook."""
    if not in_notebook():
        return None
    from IPython import get_ipython

    for name in get_ipython().user_ns.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME"):
        if isinstance(name, str) and name.endswith(".ipynb") and os.path.isabs(name) and Path(name).parent.is_dir():
            return Path(name).parent
    return Path.cwd()


def kept(lesson: int) -> dict[str, answers.Given]:
    """The answers that the file of this lesson holds; nothing where there is no file."""
    return what_is_kept(lesson, answers.read)


def practised(lesson: int) -> dict:
    """What the file of this lesson holds that is not graded; nothing where there is no file."""
    return what_is_kept(lesson, answers.practice)


def what_is_kept(lesson: int, read: Callable[[bytes], dict]) -> dict:
    name = answers.file_name(lesson)
    try:
        place = folder()
        return read((place / name).read_bytes()) if place else {}
    except FileNotFoundError:
        return {}
    except answers.NewerFormat as newer:
        raise NotKept(f"{name} {newer}; what it holds cannot be shown here") from None
    except ValueError:
        raise NotKept(
            f"{name} is damaged: what it holds cannot be shown. Your next answer in lesson {lesson} sets it aside"
        ) from None
    except OSError as error:
        raise NotKept(f"{name} cannot be read ({error.strerror})") from None


def keep(question: str, text: str, student: str) -> str:
    """Add an answer to the file; return what else the student must know, if anything."""
    if max(len(text), len(student)) > answers.LONGEST:
        raise NotKept(f"an answer has at most {answers.LONGEST:,} signs, and this one has {len(text):,}")
    with writing(int(question.split(".")[0])) as path:
        if path is None:
            return ""
        note = damaged_aside(path)
        answers.keep(path, question, valid_unicode(text), valid_unicode(student))
        return note


def keep_practice(lesson: int, change: Callable[[dict], None]) -> bool:
    """Let `change` change what the file holds that is not graded; False outside a notebook, where nothing is kept.

    A damaged file stays where it is: only an answer that is graded sets it aside.
    """
    with writing(lesson) as path:
        if path is None:
            return False
        before, now = practised(lesson), practised(lesson)
        change(now)
        if now != before:
            answers.keep_practice(path, now)
        return True


@contextmanager
def writing(lesson: int) -> Iterator[Path | None]:
    """The lesson's file for this writer alone, or None outside a notebook; what stops the writing is said."""
    name = answers.file_name(lesson)
    try:
        place = folder()
        if place is None:
            yield None
            return
        with alone(place / f".{name}.lock"):
            yield place / name
    except answers.NewerFormat as newer:
        raise NotKept(f"{name} {newer}") from None
    except OSError as error:
        raise NotKept(f"{name} could not be written ({error.strerror})") from None


def damaged_aside(path: Path) -> str:
    """Give a file that cannot be read another name, and say so."""
    try:
        answers.read(path.read_bytes())
    except FileNotFoundError:
        pass
    except answers.NewerFormat:
        raise
    except ValueError:
        number = 1
        while (other := path.with_name(f"{path.stem}.damaged{f'-{number}' if number > 1 else ''}.json")).exists():
            number += 1
        path.rename(other)
        return f"{path.name} was damaged, and now stands aside as {other.name}: answer its questions again"
    return ""


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One writer at a time, whatever the system and the disk: whoever makes the lock's file may write."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with suppress(FileNotFoundError):
                if time.time() - lock.stat().st_mtime > PATIENCE or time.monotonic() > until:
                    lock.unlink()
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
