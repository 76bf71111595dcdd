"""What a service manager says, and is told."""

from __future__ import annotations

import os
import socket

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import systemd
from ssgi_gateway.server.address import Address

NAMES = ("scgi", "fastcgi")


def passed(count: int, names: str, pid: int | None = None) -> dict[str, str]:
    return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}


def test_sockets_by_their_names():
    found = systemd.inherited(passed(3, "fastcgi:scgi:scgi"), NAMES, [])
    assert found == [("fastcgi", Address("fd", fd=3)), ("scgi", Address("fd", fd=4)), ("scgi", Address("fd", fd=5))]


def test_one_that_a_setting_names_needs_no_name():
    assert systemd.inherited(passed(2, "app.socket:scgi"), NAMES, [3]) == [("scgi", Address("fd", fd=4))]


@pytest.mark.parametrize("environ", [{}, passed(1, "scgi", pid=1), {**passed(1, "scgi"), "LISTEN_FDS": "x"}])
def test_none_for_us(environ):
    assert systemd.inherited(environ, NAMES, []) == []
    assert systemd.passed(environ) == 0


def test_a_name_that_is_no_protocols():
    with pytest.raises(ConfigurationError, match=r"named 'app\.socket'; name the protocol there: FileDescriptorName="):
        systemd.inherited(passed(1, "app.socket"), NAMES, [])


@pytest.mark.parametrize("abstract", [False, True])
def test_news(tmp_path, abstract):
    path = f"@ssgi-test-{os.getpid()}" if abstract else str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + path[1:] if abstract else path)
        assert systemd.notify("READY=1", {"NOTIFY_SOCKET": path})
        assert manager.recv(100) == b"READY=1"
        assert systemd.notify("RELOADING=1", {"NOTIFY_SOCKET": path})
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


@pytest.mark.parametrize("path", ["", "vsock:1:2", "/there/is/none"])
def test_nobody_to_tell(path):
    assert not systemd.notify("READY=1", {"NOTIFY_SOCKET": path})


def test_signs_of_life():
    assert systemd.watchdog_interval({}) == 0
    assert systemd.watchdog_interval({"WATCHDOG_USEC": "30000000"}) == 15
    assert systemd.watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) == 0
    assert systemd.watchdog_interval({"WATCHDOG_USEC": "x"}) == 0
