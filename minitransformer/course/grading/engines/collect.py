"""What a class has saved of one lesson: a zip for each student, with the times, for `minitransformer grade`.

python collect.py /srv/course/students 2 collected2
"""

import os
import stat
import sys
import time
import zipfile
from pathlib import Path

LARGEST = 16 << 20  # bytes of a file; the grader takes less


def collect(students: Path, lesson: int, out: Path) -> None:
    """Every student's notebook, the answers that were clicked, and modules beside them; into a new folder."""
    out.mkdir(mode=0o700)
    for folder in sorted(path for path in students.iterdir() if path.is_dir() and not path.is_symlink()):
        with zipfile.ZipFile(out / f"{folder.name}.zip", "x") as archive:
            for pattern in (f"{lesson:02}_*.ipynb", f"answers-lesson{lesson}.json", "*.py"):
                for path in sorted(folder.glob(pattern)):
                    put(path, archive)


def put(path: Path, archive: zipfile.ZipFile) -> None:
    """A student's file may be anything: no link is followed, no pipe waited for."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with open(opened, "rb") as file:
        about = os.fstat(opened)
        if stat.S_ISREG(about.st_mode):
            inside = zipfile.ZipInfo(path.name, time.localtime(about.st_mtime)[:6])
            archive.writestr(inside, file.read(LARGEST), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    collect(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
