"""Where students' code runs: shut in, asked with plain data, and ended. Nothing here knows what an answer is worth."""

from .box import Box, Limits, Lost
from .course import AWAY, given, open_part
from .walls import GRADED, PROFILES, choose, problem

__all__ = ["AWAY", "GRADED", "PROFILES", "Box", "Limits", "Lost", "choose", "given", "open_part", "problem"]
