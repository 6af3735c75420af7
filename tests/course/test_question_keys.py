"""Whoever guesses earns next to nothing: no place, no length, no word and no luck tells the right answer."""

import random
import re
from itertools import combinations, permutations
from statistics import mean

import pytest

from minitransformer.course import catalogue
from minitransformer.course.questions import Choice, Match, Options, Order, Question, Several

ALL = [each for lesson in catalogue.lessons() for each in catalogue.questions(lesson).values()]
CHOICES = [each for each in ALL if isinstance(each, Choice)]
CLAIMS = [each for each in CHOICES if each.kind == "true-false"]
LETTERED = [each for each in ALL if each.labels]  # what can be guessed; a number and a text cannot
STUDENTS = ["", *(f"student {n}" for n in range(20))]
MOST, MOST_BY_LUCK = 0.3, 0.1


def every(*forms: type):
    questions = [each for each in ALL if isinstance(each, forms)]
    return pytest.mark.parametrize("each", questions, ids=lambda each: each.id)


def by_place(place: int):
    """Options by their place; for an order and for pairs, the letters as they stand or turned round."""

    def guess(question: Question) -> str:
        if isinstance(question, Options):
            return question.labels[place]
        letters = question.labels if place == 0 else question.labels[::-1]
        return in_form(question, letters)

    return guess


def in_form(question: Question, letters) -> str:
    if isinstance(question, Match):
        return " ".join(f"{number}{letter}" for number, letter in enumerate(letters[: len(question.pairs)], 1))
    return " ".join(letters)


def by_text(wanted):
    """The option that is wanted most; where there are no options to choose from, a random answer."""

    def guess(question: Question) -> str:
        if not isinstance(question, Options):
            return at_random(question)
        return max(question.letters().items(), key=lambda each: wanted(each[0].text))[1]

    return guess


def at_random(question: Question) -> str:
    draw = random.Random(f"{question.id} {question.student}")
    if isinstance(question, Choice):
        return draw.choice(question.labels)
    if isinstance(question, Several):
        return " ".join(draw.sample(question.labels, draw.randint(1, len(question.labels))))
    return in_form(question, draw.sample(question.labels, len(question.labels)))


def everything(question: Question) -> str:
    return " ".join(question.labels) if isinstance(question, Several) else at_random(question)


GUESSES = {
    "the longest": by_text(len),
    "the shortest": by_text(lambda text: -len(text)),
    "false": by_text(lambda text: (text.lower().startswith("false"), len(text))),
    "true": by_text(lambda text: (text.lower().startswith("true"), len(text))),
    "the first shown": by_place(0),
    "the last shown": by_place(-1),
    "a random answer": at_random,
    "all options": everything,
}


@pytest.mark.parametrize("guess", GUESSES.values(), ids=GUESSES.keys())
def test_who_always_guesses_the_same_way_earns_less_than_three_in_ten(guess):
    earned = mean(mean(mine.grade(guess(mine)).credit for mine in map(each.for_student, STUDENTS)) for each in LETTERED)
    assert earned < MOST


@pytest.mark.parametrize("place", range(3), ids=["first", "second", "third"])
def test_no_place_is_right_more_often_than_others(place):
    """In the order that the solved notebooks show, and in a class."""
    for students in [""], STUDENTS:
        right = [each.for_student(name).answer == each.labels[place] for each in CHOICES for name in students]
        assert mean(right) < 0.4


def test_the_right_option_is_the_longest_in_at_most_a_third_of_the_questions():
    longest = [each.id for each in CHOICES if max(each.options, key=lambda option: len(option.text)).right]
    assert len(longest) <= len(CHOICES) / 3, longest


def test_the_right_option_is_the_shortest_in_at_most_a_third_of_the_questions():
    shortest = [each.id for each in CHOICES if min(each.options, key=lambda option: len(option.text)).right]
    assert len(shortest) <= len(CHOICES) / 3, shortest


def test_claims_are_as_often_true_as_false():
    words = {each.id: next(option.text for option in each.options if option.right).split()[0] for each in CLAIMS}
    assert all(word.strip(":,.;").lower() in ("true", "false") for word in words.values()), words
    true = mean(word.lower().startswith("true") for word in words.values())
    assert 0.4 <= true <= 0.6, words


@pytest.mark.parametrize("each", CLAIMS, ids=lambda each: each.id)
def test_a_claim_can_be_answered_either_way(each):
    assert {option.text.split()[0].strip(":,.;").lower() for option in each.options} == {"true", "false"}


def mean_credit(question: Question, guesses) -> float:
    return mean(question.grade(in_form(question, letters)).credit for letters in guesses)


def orders_of(letters: str, taken: int) -> list:
    """All of them, or 5000 drawn ones where there are more."""
    if len(letters) <= 7:
        return list(permutations(letters, taken))
    draw = random.Random(0)
    return [draw.sample(letters, taken) for _ in range(5000)]


@every(Order)
def test_a_random_order_earns_less_than_a_tenth_and_all_steps_turned_round_nothing(each):
    assert mean_credit(each, orders_of(each.labels, len(each.labels))) < MOST_BY_LUCK
    assert each.grade(" ".join(reversed(each.answer.split()))).credit == 0


@every(Order)
def test_an_order_keeps_something_for_who_swaps_two_neighbours(each):
    right = each.answer.split()
    swaps = [[*right[:n], right[n + 1], right[n], *right[n + 2 :]] for n in range(len(right) - 1)]
    assert all(each.grade(" ".join(letters)).credit > 0.3 for letters in swaps)


@every(Order)
def test_no_student_is_shown_an_order_that_earns(each):
    for name in range(100):
        mine = each.for_student(f"student {name}")
        assert mine.grade(in_form(mine, mine.labels)).credit == mine.grade(in_form(mine, mine.labels[::-1])).credit == 0


@every(Match)
def test_random_pairs_earn_less_than_a_tenth(each):
    assert mean_credit(each, orders_of(each.labels, len(each.pairs))) < MOST_BY_LUCK


@every(Several)
def test_options_chosen_at_random_earn_less_than_a_tenth_and_all_of_them_nothing(each):
    chosen = [letters for size in range(1, len(each.labels) + 1) for letters in combinations(each.labels, size)]
    assert mean_credit(each, chosen) < MOST_BY_LUCK
    assert each.grade(" ".join(each.labels)).credit == 0


RIGHT_NUMBERS = {  # worked out once more, from the numbers as the prompt says them
    "2.q7": lambda context, prompt, batch: context - prompt,
    "3.q13": lambda vectors, width, weights: 2 * vectors * width,
    "5.q9": lambda layers, width, heads, kv_heads, head, vectors: sum(
        2 * kv_heads * head for _ in range(layers * vectors)
    ),
    "6.q16": lambda rank, layers, rows, columns: 2 * layers * (rank * rows + columns * rank),
    "8.q1": lambda vectors, tokens, places, zero, _, again, token: [*range(places)][vectors + token] - 1,
    "8.q5": lambda layers, width, heads, kv_heads, head, vectors: layers * 2 * kv_heads * vectors * head,
}


@pytest.mark.parametrize("name", RIGHT_NUMBERS)
def test_a_question_with_numbers_of_ones_own_is_right_for_everybody(name):
    variants = catalogue.question(name).variants
    assert len(variants) == len({each.value for each in variants}) == 4
    for each in variants:
        numbers = [int(found.replace(",", "")) for found in re.findall(r"(?<![\w.])\d[\d,]*\b(?!\.\d)", each.prompt)]
        assert each.value == RIGHT_NUMBERS[name](*numbers), each.prompt
        assert all(mistake.value >= 0 for mistake in each.mistakes)


def test_every_question_with_numbers_of_ones_own_is_worked_out_here():
    assert {each.id for each in ALL if getattr(each, "variants", ())} == {*RIGHT_NUMBERS}
