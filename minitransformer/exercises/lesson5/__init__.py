"""Lesson 5 on the trusted side: prefixes at every layer, compiled, in decoding, and under test."""

from . import compiling, decoding, guarding, prefixes

EXERCISES = (*prefixes.EXERCISES, *compiling.EXERCISES, *decoding.EXERCISES, *guarding.EXERCISES)
