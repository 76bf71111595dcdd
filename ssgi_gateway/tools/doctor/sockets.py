"""The addresses themselves: whether a socket is there, who may connect to it, and whether a server listens."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterator, Sequence

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.diagnosis import Finding
from ssgi_gateway.server.address import Address

__all__ = ["WEB_USERS", "closed_folders", "examine", "is_served"]

WEB_USERS = ("www-data", "nginx", "http", "apache", "caddy", "haproxy", "lighttpd")
"""What the users of web servers are called: Debian, Red Hat, Arch, and packages of their own."""


def is_served(address: Address) -> bool:
    """Whether a server accepts connections there.

    Raises:
        ConfigurationError: this user may not connect, so it cannot be seen.
    """
    family = socket.AF_UNIX if address.kind == "unix" else socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(2)
        where = address.path if address.kind == "unix" else (address.host or "127.0.0.1", address.port)
        try:
            probe.connect(where)
        except PermissionError:
            raise ConfigurationError(
                f"this user may not connect to {address}, so whether a server listens there cannot be seen; run the "
                "doctor as root"
            ) from None
        except OSError:
            return False
    return True


def examine(address: Address) -> Iterator[Finding]:
    """What can be seen of an address that is being listened on."""
    if address.kind != "unix":
        return
    try:
        about = os.stat(address.path)
    except OSError as error:
        folder = os.path.dirname(address.path)
        first = "" if os.path.isdir(folder) else f"Create {folder} (RuntimeDirectory= of a service does), s"
        yield Finding(
            "socket-missing", f"{address}: {error.strerror}", "the web server finds nothing there",
            f"{first or 'S'}tart the gateway, and compare the path with the web server's",
        )  # fmt: skip
        return
    users = [user for user in map(_user, WEB_USERS) if user is not None]
    if users and not any(may_connect(about, user) for user in users):
        names = " or ".join(user.pw_name for user in users)
        yield Finding(
            "socket-closed", f"{address} has mode {stat.S_IMODE(about.st_mode):o}, group {_group(about.st_gid)}",
            f"{names} may not connect to it, and the web server answers 502",
            f"Start the gateway with --socket-owner :{_group(users[0].pw_gid)}",
        )  # fmt: skip
    for folder, mode in closed_folders(os.path.dirname(address.path), users):
        yield Finding(
            "folder-closed", f"{folder} has mode {mode:o}",
            "the web server's user may not look into it", f"chmod o+x {folder}, or choose a folder below /run",
        )  # fmt: skip


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _bits(about: os.stat_result, user: pwd.struct_passwd, owner: int, group: int, other: int) -> bool:
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    wanted = owner if about.st_uid == user.pw_uid else group if about.st_gid in groups else other
    return bool(about.st_mode & wanted)


def may_connect(about: os.stat_result, user: pwd.struct_passwd) -> bool:
    """Whether ``user`` may write to a socket, which connecting needs (unix(7))."""
    return user.pw_uid == 0 or _bits(about, user, stat.S_IWUSR, stat.S_IWGRP, stat.S_IWOTH)


def may_enter(about: os.stat_result, user: pwd.struct_passwd) -> bool:
    """Whether ``user`` may search a directory."""
    return user.pw_uid == 0 or _bits(about, user, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)


def closed_folders(folder: str, users: Sequence[pwd.struct_passwd]) -> Iterator[tuple[str, int]]:
    """``folder`` and those it is in, as far as none of ``users`` may look into them, each with its permissions."""
    while users and folder not in ("", "/"):
        about = os.stat(folder)
        if not any(may_enter(about, user) for user in users):
            yield folder, stat.S_IMODE(about.st_mode)
        folder = os.path.dirname(folder)
