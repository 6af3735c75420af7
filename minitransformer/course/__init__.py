"""What the lessons' notebooks use: checks, hints, predictions, puzzles, questions, and where one is."""

from .checking import Unfinished, check, hint, use
from .predictions import guessed, predict, reveal
from .progress import progress, question_points, student
from .puzzles import puzzle
from .quiz import answer, quiz

__all__ = [
    "Unfinished",
    "answer",
    "check",
    "guessed",
    "hint",
    "predict",
    "progress",
    "puzzle",
    "question_points",
    "quiz",
    "reveal",
    "student",
    "use",
]
