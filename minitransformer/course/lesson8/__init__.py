"""Lesson 8: what goes wrong between a soft prompt and other people's code, and one's own pairs."""
