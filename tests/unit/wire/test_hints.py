"""The name of what is spoken on the wrong port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.wire.hints import hint, looks_like


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"G", "HTTP"),
        (b"PROPFIND /", "HTTP"),
        (b"PRI * HTTP/2.0\r\n", "HTTP/2"),
        (b"PROXY TCP4 1.2.3.4", "the PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n!", "the PROXY protocol"),
        (b"\r\n", "the PROXY protocol"),
        (b"\x16\x03\x01", "TLS"),
        (b"\x16", "TLS"),
        (b"\x01\x01\0\x01", "FastCGI"),
        (b"\x01", "FastCGI"),
        (b"70:CONTENT_LENGTH\0", "SCGI"),
        (b"70", "SCGI"),
        (b"", ""),
        (b"get / http", ""),
        (b"A" * 9000, ""),
        (b"\x16\x04", ""),
        (b"\x01\x0c", ""),
        (b"1" * 9000, ""),
        (b"\0\0\0\0", ""),
    ],
)
def test_names(data, name):
    assert looks_like(data) == name
    assert looks_like(bytearray(data)) == name


def test_a_uwsgi_packet():
    """``uwsgi_pass`` at another protocol's socket: the commonest mistake of those who come from uWSGI."""
    packet = b"\0\x10\0\0\x0e\0REQUEST_METHOD\x03\0GET"
    assert [looks_like(packet[:size]) for size in (4, 6, 8, 20, 25)] == ["uwsgi"] * 5
    assert looks_like(bytes(40)) == ""
    assert looks_like(b"\0\x10\0\0\x0e\0request") == ""


def test_the_words_for_a_message():
    assert hint(b"GET / ", "SCGI") == "; this looks like HTTP, and this address speaks SCGI"
    assert hint(b"70:", "SCGI") == ""
    assert hint(b"?", "SCGI") == ""


@given(st.binary(max_size=40))
def test_anything_is_looked_at(data):
    assert isinstance(looks_like(data), str)
