"""Lesson 4: the nearest words, words in the place of vectors, the search for a setting."""
