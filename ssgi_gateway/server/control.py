"""What whoever started a server tells it, and what he hears of it.

``serve`` runs until ``stop`` was called. A process that serves alone needs nothing else; a worker among others has a
subclass (``process``), whose listeners are everybody's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssgi_gateway.server.gateway import Gateway

__all__ = ["Control"]


class Control:
    """The control of one server. Its methods are called on the loop's thread.

    Attributes:
        shared: the listeners belong to other processes, too. They are registered so that one connection wakes one
            process (EPOLLEXCLUSIVE), and the drain leaves what waits in their queues to the others.
        gateway: the server's, from ``started`` on; for whoever moves connections.
    """

    shared = False

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self.gateway: Gateway | Any = None

    def stop(self) -> None:
        """Begin the drain; again is fine."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    async def stopped(self) -> None:
        """Wait for ``stop``. Called by ``serve``."""
        await self._stopping.wait()

    def ready(self) -> None:
        """The application has started and connections are accepted. Called by ``serve``; nothing happens here."""
