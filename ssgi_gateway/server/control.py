"""How the code that started a server controls it, and what the server reports to it.

``serve`` runs until ``stop`` was called. A process that serves alone needs nothing else; a worker among others has a
subclass (``process.worker``), whose listeners are those of all workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ssgi_gateway.server.ending import Ending

if TYPE_CHECKING:
    import socket

    from ssgi_gateway.observe.sink import Sink
    from ssgi_gateway.observe.table import Seat
    from ssgi_gateway.server.gateway import Gateway

__all__ = ["Control", "post"]

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
        observers: observers of this server besides those of the settings; set before ``serve``.
        mover: moves connections to other processes, once ``serve`` has made it.
        workers: how many processes serve; 0 where only the settings have it.
        log: the descriptor of the access log, where a process with more rights has opened it; -1 otherwise.
        sink: where the access log goes, once ``serve`` has opened it.
        gateway: the server's, once ``serve`` has made it.
        serving: the application has started; an exit in it does not end the process any more.
        ending: what handles the signals, once the event loop runs.
    """

    shared = False
    adoption: tuple[socket.socket, socket.socket] | None = None
    seat: Seat | None = None
    workers = 0
    serving = False
    log = -1
    sink: Sink | None = None

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self.private: list[int] = []
        self.mover: Any = None
        self.observers: list[Any] = []
        self.gateway: Gateway | Any = None
        self.ending: Ending | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object], bound: float) -> None:
        """The event loop runs: listen for signals. Called by ``run``.

        Args:
            loop: the loop.
            cancel: ends the server without waiting for anything.
            bound: seconds from the first signal to the end of the process, whatever hangs.
        """

        def first(name: str) -> None:
            logger.info("%s: draining", name)
            self.stop()

        def again(name: str) -> None:
            logger.warning("%s again: not waiting any longer", name)
            cancel()

        self.ending = Ending(bound)
        self.ending.listen(partial(post, loop, first), partial(post, loop, again))
        self.listen_to_questions(loop)

    def listen_to_questions(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let ``ssgi-gateway stacks`` see what is going on here."""
        from ssgi_gateway.observe.stacks import Stacks

        Stacks(loop)

    def reopen_log(self, fd: int) -> None:
        """Go on in this file, after a rotation."""
        if self.sink is None:
            os.close(fd)
        else:
            self.sink.follow(fd)

    def stop(self) -> None:
        """Begin the drain; again is fine."""
        if self.ending is not None:
            self.ending.begin()
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    @property
    def alone(self) -> bool:
        """Whether no other process serves: what waits in the listeners' queues is then for this process."""
        return True

    def when_alone(self, callback: Callable[[], object]) -> None:
        """Call it once no other process serves: here at once. Called by ``serve``, at most once."""
        callback()

    def abandon(self) -> None:
        """In a forked child: close the descriptors that this control has. Called by ``serve``."""
        for fd in self.private:
            os.close(fd)
        self.private = []

    async def stopped(self) -> None:
        """Wait for ``stop``. Called by ``serve``."""
        await self._stopping.wait()

    def ready(self) -> None:
        """The application has started and connections are accepted. Called by ``serve``; nothing happens here."""


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[str], object], name: str) -> None:
    """Have the loop call ``callback(name)``; from a signal's handler, which may come when the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, name)
