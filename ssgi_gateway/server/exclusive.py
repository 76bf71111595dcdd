"""One event wakes one process: EPOLLEXCLUSIVE (epoll_ctl(2)) in the event loop's own epoll.

Without it a connection wakes every process that listens, and all but one find nothing. An epoll within an epoll is not
exclusive, so the flag has to be set where the loop itself has registered the descriptor.

The kernel wakes the sleeper that was registered first, so the first one would have most of the work and the last one
none. A process that has had its turn registers anew and so goes to the end of that queue.
"""

from __future__ import annotations

import os
import select
from functools import partial
from typing import Any

__all__ = ["Exclusive"]


class Exclusive:
    """The loop's reader of a descriptor, which was just added, made exclusive; without an epoll nothing changes.

    Args:
        loop: the event loop. uvloop registers a descriptor when it next waits, so the flag is set two turns later.
        fd: what it reads.
    """

    __slots__ = ("_epoll", "_fd")

    def __init__(self, loop: Any, fd: int) -> None:
        self._epoll = _epoll(loop)
        self._fd = fd
        if self._epoll is not None:
            loop.call_soon(partial(loop.call_soon, self.queue_up))

    def queue_up(self) -> None:
        """Go to the end of the queue for the next event."""
        if self._epoll is None or self._epoll.closed:
            return
        try:
            self._epoll.unregister(self._fd)
        except OSError:
            return  # the reader was removed meanwhile
        self._epoll.register(self._fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def close(self) -> None:
        """The reader has been removed; again is fine."""
        if self._epoll is not None:
            self._epoll.close()


def _epoll(loop: Any) -> select.epoll | None:
    """The loop's epoll by a descriptor of its own."""
    bare: Any = getattr(loop, "asyncio", loop)
    try:
        fd = bare._get_backend_id() if hasattr(bare, "_get_backend_id") else bare._selector.fileno()
        return select.epoll.fromfd(os.dup(fd))
    except (AttributeError, OSError):
        return None
