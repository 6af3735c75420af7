"""Lesson 1: tokens become vectors, who sees whom, one attention head."""
