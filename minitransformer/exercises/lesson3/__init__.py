"""Lesson 3 on the trusted side: a gradient by hand, the training loop, the proof of freezing, four broken programs."""

from . import by_hand, diagnoses, loop, proof

EXERCISES = (*by_hand.EXERCISES, *loop.EXERCISES, *proof.EXERCISES, *diagnoses.EXERCISES)
