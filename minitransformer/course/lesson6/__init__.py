"""Lesson 6: attention with a prefix taken apart, and a trial with its baselines."""
