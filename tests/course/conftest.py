"""What tests of the course share: a folder that a notebook seems to run in, and the whole site, written once."""

import sys
from pathlib import Path

import pytest

from minitransformer.course import keeping
from minitransformer.course.progress import RECORD

sys.path.insert(0, str(Path(__file__).parents[2] / "lessons"))


@pytest.fixture
def notebook_folder(tmp_path, monkeypatch) -> Path:
    """A folder in which a notebook seems to run."""
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    RECORD.forget()
    yield tmp_path
    RECORD.forget()


@pytest.fixture(scope="session")
def whole_site(tmp_path_factory) -> Path:
    """With a page in the place of the live one, a repository and an address."""
    import site_pages

    folder = tmp_path_factory.mktemp("whole")
    (folder / "play").mkdir()
    (folder / "play/index.html").write_text('<!DOCTYPE html><html lang="en"><title>play</title><h1>play</h1>')
    (folder / "play/facts.json").write_text("{}")
    assert site_pages.write(folder / "site", folder / "play", "someone/course", "https://someone.example/course") == 8
    return folder / "site"
