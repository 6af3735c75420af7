"""What a child may see of the course: the model and its hooks, and neither reference nor judge nor solution."""

import ast
import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..exercises import catalogue, question_files
from ..exercises.exercise import Exercise

HOUSE = Path(__file__).parents[1]
LESSONS = HOUSE.parent / "lessons"
HIDDEN = ("bank", "comparison", "peft_files", "prompt_files", "soft_prompts", "grading", "commands", "__main__")
BOTH = {"PromptTuning", "PrefixTuning"}
SOFT_PROMPTS = {*BOTH, "KeyValuePrefix", "Gate", "compile_prefix", "reparametrise", "bake"}
GIVEN = {  # what a lesson or an exercise hands out ready made: soft prompts by name, and whole files
    "2.2": {"PromptTuning"},
    "3": {"PromptTuning"},
    "4": {*SOFT_PROMPTS, "comparison"},
    "5.4": BOTH,
    "5.5": BOTH,
    "5.6": BOTH,
    "6": {*SOFT_PROMPTS, "comparison"},
    "7": SOFT_PROMPTS,
}
AWAY = "not available while graded: write it yourself, or do without"
STUB = f"""
def __getattr__(name):
    if name[:2] == "__":
        raise AttributeError(name)
    def away(*given, **named):
        raise ImportError(name + " is {AWAY}")
    return away
"""
GUARD = f"""
def __getattr__(name):
    if name in ("gradients", "plots"):
        return __import__("importlib").import_module("." + name, __name__)
    raise (ImportError if name in HIDDEN else AttributeError)(name + " is {AWAY}")
"""


@dataclass(frozen=True)
class Assignment:
    """One lesson's exercises and questions, with what its locked cells say: imports, and answers' names."""

    lesson: int
    setup: str
    names: dict[str, str]

    @classmethod
    def of(cls, lesson: int) -> "Assignment":
        catalogue.exercises(lesson)  # an unknown lesson is refused here
        (path,) = LESSONS.glob(f"{lesson:02}_*.ipynb")
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        tagged = [(tag, "".join(cell["source"])) for cell in cells for tag in cell["metadata"].get("tags", ())]
        checks = [ast.parse(text).body[0].value.args for tag, text in tagged if tag == "check"]
        setup = "\n".join(text for tag, text in tagged if tag == "setup")
        return cls(lesson, setup, {exercise.value: answer.id for exercise, answer in checks})

    @property
    def exercises(self) -> dict[str, Exercise]:
        return catalogue.exercises(self.lesson)

    @property
    def questions(self) -> dict:
        return question_files.questions(self.lesson) if self.lesson in question_files.lessons() else {}

    @property
    def points(self) -> int:
        return sum(each.points for each in self.exercises.values()) + len(self.questions)


@cache
def given(exercise: str) -> dict[str, str]:
    """The sources of what this exercise hands out: the soft prompts cut down to its own, and whole files."""
    names = GIVEN.get(exercise) or GIVEN.get(exercise[0], set())
    tree = ast.parse((HOUSE / "soft_prompts.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", None) not in SOFT_PROMPTS - names]
    files = {name: (HOUSE / f"{name}.py").read_text(encoding="utf-8") for name in sorted(names - SOFT_PROMPTS)}
    return {"soft_prompts": ast.unparse(tree)} | files if names else {}


def build(lesson: int, folder: Path) -> Path:
    """Write the open part of the course, readable by everyone, once for a whole class."""
    house, asks = folder / "minitransformer", folder / "minitransformer/exercises/asks"
    shutil.copytree(HOUSE / "data", house / "data")
    asks.mkdir(parents=True)
    for path in HOUSE.glob("*.py"):
        if path.stem not in HIDDEN:
            shutil.copy(path, house)
    for name in HIDDEN:
        (house / f"{name}.py").write_text(f"raise ImportError({f'{name} is {AWAY}'!r})\n", encoding="utf-8")
    for name in "plots", "pictures", "exercises/__init__":  # imported by every lesson, and only their use is refused
        (house / f"{name}.py").write_text(STUB, encoding="utf-8")
    (house / "__init__.py").write_text(front(), encoding="utf-8")
    for name in "__init__", "plain", f"lesson{lesson}":
        shutil.copy(HOUSE / f"exercises/asks/{name}.py", asks)
    for name in "child", "wire":
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
    for path in folder, *folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def front() -> str:
    """The package's `__init__` with what is left, and a word about what is not."""
    tree = ast.parse((HOUSE / "__init__.py").read_text(encoding="utf-8"))
    gone = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in HIDDEN]
    tree.body = [node for node in tree.body if node not in gone]
    names = {alias.name for node in gone for alias in node.names} | {"check"}
    return f"{ast.unparse(tree)}\nHIDDEN = {names}\n{GUARD}"


def fingerprint() -> bytes:
    """Of everything that marks depend on: judges, questions and notebooks."""
    files = sorted([*HOUSE.rglob("*.py"), *HOUSE.rglob("*.toml"), *LESSONS.glob("*.ipynb")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()
