"""Listeners of every kind of address, and the system's refusals in words."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server import listeners
from ssgi_gateway.server.listeners import Address, Listener
from ssgi_gateway.settings import Settings


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


with_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def open_at():
    made = []

    def open_at(text, settings=None, protocol="scgi") -> Listener:
        made.append(listeners.listen(Address.parse(text), settings or Settings(), protocol))
        return made[-1]

    yield open_at
    for listener in made:
        listener.close()


def refused(text) -> str:
    with pytest.raises(ConfigurationError) as info:
        listeners.listen(Address.parse(text), Settings(), "scgi")
    return str(info.value)


def connect(family, where):
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(where)


# -- TCP -------------------------------------------------------------------------------------------------------------


def test_port_0_is_the_kernels_choice_and_reported(open_at):
    listener = open_at("127.0.0.1:0", protocol="fastcgi")
    assert listener.protocol == "fastcgi"
    assert listener.address == Address("tcp", host="127.0.0.1", port=listener.socket.getsockname()[1])
    assert listener.address.port > 0
    connect(socket.AF_INET, ("127.0.0.1", listener.address.port))


def test_options_of_the_socket(open_at):
    opened = open_at("127.0.0.1:0").socket
    assert not opened.getblocking()
    assert not opened.get_inheritable()
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_accepted_connections_inherit_nodelay(open_at):
    listener = open_at("127.0.0.1:0")
    listener.socket.setblocking(True)
    with socket.create_connection(("127.0.0.1", listener.address.port), timeout=5):
        accepted, _ = listener.socket.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_name(open_at):
    listener = open_at("localhost:0")
    assert listener.address.host in ("127.0.0.1", "::1")


@with_ipv6
def test_an_ipv6_address_is_ipv6_only(open_at):
    listener = open_at("[::1]:0")
    assert listener.address == Address("tcp", host="::1", port=listener.address.port)
    assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    connect(socket.AF_INET6, ("::1", listener.address.port))


@with_ipv6
def test_all_of_ipv6_and_all_of_ipv4_are_two_listeners(open_at):
    port = open_at("[::]:0").address.port
    assert open_at(f"0.0.0.0:{port}").address.port == port


@with_ipv6
def test_a_port_alone_is_both_protocols(open_at):
    port = open_at(":0").address.port
    connect(socket.AF_INET6, ("::1", port))
    connect(socket.AF_INET, ("127.0.0.1", port))


def test_a_port_alone_without_ipv6_is_ipv4(open_at, monkeypatch):
    monkeypatch.setattr(socket, "has_ipv6", False)
    listener = open_at(":0")
    assert listener.address.host == "0.0.0.0"
    connect(socket.AF_INET, ("127.0.0.1", listener.address.port))


@with_ipv6
def test_a_port_alone_is_not_half_opened_when_half_is_taken(open_at):
    port = open_at("[::]:0").address.port
    assert f"port {port} is in use" in refused(f":{port}")


def test_a_restart_does_not_wait_for_old_connections(open_at):
    """A connection that the server closed first is in TIME_WAIT; the port is to be had all the same."""
    first = open_at("127.0.0.1:0")
    first.socket.setblocking(True)
    with socket.create_connection(("127.0.0.1", first.address.port), timeout=5) as client:
        accepted, _ = first.socket.accept()
        accepted.close()
        assert client.recv(1) == b""
    first.close()
    assert open_at(str(first.address)).address == first.address


def test_a_port_in_use(open_at):
    port = open_at("127.0.0.1:0").address.port
    message = refused(f"127.0.0.1:{port}")
    assert message.startswith(f"cannot listen on 127.0.0.1:{port}: port {port} is in use by another process")


def test_a_port_bound_by_a_process_that_does_not_listen_yet():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert "is in use" in refused(f"127.0.0.1:{other.getsockname()[1]}")


def test_an_address_of_another_machine():
    assert "192.0.2.1 is not an address of this machine" in refused("192.0.2.1:0")  # RFC 5737: nobody's


def test_an_unknown_name():
    assert "the name 'no-such-host.invalid' is not known" in refused("no-such-host.invalid:0")  # RFC 6761


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without privileges")
def test_a_privileged_port_without_privileges():
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1:
        pytest.skip("this machine gives every port to everybody")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            listeners.listen(Address.parse("127.0.0.1:1"), Settings(), "scgi")
        except ConfigurationError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        message = result.read()
    os.waitpid(child, 0)
    assert "port 1 needs privileges; choose one from 1024" in message


# -- unix ------------------------------------------------------------------------------------------------------------


def test_a_unix_socket_follows_the_settings_and_goes_with_its_listener(open_at, tmp_path):
    path = tmp_path / "app.sock"
    listener = open_at(f"unix:{path}", Settings(socket_mode=0o600, socket_owner=f":{os.getgid()}"))
    assert listener.address == Address("unix", path=str(path))
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    connect(socket.AF_UNIX, str(path))
    listener.close()
    assert not path.exists()
    assert listener.socket.fileno() == -1


def test_closing_again_removes_nothing_of_a_successor(open_at, tmp_path):
    first = open_at(f"{tmp_path}/app.sock")
    first.close()
    open_at(f"{tmp_path}/app.sock")
    first.close()
    connect(socket.AF_UNIX, f"{tmp_path}/app.sock")


def test_the_file_goes_before_the_socket(open_at, tmp_path):
    """While the socket is open its inode number cannot be anybody else's."""
    listener = open_at(f"{tmp_path}/app.sock")
    real, order = listener.cleanup, []
    listener.cleanup = lambda: (order.append(listener.socket.fileno() != -1), real())
    listener.close()
    assert order == [True]


# -- descriptors -----------------------------------------------------------------------------------------------------


def test_a_listening_tcp_socket_is_adopted(open_at):
    parent = socket.create_server(("127.0.0.1", 0))
    where = parent.getsockname()
    parent.set_inheritable(True)
    listener = open_at(f"fd:{parent.detach()}")
    assert listener.address == Address("tcp", host="127.0.0.1", port=where[1])
    assert not listener.socket.getblocking()
    assert not listener.socket.get_inheritable()
    assert listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connect(socket.AF_INET, where)


def test_a_listening_unix_socket_is_adopted_and_its_file_stays(open_at, tmp_path):
    parent = socket.socket(socket.AF_UNIX)
    parent.bind(str(tmp_path / "app.sock"))
    parent.listen()
    listener = open_at(f"fd:{parent.detach()}")
    assert listener.address == Address("unix", path=str(tmp_path / "app.sock"))
    listener.close()
    assert (tmp_path / "app.sock").exists(), "whoever opened it removes it"


def test_an_adopted_socket_without_a_path_is_called_by_its_number(open_at):
    parent = socket.socket(socket.AF_UNIX)
    parent.bind("")  # autobind: an abstract name
    parent.listen()
    number = parent.detach()
    assert open_at(f"fd:{number}").address == Address("fd", fd=number)


def test_a_descriptor_that_is_not_open():
    assert "fd:987 is not open; it must be a listening socket of the parent's" in refused("fd:987")


def test_a_descriptor_that_is_no_socket():
    with open("/dev/null") as file:
        assert f"fd:{file.fileno()} is not a socket" in refused(f"fd:{file.fileno()}")
        os.fstat(file.fileno())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: socket.socket(), "is not listening"),
        (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "is not a stream socket"),
        (lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), "is neither a TCP nor a unix socket"),
    ],
)
def test_a_socket_that_is_no_listener_stays_its_owners(make, said):
    with make() as other:
        assert f"fd:{other.fileno()} {said}" in refused(f"fd:{other.fileno()}")
        os.fstat(other.fileno())
