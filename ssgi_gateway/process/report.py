"""What a supervisor publishes for commands of the same user: memory that ``/proc/PID/fd`` leads to.

There is no socket for it and no file: the kernel opens another process' descriptors to its own user and to root only.
It holds one line of JSON: reloads that worked and that failed, the last one's words, the generation, the mode, the
workers.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError

__all__ = ["Report", "read"]

NAME: Final = "ssgi-gateway-report"


class Report:
    """The supervisor's side.

    Args:
        fd: the memory, from a predecessor; otherwise it is made.
    """

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd if fd >= 0 else linux.make_memory(NAME)

    def write(self, published: Mapping[str, Any]) -> None:
        """Replace what is published."""
        line = json.dumps(published).encode() + b"\n"
        # One write from the start: a reader sees the old line, or the new one and maybe a rest of the old.
        with contextlib.suppress(OSError):  # no memory: the next time again
            os.pwrite(self.fd, line, 0)
            os.ftruncate(self.fd, len(line))


def read(pid: int) -> dict[str, Any]:
    """What the supervisor ``pid`` publishes.

    Raises:
        ConfigurationError: there is no such process, it is another user's, or it is no supervisor of this kind.
    """
    try:
        path = linux.find_memory(pid, NAME)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no process {pid}") from None
    except PermissionError:
        raise ConfigurationError(f"process {pid} is another user's") from None
    if path:
        with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
            found: dict[str, Any] = json.loads(file.readline() or b"{}")
            return found
    raise ConfigurationError(
        f"process {pid} is no supervisor of ssgi-gateway; its id is what systemd calls MainPID, or what --pid-file "
        "holds (with --workers 0 there is none)"
    )
