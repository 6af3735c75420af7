"""What the lessons' notebooks use: checks, hints, predictions, puzzles, questions, warm-ups, and where one is."""

from .checking import Unfinished, check, hint, use
from .predictions import guessed, predict, reveal
from .progress import progress, question_points, student
from .progress_map import progress_map
from .puzzles import puzzle
from .quiz import answer, quiz
from .warm_up import warm_up

__all__ = [
    "Unfinished",
    "answer",
    "check",
    "guessed",
    "hint",
    "predict",
    "progress",
    "progress_map",
    "puzzle",
    "question_points",
    "quiz",
    "reveal",
    "student",
    "use",
    "warm_up",
]
