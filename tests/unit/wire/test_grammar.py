"""Tokens and lengths, to the letter."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.wire.grammar import is_token, parse_length


@given(st.text(max_size=5))
def test_tokens(text):
    assert is_token(text) == bool(re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", text))


@pytest.mark.parametrize(("text", "length"), [("0", 0), ("5", 5), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_lengths(text, length):
    assert parse_length(text) == length


@pytest.mark.parametrize(
    "text", ["", "+3", "-1", " 3", "3 ", "1_0", "0x10", "3,3", "1e3", "\xb2", "\u0663", "9" * 19, "9" * 5000, "3\n"]
)
def test_cgi_15_what_is_no_length(text):
    assert parse_length(text) == -1
