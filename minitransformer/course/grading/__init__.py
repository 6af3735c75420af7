"""Marks that a course can trust: students' code runs closed in, and everything is judged outside."""

from ..isolation import Limits
from .classroom import grade

__all__ = ["Limits", "grade"]
