"""What the README shows is what happens."""

import re
from pathlib import Path

from minitransformer.commands import show
from minitransformer.real.tasks import recorded

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_do_what_they_say(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert "小心!" in capsys.readouterr().out


def test_every_file_of_the_package_has_a_place_in_the_map_of_the_house():
    package = Path(__file__).parents[1] / "minitransformer"
    names = [path.name for path in package.glob("*.py")] + [
        f"{path.parent.name}/" for path in package.glob("*/__init__.py")
    ]
    assert [name for name in names if f"`{name}`" not in README] == ["__init__.py"]


def test_what_the_readme_points_to_is_there():
    root = Path(__file__).parents[1]
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets and all((root / target).exists() for target in targets)


def test_the_test_command_is_the_one_that_ci_runs():
    commands = [line for line in README.splitlines() if line.endswith("-m pytest -n 2")]
    assert len(commands) == 1


def test_the_table_of_the_real_model_shows_the_recorded_results(capsys):
    show(recorded(), dict.fromkeys(row["method"] for row in recorded()))
    assert capsys.readouterr().out.strip().split("\n\n")[0] in README
