"""What is imported is asked for: the code's imports, pyproject.toml, and the classroom's pins agree."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CALLED_OTHERWISE = {
    "yaml": "pyyaml",
    "websocket": "websocket-client",
    "markdown_it": "markdown-it-py",
    "PIL": "pillow",
}  # imported by another name
BY_NAME = ("library", "importorskip", "find_spec")  # functions that import, or look for, what a text names
ENGINES = "minitransformer/course/grading/engines"  # what other programs run, and the package does not
EVERYONE = set(PROJECT["dependencies"])


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def names(*groups) -> set[str]:
    return {name_of(each) for group in groups for each in group}


def libraries(text: str, own: set[str]) -> set[str]:
    """What a file imports, by the names under which it is installed; not Python's own and not ours."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in BY_NAME:
            found |= {each.value for each in node.args[:1] if isinstance(each, ast.Constant)}
    tops = {name.partition(".")[0] for name in found} - own - sys.stdlib_module_names
    return {CALLED_OTHERWISE.get(top, top.lower().replace("_", "-")) for top in tops}


def imported(*folders: str) -> dict[str, set[str]]:
    """For each library the files that import it."""
    every = [
        path
        for folder in ("minitransformer", "lessons", "tests", "benchmarks")
        for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    own = {path.stem for path in every} | {"minitransformer", "answers", "nobody", "bringer"}
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in ROOT.glob(folder)):
        if ENGINES in path.as_posix() and not folders[0].startswith(ENGINES):
            continue
        for library in libraries(path.read_text(encoding="utf-8"), own):
            found.setdefault(library, set()).add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize(
    ("folders", "given"),
    [
        (("minitransformer/**/*.py",), names(EVERYONE, EXTRAS["real"])),
        ((f"{ENGINES}/*.py",), names(EXTRAS["engines"])),
        (("lessons/source/*.py",), names(EVERYONE, EXTRAS["real"], EXTRAS["peers"])),
        (("lessons/*.py",), names(EVERYONE, EXTRAS["authors"])),
        (("tests/**/*.py", "benchmarks/*.py"), names(EVERYONE, *EXTRAS.values())),
    ],
    ids=["for everyone", "for other engines", "for lessons", "for authors", "for tests and benchmarks"],
)
def test_every_library_that_is_imported_is_asked_for(folders, given):
    found = imported(*folders)
    missing = {library: files for library, files in found.items() if library not in given}
    assert found and not missing


def test_a_library_is_found_however_it_is_imported():
    text = 'import yaml.x, sys, ours\nfrom IPython import display\nfrom . import plots\nlibrary("gguf", "it")'
    assert libraries(text, {"ours"}) == {"pyyaml", "ipython", "gguf"}


def test_what_everyone_installs_is_used_or_started():
    started = {"ipykernel"}  # by JupyterLab, for each notebook
    assert names(EVERYONE) - started <= imported("minitransformer/**/*.py").keys()


def test_every_dependency_says_why():
    """In pyproject.toml, behind it; an extra with one line says it once for all."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for requirement in (*PROJECT["dependencies"], *EXTRAS["authors"], *EXTRAS["dev"]):
        assert any(line.strip().startswith(f'"{requirement}", #') for line in lines), requirement


def test_the_classroom_s_pins_are_what_the_readme_s_two_commands_need():
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in pinned if line and not line.startswith("#")]
    assert lines.pop() == "-e ." and all("==" in line for line in lines)
    asked = [*PROJECT["dependencies"], *EXTRAS["authors"], *EXTRAS["dev"]]
    assert {name_of(line) for line in lines} == names(asked)
    for line in lines:
        version = tuple(map(int, re.search(r"==([\d.]+)", line)[1].split(".")))
        (least,) = {re.search(r">=([\d.]+)", each)[1] for each in asked if name_of(each) == name_of(line)}
        assert version >= tuple(map(int, least.split("."))), line


def test_what_the_real_model_needs_is_pinned_within_the_extra():
    pinned = names(line for line in (ROOT / "lessons/requirements-real.txt").read_text().splitlines() if "==" in line)
    assert names(EXTRAS["real"]) <= pinned
