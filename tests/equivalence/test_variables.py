"""Variables, and the requests they make, over both builds."""

from __future__ import annotations

import pytest
from hypothesis import given

from fuzz.codecs import compare_variables
from fuzz.compare import both
from tests.equivalence.strategies import MOSTLY_RIGHT, PAIRS, examples


@examples(500)
@given(pairs=PAIRS)
def test_any_pairs(pairs):
    compare_variables(pairs)


@examples(300)
@given(pairs=MOSTLY_RIGHT)
def test_pairs_of_requests(pairs):
    compare_variables(pairs)


@pytest.mark.parametrize("method", [b"GET", b"POST", b""])
@pytest.mark.parametrize("name", [b"CONTENT_TYPE", b"CONTENT_LENGTH", b"HTTP_X"])
def test_headers_that_say_nothing(method, name):
    for value in (b"", b"0", b"000", b"10"):
        compare_variables([(name, value), (b"REQUEST_METHOD", method)])


def test_many():
    compare_variables([(b"HTTP_X%d" % index, b"%d" % index) for index in range(5000)])


def test_names_that_share_a_chain():
    """The compiled index hashes a name's length and its last eight bytes."""
    names = [b"HTTP_%c_THE_SAME" % letter for letter in b"ABCB"]
    compare_variables([(name, b"%d" % number) for number, name in enumerate(names)])


@pytest.mark.parametrize("size", range(1, 34))
@pytest.mark.parametrize("wrong", [b"\0", b"\r", b"\n", b"=", b"\x8d", b"\x01"])
def test_a_byte_that_no_name_has_wherever_it_stands(size, wrong):
    for at in range(size):
        compare_variables([(b"A" * at + wrong + b"A" * (size - at - 1), b"1")])


@pytest.mark.parametrize("build", [0, 1])
def test_what_is_no_text_has_no_variable(build):
    variables = both("wire.variables", "Variables")[build]([(b"A", b"1")])
    for name in (None, 5, b"A"):
        assert variables.get(name) is None
        assert variables.get(name, "x") == "x"
        assert name not in variables
        with pytest.raises(KeyError):
            variables[name]
        with pytest.raises((TypeError, AttributeError)):
            variables.header(name)


class Name(str):
    """As multidict's, of which applications make names."""


@pytest.mark.parametrize("build", [0, 1])
def test_texts_of_other_classes(build):
    variables = both("wire.variables", "Variables")[build]([(b"HTTP_A", b"1"), (b"\xe9", b"2")])
    assert variables.header(Name("a")) == variables.get(Name("HTTP_A")) == variables[Name("HTTP_A")] == "1"
    assert variables.get(Name("\xe9")) == "2"
    assert Name("HTTP_A") in variables
