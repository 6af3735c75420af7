"""What the files of this folder share: a lesson's parts and questions as parameters, with their points and hints."""

import pytest

from minitransformer.exercises import catalogue, question_files


def parts(lesson: int):
    """One test for each part of each exercise."""
    known = catalogue.exercises(lesson).values() if lesson in catalogue.LESSONS else ()
    found = [
        pytest.param(lesson, f"{exercise.id} {exercise.title}: {part.name}", id=f"{exercise.id} {part.name}",
                     marks=[pytest.mark.points(part.points), pytest.mark.hint(exercise.hints[0])])
        for exercise in known for part in exercise.parts
    ]  # fmt: skip
    return pytest.mark.parametrize(("lesson", "name"), found)


def questions(lesson: int):
    """One test for each question."""
    known = question_files.questions(lesson) if lesson in question_files.lessons() else ()
    found = [pytest.param(lesson, f"{name} question: answer", id=name, marks=pytest.mark.points(1)) for name in known]
    return pytest.mark.parametrize(("lesson", "name"), found)
