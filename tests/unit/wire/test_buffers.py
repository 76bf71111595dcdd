"""Buffers of any layout become single bytes; small ones are copied where that is asked for."""

from __future__ import annotations

from array import array

import pytest

from ssgi_gateway.wire.buffers import MAX_JOINED, flat, kept

NUMBERS = array("I", [1, 2, 3])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"abc", b"abc"),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abc"), b"abc"),
        (memoryview(b"abcdef")[::2], b"ace"),
        (memoryview(bytes(range(6))).cast("B", (2, 3)), bytes(range(6))),
        (NUMBERS, NUMBERS.tobytes()),
        (memoryview(NUMBERS)[1:], NUMBERS.tobytes()[NUMBERS.itemsize :]),
        (memoryview(b"xyz").cast("c"), b"xyz"),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("convert", [flat, kept])
def test_a_buffer_is_its_bytes(convert, data, expected):
    converted = convert(data)
    assert len(converted) == len(expected)
    assert bytes(converted) == expected


def test_bytes_that_lie_as_they_are_written_are_not_copied():
    data = bytearray(MAX_JOINED + 1)
    for convert in (flat, kept):
        view = convert(data)
        assert view.obj is data
        view.release()


def test_what_is_small_may_change_after_it_was_kept():
    data = bytearray(b"x" * MAX_JOINED)
    assert kept(data) == b"x" * MAX_JOINED
    copied = kept(data)
    data[0] = 0
    assert copied == b"x" * MAX_JOINED


@pytest.mark.parametrize("data", ["text", 5, None, [b"a"]])
@pytest.mark.parametrize("convert", [flat, kept])
def test_what_is_no_buffer_is_a_type_error(convert, data):
    with pytest.raises(TypeError):
        convert(data)
