"""A claim is a sentence of the course that a run could refute. Each test here guards some, and says where they stand:

    @pytest.mark.claim("3 §4", "The gradient is 0")

A place is a section of a lesson's text ("3 §4"; "3 close" is what follows the last numbered one, "3 §0" what precedes
the first), a question ("3.q4"), an exercise with its hints and messages ("3.4"), or a page ("README.md",
"lessons/BEYOND.md"). The words must stand there, so that no sentence is rewritten past its test. Figures are asserted
on the shipped model, as a behaviour with some room and not to the last digit.
"""

import pytest
import torch
from places import missing

from minitransformer import Tokenizer, Transformer, freeze, pretrained


@pytest.fixture(autouse=True)
def claims(request) -> None:
    """Each test guards at least one claim, and the words that it guards are written where it says."""
    marks = [*request.node.iter_markers("claim")]
    assert marks, "which claim does this test guard? @pytest.mark.claim(place, words)"
    assert not missing([(mark.args[0], text) for mark in marks for text in mark.args[1:]]), "does the test still fit?"


@pytest.fixture(scope="session")
def base() -> tuple[Transformer, Tokenizer]:
    """The shipped model, frozen as the lessons freeze it."""
    model, tokenizer = pretrained()
    return freeze(model), tokenizer


@pytest.fixture(scope="session")
def model(base) -> Transformer:
    return base[0]


@pytest.fixture(scope="session")
def tokenizer(base) -> Tokenizer:
    return base[1]


@pytest.fixture
def rows(model, tokenizer):
    """The embedding table's rows of a text's tokens."""
    return lambda text: model.embedding.weight[torch.tensor(tokenizer.encode(text))].detach()


@pytest.fixture
def probability(model, tokenizer):
    """How probable a token is after a text, as the lessons measure it."""

    @torch.no_grad()
    def measured(text: str, token: str, **hooks) -> float:
        return model(torch.tensor([tokenizer.encode(text)]), **hooks)[0, -1].softmax(-1)[tokenizer.ids[token]].item()

    return measured
