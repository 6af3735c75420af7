"""Lesson 6 on the trusted side: attention with a prefix taken apart, and a trial with its baselines."""

from . import taken_apart, trials

EXERCISES = (*taken_apart.EXERCISES, *trials.EXERCISES)
