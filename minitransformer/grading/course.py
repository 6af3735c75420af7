"""What a child may see of the course: the model and its hooks, and neither reference nor judge nor solution."""

import ast
import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..exercises import catalogue, question_files
from ..exercises.exercise import Exercise

HOUSE = Path(__file__).parents[1]
LESSONS = HOUSE.parent / "lessons"
HIDDEN = ("bank", "comparison", "prompt_files", "soft_prompts", "exercises", "grading", "__main__")
AWAY = "{!r} is not available while graded: write it yourself, or do without"
GUARD = f"""
def __getattr__(name):
    if name in ("gradients", "plots"):
        return __import__("importlib").import_module("." + name, __name__)
    raise (ImportError if name in {{hidden}} else AttributeError)({AWAY!r}.format(name))
"""


EMPTY = f"""
def __getattr__(name):
    raise (AttributeError if name[:2] == "__" else ImportError)({AWAY!r}.format(name))
"""


@dataclass(frozen=True)
class Assignment:
    """One lesson's exercises and questions, with what its locked cells say: imports, and answers' names."""

    lesson: int
    setup: tuple[str, ...]
    names: dict[str, str]

    @classmethod
    def of(cls, lesson: int) -> "Assignment":
        catalogue.exercises(lesson)  # an unknown lesson is refused here
        (path,) = LESSONS.glob(f"{lesson:02}_*.ipynb")
        cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        tagged = [(tag, ast.parse("".join(c["source"])).body) for c in cells for tag in c["metadata"].get("tags", ())]
        checks = [body[0].value.args for tag, body in tagged if tag == "check"]
        setup = [line for tag, body in tagged if tag == "setup" for node in body for line in one_by_one(node)]
        return cls(lesson, tuple(setup), {exercise.value: answer.id for exercise, answer in checks})

    @property
    def exercises(self) -> dict[str, Exercise]:
        return catalogue.exercises(self.lesson)

    @property
    def questions(self) -> dict:
        return question_files.questions(self.lesson) if self.lesson in question_files.lessons() else {}

    @property
    def points(self) -> int:
        return sum(each.points for each in self.exercises.values()) + len(self.questions)

    @cached_property
    def opened(self) -> set[str]:
        """The files that are otherwise hidden and that the lesson's own first cell imports: here they are tools."""
        return {name for name in ("comparison", "bank", "prompt_files") for line in self.setup
                if line.startswith(f"from minitransformer.{name} ")}  # fmt: skip

    @cached_property
    def given(self) -> set[str]:
        """The soft prompts that the lesson's own first cell imports, or a file that it opens."""
        texts = [*self.setup, *((HOUSE / f"{name}.py").read_text(encoding="utf-8") for name in self.opened)]
        nodes = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.alias)]
        return soft_prompts() & {node.name for node in nodes}

    @cached_property
    def late(self) -> dict[str, set[str]]:
        """For each exercise, the soft prompts that only its adapter needs: they are handed over after the others."""
        asks = ast.parse((HOUSE / f"exercises/asks/lesson{self.lesson}.py").read_text(encoding="utf-8"))
        used = {each.id: closure(asks, {each.ask.__name__})[1] for each in self.exercises.values()}
        return {exercise: (names & soft_prompts()) - self.given for exercise, names in used.items()}


def one_by_one(node: ast.stmt) -> list[str]:
    """A statement; an import of several names as several, since some of them may be missing in the child."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return [ast.unparse(node)]
    rest = {"module": node.module, "level": node.level} if isinstance(node, ast.ImportFrom) else {}
    return [ast.unparse(type(node)(names=[alias], **rest)) for alias in node.names]


def soft_prompts() -> set[str]:
    tree = ast.parse((HOUSE / "soft_prompts.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def closure(tree: ast.Module, names: set[str]) -> tuple[list[ast.stmt], set[str]]:
    """The definitions of these names and of all that they use, and every name used on the way."""
    own = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            own[node.name] = node
        elif isinstance(node, ast.Assign):
            own |= {target.id: node for target in node.targets}
    used, todo = set(), set(names)
    while todo:
        used |= todo
        inside = [part for name in todo & own.keys() for part in ast.walk(own[name])]
        todo = {part.id for part in inside if isinstance(part, ast.Name)} - used
    return [node for node in tree.body if node in [own[name] for name in used & own.keys()]], used


def reduced(names: set[str]) -> str:
    """The soft prompts' source with these names only, and what they stand on."""
    tree = ast.parse((HOUSE / "soft_prompts.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)]
    return ast.unparse(ast.Module(imports + closure(tree, names)[0], []))


def build(assignment: Assignment, folder: Path) -> Path:
    """Write the open part of the course, readable by everyone, once for a whole class."""
    house, asks = folder / "minitransformer", folder / "minitransformer/exercises/asks"
    shutil.copytree(HOUSE / "data", house / "data")
    asks.mkdir(parents=True)
    for path in HOUSE.glob("*.py"):
        shutil.copy(path, house)
    for name in set(HIDDEN) - assignment.opened:
        (house / f"{name}.py").write_text(f"raise ImportError({AWAY.format(name)!r})\n", encoding="utf-8")
    for name in "plots", "pictures", "exercises/__init__":  # imported by every lesson, and only their use is refused
        (house / f"{name}.py").write_text(EMPTY, encoding="utf-8")
    (house / "exercises.py").unlink()
    if assignment.given:
        (house / "soft_prompts.py").write_text(reduced(assignment.given), encoding="utf-8")
    (house / "__init__.py").write_text(front(assignment), encoding="utf-8")
    for name in "__init__", "plain", f"lesson{assignment.lesson}":
        shutil.copy(HOUSE / f"exercises/asks/{name}.py", asks)
    for name in "child", "wire":
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
    judges = sorted([*HOUSE.rglob("*.py"), *HOUSE.rglob("*.toml")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in judges)).hexdigest()
    (folder / "fingerprint").write_text(digest)
    for path in folder, *folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def front(assignment: Assignment) -> str:
    """The package's `__init__` with what is left, and a word about what is not."""
    kept, hidden = [], []
    for node in ast.parse((HOUSE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            open_names = assignment.given if node.module == "soft_prompts" else set()
            closed = node.module in HIDDEN and node.module not in assignment.opened
            gone = [alias.name for alias in node.names if closed and alias.name not in open_names]
            hidden += gone
            node.names = [alias for alias in node.names if alias.name not in gone]
            kept += [ast.unparse(node)] if node.names else []
    return "\n".join(kept) + GUARD.replace("{hidden}", repr((*hidden, "check")))
