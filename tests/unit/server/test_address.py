"""The grammar of addresses."""

from __future__ import annotations

import os
import socket

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import MAX_PATH, Address


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("unix:/run/app.sock", Address("unix", path="/run/app.sock"), "unix:/run/app.sock"),
        ("/run/app.sock", Address("unix", path="/run/app.sock"), "unix:/run/app.sock"),
        (" /run//x/../app.sock ", Address("unix", path="/run/app.sock"), "unix:/run/app.sock"),
        ("127.0.0.1:9000", Address("tcp", host="127.0.0.1", port=9000), "127.0.0.1:9000"),
        ("localhost:0", Address("tcp", host="localhost", port=0), "localhost:0"),
        ("[::1]:9000", Address("tcp", host="::1", port=9000), "[::1]:9000"),
        ("[fe80::1%eth0]:9000", Address("tcp", host="fe80::1%eth0", port=9000), "[fe80::1%eth0]:9000"),
        (":9000", Address("tcp", host="", port=9000), ":9000"),
        (":65535", Address("tcp", host="", port=65535), ":65535"),
        ("fd:0", Address("fd", fd=0), "fd:0"),
        ("fd:17", Address("fd", fd=17), "fd:17"),
    ],
)
def test_reads_and_shows(text, address, shown):
    assert Address.parse(text) == address
    assert str(address) == shown
    assert Address.parse(shown) == address


@pytest.mark.parametrize("text", ["unix:app.sock", "./app.sock", "unix:./app.sock"])
def test_a_relative_path_is_below_the_current_directory(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Address.parse(text) == Address("unix", path=os.path.join(os.getcwd(), "app.sock"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not an address; write unix:/path, /path, host:port, [ipv6]:port, :port or fd:N"),
        ("9000", "write :9000 for every address of this machine, or 127.0.0.1:9000"),
        ("localhost", "write localhost:9000 with a port, or unix:localhost for a unix socket"),
        ("http://localhost:80", "leave out the http://"),
        ("::1:9000", "an IPv6 address needs brackets: [::1]:9000"),
        ("[127.0.0.1]:80", "only IPv6 addresses have brackets"),
        ("[::1]", "is not an address"),
        ("host:port", "is not an address"),
        ("host:-1", "is not an address"),
        ("127.0.0.1:+80", "is not an address"),
        ("127.0.0.1:٣", "is not an address"),
        ("127.0.0.1:65536", "a port is at most 65535"),
        ("127.0.0.1:999999", "is not an address"),
        ("two words:80", "is not an address"),
        ("unix:", "names no file"),
        ("unix:/run/", "names no file"),
        ("/", "names no file"),
        ("unix:@abstract", "cannot connect to abstract sockets"),
        ("unix:/run/app.sock:", "ends with a colon, as in proxy_pass"),
        ("/run/\0x", "NUL"),
        ("/" + "x" * MAX_PATH, "has at most 107 bytes"),
        ("fd:", "is not a descriptor"),
        ("fd:x", "is not a descriptor"),
        ("fd:-1", "is not a descriptor"),
    ],
)
def test_refuses_and_names_how_to_write_it(text, said):
    with pytest.raises(ConfigurationError) as info:
        Address.parse(text)
    assert said in str(info.value)


def test_the_longest_path_is_one_the_kernel_takes(tmp_path):
    path = f"{tmp_path}/{'x' * (MAX_PATH - len(str(tmp_path)) - 1)}"
    assert len(Address.parse(path).path) == MAX_PATH
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
        assert Address.of_socket(bound) == Address("unix", path=path)


def test_of_a_tcp_socket():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert Address.of_socket(bound) == Address("tcp", host="127.0.0.1", port=bound.getsockname()[1])


def test_of_a_socket_without_a_name():
    left, right = socket.socketpair()
    with left, right:
        assert Address.of_socket(left) == Address("fd", fd=left.fileno())
