"""The protocol between a service and systemd, or what stands in for it. Without one, nothing happens.

* Sockets (sd_listen_fds(3)): descriptors from 3 on, each with a name. A name that is a protocol's opens that listener.
* News (sd_notify(3)): READY, RELOADING, STOPPING, STATUS, WATCHDOG.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address

__all__ = ["inherited", "notify", "passed", "watchdog_interval"]

FIRST: Final = 3  # SD_LISTEN_FDS_START


def passed(environ: Mapping[str, str]) -> int:
    """How many sockets are here for this process."""
    count = environ.get("LISTEN_FDS", "")
    return int(count) if environ.get("LISTEN_PID") == str(os.getpid()) and count.isdecimal() else 0


def inherited(environ: Mapping[str, str], protocols: Sequence[str], named: Sequence[int]) -> list[tuple[str, Address]]:
    """The sockets that are here for this process, as ``(protocol, address)``.

    Args:
        environ: the environment.
        protocols: the names of sockets that are a protocol's.
        named: descriptors that a setting names (``fd:3``), which need no name.

    Raises:
        ConfigurationError: the name of one is no protocol's.
    """
    count = passed(environ)
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for place in range(count):
        fd = FIRST + place
        if fd in named:
            continue
        name = names[place] if place < len(names) else ""
        if name not in protocols:
            raise ConfigurationError(
                f"systemd passed a socket named {name!r}; name the protocol there: FileDescriptorName= in its .socket "
                f"file, one of {', '.join(protocols)}, or give fd:{fd} as an address"
            )
        found.append((name, Address("fd", fd=fd)))
    return found


def notify(text: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Notify the service manager; ``False`` where there is none, or it cannot be reached.

    Args:
        text: lines of ``NAME=value``; RELOADING gets the time that systemd requires with it.
        environ: with ``NOTIFY_SOCKET``.
    """
    path = environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    if text.startswith("RELOADING=1"):
        text = f"{text}\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
    where = "\0" + path[1:] if path.startswith("@") else path
    try:
        with linux.nonblocking(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode("utf-8", "backslashreplace"), where)
    except OSError:
        return False
    return True


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float:
    """Seconds between two signs of life, half of what the service manager waits for; 0 for none wanted."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 2e6
    except ValueError:
        return 0.0
