"""Addresses, hosts and schemes from whatever web servers say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.wire.addresses import (
    fallback_host,
    http_version,
    is_host,
    join_address,
    remote_address,
    scheme,
    server_address,
)
from ssgi_gateway.wire.variables import Variables


def variables(**named):
    return Variables((name.encode(), value.encode("latin-1")) for name, value in named.items())


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("10.0.0.1", "80", "10.0.0.1:80"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("::1", "80", "[::1]:80"),
        ("::1", "", "[::1]"),
        ("[::1]", "80", "[::1]:80"),
        ("fe80::1%eth0", "1", "[fe80::1%eth0]:1"),
        ("", "80", ""),
        ("", None, ""),
        ("unix:", "", ""),
        ("unix:", "80", ""),
        ("unix:/run/x.sock", "", "/run/x.sock"),
        ("/run/x.sock", "80", "/run/x.sock"),
    ],
)
def test_addresses(host, port, address):
    assert join_address(host, port) == address
    assert remote_address(variables(REMOTE_ADDR=host, **({} if port is None else {"REMOTE_PORT": port}))) == address


@pytest.mark.parametrize("port", ["", "abc", "99999", "65536", "0", "-1", "+1", " 1", "1_0", "\xb2", "0x50", "1" * 40])
def test_cgi_53_a_port_that_is_none_is_left_out(port):
    seen = variables(SERVER_NAME="own", SERVER_PORT=port, REMOTE_ADDR="10.0.0.1", REMOTE_PORT=port)
    assert server_address(seen) == "own"
    assert remote_address(seen) == "10.0.0.1"
    assert fallback_host(seen) == "own"


def test_cgi_53_no_address_at_all():
    assert server_address(variables()) == remote_address(variables()) == ""
    assert fallback_host(variables()) is None


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("own", "10.0.0.1", "own:80"),
        ("", "10.0.0.1", "10.0.0.1:80"),
        ("_", "10.0.0.1", "10.0.0.1:80"),
        ("~^(.+)$", "::1", "[::1]:80"),
        ("*.example.org", "", ""),
        ("::1", "", "[::1]:80"),
        ("[::1]", "", "[::1]:80"),
        ("own:8080", "10.0.0.1", "own:80"),
        ("127.0.0.1:8080", "", "127.0.0.1:80"),
        ("[::1]:8080", "", "[::1]:80"),
        (":8080", "10.0.0.1", "10.0.0.1:80"),
        ("", "unix:/run/front.sock", "/run/front.sock"),
    ],
)
def test_the_servers_name_or_its_address(name, address, expected):
    assert server_address(variables(SERVER_NAME=name, SERVER_ADDR=address, SERVER_PORT="80")) == expected


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ({"SERVER_NAME": "own", "SERVER_PORT": "80"}, "own"),
        ({"SERVER_NAME": "own", "SERVER_PORT": "443", "HTTPS": "on"}, "own"),
        ({"SERVER_NAME": "own", "SERVER_PORT": "443"}, "own:443"),
        ({"SERVER_NAME": "own", "SERVER_PORT": "80", "HTTPS": "on"}, "own:80"),
        ({"SERVER_NAME": "own", "SERVER_PORT": "8080"}, "own:8080"),
        ({"SERVER_ADDR": "fe80::80", "SERVER_PORT": "80"}, "[fe80::80]"),
        ({"SERVER_ADDR": "unix:/run/x"}, None),
    ],
)
def test_the_host_where_the_client_named_none(named, host):
    assert fallback_host(variables(**named)) == host


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, "http"),
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "ON"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": "off"}, "http"),
        ({"HTTPS": "0"}, "http"),
        ({"HTTPS": ""}, "http"),
        ({"REQUEST_SCHEME": "https"}, "https"),
        ({"REQUEST_SCHEME": "HTTPS"}, "https"),
        ({"REQUEST_SCHEME": "http", "HTTPS": "on"}, "https"),
        ({"REQUEST_SCHEME": "https", "HTTPS": ""}, "https"),
        ({"REQUEST_SCHEME": "javascript"}, "http"),
    ],
)
def test_schemes(named, expected):
    assert scheme(variables(**named)) == expected


@pytest.mark.parametrize(
    ("protocol", "version"),
    [
        ("HTTP/1.0", "1.0"),
        ("HTTP/1.1", "1.1"),
        ("http/1.1", "1.1"),
        ("HTTP/2.0", "2"),
        ("HTTP/2", "2"),
        ("HTTP/3.0", "3"),
        ("", "1.1"),
        ("INCLUDED", "1.1"),
        ("HTTP/9", "1.1"),
    ],
)
def test_versions(protocol, version):
    assert http_version(variables(SERVER_PROTOCOL=protocol)) == version
    assert http_version(variables()) == "1.1"


@given(st.text(st.characters(max_codepoint=255), max_size=20))
def test_no_host_can_end_a_line_or_a_tag(text):
    if is_host(text):
        assert not set(text) & set("\r\n\0 <>\"'/\\@?#,;")


@given(*[st.text(st.characters(max_codepoint=255), max_size=12)] * 5)
def test_no_value_fails(name, address, port, remote, protocol):
    seen = variables(
        SERVER_NAME=name, SERVER_ADDR=address, SERVER_PORT=port, REMOTE_ADDR=remote, REMOTE_PORT=port, HTTPS=protocol
    )
    for read in (server_address, remote_address, scheme, http_version):
        assert isinstance(read(seen), str)
    host = fallback_host(seen)
    assert host is None or host
