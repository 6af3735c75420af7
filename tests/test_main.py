"""The command line, as a student would use and misuse it."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from minitransformer.__main__ import main
from minitransformer.base import RECIPE, load_model
from minitransformer.course.assignment import Assignment
from minitransformer.course.own_copies import copy_new


def run(capsys, *arguments):
    """What a command prints; how it ends, too, where it does not end well."""
    ended = ""
    try:
        main(list(arguments))
    except SystemExit as end:
        ended = str(end.code)
    said = capsys.readouterr()
    return said.out, said.err + ended


def test_the_demo_turns_a_torn_model_into_a_translator_and_names_its_picture(capsys, tmp_path):
    out, _ = run(capsys, "demo", "--steps", "30", "--out", str(tmp_path / "pictures"))
    assert "in Chinese: Look out! → 小心!" in out
    assert "[p0 p1 p2 p3] Look out! → 小心!" in out
    assert "of 38 base parameters 0 have a gradient" in out and "4 of 4 prompt vectors were reached" in out
    picture = tmp_path / "pictures" / "gradient.png"
    assert str(picture) in out and picture.read_bytes().startswith(b"\x89PNG")


def test_generate_answers_with_and_without_an_arrow(capsys):
    assert run(capsys, "generate", "in Chinese: Look out!")[0] == "in Chinese: Look out! → 小心!\n"
    assert run(capsys, "generate", "shout: Look out! →")[0] == "shout: Look out! → LOOK OUT!\n"


def test_generate_draws_as_many_samples_as_asked_and_the_same_ones_twice(capsys):
    out, _ = run(capsys, "generate", "Look out!", "--temperature", "1", "--samples", "6")
    assert len(out.splitlines()) == 6 and len(set(out.splitlines())) > 1
    assert run(capsys, "generate", "Look out!", "--temperature", "1", "--samples", "6")[0] == out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["generate", "Look ought!"], "'ought' (near it: fought, bought, brought) is none of them"),
        (["generate", "Look out!", "--temperature", "-1"], "temperature must be a finite number from 0 upwards"),
        (["generate", "Look out!", "--temperature", "nan"], "expected a number, got 'nan'"),
        (["grade", "x", "--lesson", "1", "--call", "-1"], "expected seconds, more than 0, got '-1'"),
        (
            ["demo", "--out", "/proc/picture"],
            "No such file or directory: /proc/picture; name another path, or change what is there",
        ),
        (["demo", "--steps", "0"], "expected a whole number of at least 1, got '0'"),
        (["pretrain", "--steps", "many"], "expected a whole number of at least 1, got 'many'"),
        (["dance"], "invalid choice: 'dance'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_bad_input_is_answered_in_one_clear_line(capsys, arguments, complaint):
    out, err = run(capsys, *arguments)
    assert complaint in err and "Traceback" not in out + err


def test_pretrain_writes_a_model_of_the_size_asked_for_and_its_card(capsys, tmp_path):
    path = tmp_path / "tiny.safetensors"
    out, _ = run(capsys, "pretrain", "--steps", "2", "--size", "tiny", "--out", str(path))
    model, tokenizer, card = load_model(path)
    assert card["fingerprint"] in out and card["recipe"]["steps"] == 2 and len(tokenizer) == model.config.vocab
    assert model.config.width == 32 and card["recipe"]["peak"] == 4 * RECIPE["peak"]
    said = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "| chinese |" in said and "width 32" in said and "--steps 2 --size tiny`" in said
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["tiny.md", "tiny.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_ctrl_c_stops_with_a_word_and_leaves_nothing_half_written(tmp_path, heeded):
    command = [sys.executable, "-m", "minitransformer", "pretrain", "--out", str(tmp_path / "base.safetensors")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while "step/s" not in process.stderr.readline(200):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 130 and "stopped: files are written whole or not at all" in said
    assert "Traceback" not in said and list(tmp_path.iterdir()) == []


def begun(*words: str, **more) -> subprocess.Popen:
    command = [sys.executable, "-m", "minitransformer", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, **more)


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0, 1.4, 1.8])
def test_ctrl_c_while_torch_is_imported_is_one_line(seconds, heeded):
    with begun("pretrain", "--out", "/proc/nowhere/base.safetensors") as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 130 and said.strip().count("\n") == 0 and "minitransformer: stopped" in said


HALF_A_BAR = """
from minitransformer import __main__, command_line

class Bar:
    def __init__(self, *arguments):
        raise KeyboardInterrupt

    def __del__(self):
        self.made_later

command_line.run = Bar
__main__.main([])
"""


def test_what_ctrl_c_leaves_half_made_adds_nothing_to_the_line():
    done = subprocess.run([sys.executable, "-c", HALF_A_BAR], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.strip().startswith("minitransformer: stopped")
    assert done.stderr.strip().count("\n") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
@pytest.mark.parametrize("how", ["Ctrl-C", "a kill"])
def test_trainings_side_by_side_end_with_the_command(how, heeded):
    with begun("compare", "shout", "--processes", "2", stdout=subprocess.DEVNULL) as process:
        whole = psutil.Process(process.pid)
        family = []
        while sum("--process-name" in each.cmdline() for each in family) < 2:
            time.sleep(0.05)
            family = whole.children(recursive=True)
        if how == "a kill":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everyone hears it
        said = process.communicate(timeout=300)[1]
    _, alive = psutil.wait_procs(family, timeout=300)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    if how == "Ctrl-C":
        assert process.returncode == 130 and "Traceback" not in said and said.count("minitransformer: stopped") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_a_training_that_is_gone_is_told_in_a_sentence():
    with begun("compare", "shout", "--processes", "2", stdout=subprocess.DEVNULL) as process:
        whole = psutil.Process(process.pid)
        while not (work := [each for each in whole.children() if "--process-name" in each.cmdline()]):
            time.sleep(0.05)
        work[0].kill()
        said = process.communicate(timeout=300)[1]
    assert process.returncode and "a process was ended, perhaps for want of memory" in said
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="it has no /dev/full")
def test_a_full_disk_a_reader_that_is_gone_and_a_terminal_that_knows_no_chinese():
    asked = "generate", "in Chinese: Look out!"
    with open("/dev/full", "w") as full, begun(*asked, stdout=full) as process:
        assert process.communicate(timeout=300)[1] == "minitransformer: the disk is full; make room, and run it again\n"
    reader, writer = os.pipe()
    os.close(reader)
    with begun(*asked, stdout=writer) as process:
        assert process.communicate(timeout=300)[1].startswith("minitransformer: whoever read the output has stopped")
    os.close(writer)
    with begun(*asked, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"}) as process:
        assert process.communicate(timeout=300) == ("in Chinese: Look out! \\u2192 \\u5c0f\\u5fc3!\n", "")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 7 bytes")])
def test_too_little_memory_is_told_in_a_sentence(capsys, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("minitransformer.commands.pretrained", fails)
    _, said = run(capsys, "generate", "Look out!")
    assert said == "minitransformer: there is not enough memory for this: close other programs, or ask for less"


@pytest.fixture
def started(monkeypatch):
    """What JupyterLab would be started with, after `python -m jupyterlab`."""
    calls = []
    monkeypatch.setattr("os.execv", lambda program, words: calls.append(words[3:]))
    monkeypatch.setattr("os.geteuid", lambda: 1000, raising=False)
    return calls


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """The lessons where a clone has them, beside the texts with solutions; and an empty folder to work in."""
    lessons = tmp_path / "clone/lessons"
    for name in "01_one.ipynb", "02_two.ipynb", "source/01_one.py", "solutions/01_one.ipynb":
        (lessons / name).parent.mkdir(parents=True, exist_ok=True)
        (lessons / name).write_text(f"the course's {name}")
    monkeypatch.setattr("minitransformer.commands.lessons_folder", lambda: lessons)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return lessons


def test_lab_without_lessons_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("minitransformer.course.lesson_text.__file__", str(tmp_path / "a/b/c.py"))
    monkeypatch.chdir(tmp_path)
    assert "run this in a clone, or install the package again" in run(capsys, "lab")[1]


def test_lab_opens_copies_of_the_students_notebooks_alone_and_never_overwrites_one(capsys, started, lessons):
    out, _ = run(capsys, "lab")
    own = Path("minitransformer-lessons")
    assert started == [["minitransformer-lessons"]] and "minitransformer-lessons: 2 lessons copied\n" in out
    assert f"JupyterLab opens on {own.resolve()}; Ctrl-C here stops it." in out and "were there" not in out
    assert {path.name for path in own.iterdir()} == {"01_one.ipynb", "02_two.ipynb"}
    (own / "01_one.ipynb").write_text("my work")
    (own / "02_two.ipynb").unlink()
    out, _ = run(capsys, "lab")
    assert "minitransformer-lessons: 1 lessons copied\n" in out
    assert "these were there, and stay as they are: 01_one.ipynb; to start one anew, give yours another name" in out
    assert (own / "01_one.ipynb").read_text() == "my work"
    assert (own / "02_two.ipynb").read_text() == "the course's 02_two.ipynb"


def test_lab_in_this_clone_leaves_what_git_tracks_alone(capsys, started, tmp_path):
    run(capsys, "lab", "--copy-to", str(tmp_path / "mine"))
    given = {path.name: path.read_bytes() for path in (Path(__file__).parents[1] / "lessons").glob("[0-9]*.ipynb")}
    assert given and started == [[str(tmp_path / "mine")]]
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == given


@pytest.mark.parametrize("place", [".", "lessons", "lessons/solutions", "lessons/mine", "..", "link"])
def test_lab_refuses_a_folder_that_shows_the_lessons_themselves(capsys, started, lessons, monkeypatch, place):
    monkeypatch.chdir(lessons.parent)
    Path("link").symlink_to("lessons", target_is_directory=True)
    before = {path: path.read_text() for path in lessons.rglob("*.*")}
    out, err = run(capsys, "lab", "--copy-to", place)
    assert "in which the lessons themselves stand with their sources: name another one" in err
    assert not started and not out and {path: path.read_text() for path in lessons.rglob("*.*")} == before


def test_lab_works_beside_a_hidden_environment_that_holds_the_lessons(capsys, started, lessons, monkeypatch):
    hidden = Path(".venv").absolute()
    lessons.parent.rename(hidden)
    monkeypatch.setattr("minitransformer.commands.lessons_folder", lambda: hidden / "lessons")
    run(capsys, "lab", "--copy-to", ".")
    assert started == [["."]] and Path("01_one.ipynb").read_text() == "the course's 01_one.ipynb"


def test_lab_copies_where_it_is_told_to_or_says_why_not(capsys, started, lessons):
    run(capsys, "lab", "--copy-to", "deep/down")
    assert started.pop() == ["deep/down"] and len([*Path("deep/down").iterdir()]) == 2
    Path("a_file").touch()
    assert "a_file is a file: name another one, --copy-to" in run(capsys, "lab", "--copy-to", "a_file")[1]
    for folder, why in ("a_file/deeper", "Not a directory"), ("/proc/lessons", "No such file or directory"):
        said = f"the lessons cannot be copied to {folder} ({why}): name a folder of your own, --copy-to"
        assert said in run(capsys, "lab", "--copy-to", folder)[1]
    assert not started


def test_lab_says_so_where_a_folder_cannot_be_written_to(capsys, started, lessons, monkeypatch):
    run(capsys, "lab", "--copy-to", "mine")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write nearly everywhere
    err = run(capsys, "lab", "--copy-to", "mine")[1]
    assert "the lessons cannot be copied to mine (Permission denied): name a folder of your own" in err
    assert len(started) == 1


def test_lab_leaves_no_half_of_a_notebook_that_would_be_kept_the_next_time(capsys, started, lessons, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(full))
    assert "the disk is full; make room, and run it again" in run(capsys, "lab")[1]
    assert not [*Path("minitransformer-lessons").iterdir()] and not started


def test_lab_that_is_killed_while_it_copies_leaves_no_empty_notebook_as_if_it_were_a_student_s(lessons):
    killed = """
import os
from pathlib import Path
from minitransformer.course.own_copies import copy_new
os.fsync = Path.write_bytes = lambda *_: os._exit(9)
copy_new(Path("one.ipynb"), Path("mine.ipynb"))
"""
    Path("one.ipynb").write_text("{}")
    assert subprocess.run([sys.executable, "-c", killed]).returncode == 9
    assert not Path("mine.ipynb").exists() and copy_new(Path("one.ipynb"), Path("mine.ipynb"))
    assert Path("mine.ipynb").read_text() == "{}" and not [*Path().glob(".*.unfinished")]


def test_lab_hands_on_how_it_is_to_listen_and_root_may_start_it(capsys, started, lessons, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run(capsys, "lab", "--no-browser", "--port", port, "--", "--ip", "0.0.0.0")
    words = [f"--port={port}", "--ServerApp.port_retries=0", "--no-browser"]
    assert started.pop() == ["minitransformer-lessons", *words, "--ip", "0.0.0.0"]
    monkeypatch.setattr("os.geteuid", lambda: 0, raising=False)
    run(capsys, "lab", "--no-browser")
    assert started.pop() == ["minitransformer-lessons", "--no-browser", "--allow-root"]


def test_lab_takes_the_port_that_is_asked_for_or_none(capsys, started, lessons):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        err = run(capsys, "lab", "--port", str(port))[1]
    assert f"JupyterLab cannot listen at port {port} (Address already in use): name another one, or leave out" in err
    assert not started and not Path("minitransformer-lessons").exists()
    for odd in "0", "65536", "-1", "http", "8.5":
        expected = f"expected a port, a whole number from 1 to 65535, got {odd!r}"
        assert expected in run(capsys, "lab", f"--port={odd}")[1]
        assert expected in run(capsys, "play", f"--port={odd}")[1]


def test_the_version_is_told_whether_it_is_installed_or_not(capsys, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "1.2.3")
    assert run(capsys, "--version")[0] == "minitransformer 1.2.3\n"

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run(capsys, "--version")[0] == f"minitransformer {project['version']}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the grader needs Linux")
def test_where_nothing_was_handed_in_the_grader_says_so(capsys, tmp_path):
    (tmp_path / "none").mkdir()
    words = "grade", str(tmp_path / "none"), "--lesson", "1", "--profile", "local", "--out", str(tmp_path / "graded")
    assert f"nothing is handed in at {tmp_path / 'none'}; expected notebooks" in run(capsys, *words)[0]
    assert "nothing is handed in" not in run(capsys, *words, "--shard", "1/2")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the grader needs Linux")
def test_one_s_own_work_is_graded_for_practice_and_told_what_is_missing(capsys, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def embed(tokens, table):\n    return table[tokens]\n")
    out, _ = run(capsys, "grade", str(mine), "--lesson", "1", "--profile", "local", "--out", str(tmp_path / "graded"))
    assert f"2 of {Assignment.of(1).points}" in out
    assert "1.2 who may see whom: as many keys as queries: not written yet" in out
    assert not list((tmp_path / "graded").glob("gradebook*")) and list((tmp_path / "graded/students").glob("*.html"))


def test_a_part_of_a_class_that_is_none_is_refused(capsys):
    _, err = run(capsys, "grade", "somewhere", "--lesson", "1", "--shard", "3/2")
    assert "expected the number of a part and of all parts, as in 2/5; got '3/2'" in err
