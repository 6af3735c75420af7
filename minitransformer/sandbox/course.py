"""What a child may see of the course: the model and its hooks, and neither reference nor judge nor solution."""

import ast
import re
import shutil
from functools import cache
from pathlib import Path

from ..exercises.assignment import SOFT_PROMPTS, names_given

HOUSE = Path(__file__).parents[1]
HIDDEN = ("bank", "comparison", "peft_files", "prompt_files", "soft_prompts",
          "sandbox", "grading", "commands", "__main__")  # fmt: skip
UNUSED = ("plots", "pictures", "exercises/__init__")  # imported by every lesson, and only their use is refused
AWAY = "not available while graded: write it yourself, or do without"
GUARD = f"""
def __getattr__(name):
    raise (AttributeError if name[:2] == "__" else ImportError)(name + " is {AWAY}")
"""


def open_part(lesson: int, folder: Path) -> Path:
    """Write the open part of the course, readable by everyone, once for a whole class."""
    house, asks = folder / "minitransformer", ("__init__", "plain", f"lesson{lesson}")
    (house / "exercises/asks").mkdir(parents=True)
    shutil.copytree(HOUSE / "data", house / "data")
    shown = [path for path in HOUSE.glob("*.py") if path.stem not in HIDDEN + UNUSED]
    for path in (*shown, *(HOUSE / f"exercises/asks/{name}.py" for name in asks)):
        shutil.copy(path, house / path.relative_to(HOUSE))
    for name in "child", "wire":
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
    for name in HIDDEN:
        (house / f"{name}.py").write_text(f"raise ImportError({f'{name} is {AWAY}'!r})\n", encoding="utf-8")
    hidden = rf"^from \.({'|'.join(HIDDEN)}) import (\([^)]*\)|.*)\n"
    front = re.sub(hidden, "", (house / "__init__.py").read_text(encoding="utf-8"), flags=re.MULTILINE)
    guarded = {"__init__": f"{front}\nfrom . import gradients, plots\n"} | dict.fromkeys(UNUSED, "")
    for name, text in guarded.items():
        (house / f"{name}.py").write_text(text + GUARD, encoding="utf-8")
    for path in folder, *folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@cache
def given(exercise: str) -> dict[str, str]:
    """The sources of what this exercise hands out: the soft prompts cut down to its own, and whole files."""
    names = names_given(exercise)
    if not names:
        return {}
    tree = ast.parse((HOUSE / "soft_prompts.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", None) not in SOFT_PROMPTS - names]
    files = {name: (HOUSE / f"{name}.py").read_text(encoding="utf-8") for name in sorted(names - SOFT_PROMPTS)}
    return {"soft_prompts": ast.unparse(tree)} | files
