"""What lesson 1 claims."""

import pytest
import torch


@pytest.mark.claim("1 §4", "The three positions before the difference cannot have noticed it")
@pytest.mark.claim("1 §4", "the changed word itself and all after it have")
def test_what_comes_later_changes_nothing_before_it(model, tokenizer):
    texts = torch.tensor([tokenizer.encode(text) for text in ("The cat is sleeping.", "The cat is playing.")])
    one, other = model(texts).detach()
    assert [(first - second).abs().max().item() > 1e-4 for first, second in zip(one, other, strict=True)] == [
        False, False, False, True, True
    ]  # fmt: skip
