"""Lesson 2: vectors in front of the text, the loss that knows no prompt, a start from words."""
