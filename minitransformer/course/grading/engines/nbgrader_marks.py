"""Puts the marks of `minitransformer grade` into nbgrader's gradebook, where they take the autograder's place.

In the course's folder: python nbgrader_marks.py graded/results.json lesson2

The assignment has to be generated there before. Marks that a person gave in nbgrader stay.
"""

import json
import sys
from pathlib import Path

from nbgrader.api import Gradebook


def points(cell: str, tests: list[dict]) -> float:
    """What a cell's mark is: an exercise's in check-2-1, that of all questions in points-2."""
    role, _, about = cell.partition("-")
    counted = (each for each in tests if (each["id"] == about.replace("-", ".") if role == "check" else each["asked"]))
    return round(sum(each["earned"] for each in counted), 3)


def put(rows: list[dict], assignment: str, gradebook: str) -> None:
    with Gradebook(gradebook) as book:
        for row in rows:
            book.update_or_create_student(row["name"])
            submission = book.update_or_create_submission(assignment, row["name"])
            for grade in (grade for notebook in submission.notebooks for grade in notebook.grades):
                grade.auto_score = points(grade.cell.name, row["tests"])
                grade.needs_manual_grade = grade.manual_score is not None
        book.db.commit()


if __name__ == "__main__":
    results, assignment = sys.argv[1:]
    put(json.loads(Path(results).read_text(encoding="utf-8")), assignment, "sqlite:///gradebook.db")
