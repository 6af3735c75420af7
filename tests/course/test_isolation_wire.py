"""What crosses the grader's boundary: plain data comes through as it is, and everything else is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from minitransformer.course.isolation import wire


def back(value):
    number, kind, came = wire.unpacked(wire.packed([3, "gave", value]))
    assert (number, kind) == (3, "gave")
    return came


@pytest.mark.parametrize("value", [None, True, 3, 0.1, -1e300, "小心!", "\ud800", [2.5, {"a": "b"}, []], {}])
def test_plain_data_crosses_the_boundary_as_it_is(value):
    assert back(value) == value and type(back(value)) is type(value)


def test_a_tuple_arrives_as_a_list():
    assert back((1, (2, 3))) == [1, [2, 3]]


@pytest.mark.parametrize("dtype", wire.ARRAYS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (3, 0, 2)])
def test_arrays_cross_the_boundary_bit_by_bit(dtype, shape):
    sent = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    for came, was in zip(back([sent, sent.T]), (sent, sent.T), strict=True):
        assert came.dtype == was.dtype and came.shape == was.shape and came.tobytes() == was.tobytes()
        came[...] = 0  # one's own


def block(tree: str, **arrays) -> bytes:
    return save(arrays | {"tree": np.frombuffer(tree.encode(), np.uint8)})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        block("[1"),
        block("[" * 100_000),
        block("9" * 5000),
        block('{"array": "0"}'),  # there is none
        block("1", odd=np.zeros(1, np.float16)),
        block("1", odd=np.zeros(1, np.uint8)),
        save({"0": np.zeros(1)}),  # no tree
        block("1", x=np.zeros(4))[:-1],
        block("1", x=np.zeros(4)) + b"0",
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ValueError, match="no message"):
        wire.unpacked(data)


def test_a_byte_that_is_neither_true_nor_false_becomes_a_truth():
    data = block(json.dumps({"array": "0"}), **{"0": np.array([True, False])})
    assert wire.unpacked(data.replace(b"\x01\x00", b"\x02\x00")).tobytes() == b"\x01\x00"


def names(count: int) -> str:
    return json.dumps([{"array": "0"}] * count)


@pytest.mark.parametrize(
    ("tree", "arrays"),
    [
        (names(3000), {"0": np.zeros(1 << 20)}),  # 8 MB, and a judge that copies what it gets takes gigabytes
        (names(2), {"0": np.zeros(1)}),
        ("[" + "[]," * 300_000 + "1]", {}),
        ("[" + "{}," * 300_000 + "1]", {}),
        ("[" + "1," * 300_000 + "1]", {}),
        ('{"a":' * 60 + "1" + "}" * 60, {}),
        ("[" * 60 + "1" + "]" * 60, {}),
        ('"' * 2_000_000, {}),
        ("1", {str(n): np.zeros(0, bool) for n in range(90_000)}),
        ('{"array": "0"}', {"0": np.zeros((1 << 40, 0))}),  # a loop over its rows does not end
    ],
)
def test_what_would_take_more_memory_or_time_than_its_bytes_is_refused(tree, arrays):
    with pytest.raises(ValueError, match="no message"):
        wire.unpacked(block(tree, **arrays))


@pytest.mark.parametrize("tree", ["NaN", "[Infinity]", '{"loss": -Infinity}', "1e999", "-1e400"])
def test_a_plain_number_that_is_not_finite_is_refused(tree):
    with pytest.raises(ValueError, match="no message: NotFinite"):
        wire.unpacked(block(tree))


@pytest.mark.parametrize("value", [float("nan"), [1.0, float("inf")], {"a": (float("-inf"),)}])
def test_whoever_sends_a_number_that_is_not_finite_is_told_so(value):
    with pytest.raises(wire.NotFinite):
        wire.packed([1, "gave", value])


def test_in_an_array_a_number_may_be_not_finite_since_arrays_are_compared_with_care():
    sent = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert back(sent).tobytes() == sent.tobytes()


def test_a_long_text_of_brackets_is_a_text():
    for text in '[{",\\"' * 100_000, "\\", '\\"', '"\\\\"[' * 100:
        assert back([text, {text: text}]) == [text, {text: text}]
