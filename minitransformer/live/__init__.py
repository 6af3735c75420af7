"""The training step in a web page: the model's own Python code, recorded as graphs that a browser runs."""

from .showing import show

__all__ = ["show"]
