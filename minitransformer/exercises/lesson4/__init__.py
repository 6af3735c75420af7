"""Lesson 4 on the trusted side: the nearest words, words in the place of vectors, the search for a setting."""

from . import nearest_words, replacing, search

EXERCISES = (*nearest_words.EXERCISES, *replacing.EXERCISES, *search.EXERCISES)
