"""``get_header`` (SSGI 1.0): one header at a time, or the read-only mapping of all."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ssgi_gateway.core.headers import GetHeader
from ssgi_gateway.ssgi import Headers
from ssgi_gateway.wire.variables import Variables


def get_header(*pairs: tuple[str, str]) -> GetHeader:
    return GetHeader(Variables([(name.encode(), value.encode("latin-1")) for name, value in pairs]))


HOST = ("HTTP_HOST", "example.org:8443")


@pytest.mark.parametrize("name", ["x-forwarded-for", "X-Forwarded-For", "X-FORWARDED-FOR"])
def test_one_header_by_its_name_in_any_case(name):
    assert get_header(HOST, ("HTTP_X_FORWARDED_FOR", "192.0.2.7"))(name) == "192.0.2.7"


@pytest.mark.parametrize("name", ["x-missing", "", "x missing", "x_forwarded_for", "http_host"])
def test_a_header_that_is_not_there_is_none(name):
    assert get_header(HOST, ("HTTP_X_FORWARDED_FOR", "192.0.2.7"))(name) is None


def test_values_are_latin_1():
    assert get_header(("HTTP_X_NAME", "J\xfcrgen"))("x-name") == "J\xfcrgen"


def test_repeated_headers_are_joined_with_a_comma_and_cookies_with_a_semicolon():
    get = get_header(("HTTP_X_A", "1"), ("HTTP_X_A", "2"), ("HTTP_COOKIE", "a=1"), ("HTTP_COOKIE", "b=2"))
    assert get("x-a") == "1, 2"
    assert get("cookie") == "a=1; b=2"


def test_content_type_and_length_are_headers_too():
    get = get_header(("REQUEST_METHOD", "POST"), ("CONTENT_TYPE", "text/plain"), ("CONTENT_LENGTH", "5"))
    assert (get("content-type"), get("Content-Length")) == ("text/plain", "5")


@pytest.mark.parametrize("arguments", [(), (None,)])
def test_without_a_name_it_is_the_mapping_of_all(arguments):
    headers = get_header(HOST, ("HTTP_X_A", "1"))(*arguments)
    assert isinstance(headers, Mapping)
    assert isinstance(headers, Headers)
    assert dict(headers) == {"host": "example.org:8443", "x-a": "1"}
    assert headers == {"host": "example.org:8443", "x-a": "1"}


def test_the_mapping_is_built_once():
    get = get_header(HOST)
    assert get() is get(None)


def test_the_mappings_names_are_lower_case_and_found_in_any_case():
    headers = get_header(HOST, ("HTTP_X_A", "1"))()
    assert list(headers) == list(headers.keys()) == ["host", "x-a"]
    assert list(headers.values()) == ["example.org:8443", "1"]
    assert list(headers.items()) == [("host", "example.org:8443"), ("x-a", "1")]
    assert len(headers) == 2
    assert headers["X-A"] == headers["x-a"] == headers.get("x-A") == "1"
    assert "HOST" in headers
    assert "x-missing" not in headers
    assert 5 not in headers
    assert headers.get("x-missing") is None
    assert headers.get("x-missing", "default") == "default"
    with pytest.raises(KeyError):
        headers["x-missing"]


def test_get_all_is_every_value():
    headers = get_header(HOST)()
    assert headers.get_all("Host") == ["example.org:8443"]
    assert headers.get_all("x-missing") == []


def test_the_mapping_is_read_only():
    headers = get_header(HOST)()
    with pytest.raises(TypeError):
        headers["host"] = "other"
    with pytest.raises(TypeError):
        del headers["host"]
    with pytest.raises(AttributeError):
        headers.other = 1
    assert headers["host"] == "example.org:8443"


def test_the_mapping_shows_what_it_is():
    assert repr(get_header(("HTTP_X_A", "1"))()) == "Headers({'x-a': '1'})"


def test_after_its_lifetime_it_raises_with_the_reason():
    get = get_header(HOST)
    before = get()
    get.expire()
    for arguments in (("host",), ()):
        with pytest.raises(RuntimeError, match="strict mode"):
            get(*arguments)
    assert before["host"] == "example.org:8443", "what was taken in time stays"
