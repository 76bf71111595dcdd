"""One event wakes one process: EPOLLEXCLUSIVE (epoll_ctl(2)) in the event loop's own epoll.

Without it a connection wakes every process that listens, and all but one find nothing. An epoll within an epoll is not
exclusive, so the flag has to be set where the loop itself has registered the descriptor.
"""

from __future__ import annotations

import os
import select
from typing import Any

__all__ = ["exclusively"]


def exclusively(loop: Any, fd: int) -> None:
    """Make the loop's reader of ``fd``, which was just added, exclusive; where the loop has no epoll nothing changes.

    uvloop registers a descriptor when it next waits, so this happens two turns later.
    """
    loop.call_soon(loop.call_soon, _register, loop, fd)


def _register(loop: Any, fd: int) -> None:
    epoll = _epoll(loop)
    if epoll is None:
        return
    with epoll:
        try:
            epoll.unregister(fd)
        except OSError:
            return  # the reader was removed meanwhile
        epoll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)


def _epoll(loop: Any) -> select.epoll | None:
    """The loop's epoll by a descriptor of its own."""
    bare: Any = getattr(loop, "asyncio", loop)
    try:
        fd = bare._get_backend_id() if hasattr(bare, "_get_backend_id") else bare._selector.fileno()
        return select.epoll.fromfd(os.dup(fd))
    except (AttributeError, OSError):
        return None
