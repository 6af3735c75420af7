"""Marks that a course can trust: students' code runs shut in, and everything is judged outside."""

from .classroom import grade
from .isolation import Limits
from .reports import terminal

__all__ = ["Limits", "grade", "terminal"]
