"""What the tests of the site share: the whole site, written once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "lessons"))


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
