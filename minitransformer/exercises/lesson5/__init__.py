"""Lesson 5 on the trusted side: prefixes at every layer, what they compile to, and decoding with them."""

from . import compiling, decoding, prefixes

EXERCISES = (*prefixes.EXERCISES, *compiling.EXERCISES, *decoding.EXERCISES)
