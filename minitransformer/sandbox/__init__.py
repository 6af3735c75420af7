"""Where students' code runs: shut in, asked with plain data, and ended. Nothing here knows what an answer is worth."""

import sys

if sys.platform != "linux":
    raise ImportError("students' code can be shut in on Linux only: grade in a container, or on another machine")

from .box import Box, Limits, Lost
from .course import AWAY, given, open_part
from .walls import GRADED, PROFILES, choose, problem

__all__ = ["AWAY", "GRADED", "PROFILES", "Box", "Limits", "Lost", "choose", "given", "open_part", "problem"]
