"""Lesson 3: a gradient by hand, the training loop, the proof of freezing, four broken programs."""
