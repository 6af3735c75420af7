"""Where students' code runs: closed in, asked with plain data, and ended. Nothing here knows about marks."""

import sys

if sys.platform != "linux":
    raise ImportError("students' code can be shut in on Linux only: grade in a container, or on another machine")

from .box import Box, Limits, Lost
from .open_part import AWAY, provided_sources, write_open_part
from .profiles import GRADED, PROFILES, Chosen, choose, problem

__all__ = [
    "AWAY",
    "GRADED",
    "PROFILES",
    "Box",
    "Chosen",
    "Limits",
    "Lost",
    "choose",
    "problem",
    "provided_sources",
    "write_open_part",
]
