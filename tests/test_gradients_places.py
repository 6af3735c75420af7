"""Where vectors stand and who looks at whom, as numbers for the pictures."""

import itertools

import numpy
import pytest
import torch
from laws import soft

from minitransformer import PrefixTuning, Recorder, Tokenizer, gradients, train


def test_the_plane_is_that_of_numpys_singular_vectors():
    embeddings = torch.randn(30, 6, dtype=torch.float64) * torch.tensor([5, 3, 1, 1, 0.5, 0.1]) + 2
    plane = gradients.principal_plane(embeddings)
    centred = embeddings.numpy() - embeddings.numpy().mean(0)
    left, sizes, right = numpy.linalg.svd(centred, full_matrices=False)
    signs = [numpy.sign(axis[numpy.abs(axis).argmax()]) for axis in right[:2]]
    expected = (left * sizes)[:, :2] * signs
    assert numpy.allclose(plane.place(embeddings), expected)
    assert plane.shares == pytest.approx((sizes**2 / (sizes**2).sum())[:2].tolist())


def test_the_film_holds_what_the_trace_saw_and_at_most_so_many_frames(frozen, tokens, targets):
    prefix = soft(PrefixTuning, frozen)
    trace = gradients.Trace(prefix, look=lambda: "an answer", every=3)
    batches = itertools.repeat((tokens, targets))
    history = train(frozen, batches, prefix, steps=20, progress=False, on_step=trace.on_step)
    plane = gradients.principal_plane(frozen.embedding.weight)
    frames = gradients.film(trace, history.loss, plane, count=4)
    assert [frame.step for frame in frames] == [0, 3, 9, 18]
    for frame in frames:
        vectors = trace.vectors[frame.step + 1]["vectors"].reshape(-1, 32)
        assert frame.points == pytest.approx([pytest.approx(pair) for pair in plane.place(vectors)])
        assert frame.norms == gradients.whole_tokens(trace.gradient_norms[frame.step])
        assert (frame.loss, frame.seen) == (history.loss[frame.step], "an answer")


def test_nearest_words_are_those_of_the_largest_cosine():
    tokenizer = Tokenizer(["<end>", "east", "north", "west"])
    embeddings = torch.tensor([[0.0, 0.1], [5.0, 0.0], [0.0, 1.0], [-2.0, 0.0]])
    (first, second), *others = gradients.nearest_words(torch.tensor([[3.0, -4.0]]), embeddings, tokenizer, count=2)
    assert not others
    assert first == ("east", pytest.approx(0.6))
    assert second == ("west", pytest.approx(-0.6))


def test_attention_weights_are_one_heads_or_their_mean(frozen, tokens):
    frozen(tokens, recorder := Recorder(["weights"]))
    heads = [gradients.attention_weights(recorder, 1, head, row=1) for head in range(4)]
    mean = gradients.attention_weights(recorder, 1, row=1)
    assert heads[2] == recorder["weights", 1][1, 2].tolist()
    for query, key in itertools.product(range(5), range(5)):
        assert mean[query][key] == pytest.approx(sum(head[query][key] for head in heads) / 4)
