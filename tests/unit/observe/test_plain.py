"""What is done for every log line, in both builds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.observe.plain import decimal, is_plain


@given(st.text())
def test_any_text(text):
    assert is_plain(text) == (text.isascii() and text.isprintable() and '"' not in text and "\\" not in text)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0.000000"), (0.0000004, "0.000000"), (0.000412, "0.000412"), (1.5, "1.500000"), (86400.25, "86400.250000"),
     (1e12, "1000000000000.000000")],
)  # fmt: skip
def test_seconds(number, text):
    assert decimal(number) == text


@given(st.floats(0, 1e6))
def test_any_seconds(number):
    assert abs(float(decimal(number)) - number) <= 1e-6
