"""One click to start: files for containers agree with the classroom's versions and our commands, badges with lessons.

The installing cell does nothing where the package is there.
"""

import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nbformat
import pytest

from minitransformer.__main__ import main
from minitransformer.course.lesson_text import sources

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "lessons"))

import notebooks  # noqa: E402
import one_click  # noqa: E402

PINS = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if re.match(r"\w", line)]
DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
NOTEBOOKS = {path.name for path in (ROOT / "lessons").glob("[0-9][0-9]_*.ipynb")}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, each in one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line]


def all_of(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What JupyterLab would be started with, in an empty folder."""
    calls = []
    monkeypatch.setattr("os.execv", lambda program, words: calls.append(words[3:]))
    monkeypatch.setattr("minitransformer.course.own_copies.refuse_a_taken_port", lambda port: None)
    monkeypatch.chdir(tmp_path)
    return calls


def test_the_image_has_the_python_of_ci_and_the_pins_of_the_classroom_and_no_others(tmp_path):
    assert all_of("FROM") == ["python:3.11-slim"]
    assert "image: python:3.11\n" in (ROOT / ".github/workflows/ci.yml").read_text()
    (copied, build, _) = [line for line in all_of("RUN") if "pip" in line or "minitransformer" in line]
    (tmp_path / "requirements.txt").write_bytes((ROOT / "requirements.txt").read_bytes())
    grep, pip = copied.split("&&")
    subprocess.run(["sh", "-c", grep.replace("/course/", "")], cwd=tmp_path, check=True)
    assert [line for line in (tmp_path / "pins.txt").read_text().splitlines() if line[0] != "#"] == PINS
    words = shlex.split(pip)
    assert words[:2] == ["pip", "install"] and words[words.index("-r") + 1] == "/course/pins.txt"
    assert words[words.index("--extra-index-url") + 1].endswith("/whl/cpu")
    assert [word for word in words if re.search("[=<>]", word)] == ["notebook>=7,<8"]
    assert any(line.startswith("torch==") for line in PINS)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert "--no-build-isolation" in build and [each.split(">")[0] for each in needed] == ["hatchling"]
    assert any(line.startswith("hatchling==") for line in PINS)


def test_the_lines_of_the_image_are_shell_and_copy_what_is_there():
    for line in all_of("RUN"):
        subprocess.run(["sh", "-n", "-c", line], check=True)
    assert all((ROOT / source).exists() for source, _ in copied())


def copied() -> list[tuple[str, str]]:
    """What the image takes from the repository, and where it puts it."""
    lines = [line.split() for line in all_of("COPY")]
    return [(source, place) for *sources, place in lines for source in sources]


def test_what_the_image_copies_makes_the_wheel_that_the_whole_repository_makes(tmp_path):
    names = {}
    for kind, taken in ("image", [source for source, _ in copied()]), ("repository", ["."]):
        files = subprocess.run(["git", "ls-files", "-z", *taken], cwd=ROOT, capture_output=True, text=True).stdout
        for name in filter(None, files.split("\0")):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / kind / name).symlink_to(ROOT / name)
        building = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / f"{kind} built")]
        subprocess.run(building, cwd=tmp_path / kind, check=True, capture_output=True)
        (wheel,) = (tmp_path / f"{kind} built").iterdir()
        names[kind] = zipfile.ZipFile(wheel).namelist()
    assert names["image"] == names["repository"] and len(names["image"]) > 100


def test_the_image_and_the_devcontainer_start_our_own_command_as_it_is(started, capsys):
    (command,) = all_of("CMD")
    program, *words = json.loads(command)
    main(words)
    assert (
        program == "minitransformer" and {path.name for path in Path("minitransformer-lessons").iterdir()} == NOTEBOOKS
    )
    (port,) = all_of("EXPOSE")
    assert f"--port={port}" in started[0] and started.pop()[-2:] == ["--ip", "0.0.0.0"]
    copying = [line for line in all_of("RUN") if line.startswith("minitransformer")]
    for line in [*copying, DEVCONTAINER["postCreateCommand"]]:
        program, *words = shlex.split(line)
        main(words)
        assert program == "minitransformer" and "lessons copied" in capsys.readouterr().out and not started


def test_the_devcontainer_is_the_image_with_its_user_its_port_and_a_lesson_that_is_there():
    place = ROOT / ".devcontainer"
    assert (place / DEVCONTAINER["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (place / DEVCONTAINER["build"]["context"]).resolve() == ROOT
    assert f"NB_USER={DEVCONTAINER['remoteUser']}" in all_of("ARG")
    assert list(map(str, DEVCONTAINER["forwardPorts"])) == all_of("EXPOSE")
    (opened,) = DEVCONTAINER["customizations"]["codespaces"]["openFiles"]
    assert Path(opened).name in NOTEBOOKS and Path(opened).parent.name == "minitransformer-lessons"


def test_binder_gets_its_user_and_finds_no_other_files_to_build_from():
    """It builds from the Dockerfile where there is one, for a user whom it names, and starts `jupyter notebook`."""
    assert {line.split("=")[0] for line in all_of("ARG")} == {"NB_USER", "NB_UID"}
    assert all_of("USER") == ["$NB_USER"] and all_of("WORKDIR") == ["$HOME"]
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()


@pytest.mark.parametrize("there", [True, False])
def test_the_installing_cell_does_nothing_where_the_package_is_there(monkeypatch, there):
    calls = []
    monkeypatch.setattr("subprocess.run", lambda words, check: calls.append(words))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: there or None)
    exec(one_click.CELL.format(repository="someone/course"), {})
    wanted = [sys.executable, "-m", "pip", "install", "-q", "git+https://github.com/someone/course@main"]
    assert calls == ([] if there else [wanted])


def test_a_student_s_notebook_begins_with_the_installing_cell_once_it_is_known_whence(monkeypatch):
    source = sources()[2]
    monkeypatch.setattr(one_click, "REPOSITORY", "")
    plain, solved = notebooks.notebook(source, False), notebooks.notebook(source, True)
    monkeypatch.setattr(one_click, "REPOSITORY", "someone/course")
    book = notebooks.notebook(source, False)
    nbformat.validate(book)
    assert book.cells[0].cell_type == "markdown" and "someone/course@main" in book.cells.pop(1).source
    assert book == plain and notebooks.notebook(source, True) == solved


def test_the_page_of_lessons_has_the_badges_that_the_setting_asks_for():
    page = (ROOT / "lessons/README.md").read_text(encoding="utf-8")
    assert page == one_click.with_badges(page, one_click.repository())
    assert one_click.with_badges(one_click.with_badges(page, "someone/course"), "") == one_click.with_badges(page, "")


def test_each_lesson_opens_in_colab_and_in_binder_by_a_badge():
    page = one_click.with_badges((ROOT / "lessons/README.md").read_text(encoding="utf-8"), "someone/course")
    assert one_click.with_badges(page, "someone/course") == page
    colab = re.findall(r"\(https://colab.research.google.com/github/someone/course/blob/main/(lessons/[^)]+)\)", page)
    assert all((ROOT / path).is_file() for path in colab) and {Path(path).name for path in colab} == NOTEBOOKS
    binder = re.findall(r"\(https://mybinder.org/v2/gh/someone/course/main\?urlpath=lab/tree/([^)]+)\)", page)
    assert {*binder} == {f"minitransformer-lessons/{name}" for name in NOTEBOOKS}
    table = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert table == [5] * (len(NOTEBOOKS) + 2)


@pytest.mark.parametrize("odd", ["https://github.com/a/b", "a", "a/b/c", "a b/c"])
def test_what_is_no_owner_and_name_is_refused(monkeypatch, odd):
    monkeypatch.setattr(one_click, "REPOSITORY", odd)
    with pytest.raises(ValueError, match="expected REPOSITORY as owner/name"):
        one_click.repository()
