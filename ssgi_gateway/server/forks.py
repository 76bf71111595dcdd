"""Children that an application forks do not keep what is the server's.

A child that has a connection's descriptor keeps the client waiting for the end of its answer until the child ends; one
that has a listener's makes the next start believe that the server still runs. Programs that are executed have none of
them (close-on-exec); those that are only forked (``multiprocessing``) get rid of them here, before any code of the
application runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

__all__ = ["close_in_children"]

_places: set[tuple[int, Any]] = set()
_descriptors: set[int] = set()
_registered = False


def close_in_children(listeners: Iterable[socket.socket], descriptors: Iterable[int] = ()) -> None:
    """From now on children of this process close these, and the connections that came through the listeners.

    Args:
        listeners: listening sockets.
        descriptors: others that are this process' own.
    """
    global _registered
    _places.clear()
    _places.update(_place(listener) for listener in listeners)
    _descriptors.clear()
    _descriptors.update(descriptors)
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_close)


def _place(bound: socket.socket) -> tuple[int, Any]:
    """What a listener and its connections have in common: the path, or the port."""
    name = bound.getsockname()
    return bound.family, name if bound.family == socket.AF_UNIX else name[1]


def _close() -> None:
    """In the child."""
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd in _descriptors or _is_ours(fd):
            try:
                os.close(fd)
            except OSError:
                pass  # the listing's own, which is closed already
    _places.clear()
    _descriptors.clear()


def _is_ours(fd: int) -> bool:
    try:
        looked = socket.socket(fileno=fd)
    except OSError:
        return False  # no socket
    try:
        return looked.type == socket.SOCK_STREAM and _place(looked) in _places
    except (OSError, IndexError):
        return False
    finally:
        looked.detach()
