"""Every part and question of every lesson, as tests of the notebook that `pytest --submission my.ipynb` names.

`-k "2.1"` chooses one exercise. Nothing is collected here without a submission.
"""

import pytest

from minitransformer.course import catalogue

PARTS = [
    pytest.param(exercise.id, part.name, id=f"{exercise.id} {part.name}", marks=pytest.mark.lesson(lesson))
    for lesson in catalogue.lessons()
    for exercise in catalogue.exercises(lesson).values()
    for part in exercise.parts
]
QUESTIONS = [
    pytest.param(name, "answer", id=name, marks=pytest.mark.lesson(lesson))
    for lesson in catalogue.lessons()
    for name, question in catalogue.questions(lesson).items()
    if question.points
]


@pytest.mark.parametrize(("name", "part"), [*PARTS, *QUESTIONS])
def test_part(name, part, pytestconfig, tmp_path_factory):
    row = pytestconfig.pluginmanager.get_plugin("practice").grade(tmp_path_factory.mktemp("practice"))
    if row.get("problem"):
        pytest.fail(row["problem"], pytrace=False)
    test = next(test for test in row["tests"] if (test["id"], test["part"]) == (name, part))
    if test["earned"] < test["points"]:
        pytest.fail(f"{test['earned']:g} of {test['points']:g} points", pytrace=False)
