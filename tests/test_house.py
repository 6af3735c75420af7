"""The house stands: imports only go down, files stay short, one file draws, nothing seeds, prints or pickles."""

import ast
from pathlib import Path

import pytest

import minitransformer

HOUSE = Path(minitransformer.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
FLOORS = (  # each imports only from floors strictly below its own
    ("hooks", "tokenizer", "extras", "cache", "results"),
    ("model", "phrasebook", "byte_pairs", "real_data", "together"),
    ("checkpoints", "generation", "soft_prompts", "gradients", "losses", "llama_files"),
    ("freezing", "history", "pictures", "gguf_files"),
    ("training", "prompt_files", "peft_files", "plots"),
    ("base", "bank", "comparison"),
    ("real",),
    ("__init__",),
    ("exercises",),
    ("sandbox",),
    ("grading",),
    ("commands",),
    ("__main__",),
)
RUNNERS = ("sandbox/child.py", "exercises/asks/lesson5.py")  # their job: run students' code, and code for them to test
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

ROOMS = {path.relative_to(HOUSE).parts[0].removesuffix(".py") for path in FILES}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))


def room(path: Path) -> str:
    """The name that has a floor: the file's, or its folder's."""
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """The rooms of this package that a file imports from, anywhere in it; __init__ where it imports the package."""
    rooms, folder = set(), path.relative_to(HOUSE.parent).parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = folder[: len(folder) + 1 - node.level] if node.level else ()
            module = [*start, *(node.module or "").split(".")] if node.module else [*start]
            names = [[*module, alias.name] for alias in node.names]
        else:
            continue
        inner = [name[1] if len(name) > 1 else "" for name in names if name[0] == HOUSE.name]
        rooms |= {name if name in ROOMS else "__init__" for name in inner}
    return rooms - {room(path)}  # a folder may do within itself as it likes


def calls(path: Path) -> list[str]:
    """What a file calls, as it is written there: torch.manual_seed, print, …"""
    return [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


def modules(path: Path) -> set[str]:
    """What a file imports from outside."""
    nodes = [*ast.walk(tree(path))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


@every_file
def test_every_file_has_a_floor(path):
    assert room(path) in FLOOR, f"{room(path)} has no floor yet: give it one in FLOORS, above all that it imports"


@every_file
def test_imports_only_go_down(path):
    below = {name for name in FLOOR if FLOOR[name] < FLOOR.get(room(path), 0)}
    up = imported(path) - below
    assert not up, f"{room(path)} (floor {FLOOR.get(room(path))}) imports {up}, which are not on a floor below"


@every_file
def test_no_file_is_longer_than_can_be_read_in_a_sitting(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= (200 if path.name == "model.py" else 300)


def test_the_grader_can_be_read_in_an_evening():
    """What looks at a submission, asks, judges and reports; where students' code runs is a room of its own."""
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES if room(path) == "grading") <= 500


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
    job = {"exec"} if str(path.relative_to(HOUSE)) in RUNNERS else set()
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


@every_file
def test_only_the_command_line_prints(path):
    assert room(path) == "commands" or not {"print", "sys.stdout.write", "sys.stderr.write"} & set(calls(path))


@every_file
def test_there_is_no_star_import_and_no_drawer_for_everything(path):
    assert not any(alias.name == "*" for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)
                   for alias in node.names)  # fmt: skip
    assert room(path) not in ("utils", "helpers", "common", "misc")


@pytest.mark.parametrize("name", sorted(minitransformer.__all__))
def test_every_public_name_is_there(name):
    assert getattr(minitransformer, name) is not None
    assert minitransformer.__all__.count(name) == 1


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'minitransformer' has no attribute 'attention'"):
        _ = minitransformer.attention
