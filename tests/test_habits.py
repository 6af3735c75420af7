"""What stands beside the code is valid and points to what is there: workflows, issue forms, citation, changelog."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
FORMS = sorted(path for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if path.name != "config.yml")
YAML = [*WORKFLOWS, *sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")), ROOT / ".pre-commit-config.yaml"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
named = {"ids": lambda path: path.name}


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*YAML, ROOT / "CITATION.cff"], **named)
def test_every_yaml_can_be_read(path):
    assert isinstance(read(path), dict)


@pytest.mark.parametrize("path", WORKFLOWS, **named)
def test_a_workflow_has_jobs_with_steps_that_run_or_use_something(path):
    workflow = read(path)
    assert {"name", True, "permissions", "jobs"} <= workflow.keys()  # YAML reads the key `on` as True
    for job in workflow["jobs"].values():
        assert job["runs-on"] and job["steps"] and set(job.get("needs", "build").split()) <= {"build"}
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert "@" in step.get("uses", "@")


@pytest.mark.parametrize("path", WORKFLOWS, **named)
def test_the_files_that_a_workflow_names_are_there(path):
    text = path.read_text(encoding="utf-8")
    files = re.findall(r"(?<![\w/.])(?:lessons/|\.ci/)?[\w.-]+\.(?:txt|toml|py|md|cff)\b|(?<=run: )\.ci/run", text)
    assert files and all((ROOT / file).is_file() for file in files)
    if ".ci/run" in text:
        assert (ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("path", FORMS, **named)
def test_an_issue_form_asks_with_labels_and_its_ids_differ(path):
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len({*ids}) and all(field["attributes"]["label"] for field in form["body"])
    assert {field["type"] for field in form["body"]} <= {"input", "textarea", "checkboxes", "dropdown"}


def test_the_ruff_of_a_commit_is_the_ruff_of_the_tests():
    (pinned,) = re.findall(r"^ruff==[\d.]+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    for hook in read(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]:
        assert hook["additional_dependencies"] == [pinned]


def test_the_citation_has_what_its_form_asks_for_and_names_this_version():
    citation = read(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()
    assert citation["authors"] and citation["version"] == VERSION
    released = f"## [{VERSION}] - {citation['date-released']}"
    assert released in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_changelog_starts_with_what_is_not_released():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert heads[0] == "Unreleased" and VERSION in heads
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {*re.findall(r"^### (.+)$", changelog, re.MULTILINE)} <= kinds


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"])
def test_the_pages_point_to_what_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [each for each in re.findall(r"\]\(([^)#]+)\)", text) if not each.startswith("http")]
    assert all((ROOT / target).exists() for target in targets)
    code = re.findall(r"`([\w/.-]+/[\w/.-]*\.\w+)`", text)
    assert all((ROOT / file).exists() for file in code if "NN" not in file)
