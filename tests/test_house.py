"""The house stands: imports only go down, one file draws, nothing seeds, prints or pickles."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minitransformer

PACKAGE = Path(minitransformer.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
RUNNERS = {  # their job: run students' code, code for students to test, and the solutions of a lesson's text
    "course/isolation/child.py",
    "course/lesson_text.py",
}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(path: Path) -> list[str]:
    """What a file calls, as it is written there: torch.manual_seed, print, …"""
    return [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


def modules(path: Path) -> set[str]:
    """What a file imports from outside."""
    nodes = [*ast.walk(tree(path))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


def test_imports_only_go_down():
    """The layers stand in pyproject.toml; import-linter holds them, and that every module has one."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@every_file
def test_one_file_draws(path):
    assert "matplotlib" not in modules(path) or path.name in ("plots.py", "pictures.py")  # what is drawn; how it looks


@every_file
def test_nobody_asks_which_hooks_they_hold(path):
    asking = ("isinstance(hooks", "isinstance(self.hooks")
    assert not [node for node in ast.walk(tree(path)) if ast.unparse(node).startswith(asking)]


@every_file
def test_nothing_that_runs_code_when_read_is_read_or_written(path):
    assert not modules(path) & {"pickle", "cPickle", "dill", "shelve", "joblib", "marshal"}
    banned = {"torch.load", "torch.save", "eval", "exec", "numpy.load", "np.load"}
    job = {"exec"} if path.relative_to(PACKAGE).as_posix() in RUNNERS else set()
    assert banned & set(calls(path)) == job


@every_file
def test_nothing_seeds_the_random_numbers_of_others(path):
    """`torch.random.fork_rng` gives them back, so inside it a seed is nobody else's business."""
    forks = [
        node for node in ast.walk(tree(path)) if isinstance(node, ast.With) and "fork_rng" in ast.unparse(node.items[0])
    ]
    forked = [ast.unparse(node.func) for fork in forks for node in ast.walk(fork) if isinstance(node, ast.Call)]
    seeding = [call for call in calls(path) if call.split(".")[-1] in ("seed", "manual_seed", "manual_seed_all")]
    ours = [call for call in seeding if "Generator(" in call]  # a generator of one's own
    assert sorted(seeding) == sorted([*ours, *(call for call in forked if call in seeding)])


PRINT = ("commands.py", "__main__.py", "look_around.py")  # the last is a script that answers by what it prints


@every_file
def test_only_the_command_line_prints(path):
    assert path.name in PRINT or not {"print", "sys.stdout.write", "sys.stderr.write"} & set(calls(path))


@every_file
def test_there_is_no_star_import_and_no_drawer_for_everything(path):
    assert not any(alias.name == "*" for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)
                   for alias in node.names)  # fmt: skip
    assert path.stem not in ("utils", "helpers", "common", "misc")


@pytest.mark.parametrize("name", sorted(minitransformer.__all__))
def test_every_public_name_is_there(name):
    assert getattr(minitransformer, name) is not None
    assert minitransformer.__all__.count(name) == 1


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="No minitransformer attribute attention"):
        _ = minitransformer.attention
