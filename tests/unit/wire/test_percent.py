"""Percent-encoding, against the standard library where that is right."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.wire.percent import quote, to_unicode, unquote


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/é"),
        ("/%c3%a9", "/é"),
        ("/\xc3\xa9", "/é"),
        ("/%e2%82%ac", "/€"),
        ("/%2525", "/%25"),
        ("/%2Fa", "//a"),
        ("/%", "/%"),
        ("/%4", "/%4"),
        ("/%zz", "/%zz"),
        ("/%+1%1_%-1% 1", "/%+1%1_%-1% 1"),
        ("/%%41", "/%A"),
        ("/%%%", "/%%%"),
        ("/%41%", "/A%"),
        ("/%ff", "/\udcff"),
        ("/\xff", "/\udcff"),
        ("/%c3", "/\udcc3"),
        ("/%ed%a0%80", "/\udced\udca0\udc80"),
        ("/%c0%ae", "/\udcc0\udcae"),
        ("/%00", "/\0"),
        ("/a+b", "/a+b"),
    ],
)
def test_decoding(raw, path):
    assert unquote(raw) == path
    assert unquote(quote(path)) == path


@given(st.text(st.characters(max_codepoint=255)))
def test_decoding_is_the_standard_librarys(raw):
    assert unquote(raw) == urllib.parse.unquote_to_bytes(raw.encode("latin-1")).decode("utf-8", "surrogateescape")


@given(st.binary())
def test_every_path_survives(data):
    path = data.decode("utf-8", "surrogateescape")
    assert unquote(quote(path)) == path
    assert quote(path).isascii()
    assert to_unicode(data.decode("latin-1")) == path


def test_what_may_stand_for_itself_does():
    assert quote("/a-b._~!$&'()*+,;=:@/é ?#%") == "/a-b._~!$&'()*+,;=:@/%C3%A9%20%3F%23%25"
