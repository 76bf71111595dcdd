"""The head of a uwsgi packet: where it ends, and what its four bytes may not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.uwsgi.packet import head_end


@given(st.integers(0, 65535), st.binary(max_size=20))
def test_the_size_has_its_low_byte_first(size, behind):
    assert head_end(bytes((0, size & 255, size >> 8, 0)) + behind) == 4 + size


@pytest.mark.parametrize("data", [b"\0", b"\0\xff", b"\0\xff\xff"])
def test_a_size_that_is_not_all_here_is_waited_for(data):
    assert head_end(data) == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x05", "modifier1 is 5"),
        (b"\xff\0\0\0", "modifier1 is 255"),
        (b"\0\0\0\x01", "modifier2 is 1"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
    ],
)
def test_other_modifiers_are_named(data, words):
    with pytest.raises(RemoteProtocolError, match=words):
        head_end(data)
