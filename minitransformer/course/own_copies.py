"""A student's own copies of the notebooks: nobody works in what git tracks, and no student's work is written over."""

import os
import socket
from pathlib import Path

from ..files.whole import write_whole

FOLDER = Path("minitransformer-lessons")  # where nothing else is said


def copy_lessons(lessons: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Copy the student's notebooks into this folder: which were copied, and which were there and stay as they are."""
    refuse_the_lessons_themselves(lessons, folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"the lessons are copied into a folder, and {folder} is a file: name another one, --copy-to")
    copied, kept = [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "Permission denied")
        for notebook in sorted(lessons.glob("[0-9][0-9]_*.ipynb")):
            (copied if copy_new(notebook, folder / notebook.name) else kept).append(notebook.name)
    except OSError as error:
        why = f"the lessons cannot be copied to {folder} ({error.strerror}): name a folder of your own, --copy-to"
        raise OSError(error.errno, why) from None
    return copied, kept


def refuse_the_lessons_themselves(lessons: Path, folder: Path) -> None:
    """Neither where the lessons stand nor, unless it is hidden from view there, above it: solutions would be seen."""
    lessons, folder = lessons.resolve(), folder.resolve()
    above = lessons.is_relative_to(folder) and not any(
        part.startswith(".") for part in lessons.relative_to(folder).parts
    )
    if above or folder.is_relative_to(lessons):
        raise ValueError(
            f"expected a folder for copies, got {folder}, in which the lessons themselves stand with their sources: "
            f"name another one, such as --copy-to {FOLDER}"
        )


def copy_new(notebook: Path, place: Path) -> bool:
    """Copy it, whole or not at all, unless something is there already."""
    if os.path.lexists(place):
        return False
    write_whole(place, notebook.read_bytes())
    return True


def jupyterlab(folder: Path, port: int | None, no_browser: bool) -> list[str]:
    """What JupyterLab is started with: at this port or not at all, and by root, too, as containers do."""
    words = [str(folder)]
    if port is not None:
        refuse_a_taken_port(port)
        words += [f"--port={port}", "--ServerApp.port_retries=0"]
    words += ["--no-browser"] * no_browser
    return words + ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)


def refuse_a_taken_port(port: int) -> None:
    with socket.socket() as trial:
        if os.name == "posix":  # one that was left a minute ago is free; elsewhere this option lets two listen
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
        except OSError as error:
            why = f"JupyterLab cannot listen at port {port} ({error.strerror}): name another one, or leave out --port"
            raise OSError(error.errno, why) from None
