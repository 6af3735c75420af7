"""The wheel is the whole course: what is in it, and what it does where there is no clone."""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE, LESSONS = ROOT / "minitransformer", ROOT / "lessons"
INSIDE = "minitransformer/course/lessons"
pytest.importorskip("hatchling")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The wheel and the source package, built once."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", out], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """A folder that holds nothing but the installed wheel."""
    target = tmp_path_factory.mktemp("target")
    words = "-m pip install --quiet --no-deps --no-index --disable-pip-version-check --target"
    done = subprocess.run([sys.executable, *words.split(), target, built[0]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def outside(installed: Path, folder: Path, *words: str, **surroundings: str) -> subprocess.Popen:
    """`minitransformer …` of the installed wheel, in a folder that is no clone."""
    about = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | surroundings
    command = [sys.executable, "-m", "minitransformer", *words]
    return subprocess.Popen(command, cwd=folder, env=about, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def told(process: subprocess.Popen) -> str:
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    return said


def test_the_wheel_holds_the_package_and_the_lessons_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    expected |= {f"{INSIDE}/{path.name}" for path in LESSONS.glob("[0-9][0-9]_*.ipynb")}
    expected |= {f"{INSIDE}/source/{path.name}" for path in LESSONS.glob("source/*.py")}
    assert found == expected
    assert {path.rpartition(".")[2] for path in found} <= {
        "py", "pyi", "typed", "toml", "md", "txt", "json", "safetensors", "otf", "html", "css", "js", "xml", "yml",
        "sh", "ipynb",
        *("minitransformer/course/grading/engines/" + name for name in ("Dockerfile", "run_autograder")),
    }  # fmt: skip


def test_the_wheel_holds_no_solved_notebook_and_no_test(built):
    with zipfile.ZipFile(built[0]) as wheel:
        notebooks = [name for name in wheel.namelist() if name.endswith(".ipynb")]
        cells = [cell for name in notebooks for cell in json.loads(wheel.read(name))["cells"]]
        assert not [name for name in wheel.namelist() if re.search(r"(^|/)(tests?|solutions)/|/test_", name)]
    assert len(notebooks) == len([*LESSONS.glob("source/*.py")]) and not any(cell.get("outputs") for cell in cells)


def test_the_wheel_says_who_made_it_what_it_needs_and_what_it_starts(built):
    with zipfile.ZipFile(built[0]) as wheel:
        (about,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        (starts,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in "License-Expression: MIT", "Requires-Python: >=3.11", "Author: The minitransformer authors":
        assert f"{line}\n" in about
    assert about.count("License-File: ") == 2 and "minitransformer = minitransformer.__main__:main" in starts
    plain = [line for line in re.findall(r"^Requires-Dist: (.*)$", about, re.MULTILINE) if "extra ==" not in line]
    assert len(plain) == len(project["dependencies"])


def test_the_source_package_holds_what_builds_and_tests_it(built):
    with tarfile.open(built[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for path in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt", "tests/conftest.py", "lessons/build.py"):
        assert path in names
    assert {f"lessons/source/{path.name}" for path in LESSONS.glob("source/*.py")} <= names


def test_outside_a_clone_the_wheel_s_own_package_and_lessons_are_used(installed, tmp_path):
    code = "import minitransformer as m; from minitransformer.course.lesson_text import lessons_folder as f; "
    code += "print(m.__file__, f()); m.pretrained()"
    about = os.environ | {"PYTHONPATH": str(installed)}
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=about, capture_output=True, text=True)
    assert said.stdout == f"{installed}/minitransformer/__init__.py {installed}/{INSIDE}\n", said.stderr
    assert told(outside(installed, tmp_path, "generate", "in Chinese: Look out!")).endswith("→ 小心!\n")


@pytest.mark.skipif(sys.platform != "linux", reason="the grader needs Linux")
def test_outside_a_clone_a_solved_notebook_is_graded(installed, tmp_path):
    (solved,) = LESSONS.glob("solutions/01_*.ipynb")
    (tmp_path / "mine.ipynb").write_bytes(solved.read_bytes())
    said = told(outside(installed, tmp_path, "grade", "mine.ipynb", "--lesson", "1", "--profile", "local"))
    assert re.search(r"mine +(\d+) of \1\b", said) and (tmp_path / "graded/teacher.html").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_outside_a_clone_lab_serves_copies_of_the_lessons(installed, tmp_path):
    (tmp_path / "jupyter_server_config.json").write_text('{"ServerApp": {"allow_root": true}}')
    home = dict.fromkeys(("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "HOME"), str(tmp_path))
    process, lines = outside(installed, tmp_path, "lab", "--no-browser", **home), []
    try:
        while not (address := re.search(r"(http://127\.0\.0\.1:\d+/lab)(\?token=\w+)", "".join(lines))):
            lines.append(line := process.stdout.readline())
            assert line, "".join(lines)
        time.sleep(0.5)
        listed = address[1].removesuffix("lab") + "api/contents" + address[2]
        with urlopen(listed, timeout=30) as answer:
            names = {each["name"] for each in json.load(answer)["content"]}
    finally:
        process.kill()
        process.communicate()
    assert names == {path.name for path in LESSONS.glob("[0-9][0-9]_*.ipynb")}
    assert f"minitransformer-lessons: {len(names)} lessons copied" in "".join(lines)
