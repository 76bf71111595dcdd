"""What web servers make of a large head: the words name the directive of the one that is there."""

import pytest

from ssgi_gateway.wire.fronts import head_limit


@pytest.mark.parametrize(
    ("software", "protocol", "size", "word"),
    [
        ("", "scgi", 5000, "scgi_buffer_size"),
        ("nginx/1.22.1", "fastcgi", 5000, "fastcgi_buffer_size"),
        ("Apache/2.4.57 (Debian)", "fastcgi", 9000, "Apache"),
        ("lighttpd/1.4.85", "scgi", 70_000, "lighttpd"),
        ("HAProxy 3.2.1", "fastcgi", 20_000, "tune.bufsize"),
    ],
)
def test_who_refuses_it(software, protocol, size, word):
    assert word in head_limit(software, protocol, size)


@pytest.mark.parametrize(
    ("software", "protocol", "size"),
    [
        ("Apache/2.4.57", "scgi", 8000),
        ("lighttpd/1.4.85", "scgi", 60_000),
        ("HAProxy 3.2.1", "fastcgi", 15_000),
        ("Caddy/2.6.2", "fastcgi", 100_000),
        ("", "http", 100_000),
    ],
)
def test_who_does_not(software, protocol, size):
    assert head_limit(software, protocol, size) == ""
