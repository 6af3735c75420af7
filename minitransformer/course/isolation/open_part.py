"""What a child may see of the course: the model and its hooks, and neither reference nor judge nor solution.

A file is open only if it is named here; everything else in the package is closed, new files too.
"""

import ast
import shutil
from functools import cache
from pathlib import Path
from types import ModuleType

import minitransformer

from .. import catalogue
from ..exercise import Exercise

PACKAGE = Path(__file__).parents[2]
OPEN = (
    "adamw", "base", "cache", "distributed", "expect", "freezing", "generation", "gradients", "grammar", "history",
    "hooks", "losses", "model", "optional", "phrasebook", "products", "results", "schedule", "shortcuts", "stopping",
    "tokenizer", "training",
    "files/__init__", "files/byte_pairs", "files/checkpoints", "files/gguf", "files/llama", "files/schema",
    "files/whole",
)  # fmt: skip
UNUSED = ("plots", "pictures", "course/__init__")  # imported by every lesson, and only their use is refused
AWAY = "not available while graded: write it yourself, or do without"
GUARD = f"""
def __getattr__(name):
    raise (AttributeError if name[:2] == "__" else ImportError)(name + " is {AWAY}")
"""


def write_open_part(lesson: int, folder: Path) -> Path:
    """Write the open part of the course, readable by everyone, once for a whole class."""
    package = folder / "minitransformer"
    shutil.copytree(PACKAGE / "data", package / "data")
    asking = [f"course/{path.parent.name}/{path.stem}" for path in catalogue.folder(lesson).glob("ask*.py")]
    for name in (*OPEN, "course/plain_data", "course/served_model", f"course/lesson{lesson}/__init__", *asking):
        place = package / f"{name}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / f"{name}.py", place)
    for name in "child", "seccomp", "wire":
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
    for name in closed_modules():
        (package / f"{name}.py").write_text(f"raise ImportError({f'{name} is {AWAY}'!r})\n", encoding="utf-8")
    guarded = {"__init__": f"{open_front()}\nfrom . import gradients, plots\n"} | dict.fromkeys(UNUSED, "")
    for name, text in guarded.items():
        (package / f"{name}.py").write_text(text + GUARD, encoding="utf-8")
    for path in folder, *folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def closed_modules() -> set[str]:
    """The modules and packages directly under ours of which nothing is open: importing one says so."""
    names = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return names - {name.partition("/")[0] for name in (*OPEN, *UNUSED, "__init__")}


def open_front() -> str:
    """The package's public names, with the imports from open files only."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    opened = {name.replace("/", ".") for name in OPEN}
    tree.body = [node for node in tree.body if isinstance(node, ast.ImportFrom) and (node.module in opened)]
    return ast.unparse(tree)


@cache
def provided_sources(exercise: Exercise) -> dict[str, str]:
    """The sources of the modules that an exercise provides, whole or with the provided names only."""
    names: dict[str, set[str]] = {}
    for each in exercise.provides:
        whole = isinstance(each, ModuleType)
        module = each.__name__ if whole else each.__module__
        names.setdefault(module, set()).update(minitransformer.__all__ if whole else {each.__name__})
    return {module.rpartition(".")[2]: cut_down(module, kept) for module, kept in names.items()}


def cut_down(module: str, kept: set[str]) -> str:
    """The source of a module without the public names that are not kept."""
    tree = ast.parse(PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text(encoding="utf-8"))
    closed = set(minitransformer.__all__) - kept
    tree.body = [node for node in tree.body if getattr(node, "name", None) not in closed]
    return ast.unparse(tree)
