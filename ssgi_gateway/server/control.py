"""What whoever started a server tells it, and what he hears of it.

``serve`` runs until ``stop`` was called. A process that serves alone needs nothing else; a worker among others has a
subclass (``process.worker``), whose listeners are everybody's.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from ssgi_gateway.observe.table import Seat
    from ssgi_gateway.server.gateway import Gateway

__all__ = ["Control"]

logger = logging.getLogger("ssgi_gateway.server")


class Control:
    """The control of one server. Its methods are called on the loop's thread.

    Attributes:
        shared: the listeners belong to other processes, too. They are registered so that one connection wakes one
            process (EPOLLEXCLUSIVE).
        adoption: the two ends of the pair through which idle connections change their process, the one to read and the
            one to write; ``None`` for a process that serves alone.
        seat: where this process writes down what it does; ``serve`` makes a table of its own where there is none.
        private: descriptors that children of the application must not have.
        observers: those who look at this server besides the settings' own; set before ``serve``.
        mover: moves connections to other processes, once ``serve`` has made it.
        gateway: the server's, once ``serve`` has made it.
    """

    shared = False
    adoption: tuple[socket.socket, socket.socket] | None = None
    seat: Seat | None = None

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self.private: list[int] = []
        self.mover: Any = None
        self.observers: list[Any] = []
        self.gateway: Gateway | Any = None

    def begin(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object]) -> None:
        """The event loop runs: listen for signals. Called by ``run``.

        Args:
            loop: the loop.
            cancel: ends the server without waiting for anything.
        """

        def stop(name: str) -> None:
            if self.stopping:
                logger.warning("%s again: not waiting any longer", name)
                cancel()
            else:
                logger.info("%s: draining", name)
                self.stop()

        self.listen_to_questions(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, number.name)

    def listen_to_questions(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let ``ssgi-gateway stacks`` ask what is going on here."""
        from ssgi_gateway.observe.stacks import Stacks

        Stacks(loop)

    def stop(self) -> None:
        """Begin the drain; again is fine."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    @property
    def alone(self) -> bool:
        """Whether nobody else serves: what waits in the listeners' queues is then for this process."""
        return True

    async def stopped(self) -> None:
        """Wait for ``stop``. Called by ``serve``."""
        await self._stopping.wait()

    def ready(self) -> None:
        """The application has started and connections are accepted. Called by ``serve``; nothing happens here."""
