"""Rights that are given up, and what else the system should know of a process.

The supervisor binds, opens and writes as who started it; templates and workers, which run what is not ours, change to
the user of the settings before they load it, and have no way back.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from typing import TYPE_CHECKING, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import report, states, system

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["PidFile", "check", "drop", "owner", "raise_oom_score"]

OOM_RAISE: Final = 100
"""Out of memory, the kernel is to choose a worker and not the supervisor, which could not be replaced."""


def check(settings: Settings) -> None:
    """Whether ``drop`` could do what it should.

    Raises:
        ConfigurationError: there is no such user or group, or this process may not change.
    """
    user, group, _ = _identity(settings)
    other = (user not in (-1, os.geteuid())) or (group not in (-1, os.getegid()))
    if other and os.geteuid() != 0:
        raise ConfigurationError(
            f"--user, --group: only root may change the user; this process is uid {os.geteuid()}. Start it as root, or "
            "as that user (systemd: User=)"
        )


def drop(settings: Settings) -> None:
    """Become the user and the group of the settings, for good: real, effective and saved ids, supplementary groups.

    Raises:
        ConfigurationError: as ``check``.
    """
    if settings.umask >= 0:
        os.umask(settings.umask)
    check(settings)
    user, group, name = _identity(settings)
    if (group != -1 and group != os.getegid()) or user not in (-1, os.geteuid()):
        if name:
            os.initgroups(name, group if group != -1 else os.getegid())
        else:
            os.setgroups([group] if group != -1 else [])
    if group != -1:
        os.setresgid(group, group, group)
    if user != -1:
        os.setresuid(user, user, user)
        system.stay_visible()


def owner(settings: Settings) -> tuple[int, int]:
    """Who workers are: user and group, -1 for who this process is; as ``os.chown`` takes them.

    Raises:
        ConfigurationError: there is no such user or group.
    """
    return _identity(settings)[:2]


def _identity(settings: Settings) -> tuple[int, int, str]:
    """User, group, -1 for "unchanged", and the user's name where it has one."""
    user, group, name = -1, -1, ""
    if settings.user:
        try:
            entry = pwd.getpwuid(int(settings.user)) if settings.user.isdecimal() else pwd.getpwnam(settings.user)
            user, group, name = entry.pw_uid, entry.pw_gid, entry.pw_name
        except KeyError:
            if not settings.user.isdecimal():
                raise ConfigurationError(f"--user: there is no user {settings.user!r}") from None
            user = int(settings.user)
    if settings.group:
        try:
            group = int(settings.group) if settings.group.isdecimal() else grp.getgrnam(settings.group).gr_gid
        except KeyError:
            raise ConfigurationError(f"--group: there is no group {settings.group!r}") from None
    return user, group, name


def raise_oom_score() -> None:
    """Be a little nearer to the OOM killer than the supervisor is."""
    with contextlib.suppress(OSError, ValueError):
        linux.shift_oom_score(OOM_RAISE)


class PidFile:
    """A file with the supervisor's process id; a successor in place has the same.

    Args:
        path: absolute, or empty for none.

    Raises:
        ConfigurationError: it cannot be written, or is another server's that serves.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if path:
            other = _server_of(path)
            if other:
                raise ConfigurationError(
                    f"--pid-file: {path} is that of a server that runs, process {other}; stop it first, or give each "
                    "its own"
                )
            try:
                # Renamed into its place: a reader never finds half of it.
                with open(f"{path}.new", "w") as file:
                    file.write(f"{os.getpid()}\n")
                os.replace(f"{path}.new", path)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(f"{path}.new")
                raise ConfigurationError(f"--pid-file: {path}: {error.strerror}") from None

    def remove(self) -> None:
        """Remove it, if it still holds this process' id."""
        if self.path:
            with contextlib.suppress(OSError, ValueError):
                with open(self.path) as file:
                    ours = int(file.read()) == os.getpid()
                if ours:
                    os.unlink(self.path)


def _server_of(path: str) -> int:
    """The other server that a pid file names, while it serves; 0 for none.

    A file that somebody has left may hold any process' id, so only a supervisor's counts.
    """
    with contextlib.suppress(OSError, ValueError, ConfigurationError):
        with open(path) as file:
            pid = int(file.read())
        if pid != os.getpid() and report.read(pid)["mode"] == states.SERVING:
            return pid
    return 0
