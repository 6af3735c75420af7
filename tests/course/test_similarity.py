"""Copies are found however dressed up and however many; honest answers that had no other way are left alone."""

import random

import pytest

from minitransformer.course import catalogue, lesson_text
from minitransformer.course.grading import similarity

OWN = {  # one student's own way, odd and right
    "1.1": """
def embed(tokens, table):
    out = []
    for sentence in tokens.tolist():
        row = []
        for number in sentence:
            assert 0 <= number < len(table), "no such word"
            row.append(table[number] * 1.0)
        out.append(torch.stack(row, 0))
    return torch.stack(out).reshape(*tokens.shape, table.shape[-1])
""",
    "1.2": """
def visible(queries, keys):
    behind = keys - queries
    mask = torch.zeros(queries, keys, dtype=torch.bool)
    for i in range(queries):
        for j in range(min(keys, behind + i + 1)):
            mask[i][j] = not mask[i][j]
    return mask
""",
    "1.3": """
def attend(query, key, value, visible):
    size = query.shape[-1]
    every = []
    for place, q in enumerate(query):
        scores = torch.tensor([float("-inf")] * len(key), dtype=query.dtype)
        for other in range(len(key)):
            if bool(visible[place, other]):
                scores[other] = sum(q[n] * key[other][n] for n in range(size)) / size ** 0.5
        top = scores.max()
        powers = torch.exp(scores - top)
        every.append(powers / powers.sum())
    weights = torch.stack(every)
    return weights, torch.einsum("ts,sd->td", weights, value)
""",
}
RENAMED = {  # the same after an evening with search and replace
    "1.3": '''
def attend(query, key, value, visible):
    """My own solution!"""
    # first get the width
    w = query.shape[-1]
    result_list = []
    for idx, vec in enumerate(query):
        s = torch.tensor([float('-inf')] * len(key),
                         dtype=query.dtype)
        for k in range(len(key)):
            if bool(visible[idx, k]):
                s[k] = sum(vec[m] * key[k][m] for m in range(w)) / w ** .5
        biggest = s.max()
        e = torch.exp(s - biggest)
        result_list.append(e / e.sum())
    att = torch.stack(result_list)
    return att, torch.einsum("ab,bc->ac", att, value)
''',
    "1.1": OWN["1.1"]
    .replace("sentence", "line")
    .replace("number", "token_id")
    .replace("out", "res")
    .replace("row", "r"),
    "1.2": OWN["1.2"].replace("behind", "offset").replace("mask", "m"),
}
LAST_HINTS = [  # written from the last hints of 6.1 and 6.2, by two who never met
    {
        "6.1": """
def content(weights, virtual):
    prefix_part = weights[..., :virtual]
    text_part = weights[..., virtual:]
    share = prefix_part.sum(dim=-1)
    text_sum = text_part.sum(dim=-1, keepdim=True)
    return share, text_part / text_sum
""",
        "6.2": """
def split(weights, values, virtual):
    bias = weights[..., :virtual] @ values[:, :virtual]
    text = weights[..., virtual:]
    text = text / text.sum(-1, keepdim=True)
    return bias, text @ values[:, virtual:]
""",
    },
    {
        "6.1": """
def content(weights, virtual):
    \"\"\"How much the prefix takes, and how the rest is divided.\"\"\"
    a = weights[..., :virtual]
    b = weights[..., virtual:]
    s = a.sum(dim=-1)  # the share
    total = b.sum(dim=-1, keepdim=True)
    return s, b / total
""",
        "6.2": """
def split(weights, values, virtual):
    from_prefix = weights[..., :virtual] @ values[:, :virtual]
    own = weights[..., virtual:]
    own = own / own.sum(-1, keepdim=True)
    return from_prefix, own @ values[:, virtual:]
""",
    },
]


def row(name: str, code: dict[str, str], lesson: int = 1) -> dict:
    return {"name": name} | similarity.traces([*code.items()], similarity.known_code(lesson))


def solved(lesson: int) -> dict[str, str]:
    return {exercise: lesson_text.solution(exercise) for exercise in catalogue.exercises(lesson)}


def others(count: int, lesson: int = 1) -> list[dict]:
    """A class that writes what the lesson's text writes."""
    return [row(f"other {number}", solved(lesson), lesson) for number in range(count)]


def names(rows: list[dict]) -> list[tuple[str, str]]:
    return sorted((pair.one["name"], pair.two["name"]) for pair in similarity.alike(rows))


def test_a_copy_with_other_names_comments_and_formatting_is_found():
    backwards = dict(reversed(RENAMED.items()))
    assert names([*others(18), row("anna", OWN), row("bert", backwards)]) == [("anna", "bert")]


def test_a_copy_that_three_of_twenty_share_is_found_with_all_its_pairs():
    three = [row("anna", OWN), row("bert", RENAMED), row("carl", {None: "\n".join(OWN.values())})]
    assert names([*others(17), *three]) == [("anna", "bert"), ("anna", "carl"), ("bert", "carl")]


def test_a_copy_that_a_third_of_a_class_shares_is_found():
    assert len(names([*others(14), *(row(f"copy {n}", OWN | {"1.1": RENAMED["1.1"]}) for n in range(6))])) == 15


def test_a_copy_among_two_is_found():
    assert names([row("anna", OWN), row("bert", RENAMED)]) == [("anna", "bert")]


def test_who_copies_one_long_answer_and_solves_the_rest_alone_is_found():
    assert names([*others(18), row("anna", OWN), row("bert", solved(1) | {"1.3": RENAMED["1.3"]})])


@pytest.mark.parametrize("lesson", catalogue.lessons())
def test_two_blanks_and_two_who_write_what_the_lesson_says_are_not_accused(lesson):
    blank = {
        exercise: f"def {name}(*given):\n    raise NotImplementedError('{exercise} is not written yet')"
        for exercise, name in lesson_text.answer_names(lesson).items()
    }
    rows = [row("blank", blank, lesson), row("blank too", blank, lesson)]
    assert names([*rows, *others(2, lesson)]) == []
    assert names(others(2, lesson)) == [] and all(not each["code"] for each in others(1, lesson))


@pytest.mark.parametrize("class_of", [0, 10])
def test_two_honest_answers_in_the_hint_s_words_are_not_accused(class_of):
    rows = [row(f"honest {number}", solved(6) | code, 6) for number, code in enumerate(LAST_HINTS)]
    assert names([*rows, *others(class_of, 6)]) == []


@pytest.mark.parametrize("exercise", OWN)
def test_one_short_answer_written_alike_is_no_accusation(exercise):
    short = {"1.1": "def embed(tokens, table):\n    rows = [table[int(i)] for i in tokens.flatten()]\n"
             "    return torch.stack(rows).view(tokens.shape[0], tokens.shape[1], table.shape[1])\n",
             "1.2": "def visible(queries, keys):\n    i = torch.arange(queries).unsqueeze(1) + (keys - queries)\n"
             "    j = torch.arange(keys).unsqueeze(0)\n    return torch.le(j, i)\n",
             "1.3": "def attend(query, key, value, visible):\n    s = torch.matmul(query, key.transpose(0, 1))\n"
             "    s = s / math.sqrt(query.size(-1))\n    s[~visible] = float('-inf')\n"
             "    w = torch.softmax(s, dim=-1)\n    return w, torch.matmul(w, value)\n"}[exercise]  # fmt: skip
    assert (
        names([*others(18), row("anna", solved(1) | {exercise: short}), row("b", solved(1) | {exercise: short})]) == []
    )


def test_what_a_whole_class_writes_is_not_unusual():
    assert names([row(f"student {number}", OWN) for number in range(20)]) == []


@pytest.mark.parametrize("code", ["def embed(:\n", "\0", "(" * 5000, "a;" * 100, "class A:\n    def f(self): pass\n"])
def test_code_that_cannot_be_read_is_compared_with_nothing(code):
    assert names([row("anna", {"1.1": code}), row("bert", {"1.1": code})]) == []


def test_what_is_kept_of_one_submission_is_bounded():
    rng = random.Random(0)
    signs = "+", "-", "*", "@", "/", "%", "<", "and", "or", "|", "&"
    long = "\n".join("x = " + f" {rng.choice(signs)} ".join("abcdefgh") for _ in range(9000))
    kept = row("long", {None: long})
    assert len(kept["code"]) <= 1000 and sum(map(len, kept["source"].values())) <= 6000


def test_code_that_no_exercise_needs_is_named():
    assert row("a", {"1.1": "import gc\nx.__globals__"})["strange"] == ["__globals__", "gc"]
