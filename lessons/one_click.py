"""Badges that open a lesson in Colab or Binder, and the cell that installs the package where it is missing.

They need to know where the repository stands: `repository` under `[tool.one-click]` in pyproject.toml.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^(\| .+? \| \[.+?\]\((\d\d_\w+\.ipynb)\) \| \d+ \|).*$", re.MULTILINE)
HEAD = re.compile(r"^(\| # \| lesson \| minutes \|).*\n(\|---\|---\|---\|).*$", re.MULTILINE)
CELL = """\
# Does nothing where minitransformer is installed; where it is missing, as in Colab, this installs it.
from importlib.util import find_spec
from subprocess import run
from sys import executable

if find_spec("minitransformer") is None:
    run([executable, "-m", "pip", "install", "-q", "git+https://github.com/{repository}@main"], check=True)"""


def repository() -> str:
    """Where the repository stands on GitHub, owner/name; empty as long as nobody has said so."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    name = project["tool"]["one-click"]["repository"]
    if name and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"pyproject.toml: expected the repository as owner/name, got {name!r}")
    return name


def badges(notebook: str, where: str) -> str:
    """Markdown that opens this lesson, NN_name.ipynb, in Colab and in Binder."""
    colab = f"https://colab.research.google.com/github/{where}/blob/main/lessons/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{where}/main?urlpath=lab/tree/minitransformer-lessons/{notebook}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def with_badges(page: str, where: str) -> str:
    """The page with a column of badges in its table of lessons, or without one where nobody has said where."""
    page = HEAD.sub(r"\1 open |\n\2---|" if where else r"\1\n\2", page)
    return ROW.sub(lambda row: f"{row[1]} {badges(row[2], where)} |" if where else row[1], page)
