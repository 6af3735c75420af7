"""The walls of a box: each is looked for before a grade is given, and what is missing is said."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minitransformer.course.isolation import GRADED, cgroups, choose, problem, profiles, seccomp

working = [name for name in GRADED if not problem(name)]
needs_root = pytest.mark.skipif("uid-drop" not in working, reason="uid-drop needs root with CAP_SYS_ADMIN")
needs_both = pytest.mark.skipif({*working} < {*GRADED}, reason="not every profile works on this machine")


@needs_root
@pytest.mark.parametrize(
    ("where", "words", "said"),
    [
        ("UNSHARED", "--net", "it has no network of its own"),
        ("UNSHARED", "--ipc", "it has no shared memory of its own"),
        ("UNSHARED", "--pid --fork --kill-child", "it has no processes of its own"),
        ("WALLS", "pivot_root . old", "mount: /old: no mount point specified."),
        ("WALLS", "mount -t proc -o nosuid,nodev,noexec proc proc", "No such file or directory"),
    ],
)
def test_uid_drop_without_one_of_its_walls_gives_no_grade_and_says_which(monkeypatch, where, words, said):
    assert words in getattr(profiles, where)
    monkeypatch.setattr(profiles, where, getattr(profiles, where).replace(words, ""))
    assert said in problem("uid-drop")
    with pytest.raises(ValueError, match=r"no safe place to run students' code here \(uid-drop: .*To practise"):
        choose("uid-drop")


@needs_root
@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (["setpriv", "--no-new-privs"], "it keeps rights of root; it has no user of its own"),
        (["setpriv", "--no-new-privs", "--reuid={0}", "--regid={0}", "--groups=4"], "it has no user of its own"),
        (["setpriv", "--reuid={0}", "--regid={0}", "--clear-groups"], "no-new-privs is not set"),
    ],
)
def test_no_grade_is_given_where_the_code_keeps_rights_or_a_known_user(monkeypatch, kept, said):
    monkeypatch.setattr(profiles.User, "become", lambda user: [each.format(user.number) for each in kept])
    assert problem("uid-drop") == said


@needs_both
@pytest.mark.parametrize("profile", GRADED)
@pytest.mark.parametrize("mode", [0o755, 0o711, 0o700])
def test_no_grade_is_given_where_something_of_the_class_is_in_sight(tmp_path, monkeypatch, profile, mode):
    tmp_path.chmod(0o755)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "ada.ipynb").write_text("{}")
    (tmp_path / "class").chmod(mode)
    closed = tmp_path / "class", tmp_path / "class/ada.ipynb", tmp_path / "not-there"
    assert not problem(profile, closed)
    monkeypatch.setattr(profiles, "SEEN", (*profiles.SEEN, str(tmp_path)))
    assert f"{tmp_path}/class is open to it" in problem(profile, closed) and "not-there" not in problem(profile, closed)


@needs_both
def test_what_auto_fell_back_from_is_said_with_what_is_missing(monkeypatch):
    monkeypatch.setitem(profiles.GRADED, "bubblewrap", lambda course, user: ["false"])
    monkeypatch.setitem(profiles.PROFILES, "bubblewrap", profiles.GRADED["bubblewrap"])
    monkeypatch.setattr(cgroups, "places", dict)
    monkeypatch.setattr(seccomp, "FILTERED", False)
    chosen = choose("auto")
    assert chosen.name == "uid-drop" and chosen.missing[0] == "bubblewrap: it failed"
    for what in (*cgroups.COUNTS.values(), "a filter of system calls"):
        assert sum(what in each for each in chosen.missing) == 1


def test_root_without_its_rights_is_told_what_to_start_the_container_with(monkeypatch):
    monkeypatch.setattr(profiles, "SYS_ADMIN", 1 << 60)
    monkeypatch.setattr(profiles, "ROOT", True)
    assert f"docker run {profiles.CONTAINER}" in problem("uid-drop")
    monkeypatch.setattr(profiles, "ROOT", False)
    assert problem("uid-drop") == "only root can give the code another user"


# what root may do in a container that is started without options
IN_DOCKER = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,\
+sys_chroot,+mknod,+audit_write,+setfcap"
CHOOSES = "from minitransformer.course.isolation import choose\nprint(choose('auto'))"


@needs_both
@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("", "uid-drop: root has no CAP_SYS_ADMIN here"),
        (",+sys_admin", "Chosen(name='uid-drop', missing=('bubblewrap: bwrap: loopback"),
        (",+sys_admin,+net_admin", "Chosen(name='bubblewrap'"),
    ],
)
def test_in_a_container_root_gives_grades_with_the_rights_that_the_page_names_and_not_without(added, said):
    rights = "setpriv", f"--bounding-set={IN_DOCKER}{added}", "--inh-caps=-all"
    done = subprocess.run([*rights, sys.executable, "-c", CHOOSES], capture_output=True, text=True)
    assert said in done.stdout + done.stderr and (done.returncode == 0) == bool(added)


@needs_root
def test_no_two_boxes_at_a_time_have_the_same_user():
    users = [profiles.User() for _ in range(50)]
    assert len({user.number for user in users}) == 50
    taken = users[0].number
    for user in users:
        user.held.close()
    assert not profiles.known(taken) and profiles.known(0)


def process(tmp_path: Path, group: str) -> Path:
    """A folder that looks like /proc/self of a process in this group, where groups of version 2 are."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cgroup").write_text(f"0::{group}")
    (tmp_path / "proc/mountinfo").write_text(f"31 23 0:28 / {tmp_path}/groups rw - cgroup2 cgroup2 rw\n")
    return tmp_path / "proc"


def made(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in {"controllers": "cpu io memory pids", "subtree_control": "pids", **files}.items():
        (folder / f"cgroup.{name}").write_text(text)
    return folder


@pytest.mark.parametrize(("group", "inside"), [("/a/b", False), ("/a/b/grader", False), ("/a/b", True)])
def test_groups_of_version_2_are_made_where_they_may_count(tmp_path, group, inside):
    """In our own group, or in that above where we are in a group for the grader, which is made where it is needed."""
    folder = made(tmp_path / "groups/a/b", procs=f"{os.getpid()}" if inside else "")
    found = cgroups.places.__wrapped__(process(tmp_path, group))
    assert found == dict.fromkeys(("cpu", "memory", "pids"), cgroups.Place(2, folder))
    assert (folder / "cgroup.subtree_control").read_text() == "+cpu +memory"
    moved = folder / "grader/cgroup.procs"
    assert moved.exists() == inside and (not inside or int(moved.read_text()) == os.getpid())


def test_who_shares_a_group_with_others_does_not_move_them(tmp_path):
    folder = made(tmp_path / "groups/a/b", procs=f"1\n{os.getpid()}")
    cgroups.places.__wrapped__(process(tmp_path, "/a/b"))
    assert not (folder / "grader").exists()  # a real kernel then refuses the rest


def test_where_no_group_can_be_made_nothing_is_found_and_all_of_it_is_missing(tmp_path, monkeypatch):
    assert cgroups.places.__wrapped__(process(tmp_path, "/a/b")) == {}
    assert cgroups.places.__wrapped__(tmp_path / "no-such") == {}
    monkeypatch.setattr(cgroups, "places", dict)
    assert cgroups.gaps() == (*cgroups.COUNTS.values(),)


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_holds_its_limits_before_anything_runs_in_it(tmp_path, monkeypatch, version):
    """Here on plain files: a kernel has one of both versions."""
    monkeypatch.setattr(
        cgroups, "places", lambda: dict.fromkeys(cgroups.FILES[version], cgroups.Place(version, tmp_path))
    )
    group = cgroups.Group({"memory": 1234, "processes": 56})
    (folder,) = group.folders()
    held = {path.name: path.read_text() for path in folder.iterdir()}
    assert (
        held
        == {
            1: {"memory.limit_in_bytes": "1234", "pids.max": "56", "cpu.shares": "1024"},
            2: {"memory.max": "1234", "pids.max": "56", "cpu.weight": "100"},
        }[version]
    )  # a box weighs as much as any process or group does by itself
    (folder / "cgroup.procs").write_text("0\n")  # one that cannot be seen from here; nobody is ended for it
    assert group.processes() == set()
    for path in folder.iterdir():
        path.unlink()
    with group:
        pass
    assert not folder.exists()


TRIES = """
import ctypes, json, sys
sys.path.insert(0, sys.argv[1])
import seccomp
seccomp.put_on()
libc = ctypes.CDLL(None, use_errno=True)
def errno_of(number, *given):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, given))
    return ctypes.get_errno()
status = open("/proc/self/status").read()
_, place, _, socket = seccomp.MACHINES[seccomp.platform.machine()]
print(json.dumps({
    "set": "NoNewPrivs:\\t1" in status and "Seccomp:\\t2" in status,
    "refused": {name: errno_of(n[place], 0, 0, 0, 0) for name, n in seccomp.REFUSED.items() if n[place] >= 0},
    "clone3": errno_of(seccomp.CLONE3, 0, 0),
    "sockets": [errno_of(socket, family, 1, 0) for family in (1, 2, 10, 16, 17, 40)],
    "getpid": errno_of(39 if place == 0 else 172),
}))
"""


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, str(Path(seccomp.__file__).parent)], capture_output=True)


@pytest.mark.skipif(not seccomp.FILTERED, reason="there is no filter for this machine")
def test_the_filter_refuses_what_it_names_and_lets_the_rest_through():
    done = subprocess.run(
        [sys.executable, "-c", TRIES, str(Path(seccomp.__file__).parent)], capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["set"] and set(found["refused"].values()) == {1} and found["clone3"] == 38 and not found["getpid"]
    assert found["sockets"][:2] == [0, 0] and set(found["sockets"][3:]) == {1}  # where there is no IPv6, ten says so


@pytest.mark.parametrize(("place", "header"), [(0, "x86_64-linux-gnu/asm/unistd_64.h"), (1, "asm-generic/unistd.h")])
def test_the_numbers_of_system_calls_are_the_kernel_s(place, header):
    if not (path := Path("/usr/include", header)).exists():
        pytest.skip("the kernel's headers are not installed")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", path.read_text())}
    ours = {name: numbers[place] for name, numbers in seccomp.REFUSED.items() if numbers[place] >= 0}
    _, _, clone, socket = [*seccomp.MACHINES.values()][place]
    ours |= {"clone": clone, "socket": socket, "clone3": seccomp.CLONE3}
    assert len(known) > 200 and {name: known.get(name, number) for name, number in ours.items()} == ours


I386 = """
import ctypes, mmap, sys
sys.path.insert(0, sys.argv[1])
import seccomp
seccomp.put_on()
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("b814000000cd80c3"))  # getpid as a program of 32 bits asks for it
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only there is another door")
def test_the_filter_ends_who_goes_round_it_by_the_calls_of_another_machine():
    assert run(I386).returncode in (-31, -11)  # SIGSYS, or SIGSEGV where the kernel has no such calls
