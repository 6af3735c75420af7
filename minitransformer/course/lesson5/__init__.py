"""Lesson 5: prefixes at every layer, compiled, in decoding, and under test."""
