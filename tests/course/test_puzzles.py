"""A puzzle takes any line that gives its target, and has a calm word for any other."""

import html
import re

import pytest
import torch
import torch.nn.functional as F

from minitransformer.course import catalogue, puzzle
from minitransformer.course.puzzles import Puzzle

RIGHT = {
    "1.z1": [
        lambda table: table[2],
        lambda table: table[-2],
        lambda table: table.select(0, 2),
        lambda table: table[[2]].squeeze(0),
        lambda table: torch.eye(4)[2] @ table,
        lambda table: list(table)[2],
        lambda table: table.index_select(0, torch.tensor([2])).flatten(),
        lambda table: torch.tensor(table.tolist()[2]),
        lambda table: table[2].bfloat16(),
    ],
    "1.z2": [
        lambda table, ids: table[ids],
        lambda table, ids: F.embedding(ids, table),
        lambda table, ids: torch.stack([table[each] for each in ids]),
        lambda table, ids: F.one_hot(ids, len(table)).float() @ table,
        lambda table, ids: table.index_select(0, ids),
        lambda table, ids: table[ids.tolist()],
        lambda table, ids: table.double()[ids, :],
    ],
    "1.z3": [
        lambda tens, ones: tens[:, None] + ones,
        lambda tens, ones: tens.unsqueeze(1) + ones.unsqueeze(0),
        lambda tens, ones: (ones[:, None] + tens).T,
        lambda tens, ones: tens.view(-1, 1).add(ones),
        lambda tens, ones: torch.cartesian_prod(tens, ones).sum(1).view(3, 2),
        lambda tens, ones: torch.tensor([[ten + one for one in ones] for ten in tens]),
        lambda tens, ones: tens[:, None].float() + ones,
    ],
    "1.z4": [
        lambda mine, theirs: theirs <= mine[:, None],
        lambda mine, theirs: mine[:, None] >= theirs,
        lambda mine, theirs: ~(theirs > mine.unsqueeze(1)),
        lambda mine, theirs: mine.view(2, 1) - theirs > -1,
        lambda mine, theirs: torch.le(theirs[None], mine[:, None]),
        lambda mine, theirs: torch.tensor([[each <= one for each in theirs] for one in mine]),
        lambda mine, theirs: torch.ones(5, 5).tril()[mine].bool(),
    ],
    "1.z5": [
        lambda query, key: query @ key.T,
        lambda query, key: (key @ query.T).T,
        lambda query, key: torch.einsum("td,sd->ts", query, key),
        lambda query, key: F.linear(query, key),
        lambda query, key: (query[:, None] * key).sum(-1),
        lambda query, key: query.matmul(key.transpose(0, 1)),
        lambda query, key: torch.stack([key @ each for each in query]),
    ],
    "1.z6": [
        lambda scores: scores.softmax(1),
        lambda scores: scores.softmax(-1),
        lambda scores: F.softmax(scores, dim=1),
        lambda scores: scores.exp() / scores.exp().sum(1, keepdim=True),
        lambda scores: scores.log_softmax(1).exp(),
        lambda scores: torch.stack([row.softmax(0) for row in scores]),
        lambda scores: scores.T.softmax(0).T.clone().requires_grad_(),
    ],
    "3.z1": [
        lambda weight, value, read, g: weight * (value @ (read @ g)),
        lambda weight, value, read, g: weight * value @ read @ g,
        lambda weight, value, read, g: (value @ read).mv(g).mul(weight),
        lambda weight, value, read, g: torch.einsum(",de,ev,v->d", weight, value, read, g),
        lambda weight, value, read, g: weight * (g @ read.T @ value.T),
        lambda weight, value, read, g: (value * (read * g).sum(1)).sum(1) / 2,
        lambda weight, value, read, g: F.linear(F.linear(g, read), value) * weight.item(),
    ],
    "3.z2": [
        lambda a, c: a * (c - a @ c),
        lambda a, c: a * c - a * (a * c).sum(),
        lambda a, c: (torch.diag(a) - torch.outer(a, a)) @ c,
        lambda a, c: a.mul(c.sub(torch.dot(a, c))),
        lambda a, c: torch.stack([one * (each - a @ c) for one, each in zip(a, c, strict=True)]),
        lambda a, c: -a * (a @ c - c),
        lambda a, c: torch.func.jacrev(lambda s: s.softmax(0))(a.log()).T @ c,
    ],
}
NOT_YET = {  # each with what its word must say
    "1.z1": [
        (lambda table: table[3], "counting starts at 0"),
        (lambda table: table[:, 2], "column"),
        (lambda table: table[2:3], "shape (1, 3)"),
        (lambda table: table[2].tolist(), "a list"),
        (lambda table: table[7], "IndexError"),
        (lambda table: table[1], "3 of 3"),
        (lambda table: table[2][2], "shape ()"),
    ],
    "1.z2": [
        (lambda table, ids: table[:3], "places, not"),
        (lambda table, ids: table[ids - 1], "counting starts at 0"),
        (lambda table, ids: table[ids.unique()], "shape (2, 3)"),
        (lambda table, ids: table[:, ids], "columns"),
        (lambda table, ids: table[ids[0]], "shape (3,)"),
        (lambda table, ids: [table[each] for each in ids], "a list"),
        (lambda table, ids: table.tolist()[ids], "TypeError"),
        (lambda table, ids: table[ids].T, "rows and columns"),
    ],
    "1.z3": [
        (lambda tens, ones: tens + ones, "RuntimeError"),
        (lambda tens, ones: tens + ones[:, None], "rows and columns"),
        (lambda tens, ones: tens[:, None] * ones, "multipl"),
        (lambda tens, ones: tens[:, None] + ones[:1], "shape (3, 1)"),
        (lambda tens, ones: torch.cartesian_prod(tens, ones).sum(1), "shape (6,)"),
        (lambda tens, ones: tens[:, None].numpy() + ones.numpy(), "NumPy"),
        (lambda tens, ones: tens.unsqueeze, "parentheses"),
    ],
    "1.z4": [
        (lambda mine, theirs: theirs < mine[:, None], "equal"),
        (lambda mine, theirs: theirs >= mine[:, None], "the other way"),
        (lambda mine, theirs: theirs > mine[:, None], "the other way"),
        (lambda mine, theirs: theirs[:, None] <= mine, "rows and columns"),
        (lambda mine, theirs: (theirs <= mine[:, None]).int(), "True and False"),
        (lambda mine, theirs: theirs <= mine, "RuntimeError"),
        (lambda mine, theirs: theirs <= mine[0], "shape (5,)"),
        (lambda mine, theirs: (theirs <= mine[:, None]).float(), "True and False"),
    ],
    "1.z5": [
        (lambda query, key: key @ query.T, "rows and columns"),
        (lambda query, key: query @ key, "RuntimeError"),
        (lambda query, key: query * key, "RuntimeError"),
        (lambda query, key: query @ key[:2].T, "shape (2, 2)"),
        (lambda query, key: (query @ key.T) / 2, "8 of 8"),
        (lambda query, key: query @ key.T > 0, "numbers"),
        (lambda query, key: query[:, None] * key, "shape (2, 4, 3)"),
    ],
    "1.z6": [
        (lambda scores: scores.softmax(0), "columns"),
        (lambda scores: scores.exp(), "divide"),
        (lambda scores: scores.flatten().softmax(0).view(2, 3), "all six"),
        (lambda scores: scores.log_softmax(1), "logarithm"),
        (lambda scores: scores.softmax(2), "IndexError"),
        (lambda scores: scores.softmax(), "TypeError"),
        (lambda scores: scores.softmax(1).sum(1), "shape (2,)"),
        (lambda scores: scores / 0 * 0, "NaN"),
    ],
    "3.z1": [
        (lambda weight, value, read, g: value @ read @ g, "weight in front"),
        (lambda weight, value, read, g: weight * read @ g, "Step 3 is missing"),
        (lambda weight, value, read, g: weight * (value.T @ (read @ g)), "matrix stands in front"),
        (lambda weight, value, read, g: weight * (value @ (g @ read)), "RuntimeError"),
        (lambda weight, value, read, g: weight * value @ read * g, "shape (2, 3)"),
        (lambda weight, value, read, g: -weight * (value @ (read @ g)), "2 of 2"),
        (lambda weight, value, read, g: (weight * (value @ (read @ g)))[:, None], "shape (2, 1)"),
    ],
    "3.z2": [
        (lambda a, c: a * c, "others lose"),
        (lambda a, c: c - a @ c, "weight in front"),
        (lambda a, c: a * (c - c.mean()), "weighted by a"),
        (lambda a, c: a @ (c - a @ c), "shape ()"),
        (lambda a, c: a * (a @ c - c), "3 of 3"),
        (lambda a, c: a @ c.T * c, "not yet"),
        (lambda a, c: a @ torch.diag(c).sum, "TypeError"),
    ],
}
ODD = {  # whatever somebody may write, in any puzzle
    "nothing yet": ..., "None": lambda *_: None, "text": lambda *_: "table[2]", "a number": lambda *_: 3,
    "no function": 7, "a name that is not there": lambda *_: tabel,  # noqa: F821
    "another count of names": lambda a, b, c, d: a, "an error without a word": lambda *_: 1 / 0,
    "a large tensor": lambda *_: torch.zeros(400, 300, 7), "an empty one": lambda *_: torch.zeros(0, 3),
    "complex numbers": lambda *_: torch.ones(3) * 1j, "a sparse one": lambda *_: torch.eye(3).to_sparse(),
    "a tensor without numbers": lambda *_: torch.zeros(3, device="meta"), "a class": lambda *_: torch.Tensor,
    "signs of HTML": lambda *_: (_ for _ in ()).throw(ValueError("<b>&" * 900)),
    "a dict": lambda *_: {1: torch.zeros(2)}, "one that unrolls": lambda *_: torch.zeros([2] * 9),
    "tensors of other lengths": lambda *_: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
}  # fmt: skip
cases = [(name, line) for name, lines in RIGHT.items() for line in lines]
misses = [(name, *pair) for name, lines in NOT_YET.items() for pair in lines]


def test_lesson_1_has_a_ladder_of_six_and_each_puzzle_has_many_lines():
    every = [name for lesson in catalogue.lessons() for name in catalogue.puzzles(lesson)]
    assert every == [*RIGHT] == [*NOT_YET] and len(catalogue.puzzles(1)) == 6
    assert min(map(len, [*RIGHT.values(), *NOT_YET.values()])) >= 7


@pytest.mark.parametrize(("name", "line"), cases)
def test_any_line_that_gives_the_target_is_right(name, line):
    shown = puzzle(name, line)
    assert "that is it" in shown.text and "that is it" in shown.html and "≠" not in shown.text


@pytest.mark.parametrize(("name", "line", "word"), misses)
def test_a_line_that_does_not_gets_a_word_on_what_differs(name, line, word):
    shown = puzzle(name, line)
    assert "not yet" in shown.text and word in shown.text, shown.text
    assert word in html.unescape(re.sub(r"<[^>]+>", "", shown.html)) and "Traceback" not in shown.text


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("line", ODD.values(), ids=ODD.keys())
def test_whatever_is_written_gets_a_calm_word(name, line):
    shown = puzzle(name, line)
    assert "that is it" not in shown.text and "target" in shown.text and len(shown.text) < 2500
    assert "<b>&" not in shown.html


def test_a_blank_shows_what_there_is_and_what_is_wanted():
    for blank in puzzle("1.z1"), puzzle("1.z1", ...), puzzle("1.z1", lambda table: ...):
        assert "type your line in place of the dots" in blank.text and "not yet" not in blank.text
        assert "table" in blank.text and "target" in blank.text and "yours" not in blank.text


def test_numbers_that_differ_are_marked_and_others_are_not():
    assert puzzle("1.z4", lambda mine, theirs: theirs < mine[:, None]).text.count("≠") == 2
    text = puzzle("1.z1", lambda table: table[2] + torch.tensor([0, 0, 1])).text
    assert text.count("≠") == 2 and "1 of 3 places differ (marked ≠)" in text and "≠ 9" in text


def test_a_line_that_changes_what_it_is_given_spoils_nothing():
    for _ in range(2):
        assert "that is it" in puzzle("1.z5", lambda query, key: query.mul_(1) @ key.T).text
        assert "not yet" in puzzle("1.z5", lambda query, key: query.mul_(2) @ key.T).text


def test_a_puzzle_that_is_not_there_is_refused_and_the_nearest_named():
    with pytest.raises(ValueError, match=r"there is no puzzle '1.z7'; did you mean '1.z"):
        puzzle("1.z7", lambda table: table)


@pytest.mark.parametrize("name", RIGHT)
def test_no_puzzle_is_solved_by_another_s_line_or_by_what_is_given(name):
    given = catalogue.puzzles(int(name[0]))[name]
    assert isinstance(given, Puzzle) and all(each.isfinite().all() for each in given.inputs().values())
    for each in given.inputs():
        assert "not yet" in puzzle(name, lambda *every, each=each: given.inputs()[each]).text
