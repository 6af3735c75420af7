"""What every test file shares: one thread, a tiny model whose weights matter, the phrasebook and the shipped base."""

import itertools
import os

import pytest
import torch
from laws import random_model

from minitransformer import Phrasebook, Tokenizer, Transformer, pretrained
from minitransformer.phrasebook import Sentence

torch.set_num_threads(1)
if not {"GRADING", "SUBMISSION"} & os.environ.keys():  # the grader's own tests want a sandbox: GRADING=1 runs them
    collect_ignore_glob = ["test_grading*.py", "graded/*"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def model() -> Transformer:
    """Three layers of width 32, four query heads over two key/value heads; float64, so that tolerances can be tight."""
    return random_model()


@pytest.fixture(scope="session")
def book() -> Phrasebook:
    return Phrasebook()


@pytest.fixture(scope="session")
def tokenizer(book) -> Tokenizer:
    return book.tokenizer()


@pytest.fixture(scope="session")
def base() -> tuple[Transformer, Tokenizer]:
    return pretrained()


@pytest.fixture(scope="session")
def world(book) -> list[Sentence]:
    """Every sentence that the patterns can make, enumerated rather than drawn; the set phrases are not among them."""
    sentences = []
    for pattern, slots in book.patterns:
        for words in itertools.product(*(book.words[kind] for kind in slots.values())):
            chosen = dict(zip(slots, words, strict=True))
            if "person2" in chosen and chosen["person"] is chosen["person2"]:
                continue
            sentences.append(Sentence(*(pattern[side].format(**chosen) for side in ("en", "zh", "feeling"))))
    return sentences
