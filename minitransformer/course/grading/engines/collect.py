"""What a class has saved of one lesson, as a zip for `minitransformer grade`, with the times at which it was saved.

python collect.py /srv/course/students 2 lesson2.zip
"""

import os
import stat
import sys
import time
import zipfile
from pathlib import Path

LARGEST = 16 << 20  # bytes of a file; the grader takes less


def collect(students: Path, lesson: int, out: Path) -> None:
    """Every student's notebook, the answers that were clicked, and modules beside them; links are left out.

    The students' files may be anything: none is waited for, and none leads out of its folder.
    """
    wanted = f"{lesson:02}_*.ipynb", f"answers-lesson{lesson}.json", "*.py"
    with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted(path for path in students.iterdir() if path.is_dir() and not path.is_symlink()):
            for path in sorted(path for pattern in wanted for path in folder.glob(pattern)):
                try:
                    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                except OSError:
                    continue
                with open(opened, "rb") as file:
                    about = os.fstat(opened)
                    if stat.S_ISREG(about.st_mode):
                        when = time.localtime(about.st_mtime)[:6]
                        inside = zipfile.ZipInfo(f"{folder.name}/{path.name}", when)
                        archive.writestr(inside, file.read(LARGEST), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    collect(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
