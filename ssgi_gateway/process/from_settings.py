"""What a supervisor takes from the settings, at its start and at each reload."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.sink import open_file
from ssgi_gateway.process import states
from ssgi_gateway.process.lines import say
from ssgi_gateway.settings.values import AUTO

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["LogFile", "fixed", "limits", "tell_fixed", "wanted_workers"]

FIXED: Final = ("pid_file", "prometheus_multiproc", "status", "backlog", "socket_mode", "socket_owner")
"""Settings that a reload does not change: what they set is the supervisor's own, or its sockets', and was made at its
start. A socket that a reload opens is made as the settings are then."""


def fixed(settings: Settings) -> dict[str, str]:
    """What they are."""
    return {name: str(getattr(settings, name)) for name in FIXED}


def tell_fixed(before: Mapping[str, str], settings: Settings) -> None:
    """Log which of them would be others now."""
    names = [f"--{name.replace('_', '-')}" for name, value in fixed(settings).items() if value != before[name]]
    if names:
        say("warning", f"{', '.join(names)}: changed, which needs a restart; everything else is reloaded")


def wanted_workers(settings: Settings) -> int:
    """How many workers the settings want."""
    if settings.workers != AUTO:
        return settings.workers
    from ssgi_gateway.process.worker_count import cpus  # pathlib and all that belongs to it

    return cpus()


def limits(settings: Settings) -> states.Limits:
    """What the plan needs of the settings."""
    deadlines = settings.deadlines
    return states.Limits(start=deadlines.start, drain=deadlines.drain, stop_delay=settings.stop_delay)


class LogFile:
    """The access log, where it is a file: opened with the supervisor's rights, for workers who may have none.

    Args:
        path: of the setting ``access_log``; a relative one begins in the current directory.
    """

    def __init__(self, path: str) -> None:
        self.path = path if path in ("", "-") else os.path.abspath(path)

    @contextlib.contextmanager
    def descriptors(self) -> Iterator[list[int]]:
        """One of the file that has this name now; none where there is no file, or it cannot be opened (logged).

        Workers are given another one whenever they are forked: that of the last one may have been moved away.
        """
        try:
            found = self._open()
        except ConfigurationError as error:
            say("warning", str(error))
            found = []
        try:
            yield found
        finally:
            for fd in found:
                os.close(fd)

    def check(self) -> None:
        """Whether it can be opened.

        Raises:
            ConfigurationError: it cannot.
        """
        for fd in self._open():
            os.close(fd)

    def _open(self) -> list[int]:
        return [] if self.path in ("", "-") else [open_file(self.path, "--access-log")]
