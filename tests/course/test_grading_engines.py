"""The ready files for other people's engines are valid, and use options that the command has."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minitransformer.course import grading
from minitransformer.course.assignment import Assignment

ENGINES = Path(grading.__file__).parent / "engines"


@pytest.mark.parametrize("name", ["setup.sh", "run_autograder"])
def test_the_container_s_scripts_are_shell(name):
    assert subprocess.run(["bash", "-n", ENGINES / name], check=False).returncode == 0
    assert (ENGINES / name).stat().st_mode & 0o111


def test_the_workflow_is_a_workflow_whose_shards_are_all_of_them():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ENGINES / "grade.yml").read_text())["jobs"]
    parts = jobs["shard"]["strategy"]["matrix"]["part"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "grade submissions" in step.get("run", "")]
    assert len(runs) == 2 and f'--shard "$PART/{len(parts)}"' in runs[0] and "--shard" not in runs[1]
    assert parts == list(range(1, len(parts) + 1)) and jobs["reports"]["needs"] == "shard"
    assert all(step.keys() <= {"uses", "with", "run", "env"} for job in jobs.values() for step in job["steps"])


def test_the_dockerfile_copies_what_is_there():
    words = [line.split() for line in (ENGINES / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    assert all((ENGINES.parents[3] / source).exists() for _, source, _ in words)


def test_the_engines_use_options_that_the_command_has(capsys):
    from minitransformer.__main__ import main

    with pytest.raises(SystemExit):
        main(["grade", "--help"])
    known = capsys.readouterr().out
    for path in ENGINES.iterdir():
        for line in re.findall(r"-m minitransformer grade(?:.*\\\n)*.*", path.read_text()):
            assert all(option in known for option in re.findall(r"--[a-z]+", line)), line


def stub(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("system", "offered", "taken"),
    [("3.12", "", "python3"), ("3.10", "3.11", "python3.11"), ("3.10", "", None)],
    ids=["a new system", "Ubuntu 22.04", "a system without any"],
)
def test_the_container_gets_a_python_that_is_new_enough(system, offered, taken, tmp_path):
    """setup.sh, run with a system of stubs that write down what they are asked for."""
    bin, log = tmp_path / "bin", tmp_path / "log"
    bin.mkdir()
    (tmp_path / "autograder" / "source").mkdir(parents=True)

    (tmp_path / "pip").write_text(f'#!/bin/sh\necho "pip $*" >> {log}\n')
    (tmp_path / "pip").chmod(0o755)

    def python(version: str) -> str:  # asked for its version, or to make an environment
        asked = f'[ "$1" = -c ] && exit {int(version < "3.11")}'
        made = f'mkdir -p "$3/bin" && cp {tmp_path}/pip "$3/bin/pip"'
        return f'{asked}\necho "$(basename "$0") $*" >> {log}\n{made}'

    stub(bin / "python3", python(system))
    stub(tmp_path / "newer", python("3.11"))
    install = f'case "$*" in *python3.11*) cp {tmp_path}/newer {bin}/python3.11;; esac' if offered else ":"
    stub(bin / "apt-get", f'echo "apt-get $*" >> {log}; {install}')
    surroundings = {
        "PATH": f"{bin}:/usr/bin:/bin",
        "AUTOGRADER": f"{tmp_path}/autograder",
        "ENVIRONMENT": f"{tmp_path}/env",
    }
    for newer in Path("/usr/bin").glob("python3.*[0-9]"):  # what this machine has must not stand in
        stub(bin / newer.name, "exit 1")
    done = subprocess.run(["bash", ENGINES / "setup.sh"], env=surroundings, capture_output=True, text=True, check=False)
    said = log.read_text()
    if taken is None:
        assert done.returncode == 1 and "no Python 3.11 or newer" in done.stderr and "pip" not in said
    else:
        assert done.returncode == 0, done.stderr
        assert f"{taken} -m venv {tmp_path}/env" in said and "pip install -e" in said
        assert ("python3.11-venv" in said) == (taken == "python3.11")


def test_the_autograder_grades_what_was_handed_in_with_all_that_lies_beside_it(tmp_path):
    """run_autograder as it is: a notebook that imports a helper, an older try, and a picture."""
    submission, source = tmp_path / "submission", tmp_path / "source"
    submission.mkdir()
    source.mkdir()
    (source / "secret").write_text("s" * 32)
    (submission / "helper.py").write_text("def rows(table, tokens):\n    return table[tokens]\n")
    mine = "from helper import rows\n\n\ndef look_up(tokens, table):\n    return rows(table, tokens)\n"
    name = Assignment.of(1).names["1.1"]
    (submission / "lesson1.py").write_text(mine.replace("look_up", name) + 'quiz("1.q3", "a")\n')
    (submission / "an older try.py").write_text('quiz("1.q3", "z")\n')
    (submission / "photo.png").write_bytes(b"\x89PNG")
    environment = tmp_path / "env" / "bin"
    environment.mkdir(parents=True)
    stub(environment / "python", f'exec {sys.executable} "$@"')
    surroundings = os.environ | {"AUTOGRADER": str(tmp_path), "ENVIRONMENT": str(environment.parent), "LESSON": "1"}
    done = subprocess.run(
        ["bash", ENGINES / "run_autograder"], env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    scores = {test["name"].split()[0]: test["score"] for test in result["tests"]}
    assert scores["1.q3"] == 1 and sum(test["score"] for test in result["tests"] if test["name"].startswith("1.1")) > 0
