"""Lesson 7: what tenants cost, one batch of many tenants, and a design decision."""
