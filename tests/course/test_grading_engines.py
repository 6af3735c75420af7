"""The ready files for other people's engines are valid, and use options that the command has."""

import re
import subprocess
from pathlib import Path

import pytest

from minitransformer.course import grading

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
