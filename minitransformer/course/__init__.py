"""What the lessons' notebooks use: checks, hints, predictions, questions, warm-ups, and where one is."""

from .checking import Unfinished, check, hint, use
from .predictions import guessed, predict, reveal
from .progress import progress, question_points, student
from .progress_map import progress_map
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
    "question_points",
    "quiz",
    "reveal",
    "student",
    "use",
    "warm_up",
]
