"""Lesson 7 on the trusted side: what tenants cost, one batch of many tenants, and a design decision."""

from . import costs, decision, mixing

EXERCISES = (*costs.EXERCISES, *mixing.EXERCISES, *decision.EXERCISES)
