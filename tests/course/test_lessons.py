"""The notebooks are what their sources make, carry what nbgrader wants, and give no solution away."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

from minitransformer.course import catalogue, lesson_text
from minitransformer.course.catalogue import exercise, exercises

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path.insert(0, str(LESSONS))

import build  # noqa: E402
import notebooks  # noqa: E402

SOURCES = [*lesson_text.sources().values()]
every_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
both = pytest.mark.parametrize("solved", [False, True], ids=["student", "solved"])


def kept(source: Path, solved: bool) -> nbformat.NotebookNode:
    return nbformat.read(build.paths(source)[solved], 4)


def code(book: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


@every_lesson
def test_the_notebooks_are_what_their_source_makes(source):
    assert build.drifted(source, run=False) == []


@every_lesson
@both
def test_a_notebook_is_valid_small_and_clean(source, solved):
    book, path = kept(source, solved), build.paths(source)[solved]
    nbformat.validate(book)
    assert path.stat().st_size < build.LARGEST
    assert book.metadata == notebooks.METADATA
    assert not notebooks.NOISE.search(path.read_text(encoding="utf-8").replace("image/png", ""))
    assert all("execution" not in cell.metadata for cell in book.cells)
    assert len({cell.id for cell in book.cells}) == len(book.cells)


@every_lesson
def test_a_student_s_notebook_has_no_outputs_no_solution_and_no_answers(source):
    cells = code(kept(source, False))
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    text = "\n".join(cell.source for cell in cells)
    assert not re.search(r'answer="[^"]', text) and not re.search(r"^predict\(.*, (?!None)", text, re.MULTILINE)
    for cell in cells:
        if "exercise" in cell.metadata.get("tags", ()):
            exercise_id = cell.id.removeprefix("exercise-").replace("-", ".")
            blank = f'raise NotImplementedError("Exercise {exercise_id} is not written yet")' in cell.source
            written = re.search(rf'^# %% exercise="{exercise_id}"$.*?^# %%', source.read_text("utf-8"), re.M | re.S)[0]
            assert blank or "### INSTEAD" in written  # a program to repair stands there


@every_lesson
def test_a_solved_notebook_ran_from_top_to_bottom_and_passes_everything(source):
    cells, lesson = code(kept(source, True)), int(source.name[:2])
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type in ("error", "stream") and output.get("name") != "stdout"
                   for cell in cells for output in cell.outputs)  # fmt: skip
    points = sum(each.points for each in exercises(lesson).values())
    said = "".join(str(output.data) for cell in cells[-2:] for output in cell.outputs)
    assert f"{points} of {points} points" in said
    assert f"{float(sum(each.points for each in catalogue.questions(lesson).values()))}" in said


@every_lesson
@both
def test_every_exercise_and_every_question_of_the_lesson_is_asked_once(source, solved):
    ids, lesson = [cell.id for cell in code(kept(source, solved))], int(source.name[:2])
    for role, wanted in (("exercise", exercises(lesson)), ("check", exercises(lesson)),
                         ("question", catalogue.questions(lesson))):  # fmt: skip
        assert sorted(each for each in ids if each.startswith(role)) == sorted(
            f"{role}-{each}".replace(".", "-") for each in wanted
        )


@every_lesson
@both
def test_nbgrader_finds_what_it_wants(source, solved):
    found = [cell for cell in code(kept(source, solved)) if "nbgrader" in cell.metadata]
    names = [cell.metadata.nbgrader.grade_id for cell in found]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)
    for cell in found:
        about = dict(cell.metadata.nbgrader)
        role = cell.id.split("-")[0]
        expected = {"schema_version": 3, "grade_id": cell.id, "task": False, "solution": role == "exercise"}
        expected |= {"grade": role in ("check", "points"), "locked": role != "exercise"}
        if role == "points":
            expected["points"] = sum(each.points for each in catalogue.questions(int(source.name[:2])).values())
        if role == "check":
            expected["points"] = exercise(cell.id.removeprefix("check-").replace("-", ".")).points
        assert about == expected


@every_lesson
def test_no_line_of_code_is_scrolled_sideways_in_a_window_of_1280_pixels(source):
    cells = [cell for cell in notebooks.notebook(source, solved=True).cells if cell.cell_type == "code"]
    lines = [line for cell in cells if not cell.id.startswith("question") for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > 104] == []


@every_lesson
def test_cells_are_short_and_prose_comes_first(source):
    cells = notebooks.notebook(source, solved=True).cells
    assert cells[0].cell_type == "markdown" and re.match(r"# Lesson \d+ · ", cells[0].source)
    assert re.search(r"\*\*\d+ minutes · difficulty [●○]{3} · builds on\*\*", cells[0].source)
    for cell in cells:
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("###")]
        assert cell.cell_type == "markdown" or len(lines) <= 16, cell.source


def made(text: str, tmp_path: Path, solved: bool = False) -> nbformat.NotebookNode:
    path = tmp_path / "01_made.py"
    path.write_text(text, encoding="utf-8")
    return notebooks.notebook(path, solved)


EXERCISE = '# %% exercise="1.1"\ndef f(x):\n    """Doc."""\n    ### BEGIN SOLUTION\n{}    ### END SOLUTION\n'


def test_a_region_becomes_a_blank_that_names_its_exercise(tmp_path):
    blank = made(EXERCISE.format("    return x\n"), tmp_path).cells[0].source
    assert "return x" not in blank
    with pytest.raises(NotImplementedError, match=r"^Exercise 1.1 is not written yet$"):
        exec(blank + "\nf(1)", {})


def test_a_broken_program_can_stand_where_the_solution_was(tmp_path):
    text = EXERCISE.format("    return x\n    ### INSTEAD\n    # y = 1\n    # return y\n")
    scope = {}
    exec(made(text, tmp_path).cells[0].source, scope)
    assert scope["f"](7) == 1
    exec(made(text, tmp_path, solved=True).cells[0].source, scope)
    assert scope["f"](7) == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# %% exercise="1.1"\nx = 1\n', "needs ### BEGIN SOLUTION"),
        ('# %% exercise="1.1"\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n', "blank inside a function"),
        ('# %% check="1.1"\ncheck("1.2", f)\n', "must read check"),
        ('# %% question="1.q1"\nquiz("1.q2")\n', "must read quiz"),
        ('# %% quizz="1.q1"\n', "a cell is one of setup, exercise, check, question, or nothing"),
        ('# %% question="1.q77"\nquiz("1.q77")\n', "there is no question '1.q77'"),
    ],
)
def test_a_source_with_a_mistake_is_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        made(text, tmp_path)


def test_the_line_of_a_puzzle_is_blank_for_the_student(tmp_path):
    text = '# %%\npuzzle("1.z3", lambda tens, ones: tens[:, None] + ones)\n'
    assert made(text, tmp_path).cells[0].source == 'puzzle("1.z3", lambda tens, ones: ...)'
    assert made(text, tmp_path, solved=True).cells[0].source == text.splitlines()[1]


def test_a_guess_is_blank_for_the_student_and_an_answer_filled_in_for_the_solved(tmp_path):
    text = '# %%\npredict("1.p1", {\n    "a": 1,\n})\n\n# %% question="1.q1"\nquiz("1.q1")\n'
    assert [cell.source for cell in made(text, tmp_path).cells] == ['predict("1.p1", None)', 'quiz("1.q1", answer="")']
    assert made(text, tmp_path, solved=True).cells[1].source != 'quiz("1.q1", answer="")'


@pytest.mark.parametrize(
    "output",
    [
        nbformat.v4.new_output("stream", name="stderr", text="UserWarning: old"),
        nbformat.v4.new_output("stream", name="stdout", text="see /tmp/somewhere"),
        nbformat.v4.new_output("execute_result", {"text/plain": "<object at 0x7f0011223344>"}),
    ],
)
def test_noise_in_an_output_is_an_error(output):
    with pytest.raises(ValueError, match=r"warns|differs from one machine"):
        notebooks.worth_keeping(output, nbformat.v4.new_code_cell("x"))


def test_a_progress_bar_is_dropped_and_a_change_is_found():
    bar = "\r 10%|█         | 1/10 [00:00<00:01,  9.0step/s]\r100%|██████████| 10/10 [00:01<00:00,  9.0step/s]\n"
    output = nbformat.v4.new_output("stream", name="stderr", text=bar)
    assert notebooks.worth_keeping(output, nbformat.v4.new_code_cell("x")) is False
    one, other = (notebooks.notebook(SOURCES[0], True) for _ in range(2))
    assert notebooks.drift(one, other) == []
    other.cells[2].source += "\nx = 1"
    assert notebooks.drift(one, other) == [f"cell {one.cells[2].id}: its source changed"]


def test_on_another_machine_the_same_kinds_must_be_shown_and_the_digits_may_differ():
    def solved(text, kind="image/png"):
        show = nbformat.v4.new_output("display_data", {kind: text}, metadata={kind: {"alt": text}})
        said = nbformat.v4.new_output("stream", text=text)
        cell = nbformat.v4.new_code_cell("1", outputs=[show, said], id="one")
        book = nbformat.v4.new_notebook(cells=[cell])
        notebooks.kinds_alone(book)
        return book

    assert notebooks.drift(solved("loss 0.1234"), solved("loss 1.2e-05")) == []
    assert notebooks.drift(solved("loss"), solved("loss", "text/html")) == ["cell one: its outputs changed"]
