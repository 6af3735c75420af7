"""Our graded tests kill every planted bug and name its cause, and let right programs pass."""

from functools import partial

import numpy as np
import pytest
import torch

from minitransformer.course.catalogue import exercise, known_answers
from minitransformer.course.exercise import answered, in_process, judge
from minitransformer.course.lesson5 import bugs, guarding
from minitransformer.course.lesson5.ask_guard import program
from minitransformer.course.lesson5.programs import Program
from minitransformer.course.lesson_text import defined, lesson_of, reference, setup
from minitransformer.course.plain_data import rebuilt
from minitransformer.course.small_models import random_weights


def judged(exercise_id: str, program: str):
    """What the judges say about one answer of this program."""
    answer = defined(exercise_id, f"{setup(2)}\n{program}")
    return judge(exercise(exercise_id), in_process(exercise(exercise_id), answer), seed=7)


def seen_from_afar(pieces, seed=0):
    """A program as a student's test meets it: its code runs elsewhere."""
    return program(partial(answered, Program(pieces, seed)))


@pytest.fixture
def model():
    return rebuilt(vars(guarding.MODEL), random_weights(np.random.default_rng(0), guarding.MODEL))


@pytest.mark.parametrize("exercise_id", bugs.PROGRAM)
def test_the_text_s_own_program_passes(exercise_id):
    assert judged(exercise_id, bugs.program()).passed


def test_right_programs_have_every_right_answer_in_them():
    programs = bugs.right_programs(np.random.default_rng(0))
    for each in bugs.PROGRAM:
        wanted = [reference(each), *known_answers(lesson_of(each), "right")[each]]
        assert {id(made[each]) for made in programs} == set(map(id, wanted))


@pytest.mark.parametrize("bug", bugs.BUGS)
def test_a_planted_bug_is_caught_and_its_cause_named(bug):
    exercise_id, symptom = bugs.BUGS[bug]
    found = judged(exercise_id, bugs.program(bug))
    assert not found.passed and symptom
    assert bug in {each.misconception.name for each in found.findings if each.misconception}


def test_a_student_s_test_is_asked_for_every_one_of_them():
    wanted = [name for _, names in guarding.GROUPS.values() for name in names]
    assert sorted(wanted) == sorted(bugs.BUGS) and len(wanted) >= 12


def test_a_program_with_a_bug_has_that_bug_and_is_right_otherwise():
    for bug, (exercise_id, _) in bugs.BUGS.items():
        made = bugs.pieces(np.random.default_rng(1), bug)
        assert made.pop(exercise_id) in [it for name, it in known_answers(lesson_of(exercise_id), "wrong")[exercise_id]
                                         if name == bug]  # fmt: skip
        assert all(piece in bugs.right_pieces(other) for other, piece in made.items())


@pytest.mark.parametrize("number", range(8))
def test_a_program_seen_from_afar_has_the_values_and_gradients_of_the_program_itself(number, model):
    made = bugs.right_programs(np.random.default_rng(2))[number]
    near, far = made["2.1"], seen_from_afar(made).Prompt
    vectors, x = torch.randn(3, 16), torch.randn(2, 5, 16, requires_grad=True)
    weights, found = torch.randn(2, 8, 16), []
    for Prompt in near, far:
        prompt = Prompt(vectors.clone())
        entered = prompt.embed(x)
        slopes = torch.autograd.grad((entered * weights).sum(), [*prompt.parameters(), x])
        found.append([entered, *slopes])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    tokens, targets = torch.randint(60, (2, 4)), torch.tensor([[-100, 1, 2, 3], [-100, -100, 4, 5]])
    prompt = near(vectors)
    losses = [loss(model, prompt, tokens, targets) for loss in (made["2.2"], seen_from_afar(made).prompt_loss)]
    assert torch.equal(*losses)
    assert all(
        torch.allclose(*pair, atol=1e-6)
        for pair in zip(*(torch.autograd.grad(value, [*prompt.parameters()]) for value in losses), strict=True)
    )


def test_what_a_test_changes_in_a_program_s_parameters_changes_what_the_program_does():
    prompt = seen_from_afar(bugs.right_programs(np.random.default_rng(0))[0]).Prompt(torch.zeros(2, 16))
    torch.optim.SGD(prompt.parameters(), lr=1.0).zero_grad()
    prompt.vectors.data += 7
    assert prompt.embed(torch.zeros(1, 1, 16))[0, :, 0].tolist() == [7, 7, 0]


def test_a_way_that_is_closed_is_closed_from_afar_too():
    rng = np.random.default_rng(0)
    cut = seen_from_afar(bugs.pieces(rng, "gradient-cut-off")).Prompt(torch.ones(2, 16))
    assert not cut.embed(torch.zeros(1, 1, 16)).requires_grad
    assert not [*seen_from_afar(bugs.pieces(rng, "not-a-parameter")).Prompt(torch.ones(2, 16)).parameters()]
    with torch.no_grad():
        right = seen_from_afar(bugs.pieces(rng)).Prompt(torch.ones(2, 16))
        assert not right.embed(torch.zeros(1, 1, 16)).requires_grad


def test_no_code_of_a_program_is_where_its_test_runs():
    guard_sees = []

    def guard(program, model):
        for thing in vars(program).values():
            for function in (thing, *(vars(thing).values() if isinstance(thing, type) else ())):
                if hasattr(function, "__code__"):
                    guard_sees.append(function.__code__.co_filename)

    judge(exercise("5.7"), in_process(exercise("5.7"), guard), seed=0)
    assert guard_sees and all(name.endswith("ask_guard.py") for name in guard_sees)


@pytest.mark.parametrize(
    ("ask", "inputs"),
    [
        ("made", ["Prefix", 10**6, vars(guarding.MODEL)]),
        ("value", ["from_words", -1, [], [np.arange(2), np.zeros((3, 4), np.float32), 10**7]]),
        ("value", ["embed", 0, [np.zeros((2, 16), np.float32)], [np.zeros((10**6, 0, 16), np.float32)]]),
        ("loss", [10**7, 16, np.zeros((1, 2), int), np.zeros((1, 2), int), []]),
        ("value", ["__init__", 0, [], []]),
        ("value", ["embed", 0, [], [np.zeros((1, 0, 16), np.float32)]]),
    ],
)
def test_a_test_that_asks_a_program_for_too_much_gets_an_error(ask, inputs):
    served = Program(bugs.right_programs(np.random.default_rng(0))[0])
    served.made("Prompt", np.zeros((2, 16), np.float32))
    with pytest.raises((MemoryError, ValueError)):
        answered(served, ask, *inputs)


def test_a_test_that_makes_prompts_without_end_is_stopped():
    far = seen_from_afar(bugs.right_programs(np.random.default_rng(0))[0])
    with pytest.raises(MemoryError, match="more prompts and prefixes than a test needs"):
        for _ in range(10_000):
            far.Prompt(torch.zeros(2, 16))


def counts_parameters(program, model):
    assert len(list(program.Prompt(torch.zeros(3, 16)).parameters())) == 1, "one is enough"


def takes_too_little(program):
    """Fails before its first line."""


@pytest.mark.parametrize(
    ("guard", "complaint"),
    [
        (counts_parameters, "by AssertionError: one is enough, at line "),
        (takes_too_little, "by TypeError: takes_too_little() takes 1 positional argument but 2 were given. Ask"),
    ],
)
def test_who_rejects_a_right_program_reads_by_what(guard, complaint):
    (found, *_) = judge(exercise("5.7"), in_process(exercise("5.7"), guard), seed=0).findings
    assert found.misconception.name == "right-program-rejected" and complaint in str(found.misconception)
