"""A job may do to its process what it likes: it costs this job, the others get their results, and nothing stays."""

import ast
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from minitransformer.course.grading.workers import Bounds, Died, Workers, remove_abandoned

BOUNDS = Bounds(memory=2 << 30, seconds=4)


def prepared():
    return deed


def deed(job: tuple[str, str]) -> bytes:
    return globals()[job[0]](job[1])


def good(text: str) -> bytes:
    return text.encode()


def raises(_: str) -> bytes:
    raise OSError(28, "No space left on device")


def exits(_: str) -> bytes:
    raise SystemExit


def ends_at_once(_: str) -> bytes:
    os._exit(0)


def crashes(_: str) -> bytes:
    ctypes.string_at(0)


def is_killed(_: str) -> bytes:
    os.kill(os.getpid(), 9)


def never_ends(_: str) -> bytes:
    while True:
        pass


def takes_memory(_: str) -> bytes:
    return b"x" * (8 << 30)


def takes_a_little_memory(_: str) -> bytes:
    return str(len(bytes(64 << 20))).encode()


def reads_the_bomb(_: str) -> bytes:
    """A notebook of eight megabytes, and three gigabytes when Python reads it."""
    ast.parse("a;" * (4 << 20))


def says_too_much(_: str) -> bytes:
    return b"x" * (64 << 20)


def leaves_children(_: str) -> bytes:
    for number in range(3):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", f"left-{os.getppid()}-{number}"],
                         start_new_session=True)  # fmt: skip
    return str(os.getppid()).encode()


def leaves_children_and_crashes(_: str) -> bytes:
    leaves_children("")
    crashes("")


def cannot_prepare():
    raise OSError(28, "No space left on device")


def left(words: str) -> list[str]:
    lines = []
    for each in psutil.process_iter():
        try:
            lines.append(" ".join(each.cmdline()))
        except psutil.Error:
            continue
    return [line for line in lines if words in line]


def results(jobs: list[tuple[str, str]], at_once: int = 2) -> dict[int, bytes | Died]:
    with Workers(prepared, BOUNDS) as workers:
        return dict(workers.results(jobs, at_once))


WORD = {"raises": "No space left", "exits": "SystemExit", "ends_at_once": "ended", "crashes": "SIGSEGV",
        "is_killed": "SIGKILL", "never_ends": "longer than 4 s", "takes_memory": "memory",
        "reads_the_bomb": "it took", "says_too_much": "ended",
        "leaves_children_and_crashes": "SIGSEGV"}  # fmt: skip


@pytest.fixture(scope="module")
def after_every_deed():
    jobs = [job for name in WORD for job in ((name, ""), ("good", f"after {name}"))]
    return dict(zip(jobs, (it for _, it in sorted(results(jobs).items())), strict=True))


@pytest.mark.parametrize("name", WORD)
def test_whatever_a_job_does_it_alone_has_no_result_and_says_why(after_every_deed, name):
    came = after_every_deed[name, ""]
    assert isinstance(came, Died) and WORD[name] in came.why and "\n" not in came.why


@pytest.mark.parametrize("name", WORD)
def test_the_next_job_has_its_result(after_every_deed, name):
    assert after_every_deed["good", f"after {name}"] == f"after {name}".encode()


def test_what_torch_has_mapped_before_is_not_the_job_s_memory():
    """Where torch is built for CUDA that is 3 GB of addresses; the limit here is less than torch for processors has."""
    with Workers(prepared, Bounds(memory=128 << 20, seconds=60)) as workers:
        assert dict(workers.results([("takes_a_little_memory", ""), ("takes_memory", "")], 1)) == {
            0: str(64 << 20).encode(), 1: Died("it took more memory than a grader may take")
        }  # fmt: skip


def test_what_a_job_has_started_ends_with_it():
    found = {}
    with Workers(prepared, BOUNDS) as workers:
        for place, result in workers.results([("leaves_children", ""), ("leaves_children_and_crashes", "")], 1):
            found[place] = result, left(f"left-{workers.server.pid}")
    assert found[0][0].isdigit() and [lines for _, lines in found.values()] == [[], []]


def test_where_nothing_can_be_prepared_one_error_says_why():
    with pytest.raises(OSError, match=r"nothing can be graded here: OSError.*No space left"), Workers(
        cannot_prepare, BOUNDS
    ) as workers:  # fmt: skip
        list(workers.results([("good", "")], 1))


def test_where_the_server_is_killed_one_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # its folder stays until the next grader comes, and none may come
    monkeypatch.setattr(tempfile, "tempdir", None)
    with Workers(prepared, BOUNDS) as workers:
        jobs = workers.results([("good", ""), ("never_ends", ""), ("good", "")], 1)
        assert next(jobs) == (0, b"")
        psutil.Process(workers.server.pid).kill()
        with pytest.raises(OSError, match="Run the same command to go on"):
            list(jobs)


COMMAND = """
import sys
sys.path[:0] = {paths!r}
from test_workers import BOUNDS, prepared
from minitransformer.course.grading.workers import Workers
if __name__ == "__main__":
    with Workers(prepared, BOUNDS) as workers:
        for _, result in workers.results([("good", ""), ("never_ends", ""), ("leaves_children", "")] * 2, 2):
            print(result, flush=True)
"""


def test_when_the_command_is_killed_nothing_goes_on_and_nothing_stays(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND.format(paths=[str(Path(__file__).parent), *sys.path]))
    surroundings = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, script], env=surroundings, stdout=subprocess.PIPE) as command:
        assert command.stdout.readline() == b"b''\n"
        (folder,) = tmp_path.glob("course-*")
        family = psutil.Process(command.pid).children(recursive=True)
        assert len(family) > 1
        command.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    for _ in range(100):
        if not folder.exists():
            break
        time.sleep(0.1)
    assert not folder.exists()


def test_folders_that_a_killed_command_has_left_are_removed_and_those_in_use_are_not(tmp_path):
    deep = left_behind = tmp_path / "course-dead"
    for _ in range(1100):
        deep = deep / "d"
    subprocess.run(["mkdir", "-p", deep], check=True)
    (left_behind / "lock").touch()
    (tmp_path / "course-of-another").mkdir()
    code = f"import os, sys\nsys.path[:0] = {sys.path!r}\nfrom minitransformer.course.grading import workers\n"
    code += "with workers.temporary_folder():\n    print(flush=True)\n    input()\n"
    surroundings = os.environ | {"TMPDIR": str(tmp_path)}
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code], env=surroundings, **pipes) as other:
        other.stdout.readline()
        remove_abandoned(tmp_path)
        assert len([*tmp_path.glob("course-*")]) == 2 and not left_behind.exists()
        other.communicate(b"\n")
    assert [path.name for path in tmp_path.glob("course-*")] == ["course-of-another"]
