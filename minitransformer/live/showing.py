"""The page in a notebook, or its address: built once for this code and this model, and served by this process."""

import base64
import hashlib
import logging
import os
import tempfile
from functools import cache
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from .. import expect
from ..base import BASE
from ..files.prompts import save
from ..hooks import Hooks
from .build import build, built
from .serving import address, server

if TYPE_CHECKING:
    from IPython.display import IFrame

PACKAGE = Path(__file__).parents[1]
SOURCES = "*.py", "live/**/*.*", "files/*.py", "data/*.toml"


def show(prompt: Hooks | None = None, *, height: int = 900) -> "IFrame | str":
    """The page on which a prompt is trained; with this prompt, if one is given, in place of one by chance.

    In a notebook it stands under the cell that ends with this call; elsewhere its address is returned. The browser has
    to run on this machine.
    """
    expect.a(Hooks, **expect.given(prompt=prompt))
    expect.whole(1, height=height)
    where = page_address() + ("" if prompt is None else f"#prompt={as_link(prompt)}")
    if not in_notebook():
        return where
    from IPython.display import IFrame

    return IFrame(where, width="100%", height=height)


@cache
def page_address() -> str:
    """Of the page that a thread of this process serves, from the first call on."""
    listening = server(ready())
    Thread(target=listening.serve_forever, daemon=True).start()
    return address(listening)


def ready() -> Path:
    """The folder of the built page; built where it is not there yet, for which it needs some minutes."""
    folder = cache_folder() / f"play-{key()}"
    if not built(folder):
        logging.getLogger(__name__).warning("building the page, some minutes, once: %s", folder)
        build(folder)
    return folder


def cache_folder() -> Path:
    own = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) / "minitransformer"


def key() -> str:
    """Changes with all that goes into the page."""
    total = hashlib.sha256(BASE.read_bytes())
    for path in sorted({path for pattern in SOURCES for path in PACKAGE.glob(pattern)}):
        total.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return total.hexdigest()[:16]


def as_link(prompt: Hooks) -> str:
    """Its file, as an address that holds what it leads to."""
    with tempfile.TemporaryDirectory() as folder:
        save(prompt, path := Path(folder) / "prompt.safetensors")
        return f"data:application/octet-stream;base64,{base64.b64encode(path.read_bytes()).decode()}"


def in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
