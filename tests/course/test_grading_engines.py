"""The ready files for other people's engines are valid, and use options that the command has."""

import json
import os
import re
import runpy
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import small_class

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
    for path in (path for path in ENGINES.iterdir() if path.is_file()):
        for line in re.findall(r"-m minitransformer grade(?:.*\\\n)*.*", path.read_text()):
            assert all(option in known for option in re.findall(r"--[a-z]+", line)), line


def test_the_page_names_every_ready_file_and_its_commands_are_those_that_tests_run():
    lessons, tests = ENGINES.parents[3] / "lessons", Path(__file__).parent
    grading_page, course_page = ((lessons / name).read_text("utf-8") for name in ("GRADING.md", "COURSE.md"))
    assert [path.name for path in ENGINES.iterdir() if path.is_file() and f"`{path.name}`" not in grading_page] == []
    run = "".join((tests / name).read_text("utf-8") for name in ("test_grading_nbgrader.py", "test_jupyterhub.py"))
    commands = re.findall(r"^nbgrader (\w+)", grading_page, re.MULTILINE)
    assert len(commands) >= 5 and all(f'"{each}"' in run for each in commands)
    assert all(
        f'ENGINES / "{name}"' in run for name in re.findall(r"^python (\w+\.py)", grading_page + course_page, re.M)
    )


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


def python_and_pip(folder: Path) -> Path:
    """A folder with this Python, and a pip that installs nothing, since everything is here."""
    folder.mkdir()
    stub(folder / "python", f'exec {sys.executable} "$@"')
    stub(folder / "pip", "exit 0")
    return folder


def run_job(job: dict, folder: Path, tools: Path, **known: str) -> None:
    """A workflow's steps as they stand, where GitHub's own actions would be over; `known` is what ${{ }} stands for."""
    for step in (step for step in job["steps"] if "run" in step):
        named = {**job.get("env", {}), **step.get("env", {})}
        filled = {
            name: re.sub(r"\$\{\{ *(.*?) *\}\}", lambda each: known[each[1]], text) for name, text in named.items()
        }
        more = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": path_of_packages(), **filled}
        more |= {"GITHUB_STEP_SUMMARY": f"{folder}/summary.md"}
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=folder, env=os.environ | more, capture_output=True, text=True
        )
        if "no safe place to run students' code here" in done.stderr:
            pytest.skip("no isolation profile that gives grades works on this machine")
        assert done.returncode == 0, done.stdout + done.stderr


def path_of_packages() -> str:
    return f"{ENGINES.parents[3]}:{os.environ.get('PYTHONPATH', '')}"


def class_of(folder: Path, *students: str) -> dict[str, float]:
    """Put what these students hand in into the folder; what it earns."""
    earned = {"ada": 22, "ben": 9.333, "cem": 0, "eve": 10, "finn": 13}
    books = small_class.of(small_class.blank())
    for student in students:
        (folder / student).mkdir(parents=True)
        nbformat.write(books[student], folder / student / "02_soft_prompts.ipynb")
    return {student: earned[student] for student in students}


def earned(out: Path) -> dict[str, float]:
    return {row["name"]: row["earned"] for row in json.loads((out / "results.json").read_text(encoding="utf-8"))}


def test_the_student_s_workflow_tells_the_points_so_far_of_each_notebook_that_was_pushed(tmp_path):
    yaml = pytest.importorskip("yaml")
    tools = python_and_pip(tmp_path / "tools")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('quiz("2.q1", "b")')])
    nbformat.write(book, tmp_path / "02_soft_prompts.ipynb")
    workflow = yaml.safe_load((ENGINES / "student.yml").read_text(encoding="utf-8"))
    assert all(step.keys() <= {"uses", "with", "run", "env"} for step in workflow["jobs"]["points"]["steps"])
    known = {"vars.MINITRANSFORMER || 'minitransformer'": "x", "vars.PIP_EXTRA_INDEX_URL": ""}
    run_job(workflow["jobs"]["points"], tmp_path, tools, **known)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "02_soft_prompts.ipynb, lesson 2: 1 of 22 points, for practice" in summary and summary.count("```") == 2


@pytest.mark.weekly
def test_the_teacher_s_workflow_grades_the_class_in_its_shards_and_makes_one_report(tmp_path):
    yaml = pytest.importorskip("yaml")
    tools, expected = python_and_pip(tmp_path / "tools"), class_of(tmp_path / "submissions", "ada", "ben", "cem", "eve")
    jobs = yaml.safe_load((ENGINES / "grade.yml").read_text(encoding="utf-8"))["jobs"]
    known = {"secrets.COURSE_SECRET": "s" * 32, "inputs.lesson": "2"}
    for part in jobs["shard"]["strategy"]["matrix"]["part"]:
        run_job(jobs["shard"], tmp_path, tools, **known, **{"matrix.part": str(part)})
    kept = {path: path.read_bytes() for path in (tmp_path / "graded" / "rows").iterdir()}
    run_job(jobs["reports"], tmp_path, tools, **known)
    assert earned(tmp_path / "graded") == expected and len(kept) == 4
    assert kept == {path: path.read_bytes() for path in (tmp_path / "graded" / "rows").iterdir()}


def grading_job() -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ENGINES / "grade-job.yml").read_text(encoding="utf-8"))


def test_the_indexed_job_has_a_pod_for_each_part_and_the_rights_that_the_page_names():
    spec = grading_job()["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    named = {each["name"]: each["value"] for each in container["env"]}
    assert spec["completionMode"] == "Indexed" and spec["completions"] == int(named["PARTS"])
    yaml = pytest.importorskip("yaml")
    page = (ENGINES.parents[3] / "lessons" / "ISOLATION.md").read_text(encoding="utf-8")
    rights = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["securityContext"]
    assert container["securityContext"] == rights
    mounted, there = container["volumeMounts"], spec["template"]["spec"]["volumes"]
    assert {each["name"] for each in mounted} == {each["name"] for each in there}
    places = [each["mountPath"] for each in mounted]
    assert all(named[name].startswith(tuple(places)) for name in ("HANDED_IN", "OUT", "SECRET"))


@pytest.mark.weekly
def test_the_indexed_job_s_pods_grade_the_class_together(tmp_path):
    """The command of the pod, once for each index, in two parts in place of five."""
    tools, expected = python_and_pip(tmp_path / "tools"), class_of(tmp_path / "class", "ada", "ben", "cem", "finn")
    (tmp_path / "secret").write_text("s" * 32)
    (container,) = grading_job()["spec"]["template"]["spec"]["containers"]
    named = {"LESSON": "2", "PARTS": "2", "HANDED_IN": f"{tmp_path}/class", "OUT": f"{tmp_path}/graded"}
    named |= {"SECRET": f"{tmp_path}/secret", "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": path_of_packages()}
    for index in "01":
        command = [*container["command"], *container["args"]]
        surroundings = os.environ | named | {"JOB_COMPLETION_INDEX": index}
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True)
        if "no safe place to run students' code here" in done.stderr:
            pytest.skip("no isolation profile that gives grades works on this machine")
        assert done.returncode == 0, done.stderr
    assert earned(tmp_path / "graded") == expected


def test_on_kubernetes_a_student_s_home_gets_the_notebooks_that_are_not_there_yet(tmp_path):
    yaml = pytest.importorskip("yaml")
    values = yaml.safe_load((ENGINES / "jupyterhub-values.yml").read_text(encoding="utf-8"))
    command = values["singleuser"]["lifecycleHooks"]["postStart"]["exec"]["command"]
    home, handout = tmp_path / "home", tmp_path / "handout"
    home.mkdir()
    (handout / "ada").mkdir(parents=True)
    for name in ("01_a.ipynb", "02_b.ipynb"):
        (handout / "ada" / name).write_text("ada's own")
    (home / "01_a.ipynb").write_text("worked on")
    for student in ("ada", "ben"):  # of ben there is no folder, and nothing for all
        surroundings = os.environ | {"HOME": str(home), "HANDOUT": str(handout), "JUPYTERHUB_USER": student}
        subprocess.run(command, env=surroundings, check=student == "ada", capture_output=True)
    assert {path.name: path.read_text() for path in home.iterdir()} == {
        "01_a.ipynb": "worked on",
        "02_b.ipynb": "ada's own",
    }


def hub_s_hook(course: Path, monkeypatch):
    """What JupyterHub calls before a student's server starts, as the ready configuration says."""
    settings = SimpleNamespace(Spawner=SimpleNamespace(), Authenticator=SimpleNamespace())
    monkeypatch.setenv("COURSE", str(course))
    runpy.run_path(str(ENGINES / "jupyterhub_config.py"), {"get_config": lambda: settings})
    return lambda name: settings.Spawner.pre_spawn_hook(SimpleNamespace(user=SimpleNamespace(name=name)))


def test_on_a_server_a_student_s_folder_gets_what_is_new_and_nothing_in_it_is_written_over(tmp_path, monkeypatch):
    start = hub_s_hook(tmp_path, monkeypatch)
    handout = tmp_path / "handout"
    (handout / "ada").mkdir(parents=True)
    (handout / "ada" / "01_a.ipynb").write_text("ada's own")
    (handout / "01_a.ipynb").write_text("everybody's")
    start("ada")
    start("ben")
    ada, outside = tmp_path / "students" / "ada", tmp_path / "outside"
    assert (ada / "01_a.ipynb").read_text() == "ada's own" and ada.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "students" / "ben" / "01_a.ipynb").read_text() == "everybody's"
    (ada / "01_a.ipynb").write_text("worked on")
    (ada / "02_b.ipynb").symlink_to(outside)  # root would write there
    for name in ("02_b.ipynb", "03_c.ipynb"):
        (handout / "ada" / name).write_text("new")
    start("ada")
    assert (ada / "01_a.ipynb").read_text() == "worked on" and (ada / "03_c.ipynb").read_text() == "new"
    assert not outside.exists()


@pytest.mark.parametrize("name", ["..", "a/b", ""])
def test_a_name_that_leads_out_of_the_students_folder_gets_no_server(name, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="cannot be that of a folder"):
        hub_s_hook(tmp_path, monkeypatch)(name)


def test_what_a_class_saved_is_taken_in_with_its_time_and_no_link_or_pipe_of_a_student_is_followed(tmp_path):
    students, secret, out = tmp_path / "students", tmp_path / "secret.py", tmp_path / "collected2"
    for student in ("ada", "ben"):
        (students / student).mkdir(parents=True)
    for name in ("02_b.ipynb", "answers-lesson2.json", "helper.py", "03_c.ipynb", "diary.txt"):
        (students / "ada" / name).write_text(name)
    os.utime(students / "ada" / "02_b.ipynb", (1_800_000_000, 1_800_000_000))
    (students / "ben" / "02_b.ipynb").symlink_to(secret)
    secret.write_text("not for ben")
    os.mkfifo(students / "ben" / "answers-lesson2.json")
    (students / "cem").symlink_to(tmp_path)
    command = [sys.executable, ENGINES / "collect.py", students, "2", out]
    subprocess.run(command, check=True, timeout=60, env=os.environ | {"TZ": "IST-5:30"})
    assert sorted(path.name for path in out.iterdir()) == ["ada.zip", "ben.zip"]
    assert zipfile.ZipFile(out / "ben.zip").namelist() == []
    with zipfile.ZipFile(out / "ada.zip") as archive:
        assert sorted(archive.namelist()) == ["02_b.ipynb", "answers-lesson2.json", "helper.py"]
        when = datetime(*archive.getinfo("02_b.ipynb").date_time)
    assert when == datetime(2027, 1, 15, 13, 30)  # in the server's time zone: 8:00 in Greenwich
    again = subprocess.run(command, capture_output=True, text=True)  # nothing is written over
    assert again.returncode != 0 and "collected2" in again.stderr
