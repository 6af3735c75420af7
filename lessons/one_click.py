"""Badges that open a lesson in Colab or Binder, and the cell that installs the package where it is missing."""

import re

# Where the repository stands on GitHub, "owner/name". `python lessons/build.py` then puts the badges into README.md
# and the cell into the students' notebooks. Empty: neither.
REPOSITORY = ""

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
    """What was said; empty as long as nobody has said it."""
    if REPOSITORY and not re.fullmatch(r"[\w.-]+/[\w.-]+", REPOSITORY):
        raise ValueError(f"lessons/one_click.py: expected REPOSITORY as owner/name, got {REPOSITORY!r}")
    return REPOSITORY


def colab(notebook: str, where: str) -> str:
    """What opens this lesson, NN_name.ipynb, in Colab: it needs the cell above in it."""
    return f"https://colab.research.google.com/github/{where}/blob/main/lessons/{notebook}"


def binder(notebook: str, where: str) -> str:
    """What opens it in Binder, which builds the Dockerfile."""
    return f"https://mybinder.org/v2/gh/{where}/main?urlpath=lab/tree/minitransformer-lessons/{notebook}"


def badges(notebook: str, where: str) -> str:
    """Both in Markdown."""
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab(notebook, where)}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder(notebook, where)})"
    )


def with_badges(page: str, where: str) -> str:
    """The page with a column of badges in its table of lessons, or without one where nobody has said where."""
    page = HEAD.sub(r"\1 open |\n\2---|" if where else r"\1\n\2", page)
    return ROW.sub(lambda row: f"{row[1]} {badges(row[2], where)} |" if where else row[1], page)
