"""What optional packages bring is found where they are installed, or it is said what to install."""

import sys

import pytest

from minitransformer.optional import library, shipped

INSTALL = "run  pip install --no-deps -r lessons/requirements-real.txt"


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "bringer").mkdir()
    (tmp_path / "bringer" / "__init__.py").write_text("import something_that_is_not_there")
    (tmp_path / "bringer" / "data.txt").write_text("data")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "bringer"


def test_a_package_s_file_is_found_without_importing_the_package(package):
    assert shipped("bringer", "data.txt") == package / "data.txt"
    assert "bringer" not in sys.modules


@pytest.mark.parametrize(("name", "file"), [("bringer", "other.txt"), ("nobody", "data.txt"), ("json", "data.txt")])
def test_what_is_not_shipped_is_said_with_what_to_install(package, name, file):
    with pytest.raises(FileNotFoundError, match=rf"no {file} of a package {name}: {INSTALL}"):
        shipped(name, file)


def test_a_missing_library_is_said_with_its_use_and_what_to_install(package):
    with pytest.raises(ImportError, match=rf"flying needs the package bringer \(.*\): {INSTALL}"):
        library("bringer", "flying")
